//! Each transform against its definition in float64.

use super::*;
use crate::context::ContextOptions;
use crate::random::Random;

const SEED: u64 = 1234;

/// Rows of unequal variance in mixed directions, off the origin.
fn rows(count: usize, dim: usize) -> Vec<f32> {
    let mut random = Random::new(5);
    let mix: Vec<f64> = (0..dim * dim).map(|_| random.normal()).collect();
    let mut rows = Vec::new();
    for _ in 0..count {
        let hidden: Vec<f64> = (0..dim).map(|d| random.normal() / (1.0 + d as f64)).collect();
        for d in 0..dim {
            let value: f64 = hidden.iter().zip(&mix[d * dim..]).map(|(h, m)| h * m).sum();
            #[expect(clippy::cast_possible_truncation, reason = "a test's data")]
            rows.push((value + d as f64 * 0.25) as f32);
        }
    }
    rows
}

fn context(threads: usize, kernel: Option<&str>) -> Context {
    let options = ContextOptions { threads, kernel: kernel.map(Into::into), ..ContextOptions::default() };
    Context::new(&options).expect("a context")
}

fn all_kinds() -> Vec<(Kind, Option<usize>)> {
    vec![
        (Kind::Pca { whiten: false, rotate: false }, Some(9)),
        (Kind::Pca { whiten: true, rotate: false }, Some(9)),
        (Kind::Pca { whiten: true, rotate: true }, Some(20)),
        (Kind::Opq { m: 4 }, None),
        (Kind::Opq { m: 3 }, Some(12)),
        (Kind::Opq { m: 4 }, Some(24)),
        (Kind::Rotation, None),
        (Kind::Rotation, Some(7)),
        (Kind::Rotation, Some(33)),
        (Kind::Hadamard, None),
        (Kind::Normalize, None),
        (Kind::Itq, Some(11)),
        (Kind::Center, None),
    ]
}

fn trained(context: &Context, kind: Kind, d_out: Option<usize>, x: MatrixRef<'_>) -> (Chain, Vec<f32>) {
    trained_for(256, context, kind, d_out, x)
}

/// As [`trained`], for codes of so many words a part.
fn trained_for(
    words: usize,
    context: &Context,
    kind: Kind,
    d_out: Option<usize>,
    x: MatrixRef<'_>,
) -> (Chain, Vec<f32>) {
    let mut chain = Chain { steps: vec![Transform::new(kind, x.dim(), d_out).expect("a transform")] };
    let training =
        Training { context, workers: context.threads(), seed: SEED, words, control: &Control::default() };
    let mut between = Between::default();
    chain.train(x, &training, &mut between, chain.units()).expect("trained");
    let [out, _] = between;
    (chain, out)
}

fn apply(context: &Context, chain: &Chain, x: MatrixRef<'_>) -> Vec<f32> {
    let mut between = Between::default();
    let y = chain.apply(context, x, context.threads(), Cancel::default(), &mut between).expect("applied");
    y.data().to_vec()
}

/// The products of a matrix's rows (or columns, if there are more rows), less the identity.
fn from_orthonormal(matrix: &[f32], d_in: usize, d_out: usize) -> f64 {
    let at = |r: usize, c: usize| f64::from(matrix[r * d_in + c]);
    let mut worst = 0f64;
    let short = d_in.min(d_out);
    for a in 0..short {
        for b in 0..short {
            let dot: f64 = if d_out <= d_in {
                (0..d_in).map(|c| at(a, c) * at(b, c)).sum()
            } else {
                (0..d_out).map(|r| at(r, a) * at(r, b)).sum()
            };
            worst = worst.max((dot - f64::from(u8::from(a == b))).abs());
        }
    }
    worst
}

#[test]
fn multiply_every_shape_and_kernel_is_the_product_in_float64() {
    for kernel in crate::kernel::Kernels::available() {
        let context = context(2, Some(kernel.name));
        for (n, d_in, d_out) in [(1, 5, 3), (2, 300, 130), (13, 33, 16), (100, 64, 65), (250, 17, 48)] {
            let mut random = Random::new(9);
            #[expect(clippy::cast_possible_truncation, reason = "a test's data")]
            let mut normal = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<_>>();
            let (x, matrix, offset) = (normal(n * d_in), normal(d_in * d_out), normal(d_out));
            let linear = Linear::new(matrix.clone(), offset.clone(), d_in, d_out).expect("a matrix");
            let rows = MatrixRef::new("x", &x, n, d_in).expect("rows");
            let mut out = vec![f32::NAN; n * d_out];
            linear.apply(&context, rows, 2, &mut out).expect("applied");
            for (row, out) in out.chunks_exact(d_out).enumerate() {
                for (j, &got) in out.iter().enumerate() {
                    let terms = rows.row(row).iter().zip(&matrix[j * d_in..]);
                    let want: f64 = terms.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
                    let want = want + f64::from(offset[j]);
                    assert!((f64::from(got) - want).abs() < 2e-4, "{} {n} {d_in} {d_out}", kernel.name);
                }
            }
            // One row alone gives the same bits.
            let mut alone = vec![0.0; d_out];
            linear.apply(&context, rows.slice(n - 1, n), 1, &mut alone).expect("applied");
            assert_eq!(alone, out[(n - 1) * d_out..]);
        }
    }
}

#[test]
fn multiply_overflow_is_seen() {
    let context = context(1, None);
    let matrix: Vec<f32> = (0..20).flat_map(|_| [1e30, -1e30]).collect();
    let mut chain = Chain { steps: vec![Transform::new(Kind::Linear, 2, Some(20)).expect("a transform")] };
    chain.steps[0].map = Map::Linear(Linear::new(matrix, Vec::new(), 2, 20).expect("a matrix"));
    let x = [1.0, 1.0, 1e15, 1e15];
    let x = MatrixRef::new("x", &x, 2, 2).expect("rows");
    let mut between = Between::default();
    let result = chain.apply(&context, x, 1, Cancel::default(), &mut between).map(|_| ());
    assert!(matches!(result, Err(Error::NotFinite { row: 1, .. })), "{result:?}");
}

#[test]
fn chain_any_threads_and_batch_gives_the_same_bits() {
    let (n, dim) = (700, 20);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let (one, three) = (context(1, None), context(3, None));
    for (kind, d_out) in all_kinds() {
        let (chain, out) = trained(&one, kind, d_out, x);
        let (again, out_again) = trained(&three, kind, d_out, x);
        assert_eq!(out, out_again, "{kind:?}");
        assert_eq!(apply(&three, &again, x), out, "{kind:?}");
        let d_out = chain.steps[0].d_out;
        for row in [0, 1, 699] {
            assert_eq!(apply(&one, &chain, x.slice(row, row + 1)), out[row * d_out..][..d_out], "{kind:?}");
        }
    }
}

#[test]
fn reverse_undoes_what_loses_nothing() {
    let (n, dim) = (600, 20);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let context = context(2, None);
    for (kind, d_out) in all_kinds() {
        let (chain, out) = trained(&context, kind, d_out, x);
        let y = MatrixRef::new("y", &out, n, chain.steps[0].d_out).expect("rows");
        let mut back = vec![0.0; n * dim];
        chain.reverse(&context, y, 2, &mut back).expect("reversed");
        let lossless = y.dim() >= dim && !matches!(kind, Kind::Normalize | Kind::Itq);
        if lossless {
            let worst = back.iter().zip(&data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{kind:?} {worst}");
        }
        // There and back again changes nothing more, lengths apart.
        if kind != Kind::Itq {
            let back = MatrixRef::new("x", &back, n, dim).expect("rows");
            let again = apply(&context, &chain, back);
            let worst = again.iter().zip(&out).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{kind:?} {worst}");
        }
    }
}

fn random(d_in: usize, d_out: usize, seed: u64) -> Vec<f32> {
    rotation::random(d_in, d_out, seed, &Control::default()).expect("a rotation")
}

#[test]
fn rotation_is_orthonormal_and_hadamard_keeps_lengths_and_products() {
    for (d_in, d_out) in [(1, 1), (20, 20), (20, 7), (7, 20), (130, 64)] {
        assert!(from_orthonormal(&random(d_in, d_out, SEED), d_in, d_out) < 1e-6);
    }
    assert_ne!(random(5, 5, 1), random(5, 5, 2));
    let context = context(1, None);
    for dim in [1, 2, 8, 20, 100] {
        let data = rows(10, dim);
        let x = MatrixRef::new("x", &data, 10, dim).expect("rows");
        let (chain, out) = trained(&context, Kind::Hadamard, None, x);
        let d_out = chain.steps[0].d_out;
        assert_eq!(d_out, dim.next_power_of_two());
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        for (a, ya) in data.chunks_exact(dim).zip(out.chunks_exact(d_out)) {
            for (b, yb) in data.chunks_exact(dim).zip(out.chunks_exact(d_out)) {
                let scale = (dot(a, a) * dot(b, b)).sqrt();
                assert!((dot(a, b) - dot(ya, yb)).abs() < 1e-5 * scale, "{dim}");
            }
        }
    }
}

#[test]
fn hadamard_seed_12345_has_the_signs_of_faiss() {
    let expected = [-1i8, 1, 1, -1, 1, -1, -1, -1, 1, 1, 1, -1, -1, 1, -1, -1, -1, -1, -1, 1, 1, -1, 1, 1];
    assert_eq!(Hadamard::new(8, 12345).signs, expected.map(f32::from));
}

#[test]
fn hadamard_transform_is_the_matrix_of_signs() {
    for n in [1usize, 2, 16, 64] {
        let values: Vec<f32> = rows(1, n);
        let mut fast = values.clone();
        hadamard::transform(&mut fast);
        for (row, &got) in fast.iter().enumerate() {
            let sign = |column: usize| if (row & column).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            let want: f64 = values.iter().enumerate().map(|(c, &v)| sign(c) * f64::from(v)).sum();
            assert!((f64::from(got) - want).abs() < 1e-4 * n as f64);
        }
    }
}

#[test]
fn pca_components_are_eigenvectors_of_the_covariance_in_order() {
    let (n, dim) = (900, 20);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let context = context(2, None);
    let (chain, out) = trained(&context, Kind::Pca { whiten: false, rotate: false }, Some(dim), x);
    let Map::Pca(pca) = &chain.steps[0].map else { panic!("a PCA") };
    assert!(from_orthonormal(&pca.components, dim, dim) < 1e-6);
    assert!(pca.eigenvalues.is_sorted_by(|a, b| a >= b));
    let mean = pca::mean_f64(x, &Control::default()).expect("a mean");
    let mut covariance = vec![0f64; dim * dim];
    for row in data.chunks_exact(dim) {
        for a in 0..dim {
            for b in 0..dim {
                covariance[a * dim + b] +=
                    (f64::from(row[a]) - mean[a]) * (f64::from(row[b]) - mean[b]) / n as f64;
            }
        }
    }
    for (component, &variance) in pca.components.chunks_exact(dim).zip(&pca.eigenvalues) {
        for a in 0..dim {
            let image: f64 = (0..dim).map(|b| covariance[a * dim + b] * f64::from(component[b])).sum();
            assert!((image - f64::from(variance * component[a])).abs() < 1e-5, "{image} {variance}");
        }
    }
    // What comes out is centred, uncorrelated, and has these variances.
    let y = MatrixRef::new("y", &out, n, dim).expect("rows");
    let mean = pca::mean(y, &Control::default()).expect("a mean");
    assert!(mean.iter().all(|mean| mean.abs() < 1e-5));
    for a in 0..dim {
        for b in 0..dim {
            let products = out.chunks_exact(dim).map(|row| f64::from(row[a]) * f64::from(row[b]));
            let want = if a == b { f64::from(pca.eigenvalues[a]) } else { 0.0 };
            assert!((products.sum::<f64>() / n as f64 - want).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn pca_whitened_has_variance_1_and_nothing_where_there_is_none() {
    let (n, dim) = (900, 20);
    let mut data = rows(n, dim);
    // The last column repeats the first: one variance is 0.
    data.chunks_exact_mut(dim).for_each(|row| row[dim - 1] = row[0]);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    for rotate in [false, true] {
        let (_, out) = trained(&context(1, None), Kind::Pca { whiten: true, rotate }, Some(dim), x);
        let variance = |d: usize| {
            out.chunks_exact(dim).map(|row| f64::from(row[d]) * f64::from(row[d])).sum::<f64>() / n as f64
        };
        let total: f64 = (0..dim).map(variance).sum();
        assert!((total - (dim - 1) as f64).abs() < 1e-2, "{total}");
        if !rotate {
            assert!((0..dim - 1).all(|d| (variance(d) - 1.0).abs() < 1e-2));
            assert!(variance(dim - 1) < 1e-6);
        }
    }
}

/// The mean squared error of codes of so many words for each of `m` parts.
fn error_of_codes(context: &Context, x: &[f32], dim: usize, m: usize, words: usize) -> f64 {
    let (n, part) = (x.len() / dim, dim / m);
    let of_part = |number: usize| {
        let own = x.chunks_exact(dim).flat_map(|row| &row[number * part..][..part]);
        let rows: Vec<f32> = own.copied().collect();
        let rows = MatrixRef::new("x", &rows, n, part).expect("rows");
        let options = crate::kmeans::KMeansOptions { seed: 77, ..Default::default() };
        crate::kmeans::kmeans(context, rows, words, &options, &Control::default()).expect("found").objective
    };
    (0..m).map(of_part).sum()
}

#[test]
fn opq_is_orthonormal_and_codes_lose_less_than_without() {
    let (n, dim, m) = (3000, 16, 4);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let context = context(2, None);
    for words in [16, 256] {
        let (chain, out) = trained_for(words, &context, Kind::Opq { m }, None, x);
        let Map::Linear(linear) = &chain.steps[0].map else { panic!("a matrix") };
        assert!(from_orthonormal(linear.matrix(), dim, dim) < 1e-5);
        let error = |rows: &[f32]| error_of_codes(&context, rows, dim, m, words);
        let (before, after) = (error(&data), error(&out));
        assert!(after < before * 0.8, "{words}: {after} {before}");
        let (random, turned) = trained(&context, Kind::Rotation, None, x);
        assert!(random.is_trained());
        let by_chance = error(&turned);
        assert!(after < by_chance * 0.8, "{words}: {after} {by_chance}");
    }
}

#[test]
fn opq_columns_that_are_best_as_they_are_stay() {
    // Pairs of columns that a grid of 16 points explains, all with the same variances: any rotation loses.
    let (n, dim, m) = (2000, 8, 4);
    let data: Vec<f32> =
        rows(n, dim).iter().map(|value| (value * 1e4).rem_euclid(4.0).floor() - 1.5).collect();
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let context = context(2, None);
    let (_, out) = trained_for(16, &context, Kind::Opq { m }, None, x);
    let (before, after) =
        (error_of_codes(&context, &data, dim, m, 16), error_of_codes(&context, &out, dim, m, 16));
    assert!(after <= before + 1e-3, "{after} {before}");
}

#[test]
fn opq_trains_the_same_on_any_number_of_threads() {
    let (n, dim) = (1200, 12);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let found =
        |threads: usize, m: usize| trained_for(16, &context(threads, None), Kind::Opq { m }, Some(12), x).1;
    // Parts for each worker, and one part for all of them.
    for m in [4, 1] {
        assert_eq!(found(1, m), found(3, m), "{m}");
    }
}

#[test]
fn opq_rows_in_a_plane_are_no_trouble() {
    let (n, dim) = (400, 12);
    let mut data = vec![0f32; n * dim];
    for (row, value) in data.chunks_exact_mut(dim).zip(rows(n, 2).chunks_exact(2)) {
        row[..2].copy_from_slice(value);
    }
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let (chain, _) = trained(&context(1, None), Kind::Opq { m: 3 }, None, x);
    let Map::Linear(linear) = &chain.steps[0].map else { panic!("a matrix") };
    assert!(from_orthonormal(linear.matrix(), dim, dim) < 1e-5);
}

#[test]
fn itq_rotates_components_towards_their_signs() {
    let (n, dim, d_out) = (900, 20, 8);
    let data = rows(n, dim);
    let x = MatrixRef::new("x", &data, n, dim).expect("rows");
    let (chain, out) = trained(&context(1, None), Kind::Itq, Some(d_out), x);
    let Map::Itq(itq) = &chain.steps[0].map else { panic!("an ITQ") };
    assert!(from_orthonormal(itq.linear.matrix(), dim, d_out) < 1e-5);
    // The mean magnitude of a value, that is the product with the nearest signs, grows by the rotation.
    let sum = |rows: &[f32]| rows.iter().map(|v| f64::from(v.abs())).sum::<f64>();
    let centred: Vec<f32> = {
        let mut rows: Vec<f32> =
            data.chunks_exact(dim).flat_map(|row| row.iter().zip(&itq.mean).map(|(v, m)| v - m)).collect();
        normalize_rows(&mut rows, dim);
        rows
    };
    let rows = MatrixRef::new("x", &centred, n, dim).expect("rows");
    let (_, plain) =
        trained(&context(1, None), Kind::Pca { whiten: false, rotate: false }, Some(d_out), rows);
    assert!(sum(&out) > sum(&plain) * 1.02, "{} {}", sum(&out), sum(&plain));
}

#[test]
fn transform_impossible_shapes_are_refused() {
    for (kind, d_in, d_out) in [
        (Kind::Pca { whiten: false, rotate: false }, 8, Some(9)),
        (Kind::Opq { m: 3 }, 8, None),
        (Kind::Opq { m: 3 }, 8, Some(8)),
        (Kind::Hadamard, 8, Some(4)),
        (Kind::Itq, 8, Some(9)),
    ] {
        assert!(matches!(Transform::new(kind, d_in, d_out), Err(Error::Argument(_))), "{kind:?}");
    }
    let few = rows(3, 8);
    let x = MatrixRef::new("x", &few, 3, 8).expect("rows");
    let context = context(1, None);
    let training =
        Training { context: &context, workers: 1, seed: SEED, words: 256, control: &Control::default() };
    for kind in [Kind::Pca { whiten: false, rotate: false }, Kind::Opq { m: 2 }, Kind::Linear] {
        let mut chain = Chain { steps: vec![Transform::new(kind, 8, None).expect("a transform")] };
        assert!(chain.train(x, &training, &mut Between::default(), 1).is_err(), "{kind:?}");
        assert!(!chain.is_trained());
    }
}
