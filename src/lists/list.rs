//! One inverted list: vectors in blocks, a bias and an id for each.

use super::block::{BLOCK, NARROW, lanes, locate};
use super::storage::Storage;
use crate::backend::{ListView, Version};
use crate::element::{Element, Scalar, Values, with_element, with_values};
use crate::error::Result;
use crate::kernel::Kernels;
use crate::metric::Metric;
use crate::rows::RowsRef;

/// The bias of a lane that no scan may return: padding, or a removed vector.
pub(crate) const NEVER: f32 = f32::NEG_INFINITY;

/// The numbers of the rows of a block.
const FIRST: [u32; BLOCK] = {
    let mut first = [0; BLOCK];
    let mut row = 1;
    while row < BLOCK {
        first[row] = first[row - 1] + 1;
        row += 1;
    }
    first
};

/// Vectors of one list.
///
/// Invariant: `vectors` holds the bytes of `lanes(len) * dim` elements, `bias` has `lanes(len)` and `ids` `len`. The bias
/// is what a vector's score starts from: `-|v|^2/2` for L2 (of `v` as it is stored), 0 for inner product, [`NEVER`] for padding and
/// for removed vectors, which a scan then passes over without another test.
pub(crate) struct List {
    pub(crate) element: Element,
    pub(crate) vectors: Storage<u8>,
    pub(crate) bias: Storage<f32>,
    pub(crate) ids: Storage<i64>,
    pub(crate) dead: usize,
}

impl List {
    pub(crate) const fn new(element: Element) -> Self {
        Self { element, vectors: Storage::new(), bias: Storage::new(), ids: Storage::new(), dead: 0 }
    }

    /// Vectors stored, removed ones included.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Vectors that can be found.
    pub(crate) fn live(&self) -> usize {
        self.len() - self.dead
    }

    pub(crate) fn is_live(&self, slot: usize) -> bool {
        self.bias[slot] != NEVER
    }

    pub(crate) fn view(&self) -> ListView<'_> {
        ListView { vectors: self.values(), bias: &self.bias, ids: &self.ids, live: self.live() }
    }

    /// The states of the vectors and of the biases.
    pub(crate) fn version(&self) -> [Version; 2] {
        [self.vectors.version(), self.bias.version()]
    }

    /// All blocks.
    fn values(&self) -> Values<'_> {
        Values::of_bytes(self.element, &self.vectors)
    }

    /// Bytes of a lane.
    fn lane_bytes(&self, dim: usize) -> usize {
        dim * self.element.size()
    }

    /// Copies a vector out of its block, as float32.
    pub(crate) fn read(&self, slot: usize, dim: usize, out: &mut [f32]) {
        let (base, stride) = locate(slot, lanes(self.len()), dim);
        with_values!(self.values(), values => widen(values[base..].iter().step_by(stride), out));
    }

    /// Allocates for `more` vectors: exactly on the first call, then with room to grow, so that adding
    /// one by one costs amortised constant time. Changes nothing else; on failure nothing is lost.
    pub(crate) fn reserve(&mut self, more: usize, dim: usize) -> Result<()> {
        let len = self.len() + more;
        let room = |capacity: usize| if self.len() == 0 { len } else { len.max(capacity + capacity / 8) };
        let (vectors, bias, ids) =
            (self.vectors.len() / self.lane_bytes(dim), self.bias.len(), self.ids.len());
        let (vectors, bias, ids) = (room(vectors), room(bias), room(ids));
        let lane = self.lane_bytes(dim);
        let own = self.vectors.own()?;
        if own.capacity() < lanes(len) * lane {
            own.reserve_exact(lanes(vectors) * lane)?;
        }
        let own = self.bias.own()?;
        if own.capacity() < lanes(len) {
            own.reserve_exact(lanes(bias))?;
        }
        let own = self.ids.own()?;
        if own.capacity() < len {
            own.reserve_exact(ids)?;
        }
        Ok(())
    }

    /// Appends `rows` (indices into `x`) with their ids; `bias_of` fills a block's biases.
    pub(crate) fn append(
        &mut self,
        x: RowsRef<'_>,
        rows: &[u32],
        id_of: impl Fn(usize) -> i64,
        bias_of: impl Fn(Values<'_>, &mut [f32]),
    ) -> Result<()> {
        let dim = x.dim();
        let old = self.len();
        let len = old + rows.len();
        let old_lanes = lanes(old);
        let new_lanes = lanes(len);
        let lane = self.lane_bytes(dim);
        let vectors = self.vectors.grow()?;
        vectors.resize(new_lanes * lane)?;
        let vectors = vectors.as_mut_slice();
        // A narrow block that is no longer the last, or too narrow, is spread to full width.
        let tail = old / BLOCK;
        let was_narrow = old_lanes % BLOCK == NARROW;
        if was_narrow && new_lanes > old_lanes {
            let block = &mut vectors[tail * BLOCK * lane..(tail + 1) * BLOCK * lane];
            let (narrow, full) = (NARROW * self.element.size(), BLOCK * self.element.size());
            for d in (0..dim).rev() {
                block.copy_within(d * narrow..(d + 1) * narrow, d * full);
                block[d * full + narrow..(d + 1) * full].fill(0);
            }
        }
        let direct = x.as_matrix();
        let mut buffer = Vec::new();
        let mut slot = old;
        let mut rest = rows;
        while !rest.is_empty() {
            let (base, stride) = locate(slot, new_lanes, dim);
            let (now, later) = rest.split_at(rest.len().min(BLOCK - slot % BLOCK));
            // Rows of another type are widened a block at a time.
            let (x, numbers) = match direct {
                Some(x) => (x.data(), now),
                None => {
                    x.gather(now.iter().map(|&row| row as usize), &mut buffer);
                    (&buffer[..], &FIRST[..now.len()])
                }
            };
            with_element!(self.element, E => {
                scatter::<E>(x, dim, numbers, &mut bytemuck::cast_slice_mut(vectors)[base..], stride);
            });
            slot += now.len();
            rest = later;
        }
        let ids = self.ids.grow()?;
        ids.resize(len)?;
        for (id, &row) in ids.as_mut_slice()[old..].iter_mut().zip(rows) {
            *id = id_of(row as usize);
        }
        let bias = self.bias.grow()?;
        bias.resize(new_lanes)?;
        let bias = bias.as_mut_slice();
        let mut scratch = [0f32; BLOCK];
        for block in tail..new_lanes.div_ceil(BLOCK) {
            let width = super::block::width(block, new_lanes);
            let start = block * BLOCK;
            let values = Values::of_bytes(self.element, &vectors[start * lane..(start + width) * lane]);
            bias_of(values, &mut scratch[..width]);
            // Lanes before `old` keep theirs: some are removed.
            let from = start.max(old);
            let to = (start + width).min(len);
            bias[from..to].copy_from_slice(&scratch[from - start..to - start]);
            bias[to.max(from)..start + width].fill(NEVER);
        }
        Ok(())
    }

    /// Replaces the vector in `slot` by `row` (`[dim]`); the id stays. `bias_of` fills a block's biases.
    pub(crate) fn replace(
        &mut self,
        slot: usize,
        dim: usize,
        row: &[f32],
        bias_of: impl Fn(Values<'_>, &mut [f32]),
    ) -> Result<()> {
        let all = lanes(self.len());
        let lane = self.lane_bytes(dim);
        let (base, stride) = locate(slot, all, dim);
        let vectors = self.vectors.to_mut()?.as_mut_slice();
        with_element!(self.element, E => {
            scatter::<E>(row, dim, &[0], &mut bytemuck::cast_slice_mut(vectors)[base..], stride);
        });
        // The whole block, as when it was added: the same vector has the same bias.
        let start = slot / BLOCK * BLOCK;
        let width = super::block::width(slot / BLOCK, all);
        let mut scratch = [0f32; BLOCK];
        let values = Values::of_bytes(self.element, &vectors[start * lane..(start + width) * lane]);
        bias_of(values, &mut scratch[..width]);
        self.bias.to_mut()?.as_mut_slice()[slot] = scratch[slot - start];
        Ok(())
    }

    /// Drops the slots that are not live and gives memory back.
    pub(crate) fn compact(&mut self, dim: usize) -> Result<()> {
        if self.dead > 0 {
            let keep: Vec<usize> = (0..self.len()).filter(|&slot| self.is_live(slot)).collect();
            let mut packed = Self::new(self.element);
            let new_lanes = lanes(keep.len());
            packed.vectors.to_mut()?.resize(new_lanes * self.lane_bytes(dim))?;
            packed.bias.to_mut()?.resize(new_lanes)?;
            packed.ids.to_mut()?.resize(keep.len())?;
            let vectors = packed.vectors.to_mut()?.as_mut_slice();
            with_element!(self.element, E => {
                let (from, to) = (bytemuck::cast_slice(&self.vectors), bytemuck::cast_slice_mut(vectors));
                repack::<E>(from, lanes(self.len()), &keep, to, dim);
            });
            let bias = packed.bias.to_mut()?.as_mut_slice();
            bias.fill(NEVER);
            for (to, &from) in bias.iter_mut().zip(&keep) {
                *to = self.bias[from];
            }
            for (to, &from) in packed.ids.to_mut()?.as_mut_slice().iter_mut().zip(&keep) {
                *to = self.ids[from];
            }
            *self = packed;
        } else {
            self.vectors.shrink();
            self.bias.shrink();
            self.ids.shrink();
        }
        Ok(())
    }
}

/// What fills the biases of a block: `(vectors, out)`.
pub(crate) fn set_bias(kernels: &'static Kernels, metric: Metric) -> impl Fn(Values<'_>, &mut [f32]) + Sync {
    move |vectors, out| match metric {
        Metric::L2 => {
            kernels.squares(vectors, out);
            out.iter_mut().for_each(|bias| *bias *= -0.5);
        }
        Metric::InnerProduct | Metric::Cosine => out.fill(0.0),
    }
}

/// Writes elements as float32.
fn widen<'a, E: Scalar>(from: impl Iterator<Item = &'a E>, out: &mut [f32]) {
    out.iter_mut().zip(from).for_each(|(out, &value)| *out = value.into());
}

/// Writes the slots `keep` of `from`, a list of `from_lanes` lanes, as the first ones of `to`.
fn repack<E: Scalar>(from: &[E], from_lanes: usize, keep: &[usize], to: &mut [E], dim: usize) {
    let to_lanes = lanes(keep.len());
    for (new, &old) in keep.iter().enumerate() {
        let (from_base, from_stride) = locate(old, from_lanes, dim);
        let (to_base, to_stride) = locate(new, to_lanes, dim);
        for d in 0..dim {
            to[to_base + d * to_stride] = from[from_base + d * from_stride];
        }
    }
}

/// Writes `rows` of `x` as neighbouring lanes, rounded to `E`. Sixteen dimensions at a time: the lines written
/// stay in L1 while every row passes over them.
pub(super) fn scatter<E: Scalar>(x: &[f32], dim: usize, rows: &[u32], out: &mut [E], stride: usize) {
    const STEP: usize = 16;
    let mut buffer = [E::zeroed(); STEP];
    let mut from = 0;
    while from < dim {
        let to = (from + STEP).min(dim);
        for (lane, &row) in rows.iter().enumerate() {
            let row = row as usize * dim;
            let values = E::narrow(&x[row + from..row + to], &mut buffer[..to - from]);
            for (d, &value) in values.iter().enumerate() {
                out[(from + d) * stride + lane] = value;
            }
        }
        from = to;
    }
}
