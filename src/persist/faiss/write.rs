//! Writing faiss's files: Flat as `IxF2` or `IxFI`, within an `IxM2` unless its ids count from 0; IVF as
//! `IwFl`; other lists than of float32 as `IxSQ` and `IwSq`, or `IxPq` and `IwPQ`, `IPfs` and `IwPf`; a refinement as `IxRF` around that. Removed vectors are
//! left out.

use std::io::Write;

use super::bytes::Bytes;
use super::refine::{FACTORS, Spot, spots};
use super::{
    ARRAY_LISTS, FAST, FLAT_IP, FLAT_L2, FULL_SIZES, ID_MAP_2, IVF_FAST, IVF_FLAT, IVF_PRODUCT, IVF_SCALAR,
    PRODUCT, REFINE, SCALAR, SPARSE_SIZES,
};
use super::{fast, product, scalar};
use crate::codec::Codec;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::List;
use crate::metric::Metric;
use crate::persist::Parts;
use crate::persist::write::Counted;
use crate::progress::Control;

/// Bytes gathered before they are written.
const BATCH: usize = 1 << 18;

/// Fails if faiss has no file for such an index.
pub(in crate::persist) fn check_writable(parts: &Parts<'_>) -> Result<()> {
    if parts.refine.is_some() && !FACTORS.contains(&parts.k_factor) {
        return Err(Error::Unsupported(format!(
            "{:?}: faiss reads a k_factor from 1 to 1000, got {}",
            parts.description, parts.k_factor
        )));
    }
    if matches!(parts.codec, Codec::RaBitQ(_)) {
        return Err(Error::Unsupported(format!(
            "{:?}: RaBitQ codes are not written as faiss does: save the index in our own format",
            parts.description
        )));
    }
    nlist(parts)?;
    match i32::try_from(parts.dim.max(parts.transforms.d_in(parts.dim))) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Unsupported(format!("faiss has no index of {} dimensions", parts.dim))),
    }
}

/// Writes the index as faiss does. Progress counts the bytes written.
pub(in crate::persist) fn write(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    let (nlist, lists, live) = (nlist(parts)?, &parts.lists.lists, parts.lists.live());
    let ids = Ids::of(parts, nlist.is_some(), control)?;
    let mut head = Bytes::default();
    if ids.mapped {
        head.code(ID_MAP_2).header_outside(parts, live, parts.trained);
    }
    if parts.refine.is_some() {
        head.code(REFINE).header_outside(parts, live, parts.trained);
    }
    head.transforms(parts, live)?;
    let (mut centroids, mut tail, mut foot) = (&[][..], Bytes::default(), Bytes::default());
    match (nlist, parts.codec) {
        (Some(nlist), _) => {
            centroids = parts.centroids.unwrap_or_default();
            tail = ivf_head(parts, nlist, live, &mut head);
        }
        (None, codec) => {
            put_rows_head(&mut head, parts, codec, parts.dim, live);
            if let Codec::Product(codes) = codec
                && !codes.fast
            {
                foot = product::foot(codes);
            }
        }
    }
    let refine = parts.refine.map(|(codec, columns)| {
        let mut bytes = Bytes::default();
        put_rows_head(&mut bytes, parts, codec, columns, live);
        (bytes, codec.row_bytes(columns))
    });
    let body: usize = lists.iter().map(|list| list_bytes(parts, list.live())).sum();
    let refined = refine.as_ref().map_or(0, |(head, each)| head.0.len() + live * each + size_of::<f32>());
    let map = if ids.mapped { size_of::<u64>() + live * size_of::<i64>() } else { 0 };
    let total = head.0.len() + size_of_val(centroids) + tail.0.len() + body + foot.0.len() + refined + map;
    let mut out = Counted::new(out, control, total as u64);
    out.put_all(&head.0)?;
    out.put_all(bytemuck::cast_slice(centroids))?;
    out.put_all(&tail.0)?;
    let mut numbers = 0i64..;
    let fast = is_fast(parts.codec);
    for list in lists {
        let numbers: Option<Vec<i64>> =
            (ids.mapped && nlist.is_some()).then(|| numbers.by_ref().take(list.live()).collect());
        let put_numbers = |out: &mut Counted<'_, '_>| match &numbers {
            _ if nlist.is_none() => Ok(()),
            Some(numbers) => out.put_all(bytemuck::cast_slice(numbers)),
            None => put_ids(out, list),
        };
        if fast {
            if nlist.is_some() {
                out.put(&(list.live() as u64).to_le_bytes())?;
                put_numbers(&mut out)?;
                out.put(&(code_bytes(parts, list.live()) as u64).to_le_bytes())?;
            }
            put_packed(&mut out, parts, list)?;
        } else {
            put_rows(&mut out, parts, list)?;
            put_numbers(&mut out)?;
        }
    }
    out.put_all(&foot.0)?;
    if let Some((head, each)) = refine {
        out.put_all(&head.0)?;
        match ids.spots {
            Some(spots) => put_kept(&mut out, lists, each, spots.into_iter())?,
            None => {
                put_kept(&mut out, lists, each, parts.lists.live_ids().map(|(_, list, slot)| (list, slot)))?
            }
        }
        out.put(&parts.k_factor.to_le_bytes())?;
    }
    if ids.mapped {
        out.put(&(live as u64).to_le_bytes())?;
        for list in lists {
            put_ids(&mut out, list)?;
        }
    }
    Ok(())
}

/// How vectors are numbered in the file.
struct Ids {
    /// Within an id map: 0 to n - 1 in the order of the lists, else by their ids.
    mapped: bool,
    /// Where the rows to refine with lie, if their order is not that of the lists.
    spots: Option<Vec<Spot>>,
}

impl Ids {
    fn of(parts: &Parts<'_>, ivf: bool, control: &Control<'_>) -> Result<Self> {
        if !ivf {
            // There a vector's id is its place.
            let live = parts.lists.live();
            let counting = parts.lists.live_ids().map(|(id, ..)| id).eq((0i64..).take(live));
            return Ok(Self { mapped: !counting, spots: None });
        }
        if parts.refine.is_none() {
            return Ok(Self { mapped: false, spots: None });
        }
        let spots = spots(parts.lists, control)?;
        Ok(Self { mapped: spots.is_none(), spots })
    }
}

/// The number of lists of an IVF index, `None` for Flat.
fn nlist(parts: &Parts<'_>) -> Result<Option<usize>> {
    let Some(chosen) = parts.nlist else { return Ok(None) };
    chosen.map(Some).ok_or_else(|| {
        Error::State(format!(
            "faiss has no index without a number of lists, and that of {:?} is chosen by train: train it first",
            parts.description
        ))
    })
}

/// What comes before `count` rows of so many columns: as a flat index has them, or a quantizer.
fn put_rows_head(head: &mut Bytes, parts: &Parts<'_>, codec: &Codec, columns: usize, count: usize) {
    match codec {
        Codec::Plain(Element::F32) => {
            head.code(flat_code(parts)).header_of(parts, columns, count, true).size(count * columns);
        }
        Codec::Product(codes) if codes.fast => {
            head.code(FAST).header_of(parts, columns, count, codec.is_trained());
            fast::write_flat(codes, count, head);
        }
        Codec::Product(codes) => {
            head.code(PRODUCT).header_of(parts, columns, count, codec.is_trained());
            product::write_flat(codes, count, head);
        }
        _ => {
            head.code(SCALAR).header_of(parts, columns, count, codec.is_trained());
            scalar::write(codec, columns, head);
            head.size(count * scalar::code_size(codec, columns));
        }
    }
}

/// What comes before the centroids of an IVF index, and what between them and the lists.
fn ivf_head(parts: &Parts<'_>, nlist: usize, live: usize, head: &mut Bytes) -> Bytes {
    let centroids = parts.centroids.unwrap_or_default();
    let code = match parts.codec {
        Codec::Plain(Element::F32) => IVF_FLAT,
        Codec::Product(codes) if codes.fast => IVF_FAST,
        Codec::Product(_) => IVF_PRODUCT,
        _ => IVF_SCALAR,
    };
    head.code(code).header(parts, live, parts.trained).size(nlist).size(parts.nprobe.max(1));
    head.code(flat_code(parts)).header(parts, centroids.len() / parts.dim, true).size(centroids.len());
    let mut tail = Bytes::default();
    // No direct map.
    tail.bytes(&[0]).size(0);
    let each = scalar::code_size(parts.codec, parts.dim);
    match parts.codec {
        Codec::Plain(Element::F32) => {}
        Codec::Product(codes) if codes.fast => {
            fast::write_ivf(codes, nlist, &mut tail);
            if parts.lists.lists.is_empty() {
                // Not trained: lists of no ids and no blocks.
                tail.bytes(&vec![0; nlist * 2 * size_of::<u64>()]);
            }
            return tail;
        }
        Codec::Product(codes) => product::write_ivf(codes, &mut tail),
        codec => {
            scalar::write(codec, parts.dim, &mut tail);
            tail.size(each).bytes(&[u8::from(scalar::by_residual(codec))]);
        }
    }
    tail.code(ARRAY_LISTS).size(nlist).size(each);
    let sizes: Vec<usize> = parts.lists.lists.iter().map(List::live).collect();
    let filled = sizes.iter().filter(|&&size| size > 0).count();
    if filled > nlist / 2 {
        tail.code(FULL_SIZES).size(nlist);
        sizes.iter().for_each(|&size| {
            tail.size(size);
        });
    } else {
        tail.code(SPARSE_SIZES).size(2 * filled);
        for (list, &size) in sizes.iter().enumerate().filter(|&(_, &size)| size > 0) {
            tail.size(list).size(size);
        }
    }
    tail
}

fn flat_code(parts: &Parts<'_>) -> super::Code {
    if parts.metric == Metric::L2 { FLAT_L2 } else { FLAT_IP }
}

fn live_slots(list: &List) -> impl Iterator<Item = usize> + '_ {
    (0..list.len()).filter(|&slot| list.is_live(slot))
}

fn is_fast(codec: &Codec) -> bool {
    matches!(codec, Codec::Product(codes) if codes.fast)
}

/// Bytes of the codes of a list.
fn code_bytes(parts: &Parts<'_>, live: usize) -> usize {
    let each = scalar::code_size(parts.codec, parts.dim);
    if is_fast(parts.codec) { fast::packed_bytes(each, live) } else { each * live }
}

/// Bytes of a list: its codes, and in an IVF index its ids, and what tells how many they are.
fn list_bytes(parts: &Parts<'_>, live: usize) -> usize {
    let sizes = if is_fast(parts.codec) { 2 * size_of::<u64>() } else { 0 };
    let ids = if parts.nlist.is_some() { live * size_of::<i64>() + sizes } else { 0 };
    code_bytes(parts, live) + ids
}

/// The codes of a list in blocks.
fn put_packed(out: &mut Counted<'_, '_>, parts: &Parts<'_>, list: &List) -> Result<()> {
    let columns = parts.codec.columns(parts.dim);
    let (mut rows, mut filled) = (vec![0; fast::GROUP * columns], 0);
    let mut batch = vec![0; rows.len() * (BATCH / rows.len()).max(1).min(list.live().div_ceil(fast::GROUP))];
    let mut packed = 0;
    let mut slots = live_slots(list).peekable();
    while let Some(slot) = slots.next() {
        list.stored(slot, columns, &mut rows[filled..filled + columns]);
        filled += columns;
        if filled == rows.len() || slots.peek().is_none() {
            fast::pack(&rows[..filled], columns, &mut batch[packed..packed + rows.len()]);
            (filled, packed) = (0, packed + rows.len());
        }
        if packed == batch.len() {
            out.put_all(&batch)?;
            packed = 0;
        }
    }
    out.put_all(&batch[..packed])
}

fn put_rows(out: &mut Counted<'_, '_>, parts: &Parts<'_>, list: &List) -> Result<()> {
    let (columns, each) = (parts.codec.columns(parts.dim), scalar::code_size(parts.codec, parts.dim));
    let rows = (BATCH / each).max(1).min(list.live());
    let mut batch = vec![0u8; rows * each];
    let mut filled = 0;
    for slot in live_slots(list) {
        list.stored(slot, columns, &mut batch[filled..filled + each]);
        filled += each;
        if filled == batch.len() {
            out.put_all(&batch)?;
            filled = 0;
        }
    }
    out.put_all(&batch[..filled])
}

/// What is kept at these places, in this order, of so many bytes each.
fn put_kept(
    out: &mut Counted<'_, '_>,
    lists: &[List],
    each: usize,
    spots: impl Iterator<Item = Spot>,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH.max(each));
    for (list, slot) in spots {
        if batch.len() + each > batch.capacity() {
            out.put_all(&batch)?;
            batch.clear();
        }
        batch.extend_from_slice(lists[list as usize].rows.row(slot as usize));
    }
    out.put_all(&batch)
}

fn put_ids(out: &mut Counted<'_, '_>, list: &List) -> Result<()> {
    let ids: Vec<i64> = live_slots(list).map(|slot| list.ids[slot]).collect();
    out.put_all(bytemuck::cast_slice(&ids))
}
