//! Products in whole numbers, codes by fours, and queries rounded to 8 bits.

use super::*;
use crate::kernel::dot;

#[test]
fn dots_any_shape_agree_with_scalar_bit_by_bit() {
    for kernels in Kernels::available() {
        for groups in [1, 2, 7, 32, 196, 257, 600] {
            for count in 1..=kernels.max_queries {
                for lanes in [16, 32, 64, 96, 128] {
                    let mut codes = bytes(1, groups * GROUP * lanes);
                    codes[..GROUP].fill(0xff);
                    let words: Vec<i32> = bytes(2, count * groups * GROUP)
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&b| i32::from_le_bytes(b))
                        .collect();
                    let mut queries = Vec::new();
                    pack(&words.chunks_exact(groups).collect::<Vec<_>>(), groups, &mut queries);
                    let mut bias = numbers(3, lanes);
                    bias[lanes - 1] = f32::NEG_INFINITY;
                    let steps: Vec<_> = (0..count).map(|q| 1e-4 * (q + 1) as f32).collect();
                    let [every, some, none] =
                        [f32::MIN, 0.0, f32::MAX].map(|threshold| vec![threshold; count]);
                    let input = |thresholds| DotInput {
                        count,
                        groups,
                        queries: &queries,
                        steps: &steps,
                        thresholds,
                        codes: &codes,
                        rows: None,
                        bias: &bias,
                    };
                    for thresholds in [&every, &some, &none] {
                        let (mut want, mut got) = (TileOutput::new(), TileOutput::new());
                        let hits = dot::scalar(input(thresholds), &mut want);
                        assert_eq!(kernels.dots(input(thresholds), &mut got), hits, "{}", kernels.name);
                        for query in (0..count).filter(|query| hits >> query & 1 == 1) {
                            for block in 0..lanes.div_ceil(BLOCK) {
                                assert_eq!(got.hits[query][block], want.hits[query][block]);
                                let bits =
                                    |output: &TileOutput| output.scores[query][block].map(f32::to_bits);
                                let hit = want.hits[query][block] != 0;
                                let what = (kernels.name, groups, count, lanes, query, block);
                                assert!(!hit || bits(&got) == bits(&want), "{what:?}");
                            }
                        }
                    }
                    let mut output = TileOutput::new();
                    assert_eq!(kernels.dots(input(&every), &mut output), (1 << count) - 1);
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
#[cfg(target_arch = "x86_64")]
fn dots_every_way_agrees_with_scalar_bit_by_bit() {
    use crate::kernel::x86_64::{ways_of_fours, ways_of_rows};
    let fours = ways_of_fours().into_iter().map(|way| (false, way));
    for (in_rows, (name, dots)) in ways_of_rows().into_iter().map(|way| (true, way)).chain(fours) {
        for dim in [1_usize, 3, 4, 5, 50, 128, 1030] {
            for (count, lanes) in [(1, 16_usize), (1, 32), (1, 128), (2, 16), (2, 64)] {
                let (groups, width) = (dim.div_ceil(GROUP), lanes.min(BLOCK));
                let rows = bytes(1, dim * lanes);
                let mut codes = vec![0; groups * GROUP * lanes];
                for (rows, codes) in rows.chunks(dim * width).zip(codes.chunks_mut(groups * GROUP * width)) {
                    (scalar::KERNELS.interleave)(rows, width, codes);
                }
                let words: Vec<i32> = bytes(2, count * groups * 4)
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| i32::from_le_bytes(b))
                    .collect();
                let mut queries = Vec::new();
                pack(&words.chunks_exact(groups).collect::<Vec<_>>(), groups, &mut queries);
                let bias = numbers(3, lanes);
                let (steps, thresholds) = ([1e-4, 2e-4], [f32::MIN; 2]);
                let by_fours = DotInput {
                    count,
                    groups,
                    queries: &queries,
                    steps: &steps,
                    thresholds: &thresholds,
                    codes: &codes,
                    rows: None,
                    bias: &bias,
                };
                let (mut want, mut got) = (TileOutput::new(), TileOutput::new());
                let hits = dot::scalar(by_fours, &mut want);
                let input =
                    if in_rows { DotInput { codes: &rows, rows: Some(dim), ..by_fours } } else { by_fours };
                input.check();
                assert_eq!(dots(input, &mut got), hits, "{name}");
                for (query, block) in (0..count).flat_map(|q| (0..lanes / width).map(move |b| (q, b))) {
                    assert_eq!(got.hits[query][block], want.hits[query][block], "{name} {dim} {lanes}");
                    let bits = |output: &TileOutput| {
                        output.scores[query][block][..width].iter().map(|s| s.to_bits()).collect::<Vec<_>>()
                    };
                    assert!(bits(&got) == bits(&want), "{name} {dim} {lanes}");
                }
            }
        }
    }
}

#[test]
fn interleave_any_shape_puts_four_dimensions_of_a_lane_together() {
    for kernels in Kernels::available() {
        for dim in [1, 3, 4, 5, 50, 128] {
            for width in [16, 32] {
                let codes = bytes(1, dim * width);
                let groups = dim.div_ceil(GROUP);
                let mut out = vec![0xff; groups * GROUP * width];
                kernels.interleave(&codes, width, &mut out);
                for (place, &got) in out.iter().enumerate() {
                    let (d, lane) = (place / (GROUP * width) * GROUP + place % GROUP, place / GROUP % width);
                    let want = if d < dim { codes[d * width + lane] } else { 0 };
                    assert_eq!(got, want, "{} {d} {lane}", kernels.name);
                }
            }
        }
    }
}

#[test]
fn round_any_query_agrees_bit_by_bit_and_is_within_half_a_step() {
    for kernels in Kernels::available() {
        for dim in [1, 3, 15, 16, 17, 50, 784] {
            for size in [1.0, 1e-12, 1e12, 0.0] {
                let mut query = numbers(1, dim);
                query.iter_mut().for_each(|value| *value *= size);
                let mut scale = numbers(2, dim);
                scale.iter_mut().for_each(|value| *value = value.abs());
                scale[0] = 0.0;
                let (centroid, offset, centre) = (numbers(3, dim), numbers(4, dim), numbers(5, dim));
                for centroid in [&centroid[..], &[]] {
                    let (query, scale, offset, centre) = (&query[..], &scale[..], &offset[..], &centre[..]);
                    let input = RoundInput { query, centroid, scale, offset, centre };
                    let (mut factors, mut out, mut again) = (vec![0.0; dim], vec![99; dim], vec![0; dim]);
                    let got = kernels.round(input, &mut factors, &mut out);
                    assert_eq!(
                        (scalar::KERNELS.round)(input, &mut factors, &mut again),
                        got,
                        "{}",
                        kernels.name
                    );
                    assert_eq!(out, again);
                    let (mut norm, mut constant, mut lost, mut sizes) = (0f64, 0f64, 0f64, 0f64);
                    for d in 0..dim {
                        let value = query[d] - centroid.get(d).unwrap_or(&0.0);
                        let (factor, value) = (f64::from(value * scale[d]), f64::from(value));
                        let rest = factor - f64::from(got.step) * f64::from(out[d]);
                        assert!(rest.abs() <= 0.5001 * f64::from(got.step), "{d}: {rest} {got:?}");
                        norm += value * value;
                        constant += value * f64::from(offset[d]) + rest * f64::from(centre[d]);
                        sizes += (value * f64::from(offset[d])).abs() + factor.abs();
                        lost += rest * rest;
                    }
                    let near = |got: f32, want: f64, size: f64| (f64::from(got) - want).abs() <= 1e-5 * size;
                    assert!(near(got.norm, norm, norm) && near(got.constant, constant, sizes), "{got:?}");
                    // Sums of what is left of a difference.
                    let step = f64::from(got.step);
                    assert!(near(got.lost, lost, lost + 8.0 * dim as f64 * step * step), "{got:?} {lost}");
                }
            }
        }
    }
}
