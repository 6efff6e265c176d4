//! Keys of what a device found, computed again as the CPU's scan computes them.

use super::exact::{Candidate, Judge, Judges};
use super::rescan::Rescan;
use crate::backend::scorer::Scorer;
use crate::backend::{Codes, ListView};
use crate::context::Context;
use crate::element::{Scalar, with_values};
use crate::kernel::{Kernels, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, locate};
use crate::topk::Hit;

/// One worker's memory for recomputing keys as the CPU's scan computes them: with the same kernel, which adds the
/// same terms in the same order whichever vectors share a block.
pub(super) struct Arithmetic<'a> {
    context: &'a Context,
    kernels: &'static Kernels,
    packed: Vec<f32>,
    block: Vec<f32>,
    tile: Box<TileOutput>,
    /// What codes are scanned with.
    rescan: Option<Rescan<'a>>,
}

impl<'a> Arithmetic<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let (kernels, packed, block) = (context.kernels(), Vec::new(), Vec::new());
        Self { context, kernels, packed, block, tile: Box::new(TileOutput::new()), rescan: None }
    }

    /// Adds a hit for each of `candidates`, all of `query`, whose squared length is `norm`.
    pub(super) fn keys(
        &mut self,
        judge: &Judge<'_>,
        query: usize,
        norm: f32,
        candidates: &[Candidate],
        hits: &mut Vec<Hit>,
    ) {
        let job = judge.job();
        if !matches!(job.codes, Codes::Plain) {
            let rescan = self.rescan.get_or_insert_with(|| Rescan::new(self.context));
            return rescan.keys(job, query, candidates, hits);
        }
        let row = judge.query(query);
        let scorer = Scorer::new(job.metric, row, norm);
        pack(&[row], job.dim, &mut self.packed);
        for part in candidates.chunks(BLOCK) {
            self.block.clear();
            self.block.resize(job.dim * BLOCK, 0.0);
            let mut bias = [f32::NEG_INFINITY; BLOCK];
            for (lane, candidate) in part.iter().enumerate() {
                let list = job.lists.list(candidate.list as usize);
                bias[lane] = list.bias[candidate.slot as usize];
                copy_lane(&list, candidate.slot as usize, job.dim, &mut self.block[lane..]);
            }
            let input = TileInput {
                dim: job.dim,
                count: 1,
                queries: &self.packed,
                thresholds: &[f32::NEG_INFINITY],
                vectors: self.block.as_slice().into(),
                halves: &[],
                bias: &bias,
                scaled: None,
            };
            self.kernels.tile(input, &mut self.tile);
            for (lane, candidate) in part.iter().enumerate() {
                let list = job.lists.list(candidate.list as usize);
                let slot = candidate.slot as usize;
                let key = scorer.key(self.tile.scores[0][0][lane], &list, slot);
                hits.push(Hit { key, id: candidate.name(job, &list) });
            }
        }
    }
}

/// Writes a vector as a lane of a block of float32.
fn copy_lane(list: &ListView<'_>, slot: usize, dim: usize, block: &mut [f32]) {
    let (base, stride) = locate(slot, list.bias.len(), dim);
    with_values!(list.vectors, values => widen(values[base..].iter().step_by(stride), block));
}

fn widen<'a, E: Scalar>(from: impl Iterator<Item = &'a E>, block: &mut [f32]) {
    block.iter_mut().step_by(BLOCK).zip(from).for_each(|(to, &value)| *to = value.into());
}
