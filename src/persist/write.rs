//! Writing our format: every section is checksummed first, then written front to back, so that any
//! `Write` will do.

use std::io::Write;

use super::format::{
    self, BIAS, CENTROIDS, CODE, COPY_BIAS, COPY_IDS, COPY_LISTS, COPY_VECTORS, CURVE, DUPLICATE_IDS, IDS,
    K_FACTOR, LISTS, ListEntry, META, Meta, RANKS, REFINE, ROWS, SCALES, SOAR, TRAINED, TRANSFORMS, TREE,
    Table, Tag,
};
use super::{Parts, faiss};
use crate::error::{Error, Result};
use crate::lists::List;
use crate::progress::Control;

/// Bytes between two looks at the control.
const CHUNK: usize = 1 << 20;

/// The length of the file that [`write`] makes.
pub(super) fn size(parts: &Parts<'_>) -> Result<u64> {
    Ok(Body::new(parts)?.table()?.file_length())
}

/// Writes header, table and sections. Progress counts the bytes written.
pub(super) fn write(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    let body = Body::new(parts)?;
    let mut table = body.table()?;
    for section in &mut table.0 {
        let mut hasher = crc32fast::Hasher::new();
        body.each_chunk(section.tag, &mut |chunk| {
            hasher.update(chunk);
            control.check()
        })?;
        section.checksum = hasher.finalize();
    }
    let mut out = Counted::new(out, control, table.file_length());
    out.put(&table.encode())?;
    for section in &table.0 {
        out.pad_to(section.offset)?;
        body.each_chunk(section.tag, &mut |chunk| out.put(chunk))?;
    }
    Ok(())
}

/// What the sections hold.
struct Body<'a> {
    parts: &'a Parts<'a>,
    meta: Vec<u8>,
    transforms: Vec<u8>,
    lists: Vec<ListEntry>,
    copy_lists: Vec<ListEntry>,
    curve: Vec<u8>,
    scales: Vec<f32>,
    code: Vec<u8>,
    tree: Vec<u8>,
    refine: Vec<u8>,
}

impl<'a> Body<'a> {
    fn new(parts: &'a Parts<'a>) -> Result<Self> {
        let entry = |list: &List| ListEntry { len: list.len() as u64, dead: list.dead as u64 };
        let lists = parts.lists.lists.iter().map(entry).collect();
        let copy_lists = parts.lists.copy_lists().iter().map(entry).collect();
        let transforms = faiss::encode_transforms(parts.transforms)?;
        let curve = parts.curve.map(super::curve::encode).unwrap_or_default();
        let scales = parts.curve.map(super::curve::scales).unwrap_or_default();
        let code = super::code::encode(parts.codec);
        let refine = parts.refine.map(|(codec, columns)| super::refine::encode(codec, columns));
        let refine = refine.transpose()?.unwrap_or_default();
        let tree =
            parts.grouping.map(|grouping| super::tree::encode(grouping, parts.dim)).unwrap_or_default();
        let meta = meta(parts)?;
        Ok(Self { parts, meta, transforms, lists, copy_lists, curve, scales, code, tree, refine })
    }

    fn table(&self) -> Result<Table> {
        let mut sections: Vec<(Tag, u64)> = Vec::new();
        for tag in [
            META,
            TRANSFORMS,
            CENTROIDS,
            TREE,
            CODE,
            CURVE,
            SCALES,
            REFINE,
            K_FACTOR,
            LISTS,
            BIAS,
            IDS,
            self.vectors(),
            ROWS,
            RANKS,
            SOAR,
            COPY_LISTS,
            COPY_BIAS,
            COPY_IDS,
            COPY_VECTORS,
        ] {
            let missing = match tag {
                CENTROIDS => self.parts.centroids.is_none(),
                TREE => self.tree.is_empty(),
                CODE => self.code.is_empty(),
                REFINE | ROWS => self.refine.is_empty(),
                RANKS => !self.parts.lists.ordered,
                K_FACTOR => self.parts.k_factor == 0.0,
                SOAR | COPY_LISTS | COPY_BIAS | COPY_IDS | COPY_VECTORS => self.parts.lists.copies.is_none(),
                CURVE => self.parts.curve.is_none(),
                SCALES => self.scales.is_empty(),
                TRANSFORMS => self.parts.transforms.is_empty(),
                _ => false,
            };
            if missing {
                continue;
            }
            let mut length = 0u64;
            self.each_part(tag, &mut |bytes| {
                length += bytes.len() as u64;
                Ok(())
            })?;
            sections.push((tag, length));
        }
        Table::new(&sections)
    }

    fn vectors(&self) -> Tag {
        format::vectors(self.parts.lists.element)
    }

    /// Calls `take` with the section's bytes, list after list.
    fn each_part(&self, tag: Tag, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (lists, copies) = (&self.parts.lists.lists[..], self.parts.lists.copy_lists());
        let (tag, lists, entries) = match tag {
            COPY_LISTS => (LISTS, copies, &self.copy_lists),
            COPY_BIAS => (BIAS, copies, &self.copy_lists),
            COPY_IDS => (IDS, copies, &self.copy_lists),
            COPY_VECTORS => (self.vectors(), copies, &self.copy_lists),
            tag => (tag, lists, &self.lists),
        };
        match tag {
            META => take(&self.meta),
            TRANSFORMS => take(&self.transforms),
            CENTROIDS => take(bytemuck::cast_slice(self.parts.centroids.unwrap_or_default())),
            TREE => take(&self.tree),
            CODE => take(&self.code),
            CURVE => take(&self.curve),
            SCALES => take(bytemuck::cast_slice(&self.scales)),
            REFINE => take(&self.refine),
            K_FACTOR => take(bytemuck::bytes_of(&self.parts.k_factor)),
            RANKS => lists.iter().try_for_each(|list| take(bytemuck::cast_slice(&list.ranks.data))),
            ROWS => lists.iter().try_for_each(|list| take(&list.rows.data)),
            LISTS => take(bytemuck::cast_slice(entries)),
            BIAS => lists.iter().try_for_each(|list| take(bytemuck::cast_slice(&list.bias))),
            SOAR => take(bytemuck::bytes_of(&self.parts.soar)),
            IDS => lists.iter().try_for_each(|list| take(bytemuck::cast_slice(&list.ids))),
            tag if tag == self.vectors() => lists.iter().try_for_each(|list| take(&list.vectors)),
            other => unreachable!("invariant: no section {} is written", format::name(other)),
        }
    }

    /// The same in pieces of at most [`CHUNK`] bytes.
    fn each_chunk(&self, tag: Tag, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.each_part(tag, &mut |bytes| bytes.chunks(CHUNK).try_for_each(&mut *take))
    }
}

fn meta(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let fits = |what, value: usize| {
        u32::try_from(value).map_err(|_| {
            Error::argument(format!("{what}: expected at most {} to save, got {value}", u32::MAX))
        })
    };
    let meta = Meta {
        dim: fits("dim", parts.dim)?,
        metric: parts.metric as u32,
        nprobe: parts.nprobe as u64,
        next_id: parts.next_id,
        flags: if parts.trained { TRAINED } else { 0 }
            | if parts.allow_duplicate_ids { DUPLICATE_IDS } else { 0 },
        description: fits("length of the index string", parts.description.len())?,
    };
    Ok([bytemuck::bytes_of(&meta), parts.description.as_bytes()].concat())
}

/// A writer that tells how far it is. Also for [`super::faiss`].
pub(super) struct Counted<'a, 'c> {
    out: &'a mut dyn Write,
    control: &'a Control<'c>,
    done: u64,
    reported: u64,
    total: u64,
}

impl<'a, 'c> Counted<'a, 'c> {
    /// Counts to `total` bytes.
    pub(super) fn new(out: &'a mut dyn Write, control: &'a Control<'c>, total: u64) -> Self {
        Self { out, control, done: 0, reported: 0, total }
    }

    /// Writes at most about [`CHUNK`] bytes, and reports every so many.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|source| Error::Io {
            action: "writing",
            path: "the output".into(),
            source,
        })?;
        self.done += bytes.len() as u64;
        if self.done < self.total && self.done - self.reported < CHUNK as u64 {
            return self.control.check();
        }
        self.reported = self.done;
        let units = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        self.control.report("save", units(self.done), units(self.total), 0.0)
    }

    /// The same for any number of bytes.
    pub(super) fn put_all(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.chunks(CHUNK).try_for_each(|chunk| self.put(chunk))
    }

    fn pad_to(&mut self, offset: u64) -> Result<()> {
        let gap = usize::try_from(offset - self.done).expect("invariant: less than the alignment");
        self.put(&[0; format::ALIGN][..gap])
    }
}
