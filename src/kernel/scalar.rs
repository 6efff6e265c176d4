//! The oracle, and the kernels of a CPU without vector units: plain loops, no fused multiply-add.

use super::{CHUNK, Kernels, MAX_QUERIES, TileInput, TileOutput, bitmap, lookup, tables};
use crate::element::{Scalar, Values, with_values};
use crate::lists::block::BLOCK;

pub(super) static KERNELS: Kernels = Kernels {
    name: "scalar",
    max_queries: MAX_QUERIES,
    tile,
    squares,
    lookup: lookup::scalar,
    subsets: lookup::scalar_subsets,
    residual: lookup::residual,
    tables: tables::SCALAR,
    members: bitmap::scalar,
};

fn tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    with_values!(input.vectors, vectors => tile_of(input, vectors, output))
}

fn tile_of<E: Scalar>(input: TileInput<'_>, vectors: &[E], output: &mut TileOutput) -> u32 {
    let lanes = input.bias.len();
    let width = lanes.min(BLOCK);
    let mut any = 0;
    for query in 0..input.count {
        for block in 0..lanes / width {
            let vectors = &vectors[block * width * input.dim..];
            let scores = &mut output.scores[query][block];
            let bias = &input.bias[block * width..(block + 1) * width];
            match input.scaled {
                None => scores[..width].copy_from_slice(bias),
                Some(scaled) => scores[..width].fill(scaled.bases[query]),
            }
            for from in (0..input.dim).step_by(CHUNK) {
                let mut sums = [0f32; BLOCK];
                for d in from..(from + CHUNK).min(input.dim) {
                    let q = input.queries[(from / CHUNK * input.count + query) * CHUNK + d - from];
                    for (sum, &v) in sums.iter_mut().zip(&vectors[d * width..(d + 1) * width]) {
                        *sum += q * v.into();
                    }
                }
                for (score, sum) in scores[..width].iter_mut().zip(&sums) {
                    *score += sum;
                }
            }
            if let Some(scaled) = input.scaled {
                let factors = &scaled.factors[block * width..(block + 1) * width];
                for ((score, factor), bias) in scores[..width].iter_mut().zip(factors).zip(bias) {
                    *score = factor * *score + bias;
                }
            }
            let mut hits = 0;
            for (lane, &score) in scores[..width].iter().enumerate() {
                hits |= u32::from(score >= input.thresholds[query]) << lane;
            }
            output.hits[query][block] = hits;
            any |= u32::from(hits != 0) << query;
        }
    }
    any
}

fn squares(vectors: Values<'_>, out: &mut [f32]) {
    with_values!(vectors, vectors => squares_of(vectors, out));
}

fn squares_of<E: Scalar>(vectors: &[E], out: &mut [f32]) {
    out.fill(0.0);
    let width = out.len();
    for row in vectors.chunks_exact(width) {
        for (sum, &v) in out.iter_mut().zip(row) {
            let v: f32 = v.into();
            *sum += v * v;
        }
    }
}
