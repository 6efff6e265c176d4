//! Tiles, and the squares of what they read.

use super::*;

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
