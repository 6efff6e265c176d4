//! faiss's rows into our blocks: in pieces, on all workers.

use crate::codec::Encoder;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::block::{BLOCK, lanes};
use crate::lists::{Lists, fill_blocks};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::persist::check;
use crate::persist::transfer::{CHUNK, Transfer};

/// Where a list's rows and ids lie in the file.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) len: usize,
    /// Of `[len, dim]` floats.
    pub(super) rows: u64,
    /// Of `[len]` ids; `None` = they count from 0.
    pub(super) ids: Option<u64>,
}

/// Some blocks of a list.
struct Piece<'a> {
    place: Place,
    /// The first one's row.
    first: usize,
    vectors: &'a mut [u8],
    bias: &'a mut [f32],
    ids: &'a mut [i64],
}

/// Reads lists whose places are known to lie within the file.
pub(super) fn read(
    transfer: &mut Transfer<'_, '_>,
    places: &[Place],
    dim: usize,
    metric: Metric,
) -> Result<Lists> {
    for place in places {
        if u32::try_from(place.len).is_err() {
            return Err(Error::Unsupported(format!(
                "faiss index: expected at most {} vectors in a list, got {}",
                u32::MAX,
                place.len
            )));
        }
    }
    let lens = places.iter().map(|place| place.len);
    let mut lists = Lists::with_lens(Element::F32, lens, dim, &|| transfer.control.check())?;
    let mut pieces = Vec::new();
    let blocks = (CHUNK / (BLOCK * dim * size_of::<f32>())).max(1);
    for (list, &place) in lists.lists.iter_mut().zip(places) {
        let slices = list.slices_mut()?;
        let vectors = slices.vectors.chunks_mut(blocks * BLOCK * dim * Element::F32.size());
        let bias = slices.bias.chunks_mut(blocks * BLOCK);
        let ids = slices.ids.chunks_mut(blocks * BLOCK);
        for (number, ((vectors, bias), ids)) in vectors.zip(bias).zip(ids).enumerate() {
            pieces.push(Piece { place, first: number * blocks * BLOCK, vectors, bias, ids });
        }
    }
    transfer.expect(pieces.iter().map(|piece| piece.bytes(dim) as u64).sum());
    let source = transfer.source;
    let encoder = Encoder::plain(transfer.context.kernels(), metric, Element::F32);
    transfer.run(
        &mut pieces,
        |piece| piece.bytes(dim),
        |piece| {
            let count = piece.ids.len();
            let mut rows = Vec::new();
            let values = count * dim;
            rows.try_reserve_exact(values)
                .map_err(|_| Error::Memory { what: "loading a faiss index", bytes: (values * 4) as u64 })?;
            rows.resize(values, 0f32);
            source.read(
                piece.place.rows + (piece.first * dim * 4) as u64,
                bytemuck::cast_slice_mut(&mut rows),
            )?;
            check_rows(&rows, count, dim)?;
            fill_blocks(&rows, dim, piece.vectors, piece.bias, &encoder);
            match piece.place.ids {
                Some(ids) => {
                    source.read(ids + (piece.first * 8) as u64, bytemuck::cast_slice_mut(piece.ids))?;
                    if !check::not_negative(piece.ids) {
                        return Err(Error::corrupt(
                            "faiss index: expected ids of 0 or more, got a negative one",
                        ));
                    }
                }
                None => piece.ids.iter_mut().zip(piece.first as i64..).for_each(|(slot, id)| *slot = id),
            }
            Ok(())
        },
    )?;
    Ok(lists)
}

/// Bytes of lists in memory, without growth.
pub(super) fn room(len: u64, dim: usize) -> Option<u64> {
    let lanes = lanes(usize::try_from(len).ok()?) as u64;
    lanes.checked_mul(4 * (dim as u64 + 1))?.checked_add(len.checked_mul(8)?)
}

fn check_rows(rows: &[f32], count: usize, dim: usize) -> Result<()> {
    let rows = MatrixRef::new("vectors", rows, count, dim)?;
    rows.check_finite("vectors").map_err(|_| {
        Error::corrupt(
            "faiss index: expected finite vectors, got NaN, infinity or a squared length beyond float32",
        )
    })
}

impl Piece<'_> {
    fn bytes(&self, dim: usize) -> usize {
        self.ids.len() * (dim * size_of::<f32>() + size_of::<i64>())
    }
}
