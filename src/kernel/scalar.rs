//! The oracle, and the kernels of a CPU without vector units: plain loops, no fused multiply-add.

use super::{
    CHUNK, Kernels, MAX_QUERIES, TileInput, TileOutput, bitmap, bitpack, dot, lookup, pair, round, tables,
};
use crate::element::{Scalar, Values, with_values};
use crate::lists::block::{BLOCK, NARROW};

pub(super) static KERNELS: Kernels = Kernels {
    name: "scalar",
    max_queries: MAX_QUERIES,
    tile,
    squares,
    unpack: bitpack::unpack,
    lookup: lookup::scalar,
    lookup_run: |input, next, output, found| lookup::run_of_tiles(lookup::scalar, input, next, output, found),
    subsets: lookup::scalar_subsets,
    residual: lookup::residual,
    dots: dot::scalar,
    dots_of_rows: None,
    interleave: dot::interleave,
    round: round::round,
    pairs: pair::SCALAR,
    tables: tables::SCALAR,
    members: bitmap::scalar,
};

fn tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    with_values!(input.vectors, vectors => tile_of(input, vectors, output))
}

fn tile_of<E: Scalar>(input: TileInput<'_>, vectors: &[E], output: &mut TileOutput) -> u32 {
    let stride = input.stride();
    let mut any = 0;
    for query in 0..input.count {
        for (half, bias) in input.bias.chunks_exact(NARROW).enumerate() {
            let (block, first) = (half * NARROW / BLOCK, half * NARROW % BLOCK);
            let vectors = &vectors[input.place(half)..];
            let scores = &mut output.scores[query][block][first..first + NARROW];
            match input.scaled {
                None => scores.copy_from_slice(bias),
                Some(scaled) => scores.fill(scaled.bases[query]),
            }
            for from in (0..input.dim).step_by(CHUNK) {
                let mut sums = [0f32; NARROW];
                for d in from..(from + CHUNK).min(input.dim) {
                    let q = input.queries[(from / CHUNK * input.count + query) * CHUNK + d - from];
                    for (sum, &v) in sums.iter_mut().zip(&vectors[d * stride..]) {
                        *sum += q * v.into();
                    }
                }
                for (score, sum) in scores.iter_mut().zip(&sums) {
                    *score += sum;
                }
            }
            if let Some(scaled) = input.scaled {
                let factors = &scaled.factors[half * NARROW..];
                for ((score, factor), bias) in scores.iter_mut().zip(factors).zip(bias) {
                    *score = factor * *score + bias;
                }
            }
            let mut hits = 0;
            for (lane, &score) in scores.iter().enumerate() {
                hits |= u32::from(score >= input.thresholds[query]) << lane;
            }
            let seen = if first == 0 { 0 } else { output.hits[query][block] };
            output.hits[query][block] = seen | hits << first;
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
