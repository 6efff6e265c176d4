//! faiss's `IndexRefine` and `IndexRefineFlat` (`IxRF`): an index, another one with the rows that its best are compared
//! again with, Flat (`IxF2`, `IxFI`) or a scalar quantizer (`IxSQ`), and f32 k_factor.
//!
//! There a row's number is the vector's id, here rows lie in the order of the lists; either way they are what came in,
//! before any transform within the index. So an index whose ids are not 0 to n - 1 is written with these, and its own
//! ids in an `IxM2` around it.

use super::codes::unsupported;
use super::lists::{FileRows, read_rows};
use super::read::{Reader, fault};
use super::{FLAT, FLAT_IP, FLAT_L2, SCALAR};
use crate::codec::Codec;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::persist::transfer::CHUNK;
use crate::persist::{Keep, LoadedParts};
use crate::progress::Control;

/// The factors that faiss reads.
pub(super) const FACTORS: std::ops::RangeInclusive<f32> = 1.0..=1000.0;

/// Pieces of rows that are in memory at a time, before they go where they belong.
const PIECES: usize = 32;

/// Ids between two looks at the control.
const STEP: usize = 1 << 16;

/// A list and a slot in it.
pub(super) type Spot = (u32, u32);

impl Reader<'_, '_> {
    /// An index and what refines it.
    pub(super) fn refined(&mut self, depth: usize) -> Result<LoadedParts> {
        let header = self.header()?;
        let mut parts = self.index(depth + 1)?;
        if parts.refine.is_some() {
            return Err(Error::Unsupported(
                "faiss index of type `IxRF` (refine) around another one is not supported".into(),
            ));
        }
        let code = self.cursor.code()?;
        let (inner, codec, name, rows) = match code {
            FLAT_L2 | FLAT_IP | FLAT => {
                let (inner, rows) = self.flat_rows()?;
                (inner, Codec::Plain(Element::F32), "RFlat".to_owned(), rows)
            }
            SCALAR => {
                let (inner, codec, name, rows) = self.scalar_rows()?;
                (inner, codec, format!("Refine({name})"), rows)
            }
            other => {
                let supported = "IxF2, IxFI, IxFl (Flat), IxSQ (scalar quantizer)";
                return Err(unsupported("refine index", other, supported));
            }
        };
        let k_factor = self.cursor.f32()?;
        if !FACTORS.contains(&k_factor) {
            return Err(fault(format!("refine: expected a k_factor from 1 to 1000, got {k_factor}")));
        }
        let (dim, count) = (parts.transforms.d_in(parts.dim), parts.lists.live());
        let of = |index: &super::read::Header| (index.dim, index.metric, index.count);
        let expected = (dim, parts.metric, count as u64);
        if of(&header) != expected || of(&inner) != expected {
            return Err(fault(format!(
                "refine: expected two indexes alike, got {dim} columns, {:?}, {count} vectors and {} columns, {:?}, {} vectors",
                parts.metric, inner.dim, inner.metric, inner.count
            )));
        }
        self.read_kept(&mut parts.lists, &codec, dim, rows)?;
        parts.description = format!("{},{name}", parts.description);
        parts.trained &= codec.is_trained();
        parts.refine = Some((codec, dim));
        parts.k_factor = k_factor;
        Ok(parts)
    }

    /// Reads the rows from `at` on, in the order of the file, to where their vectors lie.
    fn read_kept(&mut self, lists: &mut Lists, codec: &Codec, dim: usize, at: u64) -> Result<()> {
        let transfer = &mut self.transfer;
        let (element, columns, each) = (codec.element(), codec.columns(dim), codec.row_bytes(dim));
        let spots = spots(lists, transfer.control)?.ok_or_else(|| {
            fault(
                "refine: expected the ids 0 to n - 1, each once, for they number the rows, got others".into(),
            )
        })?;
        let bytes = spots.len().checked_mul(each).and_then(|bytes| isize::try_from(bytes).ok());
        if bytes.is_none() {
            return Err(fault(format!("refine: {} rows of {each} bytes fit in no memory", spots.len())));
        }
        let keep = transfer.keep == Keep::Vectors;
        if keep {
            lists.keep_rows(each, &|| transfer.control.check())?;
        }
        let mut kept = Vec::with_capacity(lists.lists.len());
        for list in &mut lists.lists {
            kept.push(list.slices_mut()?.rows);
        }
        transfer.expect((spots.len() * each) as u64);
        let source = transfer.source;
        let rows = (CHUNK / each).max(1);
        for (group, spots) in spots.chunks(rows * PIECES).enumerate() {
            let first = group * rows * PIECES;
            let piece = |(number, spots)| (first + number * rows, spots, None::<FileRows>);
            let mut pieces: Vec<(usize, &[Spot], _)> = spots.chunks(rows).enumerate().map(piece).collect();
            transfer.run(
                &mut pieces,
                |(_, spots, _)| spots.len() * each,
                |(first, spots, rows)| {
                    let at = at + (*first * each) as u64;
                    *rows = Some(read_rows(source, at, spots.len(), element, columns)?);
                    Ok(())
                },
            )?;
            if !keep {
                continue;
            }
            for (_, spots, rows) in &pieces {
                let rows = rows.as_ref().map_or(&[][..], FileRows::bytes);
                for (&(list, slot), row) in spots.iter().zip(rows.chunks_exact(each)) {
                    kept[list as usize][slot as usize * each..][..each].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }
}

/// Where each id's vector lies, if the ids are 0 to n - 1, each once.
pub(super) fn spots(lists: &Lists, control: &Control<'_>) -> Result<Option<Vec<Spot>>> {
    const NONE: Spot = (u32::MAX, u32::MAX);
    let count = lists.live();
    let mut spots = Vec::new();
    spots.try_reserve_exact(count).map_err(|_| Error::Memory {
        what: "the order of rows to refine with",
        bytes: (count * size_of::<Spot>()) as u64,
    })?;
    spots.resize(count, NONE);
    for (number, (id, list, slot)) in lists.live_ids().enumerate() {
        if number % STEP == 0 {
            control.check()?;
        }
        match usize::try_from(id).ok().and_then(|id| spots.get_mut(id)) {
            Some(spot) if *spot == NONE => *spot = (list, slot),
            _ => return Ok(None),
        }
    }
    Ok(Some(spots))
}
