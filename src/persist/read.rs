//! Reading our format, into memory or borrowed from a map.

use bytemuck::{Pod, Zeroable};

use super::format::{
    BIAS, CENTROIDS, CODE, COPY_BIAS, COPY_IDS, COPY_LISTS, COPY_VECTORS, CURVE, DUPLICATE_IDS, IDS,
    K_FACTOR, LISTS, ListEntry, META, Meta, RANKS, REFINE, ROWS, SCALES, SOAR, Section, TRAINED, TRANSFORMS,
    TREE, Table, VECTORS, name,
};
use super::read_lists::Sections;
use super::source::Source;
use super::transfer::{CHUNK, Transfer};
use super::{LoadOptions, LoadedParts, check, code, curve, faiss, refine, tree};
use crate::codec::Codec;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::metric::Metric;
use crate::progress::Control;
use crate::transform::Chain;

/// Reads an index of ours. Lengths are checked before anything is allocated for them.
pub(super) fn read(mut transfer: Transfer<'_, '_>, options: &LoadOptions) -> Result<LoadedParts> {
    let (source, control) = (transfer.source, transfer.control);
    let table = Table::decode(source)?;
    let meta = read_all(source, table.need(META)?, control)?;
    let mut parts = decode_meta(&meta)?;
    if let Some(section) = table.get(TRANSFORMS) {
        let bytes: Vec<u8> = read_all(source, section, control)?;
        parts.transforms = faiss::decode_transforms(&bytes)?;
    }
    if let Some(section) = table.get(CENTROIDS) {
        parts.centroids = Some(read_all(source, section, control)?);
    }
    if let Some(section) = table.get(TREE) {
        parts.grouping = Some(tree::decode(&read_all(source, section, control)?, parts.dim)?);
    }
    if let Some(section) = table.get(CURVE) {
        let mut curve = curve::decode(&read_all(source, section, control)?)?;
        if let Some(section) = table.get(SCALES) {
            section.check_length((curve.points.len() * size_of::<f32>()) as u64)?;
            curve::set_scales(&mut curve, &read_all::<f32>(source, section, control)?)?;
        }
        parts.curve = Some(curve);
    }
    let entries: Vec<ListEntry> = read_all(source, table.need(LISTS)?, control)?;
    let (element, vectors) = vectors(&table)?;
    parts.codec = match table.get(CODE) {
        Some(section) => code::decode(&read_all(source, section, control)?, parts.dim)?,
        None => Codec::Plain(element),
    };
    if parts.codec.element() != element {
        return Err(Error::corrupt(format!("section {}: it holds no codes", name(vectors.tag))));
    }
    let columns = parts.codec.columns(parts.dim);
    let mut rows = None;
    if let Some(section) = table.get(REFINE) {
        let (codec, columns) = refine::decode(&read_all(source, section, control)?)?;
        rows = Some((*table.need(ROWS)?, codec.row_bytes(columns), codec.element()));
        parts.refine = Some((codec, columns));
        if let Some(section) = table.get(K_FACTOR) {
            section.check_length(4)?;
            parts.k_factor = read_all::<f32>(source, section, control)?[0];
            if !(parts.k_factor >= 1.0 && parts.k_factor.is_finite()) {
                let text = format!("section KFAC: expected a k_factor of 1 or more, got {}", parts.k_factor);
                return Err(Error::corrupt(text));
            }
        }
    }
    let ranks = table.get(RANKS).copied();
    let sections =
        Sections { bias: *table.need(BIAS)?, ids: *table.need(IDS)?, element, vectors, rows, ranks };
    sections.check_lengths(&entries, columns)?;
    let copies = match table.get(SOAR) {
        Some(section) => {
            section.check_length(4)?;
            parts.soar = read_all::<f32>(source, section, control)?[0];
            if !(parts.soar > 0.0 && parts.soar.is_finite()) {
                let text = format!("section SOAR: expected a lambda above 0, got {}", parts.soar);
                return Err(Error::corrupt(text));
            }
            let entries: Vec<ListEntry> = read_all(source, table.need(COPY_LISTS)?, control)?;
            let (bias, ids) = (*table.need(COPY_BIAS)?, *table.need(COPY_IDS)?);
            let vectors = *table.need(COPY_VECTORS)?;
            let copies = Sections { bias, ids, element, vectors, rows: None, ranks: None };
            copies.check_lengths(&entries, columns)?;
            Some((copies, entries))
        }
        None => None,
    };
    transfer.expect(sections.bytes().saturating_add(copies.as_ref().map_or(0, |(copies, _)| copies.bytes())));
    let signed = matches!(&parts.codec, Codec::RaBitQ(codes) if codes.products);
    let mut read_lists = |sections: &Sections, entries: &[ListEntry]| {
        let lists = sections.read(&mut transfer, entries, columns, options)?;
        check::biases(&lists, signed)?;
        Ok(lists)
    };
    parts.lists = read_lists(&sections, &entries)?;
    if let Some((copies, entries)) = copies {
        parts.lists.take_copies(read_lists(&copies, &entries)?, &|| control.check())?;
    }
    if !options.skip_verify {
        check_ids(&parts, control)?;
    }
    Ok(parts)
}

/// The section of the vectors and the element type that it stands for.
fn vectors(table: &Table) -> Result<(Element, Section)> {
    let mut found = VECTORS.iter().filter_map(|&(element, tag)| Some((element, *table.get(tag)?)));
    match (found.next(), found.next()) {
        (Some(vectors), None) => Ok(vectors),
        (None, _) => Err(Error::corrupt("section VECS: expected one, got none: the file is damaged")),
        (Some(_), Some((_, other))) => Err(Error::corrupt(format!(
            "section {}: expected one section of vectors, got two: the file is damaged",
            name(other.tag)
        ))),
    }
}

fn decode_meta(bytes: &[u8]) -> Result<LoadedParts> {
    let fail = |text: String| Error::corrupt(format!("section META: {text}"));
    let Some((fixed, description)) = bytes.split_at_checked(size_of::<Meta>()) else {
        return Err(fail(format!("expected at least {} bytes, got {}", size_of::<Meta>(), bytes.len())));
    };
    let mut meta = Meta::zeroed();
    bytemuck::bytes_of_mut(&mut meta).copy_from_slice(fixed);
    if description.len() as u64 != u64::from(meta.description) {
        return Err(fail(format!(
            "expected an index string of {} bytes, got {}",
            meta.description,
            description.len()
        )));
    }
    let description =
        std::str::from_utf8(description).map_err(|_| fail("the index string is not UTF-8".into()))?;
    if meta.dim == 0 || meta.next_id < 0 || meta.flags & !(TRAINED | DUPLICATE_IDS) != 0 {
        return Err(fail(format!(
            "expected a dimension, a next id and known flags, got {}, {} and {:#x}",
            meta.dim, meta.next_id, meta.flags
        )));
    }
    let metric = i32::try_from(meta.metric)
        .map_err(|_| ())
        .and_then(|number| Metric::from_number(number).map_err(|_| ()));
    let dim = to_usize(u64::from(meta.dim))?;
    Ok(LoadedParts {
        dim,
        metric: metric.map_err(|()| fail(format!("expected a metric from 0 to 2, got {}", meta.metric)))?,
        description: description.to_owned(),
        trained: meta.flags & TRAINED != 0,
        transforms: Chain::default(),
        centroids: None,
        grouping: None,
        refine: None,
        codec: Codec::Plain(Element::F32),
        lists: Lists::new(0, Element::F32, 0),
        next_id: meta.next_id,
        nprobe: to_usize(meta.nprobe)?,
        allow_duplicate_ids: meta.flags & DUPLICATE_IDS != 0,
        k_factor: 0.0,
        soar: 0.0,
        curve: None,
    })
}

/// Reads a section that is used as a whole; its checksum is always compared.
fn read_all<T: Pod>(source: &Source<'_>, section: &Section, control: &Control<'_>) -> Result<Vec<T>> {
    if !section.length.is_multiple_of(size_of::<T>() as u64) {
        return Err(Error::corrupt(format!(
            "section {}: expected a multiple of {} bytes, got {}",
            name(section.tag),
            size_of::<T>(),
            section.length
        )));
    }
    let count = to_usize(section.length)? / size_of::<T>();
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| Error::Memory { what: "loading an index", bytes: section.length })?;
    values.resize(count, T::zeroed());
    let mut hasher = crc32fast::Hasher::new();
    let mut offset = section.offset;
    for chunk in values.chunks_mut(CHUNK / size_of::<T>()) {
        source.read(offset, bytemuck::cast_slice_mut(chunk))?;
        hasher.update(bytemuck::cast_slice(chunk));
        offset += size_of_val(chunk) as u64;
        control.check()?;
    }
    section.check_sum(hasher.finalize())?;
    Ok(values)
}

fn check_ids(parts: &LoadedParts, control: &Control<'_>) -> Result<()> {
    let ids = check::Ids::of(&parts.lists, control)?;
    if let Some(largest) = ids.largest
        && largest >= parts.next_id
    {
        return Err(Error::corrupt(format!(
            "next id: expected more than the largest id, {largest}, got {}",
            parts.next_id
        )));
    }
    match ids.repeated {
        Some(id) if !parts.allow_duplicate_ids => {
            Err(Error::corrupt(format!("id {id}: two vectors have it")))
        }
        _ => Ok(()),
    }
}

pub(super) fn to_usize(value: u64) -> Result<usize> {
    usize::try_from(value)
        .map_err(|_| Error::Unsupported("the file is too large for a 32-bit process".into()))
}
