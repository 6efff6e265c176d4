//! Writing faiss's files: Flat as `IxF2` or `IxFI`, within an `IxM2` unless its ids count from 0; IVF as
//! `IwFl`; other lists than of float32 as `IxSQ` and `IwSq`. Removed vectors are left out.

use std::io::Write;

use super::scalar;
use super::transforms::encode_transforms;
use super::{
    ARRAY_LISTS, FLAT_IP, FLAT_L2, FULL_SIZES, ID_MAP_2, IVF_FLAT, IVF_SCALAR, PRE_TRANSFORM, SCALAR,
    SPARSE_SIZES, UNUSED,
};
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
    if parts.refine.is_some() {
        return Err(Error::Unsupported(format!(
            "{:?}: a refinement is not written as faiss does: save the index in our own format",
            parts.description
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
    match nlist(parts)? {
        None => write_flat(parts, out, control),
        Some(nlist) => write_ivf(parts, nlist, out, control),
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

fn write_flat(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    let lists = &parts.lists.lists;
    let live = parts.lists.live();
    let counting = parts.lists.live_ids().map(|(id, _, _)| id).eq((0i64..).take(live));
    let mut head = Bytes::default();
    if !counting {
        head.code(ID_MAP_2).header_of(parts, parts.transforms.d_in(parts.dim), live, parts.trained);
    }
    head.transforms(parts, live)?;
    let each = scalar::code_size(parts.codec, parts.dim);
    if is_flat(parts) {
        head.code(flat_code(parts)).header(parts, live, true).size(live * parts.dim);
    } else {
        head.code(SCALAR).header(parts, live, parts.codec.is_trained());
        scalar::write(parts.codec, parts.dim, &mut head);
        head.size(live * each);
    }
    let ids = if counting { 0 } else { 8 + 8 * live };
    let mut out = Counted::new(out, control, (head.0.len() + live * each + ids) as u64);
    out.put(&head.0)?;
    for list in lists {
        put_rows(&mut out, parts, list)?;
    }
    if !counting {
        out.put(&(live as u64).to_le_bytes())?;
        for list in lists {
            put_ids(&mut out, list)?;
        }
    }
    Ok(())
}

fn write_ivf(parts: &Parts<'_>, nlist: usize, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    let live = parts.lists.live();
    let centroids = parts.centroids.unwrap_or_default();
    let mut head = Bytes::default();
    head.transforms(parts, live)?;
    let code = if is_flat(parts) { IVF_FLAT } else { IVF_SCALAR };
    head.code(code).header(parts, live, parts.trained).size(nlist).size(parts.nprobe.max(1));
    head.code(flat_code(parts)).header(parts, centroids.len() / parts.dim, true).size(centroids.len());
    let mut tail = Bytes::default();
    // No direct map.
    tail.bytes(&[0]).size(0);
    let each = scalar::code_size(parts.codec, parts.dim);
    if !is_flat(parts) {
        scalar::write(parts.codec, parts.dim, &mut tail);
        tail.size(each).bytes(&[u8::from(scalar::by_residual(parts.codec))]);
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
    let vectors = live * (each + 8);
    let total = head.0.len() + centroids.len() * 4 + tail.0.len() + vectors;
    let mut out = Counted::new(out, control, total as u64);
    out.put(&head.0)?;
    out.put_all(bytemuck::cast_slice(centroids))?;
    out.put_all(&tail.0)?;
    for list in &parts.lists.lists {
        put_rows(&mut out, parts, list)?;
        put_ids(&mut out, list)?;
    }
    Ok(())
}

/// Whether vectors are written as floats, else by a scalar quantizer.
fn is_flat(parts: &Parts<'_>) -> bool {
    *parts.codec == Codec::Plain(Element::F32)
}

fn flat_code(parts: &Parts<'_>) -> super::Code {
    if parts.metric == Metric::L2 { FLAT_L2 } else { FLAT_IP }
}

fn live_slots(list: &List) -> impl Iterator<Item = usize> + '_ {
    (0..list.len()).filter(|&slot| list.is_live(slot))
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

fn put_ids(out: &mut Counted<'_, '_>, list: &List) -> Result<()> {
    let ids: Vec<i64> = live_slots(list).map(|slot| list.ids[slot]).collect();
    out.put_all(bytemuck::cast_slice(&ids))
}

/// Packed numbers.
#[derive(Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn code(&mut self, code: super::Code) -> &mut Self {
        self.bytes(&code)
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A count and as many values.
    pub(super) fn floats(&mut self, values: &[f32]) -> &mut Self {
        self.size(values.len()).bytes(bytemuck::cast_slice(values))
    }

    pub(super) fn size(&mut self, size: usize) -> &mut Self {
        self.bytes(&(size as u64).to_le_bytes())
    }

    fn header(&mut self, parts: &Parts<'_>, count: usize, trained: bool) -> &mut Self {
        self.header_of(parts, parts.dim, count, trained)
    }

    /// The transforms, if there are any, as an index around the one that follows.
    fn transforms(&mut self, parts: &Parts<'_>, count: usize) -> Result<&mut Self> {
        if parts.transforms.is_empty() {
            return Ok(self);
        }
        let dim = parts.transforms.d_in(parts.dim);
        self.code(PRE_TRANSFORM).header_of(parts, dim, count, parts.trained);
        Ok(self.bytes(&encode_transforms(parts.transforms)?))
    }

    fn header_of(&mut self, parts: &Parts<'_>, dim: usize, count: usize, trained: bool) -> &mut Self {
        let dim = i32::try_from(dim).expect("invariant: check_writable");
        let metric = i32::from(parts.metric == Metric::L2);
        self.bytes(&dim.to_le_bytes()).size(count).bytes(&UNUSED);
        self.bytes(&[u8::from(trained)]).bytes(&metric.to_le_bytes())
    }
}
