//! Every kernel against the scalar oracle, over the shapes that hurt.

use super::*;
use crate::element::{Element, Scalar, bf16, f16, with_element};

const ELEMENTS: [Element; 4] = [Element::F32, Element::F16, Element::Bf16, Element::U8];

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

/// Numbers as elements, in memory aligned for any.
fn held(element: Element, seed: u64, count: usize) -> Vec<u64> {
    let mut values = numbers(seed, count);
    if element == Element::U8 {
        values.iter_mut().for_each(|v| *v = v.abs() * 255.0);
    }
    with_element!(element, E => {
        let mut narrow = vec![<E as bytemuck::Zeroable>::zeroed(); count];
        let bytes: &[u8] = bytemuck::cast_slice(E::narrow(&values, &mut narrow));
        let mut held = vec![0; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut held)[..bytes.len()].copy_from_slice(bytes);
        held
    })
}

fn values(element: Element, held: &[u64]) -> Values<'_> {
    Values::of_bytes(element, bytemuck::cast_slice(held))
}

fn widened(values: Values<'_>) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    values.widen(&mut out);
    out
}

#[test]
fn tile_any_shape_and_element_agrees_with_scalar() {
    for kernels in Kernels::available() {
        for dim in [1, 2, 3, 15, 50, 128, 255, 256, 257, 784] {
            for count in 1..=kernels.max_queries {
                let mut shapes = vec![16, 32];
                if kernels.blocks_per_tile(count) == MAX_BLOCKS {
                    shapes.extend([64, 96, 128]);
                }
                for lanes in shapes {
                    for element in ELEMENTS {
                        check(kernels, dim, count, lanes, element, false);
                        check(kernels, dim, count, lanes, element, true);
                    }
                }
            }
        }
    }
}

fn check(kernels: &Kernels, dim: usize, count: usize, lanes: usize, element: Element, scaled: bool) {
    let queries = packed(1, dim, count);
    let held = held(element, 2, dim * lanes);
    let vectors = values(element, &held);
    let mut bias = numbers(3, lanes);
    bias[lanes - 1] = f32::NEG_INFINITY;
    let (factors, bases) = (numbers(9, lanes), numbers(10, count));
    let scaled = scaled.then_some(Scaled { factors: &factors, bases: &bases });
    let input = |thresholds: &[f32]| {
        let input = TileInput {
            dim,
            count,
            queries: &queries,
            thresholds,
            vectors,
            halves: &[],
            bias: &bias,
            scaled,
        };
        let mut output = TileOutput::new();
        let any = kernels.tile(input, &mut output);
        (any, output)
    };
    let mut want = TileOutput::new();
    let all = vec![f32::MIN; count];
    (scalar::KERNELS.tile)(
        TileInput {
            dim,
            count,
            queries: &queries,
            thresholds: &all,
            vectors,
            halves: &[],
            bias: &bias,
            scaled,
        },
        &mut want,
    );
    let (any, got) = input(&all);
    assert_eq!(any, (1 << count) - 1);
    let width = lanes.min(BLOCK);
    let scale = if element == Element::U8 { 255.0 } else { 1.0 };
    for q in 0..count {
        for block in 0..lanes / width {
            let every = if width == BLOCK { u32::MAX } else { 0xffff };
            let dead = if block == lanes / width - 1 { 1u32 << (width - 1) } else { 0 };
            assert_eq!(got.hits[q][block], every & !dead, "{} d={dim} q={count} l={lanes}", kernels.name);
            for lane in 0..width {
                let (a, b) = (got.scores[q][block][lane], want.scores[q][block][lane]);
                assert!(a == b || (a - b).abs() <= 1e-6 * scale * (dim as f32 + 1.0), "{a} {b} {element:?}");
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
fn tile_fused_kernels_agree_bit_by_bit_on_any_element() {
    let fused: Vec<_> = Kernels::available().into_iter().skip(1).collect();
    let (dim, count, lanes) = (300, 5, 32);
    let (queries, bias) = (packed(4, dim, count), numbers(6, lanes));
    let thresholds = vec![f32::MIN; count];
    let (factors, bases) = (numbers(7, lanes), numbers(8, count));
    let scaled = Scaled { factors: &factors, bases: &bases };
    for (element, scaled) in
        ELEMENTS.into_iter().flat_map(|element| [(element, None), (element, Some(scaled))])
    {
        let held = held(element, 5, dim * lanes);
        let narrow = values(element, &held);
        let wide = widened(narrow);
        // Nor does it matter whether they were widened before.
        let scores: Vec<Vec<u32>> = fused
            .iter()
            .flat_map(|kernels| [(kernels, narrow), (kernels, Values::F32(&wide))])
            .map(|(kernels, vectors)| {
                let mut output = TileOutput::new();
                let input = TileInput {
                    dim,
                    count,
                    queries: &queries,
                    thresholds: &thresholds,
                    vectors,
                    halves: &[],
                    bias: &bias,
                    scaled,
                };
                kernels.tile(input, &mut output);
                output.scores[..count].iter().flat_map(|s| s[0].map(f32::to_bits)).collect()
            })
            .collect();
        assert!(scores.windows(2).all(|pair| pair[0] == pair[1]), "{element:?}");
    }
}

#[test]
fn tile_all_65536_halves_are_widened_exactly() {
    let queries = packed_ones();
    for kernels in Kernels::available() {
        for first in (0..=u16::MAX).step_by(BLOCK) {
            let bits: Vec<u16> = (first..=first + 31).collect();
            let halves: &[f16] = bytemuck::cast_slice(&bits);
            let brains: &[bf16] = bytemuck::cast_slice(&bits);
            for vectors in [Values::F16(halves), Values::Bf16(brains)] {
                let mut output = TileOutput::new();
                let input = TileInput {
                    dim: 1,
                    count: 1,
                    queries: &queries,
                    thresholds: &[f32::NEG_INFINITY],
                    vectors,
                    halves: &[],
                    bias: &[0.0; BLOCK],
                    scaled: None,
                };
                kernels.tile(input, &mut output);
                for (want, got) in widened(vectors).into_iter().zip(output.scores[0][0]) {
                    assert!(want == got || !want.is_finite(), "{}: {want} {got}", kernels.name);
                }
            }
        }
    }
}

fn packed_ones() -> Vec<f32> {
    let mut packed = Vec::new();
    pack(&[&[1.0]], 1, &mut packed);
    packed
}

#[test]
fn squares_any_shape_agrees_with_f64() {
    for kernels in Kernels::available() {
        for dim in [1, 7, 128, 784] {
            for width in [16, 32] {
                for element in ELEMENTS {
                    let held = held(element, 7, dim * width);
                    let vectors = widened(values(element, &held));
                    let mut out = vec![0.0; width];
                    kernels.squares(values(element, &held), &mut out);
                    for (lane, &got) in out.iter().enumerate() {
                        let want: f64 = (0..dim).map(|d| f64::from(vectors[d * width + lane]).powi(2)).sum();
                        assert!((f64::from(got) - want).abs() <= 1e-5 * want.max(1.0), "{}", kernels.name);
                    }
                }
            }
        }
    }
}

/// Bytes that look random.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    numbers(seed, count).iter().map(|v| v.to_bits().to_le_bytes()[1]).collect()
}

#[test]
fn lookup_any_shape_agrees_with_scalar_bit_by_bit() {
    for kernels in Kernels::available() {
        for (columns, stride) in [(1, 1), (2, 10), (7, 15), (16, 24), (63, 63), (258, 266)] {
            for count in 1..=kernels.max_queries {
                for lanes in [16, 32, 64, 128] {
                    let tables: Vec<u8> = bytes(1, count * columns * 2 * ENTRIES)
                        .iter()
                        .map(|byte| byte & lookup::MOST)
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
                        let bits = |output: &TileOutput| {
                            output
                                .scores
                                .as_flattened()
                                .as_flattened()
                                .iter()
                                .map(|s| s.to_bits())
                                .collect::<Vec<_>>()
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
                let (tables, most) = (tables.as_chunks::<ENTRIES>().0, u16::from(lookup::MOST));
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

/// Words of `parts` parts of `each` values, `count` of them a part.
fn book(parts: usize, each: usize, count: usize) -> (Vec<f32>, Vec<f32>) {
    let values = numbers(21, parts * each * count);
    let half = |part: usize, word: usize| {
        let squares = (0..each).map(|d| values[(part * each + d) * count + word].powi(2));
        0.5 * squares.sum::<f32>()
    };
    let halves = (0..parts * count).map(|at| half(at / count, at % count)).collect();
    (values, halves)
}

#[test]
fn tables_of_words_agree_bit_by_bit_and_with_f64() {
    let oracle = &scalar::KERNELS.tables;
    for kernels in Kernels::available() {
        for (parts, each) in [(1, 1), (2, 3), (7, 8), (96, 4), (515, 1)] {
            for words in [16, 256] {
                let (values, halves) = book(parts, each, words);
                let book = Book { words, values: &values, halves: &halves };
                let query = numbers(22, parts * each);
                let (mut got, mut want) = (vec![7.0; parts * words], vec![9.0; parts * words]);
                kernels.tables.products(&book, &query, &mut got);
                oracle.products(&book, &query, &mut want);
                assert_eq!(got, want, "{}", kernels.name);
                for (at, &got) in got.iter().enumerate() {
                    let (part, word) = (at / words, at % words);
                    let terms = (0..each).map(|d| {
                        f64::from(query[part * each + d])
                            * f64::from(values[(part * each + d) * words + word])
                    });
                    assert!((f64::from(got) - terms.sum::<f64>()).abs() < 1e-6 * each as f64);
                }
                let (mut codes, mut again) = (vec![0; parts], vec![0; parts]);
                kernels.tables.nearest(&book, &query, &mut codes);
                oracle.nearest(&book, &query, &mut again);
                assert_eq!(codes, again, "{}", kernels.name);
                for (part, &code) in codes.iter().enumerate() {
                    let far = |word: usize| halves[part * words + word] - got[part * words + word];
                    let first = (0..words).min_by(|&a, &b| far(a).total_cmp(&far(b))).unwrap();
                    assert_eq!(usize::from(code), first);
                }
            }
        }
    }
}

#[test]
fn quantize_any_tables_stay_within_half_a_step_and_16_bits() {
    for kernels in Kernels::available() {
        for parts in [1, 2, 3, 48, 516, 4096] {
            for scale in [1.0, 1e-20, 1e20, 0.0] {
                let mut tables = numbers(parts as u64, parts * ENTRIES);
                tables.iter_mut().for_each(|value| *value *= scale);
                let mut bytes = vec![0xff; parts.next_multiple_of(2) * ENTRIES];
                let steps = kernels.tables.quantize(&tables, &mut bytes);
                let mut again = vec![0xff; bytes.len()];
                assert_eq!(scalar::KERNELS.tables.quantize(&tables, &mut again), steps, "{}", kernels.name);
                assert_eq!(bytes, again);
                let most: u32 = bytes.chunks(ENTRIES).map(|t| u32::from(*t.iter().max().unwrap())).sum();
                assert!(most <= u32::from(u16::MAX) && bytes.iter().all(|&byte| byte <= lookup::MOST));
                let step = f64::from(steps.step);
                let mut base = 0.0;
                for (table, bytes) in tables.chunks(ENTRIES).zip(bytes.chunks(ENTRIES)) {
                    let least = f64::from(table.iter().copied().fold(f32::MAX, f32::min));
                    base += least;
                    for (&value, &byte) in table.iter().zip(bytes) {
                        let error = (f64::from(value) - least - step * f64::from(byte)).abs();
                        assert!(error <= 0.5001 * step + 1e-30, "{parts} {scale}: {error}");
                    }
                }
                assert!((f64::from(steps.base) - base).abs() <= 1e-5 * base.abs());
                assert!(bytes[parts * ENTRIES..].iter().all(|&byte| byte == 0));
            }
        }
        // What is no number makes entries of any kind, but none that is too large.
        let mut bytes = vec![0; 2 * ENTRIES];
        for value in [f32::NAN, f32::INFINITY, -1e38, 3e38] {
            let mut tables = numbers(1, 2 * ENTRIES);
            tables[5] = value;
            kernels.tables.quantize(&tables, &mut bytes);
            assert!(bytes.iter().all(|&byte| byte <= lookup::MOST));
        }
    }
}

#[test]
fn add_up_any_shape_agrees_with_f64() {
    for kernels in Kernels::available() {
        for (words, columns) in [(16, 1), (16, 24), (256, 1), (256, 7), (256, 50)] {
            for odd in [false, true] {
                let parts = if words == 16 { 2 * columns - usize::from(odd) } else { columns };
                for lanes in [16, 32, 64, 128] {
                    let tables = numbers(31, parts * words);
                    let codes = bytes(32, columns * lanes);
                    let mut bias = numbers(33, lanes);
                    bias[lanes - 1] = f32::NEG_INFINITY;
                    let width = lanes.min(BLOCK);
                    for threshold in [f32::MIN, 0.0, f32::MAX] {
                        let input =
                            SumInput { tables: &tables, words, threshold, codes: &codes, bias: &bias };
                        let mut output = TileOutput::new();
                        let any = kernels.tables.add_up(input, 3, &mut output);
                        let mut oracle = TileOutput::new();
                        assert_eq!(scalar::KERNELS.tables.add_up(input, 3, &mut oracle), any);
                        assert_eq!(output.scores[3], oracle.scores[3], "{}", kernels.name);
                        assert_eq!(output.hits[3], oracle.hits[3], "{}", kernels.name);
                        let mut expected = false;
                        for (lane, &bias) in bias.iter().enumerate() {
                            let (block, at) = (lane / width, lane % width);
                            let code = |part: usize| {
                                let column = if words == 16 { part / 2 } else { part };
                                let byte = codes[(block * columns + column) * width + at];
                                if words == 16 { byte >> (part % 2 * 4) & 15 } else { byte }
                            };
                            let terms = (0..parts)
                                .map(|part| f64::from(tables[part * words + usize::from(code(part))]));
                            let want = f64::from(bias) + terms.sum::<f64>();
                            let got = output.scores[3][block][at];
                            assert!(
                                got.is_infinite() || (f64::from(got) - want).abs() < 1e-4,
                                "{}",
                                kernels.name
                            );
                            assert_eq!(output.hits[3][block] >> at & 1 == 1, got >= threshold);
                            expected |= got >= threshold;
                        }
                        assert_eq!(any, expected);
                    }
                }
            }
        }
    }
}

/// Sixteen lanes of a full block.
fn half_of(vectors: Values<'_>, dim: usize, half: u32) -> Vec<f32> {
    let (block, first) = (half as usize / 2, half as usize % 2 * 16);
    let rows = widened(vectors.slice(block * BLOCK * dim..(block + 1) * BLOCK * dim));
    rows.chunks(BLOCK).flat_map(|row| row[first..first + 16].to_vec()).collect()
}

#[test]
fn tile_of_halves_of_blocks_agrees_bit_by_bit_with_tiles_of_each_alone() {
    const BLOCKS: usize = 9;
    // In no order that a tile could count on; behind those of the tile the ones that come next.
    const HALVES: [u32; 11] = [1, 2, 3, 7, 8, 11, 14, 15, 17, 0, 16];
    for kernels in Kernels::available() {
        for dim in [1, 17, 50, 300] {
            for (count, element) in (1..=kernels.max_queries).flat_map(|count| ELEMENTS.map(|e| (count, e))) {
                let queries = packed(1, dim, count);
                let held = held(element, 2, dim * BLOCKS * BLOCK);
                let vectors = values(element, &held);
                let thresholds: Vec<f32> =
                    (0..count).map(|q| if q % 2 == 0 { f32::MIN } else { 0.0 }).collect();
                for lanes in (1..=kernels.blocks_per_tile(count) * 2).map(|halves| halves * 16) {
                    let mut bias = numbers(3, lanes);
                    bias[lanes - 2] = f32::NEG_INFINITY;
                    let input = TileInput {
                        dim,
                        count,
                        queries: &queries,
                        thresholds: &thresholds,
                        vectors,
                        halves: &HALVES,
                        bias: &bias,
                        scaled: None,
                    };
                    let mut got = TileOutput::new();
                    let any = kernels.tile(input, &mut got);
                    let mut seen = 0;
                    for (number, &half) in HALVES[..lanes / 16].iter().enumerate() {
                        let alone = half_of(vectors, dim, half);
                        let bias = &bias[number * 16..number * 16 + 16];
                        let alone = TileInput { vectors: Values::F32(&alone), halves: &[], bias, ..input };
                        let mut want = TileOutput::new();
                        let reached = kernels.tile(alone, &mut want);
                        seen |= reached;
                        let (block, first) = (number / 2, number % 2 * 16);
                        for q in (0..count).filter(|q| any >> q & 1 == 1) {
                            let hits = got.hits[q][block] >> first & 0xffff;
                            assert_eq!(hits, if reached >> q & 1 == 1 { want.hits[q][0] } else { 0 });
                            for lane in (0..16).filter(|lane| hits >> lane & 1 == 1) {
                                let score = got.scores[q][block][first + lane].to_bits();
                                assert_eq!(score, want.scores[q][0][lane].to_bits(), "{}", kernels.name);
                            }
                        }
                    }
                    assert_eq!(any, seen, "{} {dim} {count} {lanes}", kernels.name);
                }
            }
        }
    }
}

#[test]
fn pairs_any_length_agree_bit_by_bit_and_with_f64() {
    for kernels in Kernels::available() {
        for dim in [1, 31, 32, 33, 50, 64, 784] {
            let (a, b) = (numbers(41, dim), numbers(42, dim));
            let wide = || a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
            let product = kernels.pairs.product(&a, &b);
            assert_eq!(product, scalar::KERNELS.pairs.product(&a, &b), "{}", kernels.name);
            let want: f64 = wide().map(|(a, b)| a * b).sum();
            assert!((f64::from(product) - want).abs() < 1e-6 * dim as f64);
            let difference = kernels.pairs.difference(&a, &b);
            assert_eq!(difference, scalar::KERNELS.pairs.difference(&a, &b), "{}", kernels.name);
            let want: f64 = wide().map(|(a, b)| (a - b).powi(2)).sum();
            assert!((f64::from(difference) - want).abs() < 1e-6 * dim as f64);
        }
    }
}
