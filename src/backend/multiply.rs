//! Every row times every vector of a list: the scan's tile with nothing left out.
//!
//! A product depends on its row and its vector alone, bit by bit: not on the other rows of the call, nor on
//! the number of workers.

use std::sync::{Mutex, PoisonError};

use super::ListView;
use crate::context::Context;
use crate::error::Result;
use crate::kernel::{Kernels, MAX_QUERIES, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, part_end};
use crate::matrix::MatrixRef;

/// Rows that a worker takes at a time: eight tiles of the widest kernels.
const PANEL: usize = 96;

/// Floats of vectors that every tile of a panel meets before the next ones: half of a usual L2 cache.
const STRIPE: usize = 1 << 17;

/// Writes the inner product of each row of `x` with each vector, plus the vector's bias: `[rows, vectors]`,
/// where `vectors` is how many the list holds. A product that overflows may be infinite or NaN.
pub(crate) fn multiply(
    context: &Context,
    x: MatrixRef<'_>,
    list: ListView<'_>,
    workers: usize,
    out: &mut [f32],
) -> Result<()> {
    let vectors = list.live;
    assert!(out.len() == x.rows() * vectors, "invariant: `out` has a place for every product");
    if out.is_empty() {
        return Ok(());
    }
    let panels = Mutex::new(out.chunks_mut(PANEL * vectors).enumerate());
    context.parallel(workers.min(x.rows().div_ceil(PANEL)), &|_| {
        let mut workspace = context.workspaces().take();
        let scratch = &mut workspace.scratch;
        loop {
            let next = panels.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((panel, out)) = next else { break };
            let from = panel * PANEL;
            let x = x.slice(from, from + out.len() / vectors);
            // Every score reaches it, those of padding too.
            let least = f32::NEG_INFINITY;
            multiply_panel(context.kernels(), x, &list, least, &mut scratch.packed, &mut scratch.tile, out);
        }
        context.workspaces().put(workspace);
    })
}

/// Writes the products of some rows, on the calling thread; NaN for what is less than `least`.
pub(super) fn multiply_panel(
    kernels: &'static Kernels,
    x: MatrixRef<'_>,
    list: &ListView<'_>,
    least: f32,
    packed: &mut Vec<f32>,
    tile: &mut TileOutput,
    out: &mut [f32],
) {
    let (dim, lanes) = (x.dim(), list.bias.len());
    let stripe = (STRIPE / dim).next_multiple_of(BLOCK);
    let thresholds = [least; MAX_QUERIES];
    // Tiles of even size: 7 + 6 rather than 12 + 1.
    let tiles = x.rows().div_ceil(kernels.max_queries);
    let rows_a_tile = x.rows().div_ceil(tiles);
    for begin in (0..lanes).step_by(stripe) {
        let end = (begin + stripe).min(lanes);
        for from in (0..x.rows()).step_by(rows_a_tile) {
            let count = rows_a_tile.min(x.rows() - from);
            let mut rows = [&[][..]; MAX_QUERIES];
            for (place, row) in rows[..count].iter_mut().zip(from..) {
                *place = x.row(row);
            }
            pack(&rows[..count], dim, packed);
            let step = kernels.blocks_per_tile(count) * BLOCK;
            let mut first = begin;
            while first < end {
                let last = part_end(first, step, end);
                let input = TileInput {
                    dim,
                    count,
                    queries: packed,
                    thresholds: &thresholds,
                    vectors: list.vectors.slice(first * dim..last * dim),
                    halves: &[],
                    bias: &list.bias[first..last],
                    scaled: None,
                };
                kernels.tile(input, tile);
                for q in 0..count {
                    let row = &mut out[(from + q) * list.live..][..list.live];
                    copy_scores(tile, q, &mut row[first..list.live.min(last)]);
                }
                first = last;
            }
        }
    }
}

/// Writes the tile's scores of one query.
pub(super) fn copy_scores(tile: &TileOutput, q: usize, out: &mut [f32]) {
    for ((out, scores), &hits) in out.chunks_mut(BLOCK).zip(&tile.scores[q]).zip(&tile.hits[q]) {
        if hits == u32::MAX && out.len() == BLOCK {
            out.copy_from_slice(scores);
            continue;
        }
        for (lane, (place, &score)) in out.iter_mut().zip(scores).enumerate() {
            // What is no hit may not have been written.
            *place = if hits >> lane & 1 == 1 { score } else { f32::NAN };
        }
    }
}
