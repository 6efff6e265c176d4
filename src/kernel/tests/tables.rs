//! What product quantizers compute, and single rows.

use super::*;

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
fn nearest_of_rows_any_shape_agrees_bit_by_bit_and_with_f64() {
    let oracle = &scalar::KERNELS.tables;
    for kernels in Kernels::available() {
        for (dim, count) in [(1, 16), (2, 1), (3, 256), (4, 16), (6, 17), (7, 3), (8, 256), (32, 16)] {
            let values = numbers(23, count * dim);
            let halves: Vec<f32> = values
                .chunks_exact(dim)
                .map(|word| 0.5 * word.iter().map(|value| value * value).sum::<f32>())
                .collect();
            let words = Words { values: &values, halves: &halves };
            let rows: Vec<[f32; LANES]> = numbers(24, dim * LANES).as_chunks().0.to_vec();
            let (mut got, mut far) = ([7; LANES], [7.0; LANES]);
            let (mut want, mut as_far) = ([9; LANES], [9.0; LANES]);
            kernels.tables.nearest_of_rows(&words, &rows, &mut got, &mut far);
            oracle.nearest_of_rows(&words, &rows, &mut want, &mut as_far);
            assert_eq!((got, far), (want, as_far), "{} {dim} {count}", kernels.name);
            for lane in 0..LANES {
                let distance = |word: &[f32]| {
                    let terms = word.iter().zip(&rows).map(|(&a, row)| f64::from(a) - f64::from(row[lane]));
                    terms.map(|term| term * term).sum::<f64>()
                };
                let least = values.chunks_exact(dim).map(distance).fold(f64::INFINITY, f64::min);
                let found = distance(&values[got[lane] as usize * dim..][..dim]);
                assert!(found - least < 1e-5 * dim as f64, "{dim} {count}: {found}, least {least}");
                assert!((f64::from(far[lane]) - found).abs() < 1e-5 * dim as f64);
            }
        }
    }
}

#[test]
fn nearest_along_any_shape_agrees_bit_by_bit_and_loses_less_along_the_direction() {
    let oracle = &scalar::KERNELS.tables;
    for kernels in Kernels::available() {
        for (parts, each, count) in
            [(7, 1, 16), (24, 2, 16), (9, 5, 16), (96, 4, 16), (12, 2, 256), (3, 9, 256)]
        {
            let (values, halves) = book(parts, each, count);
            let dim = parts * each;
            let as_words: Vec<f32> = (0..parts * count * each)
                .map(|at| values[(at / each / count * each + at % each) * count + at / each % count])
                .collect();
            let words = Words { values: &as_words, halves: &halves };
            let book = Book { words: count, values: &values, halves: &halves };
            let rows: Vec<[f32; LANES]> = numbers(25, dim * LANES).as_chunks().0.to_vec();
            // Of residuals, and of the vectors themselves.
            let centroid = [numbers(26, dim), vec![0.0; dim]][usize::from(parts % 2 == 0)].clone();
            let mut of_centroid = vec![0.0; halves.len()];
            kernels.tables.products(&book, &centroid, &mut of_centroid);
            let along = Along { of_centroid: &of_centroid[..if parts % 2 == 0 { 0 } else { halves.len() }] };
            let (mut scales, mut aims, share) = ([0.0; LANES], vec![[0.0; LANES]; parts], 0.75);
            for lane in 0..LANES {
                let whole: Vec<f32> = rows.iter().zip(&centroid).map(|(row, c)| row[lane] + c).collect();
                scales[lane] = whole.iter().map(|value| value * value).sum::<f32>().sqrt().recip();
                (0..dim)
                    .for_each(|d| aims[d / each][lane] += share * scales[lane] * rows[d][lane] * whole[d]);
            }
            let (mut got, mut want) = (vec![[7; LANES]; parts], vec![[9; LANES]; parts]);
            kernels.tables.nearest_of_rows_along(&words, along, &rows, &scales, &aims, &mut got);
            oracle.nearest_of_rows_along(&words, along, &rows, &scales, &aims, &mut want);
            assert_eq!(got, want, "{} {parts} {each} {count}", kernels.name);
            // By the definition: what is lost, and how much of it along the direction, squared.
            let (mut lost, mut lost_plain, mut off, mut off_plain) = (0.0, 0.0, 0.0, 0.0);
            for lane in 0..LANES {
                let row: Vec<f32> = rows.iter().map(|row| row[lane]).collect();
                let own: Vec<f32> = aims.iter().map(|aims| aims[lane]).collect();
                let scale = scales[lane];
                let mut codes = vec![0; parts];
                kernels.tables.nearest_along(&book, along, &row, scale, &own, &mut codes);
                let of_rows: Vec<u8> =
                    got.iter().map(|numbers| u8::try_from(numbers[lane]).unwrap()).collect();
                assert_eq!(codes, of_rows, "{} {parts} {each} {count}", kernels.name);
                let tell = |codes: &[u8]| {
                    let (mut error, mut product, mut own) = (0f64, 0f64, 0f64);
                    for d in 0..dim {
                        let word = values[d * count + usize::from(codes[d / each])];
                        error += f64::from(row[d] - word).powi(2);
                        let direction = f64::from(scale) * f64::from(row[d] + centroid[d]);
                        product += f64::from(word) * direction;
                        own += f64::from(row[d]) * direction;
                    }
                    (error, (product - f64::from(share) * own).powi(2))
                };
                let (error, missed) = tell(&codes);
                (lost, off) = (lost + error, off + missed);
                kernels.tables.nearest(&book, &row, &mut codes);
                let (error, missed) = tell(&codes);
                (lost_plain, off_plain) = (lost_plain + error, off_plain + missed);
                // Without a direction the nearest are the best.
                let mut nearest = vec![0; parts];
                kernels.tables.nearest_along(&book, along, &row, 0.0, &vec![0.0; parts], &mut nearest);
                assert_eq!(nearest, codes);
            }
            assert!(lost >= lost_plain * (1.0 - 1e-6), "{lost}, plain {lost_plain}");
            assert!(off < 0.8 * off_plain, "{parts} {each} {count}: {off}, plain {off_plain}");
            assert!(lost + 2.0 * off < lost_plain + 2.0 * off_plain);
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
                assert!(
                    most <= u32::from(u16::MAX)
                        && bytes.iter().all(|&byte| byte <= crate::kernel::lookup::MOST)
                );
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
            assert!(bytes.iter().all(|&byte| byte <= crate::kernel::lookup::MOST));
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

#[test]
fn in_order_any_length_agrees_with_the_tile_bit_by_bit() {
    for kernels in Kernels::available() {
        for dim in [1, 15, 16, 17, 50, 255, 256, 257, 300, 784] {
            let (query, bias) = (numbers(45, dim), numbers(46, BLOCK));
            let vectors: Vec<Vec<f32>> = (0..BLOCK as u64).map(|row| numbers(50 + row, dim)).collect();
            let block: Vec<f32> = (0..dim).flat_map(|d| vectors.iter().map(move |row| row[d])).collect();
            let mut queries = Vec::new();
            pack(&[&query[..]], dim, &mut queries);
            let input = TileInput {
                dim,
                count: 1,
                queries: &queries,
                thresholds: &[f32::MIN],
                vectors: Values::F32(&block),
                halves: &[],
                bias: &bias,
                scaled: None,
            };
            let mut output = TileOutput::new();
            assert_eq!(kernels.tile(input, &mut output), 1);
            for first in (0..BLOCK).step_by(ROWS) {
                let rows = std::array::from_fn(|at| &vectors[first + at][..]);
                let mut scores: [f32; ROWS] = std::array::from_fn(|at| bias[first + at]);
                kernels.pairs.in_order(&query, &rows, &mut scores);
                let want = &output.scores[0][0][first..first + ROWS];
                assert_eq!(scores.map(f32::to_bits)[..], bits(want), "{}: {dim}", kernels.name);
            }
        }
    }
}

#[test]
fn widen_any_type_and_length_agrees_with_the_definition() {
    use half::{bf16, f16};
    for kernels in Kernels::available() {
        for dim in [1, 15, 16, 17, 50, 784] {
            let values = numbers(47, dim);
            let bytes: Vec<u8> = (0..dim).map(|d| (d * 37 + 5).to_le_bytes()[0]).collect();
            let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            let brains: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
            let cases = [
                (Values::F32(&values), values.clone()),
                (Values::F16(&halves), halves.iter().map(|value| value.to_f32()).collect()),
                (Values::Bf16(&brains), brains.iter().map(|value| value.to_f32()).collect()),
                (Values::U8(&bytes), bytes.iter().map(|&byte| f32::from(byte)).collect()),
            ];
            for (row, want) in cases {
                let mut out = vec![f32::NAN; dim];
                kernels.pairs.widen(row, &mut out);
                assert_eq!(out, want, "{}: {:?} x {dim}", kernels.name, row.element());
            }
        }
    }
}

/// As numbers whose equality is that of bits.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn pairs_any_count_agree_bit_by_bit_with_the_oracle_one_at_a_time() {
    for kernels in Kernels::available() {
        for dim in [1, 15, 16, 17, 31, 32, 33, 48, 50, 784] {
            // Rows between others: what lies beyond a row's end counts for nothing.
            let (a, b) = (numbers(45, 11 * dim), numbers(46, 11 * dim));
            let row = |of: usize| of * dim..(of + 1) * dim;
            for count in 0..10 {
                let pairs: Vec<_> = (0..count).map(|of| (&a[row(of)], &b[row(of)])).collect();
                let mut out = vec![f32::NAN; count];
                kernels.pairs.products(&pairs, &mut out);
                for (got, (a, b)) in out.iter().zip(&pairs) {
                    assert_eq!(*got, scalar::KERNELS.pairs.product(a, b), "{} {dim}", kernels.name);
                }
                kernels.pairs.differences(&pairs, &mut out);
                for (got, (a, b)) in out.iter().zip(&pairs) {
                    assert_eq!(*got, scalar::KERNELS.pairs.difference(a, b), "{} {dim}", kernels.name);
                }
            }
        }
    }
}

#[test]
fn halves_any_count_and_length_agree_bit_by_bit_with_widened_rows() {
    use half::f16;
    for kernels in Kernels::available() {
        let Some(halves) = kernels.pairs.halves() else { continue };
        for dim in [1, 15, 16, 17, 31, 32, 33, 48, 50, 784] {
            let query = numbers(48, dim);
            // Rows between others, as above.
            let rows: Vec<f16> = numbers(49, 11 * dim).into_iter().map(f16::from_f32).collect();
            for count in 0..10 {
                let pairs: Vec<_> = rows.chunks(dim).take(count).map(|row| (&query[..], row)).collect();
                for term in [Term::Product, Term::Difference] {
                    let mut out = vec![f32::NAN; count];
                    halves(term, &pairs, &mut out);
                    for (got, (query, row)) in out.iter().zip(&pairs) {
                        let row: Vec<f32> = row.iter().map(|value| value.to_f32()).collect();
                        let oracle = &scalar::KERNELS.pairs;
                        let want = match term {
                            Term::Product => oracle.product(query, &row),
                            Term::Difference => oracle.difference(query, &row),
                        };
                        assert_eq!(*got, want, "{} {term:?} {dim}", kernels.name);
                    }
                }
            }
        }
    }
}

#[test]
fn decode_any_width_and_length_is_offset_plus_scaled_code() {
    for kernels in Kernels::available() {
        for (bits, dim) in [4, 6, 8].into_iter().flat_map(|bits| [1, 3, 8, 50, 131].map(|dim| (bits, dim))) {
            let (scale, offset) = (numbers(43, dim), numbers(44, dim));
            let codes: Vec<u8> = (0..dim).map(|d| (d * 37 + 5).to_le_bytes()[0] >> (8 - bits)).collect();
            let mut packed = vec![0; bitpack::columns(dim, bits)];
            bitpack::pack(bits, &codes, &mut packed);
            let mut out = vec![f32::NAN; dim];
            kernels.pairs.decode(Coded { bits, codes: &packed, scale: &scale, offset: &offset }, &mut out);
            for d in 0..dim {
                let want = offset[d] + scale[d] * f32::from(codes[d]);
                assert_eq!(out[d], want, "{}: {bits} bits, {d} of {dim}", kernels.name);
            }
        }
    }
}
