//! Look-ups in registers, the tables for codes of one bit, and residuals.

use super::*;

#[test]
fn lookup_any_shape_agrees_with_scalar_bit_by_bit() {
    for kernels in Kernels::available() {
        for (columns, stride) in [(1, 1), (2, 10), (7, 15), (16, 24), (63, 63), (258, 266)] {
            for count in 1..=kernels.max_queries {
                for lanes in [16, 32, 64, 128] {
                    let tables: Vec<u8> = bytes(1, count * columns * 2 * ENTRIES)
                        .iter()
                        .map(|byte| byte & crate::kernel::lookup::MOST)
                        .collect();
                    let of_queries: Vec<_> = tables.chunks_exact(columns * 2 * ENTRIES).collect();
                    let codes = bytes(2, stride * lanes);
                    let (mut bias, factors) = (numbers(3, lanes), numbers(4, lanes));
                    bias[lanes - 1] = f32::NEG_INFINITY;
                    let steps: Vec<_> =
                        (0..count).map(|q| Steps { base: 0.5 - q as f32, step: 1e-3 }).collect();
                    let [every, some, none] =
                        [f32::MIN, 0.0, f32::MAX].map(|threshold| vec![threshold; count]);
                    let input = |thresholds| LookupInput {
                        count,
                        columns,
                        tables: &of_queries,
                        steps: &steps,
                        thresholds,
                        least: &[0; MAX_QUERIES],
                        codes: &codes,
                        stride,
                        bias: &bias,
                        factors: &factors,
                    };
                    for thresholds in [&every, &some, &none] {
                        let (mut want, mut got) = (TileOutput::new(), TileOutput::new());
                        let hits = (scalar::KERNELS.lookup)(input(thresholds), &mut want);
                        assert_eq!(kernels.lookup(input(thresholds), &mut got), hits, "{}", kernels.name);
                        assert_eq!(got.hits, want.hits);
                        // Blocks without hits have no scores.
                        let bits = |output: &TileOutput| -> Vec<_> {
                            let scores = output.scores.as_flattened().iter().zip(want.hits.as_flattened());
                            scores.filter(|(_, hits)| **hits != 0).map(|(s, _)| s.map(f32::to_bits)).collect()
                        };
                        assert_eq!(
                            bits(&got),
                            bits(&want),
                            "{} {columns} columns, {lanes} lanes",
                            kernels.name
                        );
                    }
                    let mut output = TileOutput::new();
                    assert_eq!(kernels.lookup(input(&every), &mut output), (1 << count) - 1);
                    let width = lanes.min(BLOCK);
                    let every = if width == BLOCK { u32::MAX } else { 0xffff };
                    let last = output.hits[0][lanes / width - 1];
                    assert_eq!(last, every & !(1 << (width - 1)), "a lane that holds nothing");
                }
            }
        }
    }
}

/// A query's inputs for so many lanes whose biases are 0, or -inf for one of them, and whose factors are 1.
struct Unbiased {
    tables: Vec<u8>,
    codes: Vec<u8>,
    bias: Vec<f32>,
    steps: [Steps; 1],
}

impl Unbiased {
    fn new(columns: usize, lanes: usize) -> Self {
        let entry = |byte: &u8| byte & crate::kernel::lookup::MOST;
        let mut bias = vec![0.0; lanes];
        bias[lanes / 2] = f32::NEG_INFINITY;
        Self {
            tables: bytes(1, columns * 2 * ENTRIES).iter().map(entry).collect(),
            codes: bytes(2, columns * lanes),
            bias,
            steps: [Steps { base: -0.5, step: 1e-3 }],
        }
    }
}

#[test]
fn lookup_run_any_shape_finds_the_hits_of_tiles() {
    let ones = [1.0; RUN];
    for kernels in Kernels::available() {
        for columns in [1, 2, 7, 13, 48, 63, 258] {
            for lanes in [16, 32, 96, 128, 160, RUN] {
                let of = Unbiased::new(columns, lanes);
                let tables = [&of.tables[..]];
                // About a half, a few and none of them.
                let middle = of.steps[0].base + of.steps[0].step * 127.0 * columns as f32;
                for threshold in [f32::MIN, middle, middle * 1.2, f32::MAX] {
                    let input = LookupInput {
                        count: 1,
                        columns,
                        tables: &tables,
                        steps: &of.steps,
                        thresholds: &[threshold],
                        least: &[of.steps[0].least(threshold)],
                        codes: &of.codes,
                        stride: columns,
                        bias: &of.bias,
                        factors: &ones[..lanes],
                    };
                    let (mut tile, mut want, mut got) = (TileOutput::new(), Found::new(), Found::new());
                    let all = LookupInput { least: &[0], ..input };
                    let hits = (scalar::KERNELS.lookup_run)(all, &[], &mut tile, &mut want);
                    for next in [&[][..], &of.codes, &of.codes[..columns]] {
                        assert_eq!(kernels.lookup_run(input, next, &mut tile, &mut got), hits);
                        assert_eq!(got.lanes[..hits], want.lanes[..hits], "{}", kernels.name);
                        let bits = |found: &Found| {
                            found.scores[..hits].iter().map(|s| s.to_bits()).collect::<Vec<_>>()
                        };
                        assert_eq!(
                            bits(&got),
                            bits(&want),
                            "{} {columns} columns, {lanes} lanes",
                            kernels.name
                        );
                    }
                    if threshold == f32::MIN {
                        assert_eq!(hits, lanes - 1, "all but what holds nothing");
                    }
                    assert!(threshold < f32::MAX || hits == 0);
                }
            }
        }
    }
}

#[test]
fn least_any_steps_lets_no_sum_below_it_reach_the_threshold() {
    let numbers = numbers(7, 4 * 4096);
    for four in numbers.as_chunks::<4>().0 {
        let scale = 10f32.powf(8.0 * four[0]);
        let steps = Steps { base: four[1] * scale, step: four[2].abs() * 1e-3 * scale };
        let threshold = steps.base + steps.step * 40_000.0 * four[3].abs();
        let least = steps.least(threshold);
        // As kernels have it.
        let score = |sum: u16| steps.step * f32::from(sum) + steps.base;
        assert!(least == 0 || score(least - 1) < threshold, "{steps:?} {threshold}: {least}");
        if steps.base.abs() < 1e3 * steps.step && least > 0 {
            let some = least.saturating_add(8);
            assert!(score(some) >= threshold, "nothing is gained: {steps:?} {threshold}: {least}");
        }
    }
    assert_eq!(Steps { base: 1.0, step: 0.0 }.least(2.0), 0);
    assert_eq!(Steps { base: 1.0, step: 0.0 }.least(1.0), 0);
    let steps = Steps { base: 0.0, step: 1.0 };
    assert_eq!((steps.least(f32::MIN), steps.least(f32::MAX)), (0, u16::MAX));
}

#[test]
fn subsets_any_values_are_those_of_the_bits_within_half_a_step_a_value() {
    for kernels in Kernels::available() {
        for dim in [1, 3, 4, 8, 9, 50, 128, 784, 2064, 8192] {
            for scale in [1.0, 1e-20, 1e20, 0.0] {
                let mut values = numbers(dim as u64, dim);
                values.iter_mut().for_each(|value| *value *= scale);
                let mut tables = vec![0xff; dim.div_ceil(8) * 2 * ENTRIES];
                let steps = kernels.subsets(&values, &mut tables);
                let mut again = vec![0xff; tables.len()];
                assert_eq!((scalar::KERNELS.subsets)(&values, &mut again), steps);
                assert_eq!(tables, again, "{}", kernels.name);
                let (tables, most) =
                    (tables.as_chunks::<ENTRIES>().0, u16::from(crate::kernel::lookup::MOST));
                let largest: u32 =
                    tables.iter().map(|table| u32::from(table.iter().copied().max().unwrap())).sum();
                assert!(
                    largest <= u32::from(u16::MAX)
                        && tables.iter().flatten().all(|&entry| u16::from(entry) <= most)
                );
                let step = f64::from(steps.step);
                let wide = |four: &[f32]| four.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
                let mut base = 0.0;
                for (four, table) in values.chunks(4).map(wide).zip(tables) {
                    // Two codes of no bit in common stand for opposite sums.
                    let middle = step * (f64::from(table[0]) + f64::from(table[15])) / 2.0;
                    base -= middle;
                    for (entry, &got) in table.iter().enumerate() {
                        let sign = |bit: usize| if entry >> bit & 1 == 1 { 0.5 } else { -0.5 };
                        let want: f64 = four.iter().enumerate().map(|(bit, value)| sign(bit) * value).sum();
                        let error = (want - (step * f64::from(got) - middle)).abs();
                        assert!(error <= 0.2501 * step * four.len() as f64, "{dim} {entry}: {error}");
                    }
                }
                assert!((f64::from(steps.base) - base).abs() <= 1e-5 * base.abs());
            }
        }
    }
}

#[test]
fn residual_any_length_agrees_bit_by_bit_and_with_f64() {
    for kernels in Kernels::available() {
        for dim in [1, 15, 16, 17, 50, 784] {
            let (query, centroid) = (numbers(1, dim), numbers(2, dim));
            let (mut out, mut want) = (vec![0.0; dim], vec![0.0; dim]);
            let got = kernels.residual(&query, &centroid, &mut out);
            assert_eq!((scalar::KERNELS.residual)(&query, &centroid, &mut want), got, "{}", kernels.name);
            assert_eq!(out, want);
            let (mut norm, mut product, mut sum) = (0f64, 0f64, 0f64);
            for ((&q, &c), &value) in query.iter().zip(&centroid).zip(&out) {
                assert_eq!(value, q - c);
                norm += f64::from(value).powi(2);
                product += f64::from(q) * f64::from(c);
                sum += f64::from(value);
            }
            for (got, want) in [(got.norm, norm), (got.product, product), (got.sum, sum)] {
                assert!((f64::from(got) - want).abs() < 1e-6 * dim as f64);
            }
        }
    }
}
