//! The second stage of a search: the keys of a query's candidates are computed again from rows that are better than
//! what they were found by.
//!
//! The rows of the candidates become blocks, and these are scored as any block of a list is. A score does not depend
//! on the block that it is computed in, so keys are to the last bit those that a scan of lists of these rows gives.

use super::ListView;
use super::scorer::Scorer;
use crate::context::Context;
use crate::element::Values;
use crate::kernel::{Kernels, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, scatter};
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::topk::Hit;

/// The rows of a block, in order.
const ROWS: [u32; BLOCK] = {
    let mut rows = [0; BLOCK];
    let mut row = 1;
    while row < BLOCK {
        rows[row] = rows[row - 1] + 1;
        row += 1;
    }
    rows
};

/// Memory that is used again for each query.
pub(crate) struct Rerank {
    query: Vec<f32>,
    /// `[BLOCK, dim]`.
    rows: Vec<f32>,
    /// `[dim, BLOCK]`.
    block: Vec<f32>,
    tile: Box<TileOutput>,
}

impl Rerank {
    pub(crate) fn new() -> Self {
        Self { query: Vec::new(), rows: Vec::new(), block: Vec::new(), tile: Box::new(TileOutput::new()) }
    }
}

/// What keys are computed with.
pub(crate) struct Scores<'a> {
    kernels: &'static Kernels,
    metric: Metric,
    memory: &'a mut Rerank,
}

impl<'a> Scores<'a> {
    pub(crate) fn new(context: &Context, metric: Metric, memory: &'a mut Rerank) -> Self {
        Self { kernels: context.kernels(), metric, memory }
    }

    /// Replaces the key of each of `hits` by that of `query` with its vector, which `read` writes.
    pub(crate) fn rekey(&mut self, query: &[f32], hits: &mut [Hit], read: &dyn Fn(&Hit, &mut [f32])) {
        let dim = query.len();
        let Rerank { query: packed, rows, block, tile } = &mut *self.memory;
        let norm = if self.metric == Metric::L2 { squared_norm(query) } else { 0.0 };
        let scorer = Scorer::new(self.metric, query, norm);
        pack(&[query], dim, packed);
        rows.resize(BLOCK * dim, 0.0);
        block.resize(BLOCK * dim, 0.0);
        for hits in hits.chunks_mut(BLOCK) {
            for (hit, row) in hits.iter().zip(rows.chunks_exact_mut(dim)) {
                read(hit, row);
            }
            // Lanes behind the last hit hold what was there: nobody looks at them.
            scatter(rows, dim, &ROWS[..hits.len()], block, BLOCK);
            let mut bias = [0f32; BLOCK];
            if self.metric == Metric::L2 {
                self.kernels.squares(Values::F32(block), &mut bias);
                bias.iter_mut().for_each(|bias| *bias *= -0.5);
            }
            let input = TileInput {
                dim,
                count: 1,
                queries: packed,
                thresholds: &[f32::NEG_INFINITY],
                vectors: Values::F32(block),
                halves: &[],
                bias: &bias,
                scaled: None,
            };
            self.kernels.tile(input, tile);
            let view = ListView { vectors: Values::F32(block), bias: &bias, ids: &[], live: hits.len() };
            for (lane, hit) in hits.iter_mut().enumerate() {
                hit.key = scorer.key(tile.scores[0][0][lane], &view, lane);
            }
        }
    }
}
