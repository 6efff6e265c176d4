//! k-means: what it finds, that it finds the same each time, and what it refuses.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small numbers; what fails is a failed test"
)]

mod common;
mod kmeans_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use common::{context, numbers};
use ivf::{
    Context, Control, Error, KMeans, KMeansOptions, MatrixRef, Report, Seeding, kmeans, kmeans_assign,
};
use kmeans_support::{blobs, objective};

const SEEDINGS: [Seeding; 4] = [Seeding::Default, Seeding::Random, Seeding::PlusPlus, Seeding::Hierarchical];

fn run(context: &Arc<Context>, x: &[f32], dim: usize, k: usize, options: &KMeansOptions) -> KMeans {
    let x = MatrixRef::new("x", x, x.len() / dim, dim).unwrap();
    kmeans(context, x, k, options, &Control::default()).unwrap()
}

/// Options of every kind of run.
fn kinds() -> Vec<(String, KMeansOptions)> {
    let mut kinds = Vec::new();
    for seeding in SEEDINGS {
        for spherical in [false, true] {
            for mini_batch in [0, 100] {
                let options =
                    KMeansOptions { seeding, spherical, mini_batch, restarts: 2, ..Default::default() };
                kinds.push((format!("{seeding:?}, spherical {spherical}, batch {mini_batch}"), options));
            }
        }
    }
    kinds
}

#[test]
fn kmeans_any_number_of_threads_same_bits() {
    let (dim, k) = (19, 50);
    let x = numbers(3, 6000 * dim);
    for (kind, options) in kinds() {
        let options = KMeansOptions { max_points_per_centroid: 100, iterations: 8, ..options };
        let one = run(&context(1, None), &x, dim, k, &options);
        for threads in [2, 3, 7] {
            let many = run(&context(threads, None), &x, dim, k, &options);
            assert_eq!(one.centroids, many.centroids, "{kind}, {threads} threads");
            assert_eq!(one.objective.to_bits(), many.objective.to_bits(), "{kind}, {threads} threads");
        }
    }
}

#[test]
fn kmeans_other_seed_other_centroids() {
    let x = numbers(4, 2000 * 8);
    let context = context(2, None);
    let found = |seed| run(&context, &x, 8, 20, &KMeansOptions { seed, ..Default::default() }).centroids;
    assert_eq!(found(0), found(1234));
    assert_ne!(found(0), found(7));
}

#[test]
fn kmeans_every_kernel_agrees_up_to_rounding() {
    let (dim, k) = (21, 12);
    let (x, _) = blobs(dim, k, 100, 0.5);
    for (kind, options) in kinds() {
        let best = run(&context(2, None), &x, dim, k, &options);
        for kernel in common::kernels() {
            let found = run(&context(2, Some(kernel)), &x, dim, k, &options);
            let far = best.centroids.iter().zip(&found.centroids).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f32::max) < 1e-3, "{kind}, {kernel}");
        }
    }
}

#[test]
fn kmeans_blobs_with_plus_plus_finds_their_centres() {
    let (dim, k) = (10, 16);
    let (x, centres) = blobs(dim, k, 200, 0.01);
    let options = KMeansOptions { seeding: Seeding::PlusPlus, ..Default::default() };
    let found = run(&context(2, None), &x, dim, k, &options);
    // Each centre has a centroid, and the mean distance is what the blobs' own spread makes.
    for centre in centres.chunks_exact(dim) {
        let nearest = found.centroids.chunks_exact(dim).map(|c| distance(c, centre)).fold(f64::MAX, f64::min);
        assert!(nearest < 1e-3, "{nearest}");
    }
    assert!(found.objective < 1e-3, "{}", found.objective);
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn kmeans_plus_plus_starts_better_than_random() {
    // A few far blobs and one heavy one: random points are nearly all of the heavy one.
    let dim = 6;
    let (mut x, _) = blobs(dim, 30, 10, 0.1);
    x.extend(numbers(5, 20_000 * dim).iter().map(|v| v * 0.1));
    let context = context(2, None);
    let mean = |seeding| {
        let run = |seed| {
            let options = KMeansOptions { seeding, seed, iterations: 1, ..Default::default() };
            objective(&x, dim, &run(&context, &x, dim, 60, &options).centroids)
        };
        (1..=5).map(run).sum::<f64>()
    };
    let (random, plus_plus) = (mean(Seeding::Random), mean(Seeding::PlusPlus));
    assert!(plus_plus < 0.8 * random, "{plus_plus} {random}");
}

#[test]
fn kmeans_converged_every_centroid_is_the_mean_of_its_points() {
    let (dim, k) = (7, 9);
    let (x, _) = blobs(dim, k, 150, 1.0);
    let options = KMeansOptions { iterations: 100, ..Default::default() };
    let found = run(&context(2, None), &x, dim, k, &options);
    let labels = kmeans_support::labels(&x, dim, &found.centroids);
    for c in 0..k {
        let own: Vec<&[f32]> =
            x.chunks_exact(dim).zip(&labels).filter(|(_, l)| **l == c).map(|(row, _)| row).collect();
        assert!(!own.is_empty());
        for d in 0..dim {
            let mean = own.iter().map(|row| f64::from(row[d])).sum::<f64>() / own.len() as f64;
            assert!((mean - f64::from(found.centroids[c * dim + d])).abs() < 1e-5, "{c} {d}");
        }
    }
}

#[test]
fn kmeans_as_many_centroids_as_points_is_exact() {
    let x = numbers(6, 40 * 5);
    for seeding in SEEDINGS {
        let found = run(&context(2, None), &x, 5, 40, &KMeansOptions { seeding, ..Default::default() });
        assert!(objective(&x, 5, &found.centroids) < 1e-9, "{seeding:?}");
        assert!(found.objective < 1e-6);
    }
}

#[test]
fn kmeans_one_centroid_is_the_mean() {
    let x = numbers(7, 1000 * 3);
    let options = KMeansOptions { max_points_per_centroid: usize::MAX, ..Default::default() };
    let found = run(&context(2, None), &x, 3, 1, &options);
    for d in 0..3 {
        let mean = x.iter().skip(d).step_by(3).map(|&v| f64::from(v)).sum::<f64>() / 1000.0;
        assert!((mean - f64::from(found.centroids[d])).abs() < 1e-6);
    }
}

#[test]
fn kmeans_equal_points_end_finite() {
    for (kind, options) in kinds() {
        for value in [0.0, 3.0] {
            let found = run(&context(2, None), &[value; 100 * 4], 4, 10, &options);
            assert!(found.centroids.iter().all(|c| c.is_finite()), "{kind}");
            assert!(options.spherical || found.objective < 1e-3, "{kind}: {}", found.objective);
        }
    }
}

#[test]
fn kmeans_centroids_that_start_empty_get_points() {
    // 990 copies of one point and 90 others: random seeding puts nearly all centroids on the copies.
    let dim = 4;
    let mut x = vec![0.5; 990 * dim];
    x.extend(numbers(8, 90 * dim));
    let options = KMeansOptions { seeding: Seeding::Random, iterations: 60, ..Default::default() };
    let found = run(&context(2, None), &x, dim, 30, &options);
    let labels = kmeans_support::labels(&x, dim, &found.centroids);
    let used: std::collections::HashSet<_> = labels.iter().collect();
    assert!(used.len() >= 28, "{} of 30 centroids have points", used.len());
}

#[test]
fn kmeans_spherical_centroids_have_length_1() {
    let (x, _) = blobs(12, 8, 100, 0.5);
    for (kind, options) in kinds().into_iter().filter(|(_, options)| options.spherical) {
        let found = run(&context(2, None), &x, 12, 8, &options);
        for centroid in found.centroids.chunks_exact(12) {
            let length = centroid.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            assert!((length - 1.0).abs() < 1e-6, "{kind}: {length}");
        }
    }
}

#[test]
fn kmeans_restarts_keep_the_best() {
    let (x, _) = blobs(5, 20, 40, 0.3);
    let context = context(2, None);
    for spherical in [false, true] {
        let options = KMeansOptions { seeding: Seeding::Random, spherical, ..Default::default() };
        let single = |seed| {
            let options = KMeansOptions { seed, ..options.clone() };
            run(&context, &x, 5, 20, &options).objective
        };
        let alone: Vec<f64> = (1234..1239).map(single).collect();
        let best = alone.iter().copied().fold(alone[0], if spherical { f64::max } else { f64::min });
        let found = run(&context, &x, 5, 20, &KMeansOptions { restarts: 5, ..options });
        assert_eq!(found.objective, best);
        assert!(alone.iter().any(|&one| one != best));
    }
}

#[test]
fn kmeans_sampling_looks_at_no_more_points_than_asked() {
    // One of 3000 points lies far away; 20 points a centroid rarely meet it, all points always do.
    let dim = 3;
    let mut x = numbers(9, 3000 * dim);
    x[1500 * dim] = 1e6;
    let context = context(2, None);
    let meets = |max_points_per_centroid| {
        let options = KMeansOptions {
            max_points_per_centroid,
            seeding: Seeding::PlusPlus,
            iterations: 30,
            ..Default::default()
        };
        run(&context, &x, dim, 5, &options).centroids.iter().any(|&c| c > 100.0)
    };
    assert!(!meets(20));
    for all in [u32::MAX as usize, usize::MAX, 600] {
        assert!(meets(all), "{all}");
    }
}

#[test]
fn kmeans_mini_batch_comes_near_to_full() {
    let (dim, k) = (8, 100);
    let (x, _) = blobs(dim, 300, 40, 0.5);
    let context = context(2, None);
    let full = run(&context, &x, dim, k, &KMeansOptions::default());
    let options = KMeansOptions { mini_batch: 1000, ..Default::default() };
    let mini = run(&context, &x, dim, k, &options);
    let (full, mini) = (objective(&x, dim, &full.centroids), objective(&x, dim, &mini.centroids));
    assert!(mini < 1.1 * full, "{mini} {full}");
}

#[test]
fn kmeans_mini_batch_smaller_than_centroids_works() {
    let x = numbers(10, 3000 * 4);
    let options = KMeansOptions { mini_batch: 7, iterations: 500, ..Default::default() };
    let found = run(&context(2, None), &x, 4, 200, &options);
    let labels = kmeans_support::labels(&x, 4, &found.centroids);
    let used: std::collections::HashSet<_> = labels.iter().collect();
    assert!(used.len() > 190, "{}", used.len());
}

#[test]
fn kmeans_bad_input_is_refused() {
    let context = context(2, None);
    let mut x = numbers(11, 10_000 * 3);
    let refused = |x: &[f32], k| {
        let x = MatrixRef::new("x", x, x.len() / 3, 3).unwrap();
        kmeans(&context, x, k, &KMeansOptions::default(), &Control::default()).unwrap_err()
    };
    assert!(matches!(refused(&x, 0), Error::Argument(_)));
    assert!(matches!(refused(&x[..30], 11), Error::TooFewPoints { expected: 11, got: 10 }));
    assert!(matches!(refused(&[], 1), Error::TooFewPoints { expected: 1, got: 0 }));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        x[9000 * 3 + 1] = bad;
        x[5001 * 3 + 2] = bad;
        match refused(&x, 5) {
            Error::NotFinite { what, row } => assert_eq!((what, row), ("training rows", 5001)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn kmeans_progress_tells_every_iteration() {
    let context = context(2, None);
    let data = numbers(12, 5000 * 6);
    let x = MatrixRef::new("x", &data, 5000, 6).unwrap();
    for mini_batch in [0, 200] {
        let mut reports: Vec<Report> = Vec::new();
        let mut callback = |report: &Report| {
            reports.push(*report);
            true
        };
        let options = KMeansOptions { iterations: 7, restarts: 2, mini_batch, ..Default::default() };
        kmeans(&context, x, 40, &options, &Control::new(Some(&mut callback), None)).unwrap();
        assert!(reports.iter().all(|r| r.stage == "kmeans" && r.total == 14 && r.value > 0.0));
        assert_eq!(reports.iter().map(|r| r.done).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
        assert!(reports[6].value < reports[0].value);
    }
}

#[test]
fn kmeans_callback_says_stop_is_cancelled_after_one_report() {
    let context = context(2, None);
    let data = numbers(13, 5000 * 6);
    let x = MatrixRef::new("x", &data, 5000, 6).unwrap();
    for mini_batch in [0, 200] {
        let mut calls = 0;
        let mut callback = |_: &Report| {
            calls += 1;
            false
        };
        let options = KMeansOptions { mini_batch, ..Default::default() };
        let found = kmeans(&context, x, 40, &options, &Control::new(Some(&mut callback), None));
        assert!(matches!(found, Err(Error::Cancelled)));
        assert_eq!(calls, 1);
    }
}

#[test]
fn kmeans_flag_set_ends_within_50_ms() {
    let (n, dim) = (40_000, 64);
    let data = numbers(14, n * dim);
    let x = MatrixRef::new("x", &data, n, dim).unwrap();
    let context = context(2, None);
    for (kind, options) in kinds() {
        let options = KMeansOptions { iterations: 100_000, ..options };
        // The best of a few: other programs may take the CPU away.
        let late = (0..5).map(|_| {
            let flag = AtomicI32::new(0);
            std::thread::scope(|scope| {
                let setter = scope.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(60));
                    flag.store(1, Ordering::Relaxed);
                    std::time::Instant::now()
                });
                let result = kmeans(&context, x, 2000, &options, &Control::new(None, Some(&flag)));
                let end = std::time::Instant::now();
                assert!(matches!(result, Err(Error::Cancelled)), "{kind}");
                end.duration_since(setter.join().unwrap()).as_secs_f64()
            })
        });
        let late = late.fold(f64::MAX, |best, late| if best < 0.05 { best } else { late });
        assert!(late < 0.05, "{kind}: {late} s");
    }
}

#[test]
fn assign_agrees_with_float64() {
    for (n, k, dim) in [(1, 1, 1), (97, 33, 5), (500, 1000, 16), (300, 50, 600), (200, 3000, 80)] {
        let (data, centroids) = (numbers(15, n * dim), numbers(16, k * dim));
        let x = MatrixRef::new("x", &data, n, dim).unwrap();
        let c = MatrixRef::new("centroids", &centroids, k, dim).unwrap();
        for spherical in [false, true] {
            let (mut labels, mut distances) = (vec![9; n], vec![0.0; n]);
            let control = Control::default();
            let context = context(2, None);
            kmeans_assign(&context, x, c, spherical, 0, &mut labels, &mut distances, &control).unwrap();
            for i in 0..n {
                let value = |c: usize| {
                    let pairs = x.row(i).iter().zip(&centroids[c * dim..][..dim]);
                    let pairs = pairs.map(|(&a, &b)| (f64::from(a), f64::from(b)));
                    if spherical {
                        -pairs.map(|(a, b)| a * b).sum::<f64>()
                    } else {
                        pairs.map(|(a, b)| (a - b).powi(2)).sum()
                    }
                };
                let best = (0..k).map(value).fold(f64::MAX, f64::min);
                let tolerance = 1e-5 * dim as f64;
                assert!(value(labels[i] as usize) <= best + tolerance, "{n} {k} {dim} {spherical}");
                let told = f64::from(distances[i]) * if spherical { -1.0 } else { 1.0 };
                assert!((told - best).abs() < tolerance, "{told} {best}");
            }
        }
    }
}

#[test]
fn assign_bad_shapes_are_refused() {
    let context = context(1, None);
    let data = [0.0; 12];
    let x = MatrixRef::new("x", &data, 4, 3).unwrap();
    let call = |c: MatrixRef<'_>, labels: usize, distances: usize| {
        let (mut labels, mut distances) = (vec![0; labels], vec![0.0; distances]);
        kmeans_assign(&context, x, c, false, 0, &mut labels, &mut distances, &Control::default())
    };
    let good = MatrixRef::new("c", &data[..6], 2, 3).unwrap();
    assert!(call(good, 4, 4).is_ok());
    assert!(matches!(call(good, 3, 4), Err(Error::Length { expected: 4, got: 3, .. })));
    assert!(matches!(call(good, 4, 5), Err(Error::Length { expected: 4, got: 5, .. })));
    let narrow = MatrixRef::new("c", &data[..6], 3, 2).unwrap();
    assert!(matches!(call(narrow, 4, 4), Err(Error::Dimension { expected: 2, got: 3, .. })));
    let none = MatrixRef::new("c", &[], 0, 3).unwrap();
    assert!(matches!(call(none, 4, 4), Err(Error::Argument(_))));
}
