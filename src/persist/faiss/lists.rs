//! faiss's rows into our blocks: in pieces, on all workers.

use super::fast::unpack;
use super::read::Header;
use crate::codec::Codec;
use crate::element::{Element, Values};
use crate::error::{Error, Result};
use crate::lists::block::{BLOCK, lanes};
use crate::lists::{Lists, fill_stored};
use crate::persist::source::Source;
use crate::persist::transfer::{CHUNK, Transfer};
use crate::persist::{Keep, check};
use crate::rows::RowsRef;

/// Where a list's rows and ids lie in the file.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) len: usize,
    /// Of `[len]` codes.
    pub(super) rows: u64,
    /// Of `[len]` ids; `None` = they count from 0.
    pub(super) ids: Option<u64>,
}

/// Some blocks of a list.
struct Piece<'a> {
    list: usize,
    place: Place,
    /// The first one's row.
    first: usize,
    vectors: &'a mut [u8],
    bias: &'a mut [f32],
    ids: &'a mut [i64],
}

/// Reads lists whose places are known to lie within the file; `centroids` are those of the lists (`[nlist, dim]`),
/// `block` the vectors of a block where codes are interleaved.
pub(super) fn read(
    transfer: &mut Transfer<'_, '_>,
    places: &[Place],
    header: &Header,
    codec: &Codec,
    centroids: Option<&[f32]>,
    block: Option<usize>,
) -> Result<Lists> {
    let dim = header.dim;
    let (element, columns) = (codec.element(), codec.columns(dim));
    let each = columns * element.size();
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
    let keep = transfer.keep == Keep::Vectors;
    // What is only checked gets lists of vectors without columns.
    let kept = if keep { columns } else { 0 };
    let mut lists = Lists::with_lens(element, lens, kept, 0, &|| transfer.control.check())?;
    let mut pieces = Vec::new();
    let blocks = (CHUNK / (BLOCK * each)).max(1);
    for (list, (store, &place)) in lists.lists.iter_mut().zip(places).enumerate() {
        let slices = store.slices_mut()?;
        let bias = slices.bias.chunks_mut(blocks * BLOCK);
        let ids = slices.ids.chunks_mut(blocks * BLOCK);
        let mut vectors = slices.vectors;
        for (number, (bias, ids)) in bias.zip(ids).enumerate() {
            let (own, rest) = vectors.split_at_mut(bias.len() * kept * element.size());
            vectors = rest;
            pieces.push(Piece { list, place, first: number * blocks * BLOCK, vectors: own, bias, ids });
        }
    }
    transfer.expect(pieces.iter().map(|piece| piece.bytes(each) as u64).sum());
    let source = transfer.source;
    let encoder = codec.encoder(transfer.context.kernels(), header.metric, centroids);
    transfer.run(
        &mut pieces,
        |piece| piece.bytes(each),
        |piece| {
            let count = piece.ids.len();
            // Whole blocks, of which the first may begin before the piece.
            let begin = block.map_or(piece.first, |block| piece.first / block * block);
            let end =
                block.map_or(piece.first + count, |block| (piece.first + count).next_multiple_of(block));
            let at = piece.place.rows + (begin * each) as u64;
            let stored = read_rows(source, at, end - begin, element, columns)?;
            if keep {
                let mut unpacked = Vec::new();
                let rows = match block {
                    None => stored.bytes(),
                    Some(block) => {
                        unpacked.resize(count * columns, 0);
                        unpack(stored.bytes(), block, columns, piece.first - begin, &mut unpacked);
                        &unpacked[..]
                    }
                };
                fill_stored(rows, columns, piece.vectors, piece.bias, &encoder.at(piece.list));
            } else {
                piece.bias[..count].fill(0.0);
            }
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

/// Rows as they lie in the file.
pub(super) struct FileRows {
    /// Of floats, so that values of any type are aligned.
    words: Vec<f32>,
    bytes: usize,
}

impl FileRows {
    pub(super) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }
}

/// Reads `count` rows, which have to be finite.
pub(super) fn read_rows(
    source: &Source<'_>,
    at: u64,
    count: usize,
    element: Element,
    columns: usize,
) -> Result<FileRows> {
    let bytes = count * columns * element.size();
    let mut words = Vec::new();
    words
        .try_reserve_exact(bytes.div_ceil(size_of::<f32>()))
        .map_err(|_| Error::Memory { what: "loading a faiss index", bytes: bytes as u64 })?;
    words.resize(bytes.div_ceil(size_of::<f32>()), 0f32);
    source.read(at, &mut bytemuck::cast_slice_mut(&mut words)[..bytes])?;
    let rows = FileRows { words, bytes };
    check_rows(Values::of_bytes(element, rows.bytes()), count, columns)?;
    Ok(rows)
}

fn check_rows(rows: Values<'_>, count: usize, columns: usize) -> Result<()> {
    let rows = RowsRef::new("vectors", rows, count, columns)?;
    rows.check_finite("vectors").map_err(|_| {
        Error::corrupt(
            "faiss index: expected finite vectors, got NaN, infinity or a squared length beyond float32",
        )
    })
}

impl Piece<'_> {
    fn bytes(&self, each: usize) -> usize {
        self.ids.len() * (each + size_of::<i64>())
    }
}
