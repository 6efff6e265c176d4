//! Every kernel against the scalar oracle, over the shapes that hurt.

use super::*;

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    use rand_xoshiro::rand_core::{RngCore, SeedableRng};
    let mut rng = rand_xoshiro::SplitMix64::seed_from_u64(seed);
    (0..count).map(|_| (rng.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

fn packed(seed: u64, dim: usize, count: usize) -> Vec<f32> {
    let rows = numbers(seed, dim * count);
    let mut packed = Vec::new();
    pack(&rows.chunks(dim).collect::<Vec<_>>(), dim, &mut packed);
    packed
}

#[test]
fn tile_any_shape_agrees_with_scalar() {
    for kernels in Kernels::available() {
        for dim in [1, 2, 3, 15, 50, 128, 255, 256, 257, 784] {
            for count in 1..=kernels.max_queries {
                let mut shapes = vec![16, 32];
                if kernels.blocks_per_tile(count) == MAX_BLOCKS {
                    shapes.extend([64, 96, 128]);
                }
                for lanes in shapes {
                    check(kernels, dim, count, lanes);
                }
            }
        }
    }
}

fn check(kernels: &Kernels, dim: usize, count: usize, lanes: usize) {
    let queries = packed(1, dim, count);
    let vectors = numbers(2, dim * lanes);
    let mut bias = numbers(3, lanes);
    bias[lanes - 1] = f32::NEG_INFINITY;
    let input = |thresholds: &[f32]| {
        let input = TileInput {
            dim,
            count,
            queries: &queries,
            thresholds: &vec![0.0; count],
            vectors: &vectors,
            bias: &bias,
        };
        let mut output = TileOutput::new();
        let any = kernels.tile(TileInput { thresholds, ..input }, &mut output);
        (any, output)
    };
    let mut want = TileOutput::new();
    let all = vec![f32::MIN; count];
    (scalar::KERNELS.tile)(
        TileInput { dim, count, queries: &queries, thresholds: &all, vectors: &vectors, bias: &bias },
        &mut want,
    );
    let (any, got) = input(&all);
    assert_eq!(any, (1 << count) - 1);
    let width = lanes.min(BLOCK);
    for q in 0..count {
        for block in 0..lanes / width {
            let every = if width == BLOCK { u32::MAX } else { 0xffff };
            let dead = if block == lanes / width - 1 { 1u32 << (width - 1) } else { 0 };
            assert_eq!(got.hits[q][block], every & !dead, "{} d={dim} q={count} l={lanes}", kernels.name);
            for lane in 0..width {
                let (a, b) = (got.scores[q][block][lane], want.scores[q][block][lane]);
                assert!(a == b || (a - b).abs() <= 1e-6 * (dim as f32 + 1.0), "{a} {b}");
            }
        }
    }
    // A threshold at one lane's own score lets that lane through, and none that is lower.
    let chosen = got.scores[count - 1][0][3];
    let (any, some) = input(&vec![chosen; count]);
    assert!(any >> (count - 1) & 1 == 1);
    for lane in 0..width {
        let hit = some.hits[count - 1][0] >> lane & 1 == 1;
        assert_eq!(hit, got.scores[count - 1][0][lane] >= chosen);
    }
    assert_eq!(input(&vec![f32::MAX; count]).0, 0);
}

#[test]
fn tile_fused_kernels_agree_bit_by_bit() {
    let fused: Vec<_> = Kernels::available().into_iter().skip(1).collect();
    let (dim, count, lanes) = (300, 5, 32);
    let (queries, vectors, bias) = (packed(4, dim, count), numbers(5, dim * lanes), numbers(6, lanes));
    let thresholds = vec![f32::MIN; count];
    let scores: Vec<Vec<u32>> = fused
        .iter()
        .map(|kernels| {
            let mut output = TileOutput::new();
            kernels.tile(
                TileInput {
                    dim,
                    count,
                    queries: &queries,
                    thresholds: &thresholds,
                    vectors: &vectors,
                    bias: &bias,
                },
                &mut output,
            );
            output.scores[..count].iter().flat_map(|s| s[0].map(f32::to_bits)).collect()
        })
        .collect();
    assert!(scores.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn squares_any_shape_agrees_with_f64() {
    for kernels in Kernels::available() {
        for dim in [1, 7, 128, 784] {
            for width in [16, 32] {
                let vectors = numbers(7, dim * width);
                let mut out = vec![0.0; width];
                kernels.squares(&vectors, &mut out);
                for (lane, &got) in out.iter().enumerate() {
                    let want: f64 = (0..dim).map(|d| f64::from(vectors[d * width + lane]).powi(2)).sum();
                    assert!((f64::from(got) - want).abs() <= 1e-5 * want.max(1.0), "{}", kernels.name);
                }
            }
        }
    }
}
