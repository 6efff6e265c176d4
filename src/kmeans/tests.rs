//! Looking at near centroids only, against float64.

use super::centroids::Centroids;
use super::means::Groups;
use super::near::{NEAR, Neighbourhoods};
use super::task::Task;
use super::{KMeansOptions, Purpose, cluster, improve};
use crate::backend::{Kept, Rows, RowsSlot};
use crate::context::{Context, ContextOptions};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;
use crate::random::Random;

const DIM: usize = 19;

/// Rows of numbers in -0.5..0.5.
fn numbers(random: &mut Random, rows: usize) -> Vec<f32> {
    (0..rows * DIM).map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32 - 0.5).collect()
}

/// The key in float64.
fn key(spherical: bool, a: &[f32], b: &[f32]) -> f64 {
    let terms = a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    terms.map(|(a, b)| if spherical { -a * b } else { (a - b) * (a - b) }).sum()
}

/// The labels and keys that a look at near centroids gives, from some labels that are not right.
fn look(x: &[f32], rows: &[f32], spherical: bool, threads: usize, was: &[u32]) -> (Vec<u32>, Vec<f32>) {
    let context = Context::new(&ContextOptions { threads, ..Default::default() }).expect("a context");
    let x = MatrixRef::new("x", x, was.len(), DIM).expect("a matrix").into();
    let (options, control) = (KMeansOptions { spherical, ..Default::default() }, Control::default());
    let k = rows.len() / DIM;
    let task = Task::new(&context, x, k, &options, Purpose::Lists, &control);
    let metric = if spherical { Metric::InnerProduct } else { Metric::L2 };
    let mut centroids = Centroids::new(k, DIM, metric).expect("memory");
    centroids.rows.copy_from_slice(rows);
    centroids.pack(&context);
    let mut groups = Groups::default();
    groups.make(&context, threads, was, k).expect("groups");
    let (mut labels, mut keys) = (was.to_vec(), vec![0.0; was.len()]);
    let mut near = Neighbourhoods::default();
    let rows = Rows { x, numbers: None };
    let kept = Kept { slot: &RowsSlot::default(), all: rows, places: None };
    near.assign(&task, rows, kept, &groups, &centroids, &mut labels, &mut keys).expect("labels");
    (labels, keys)
}

#[test]
fn groups_are_the_points_of_each_label_in_order_for_any_number_of_workers() {
    let context = Context::new(&ContextOptions { threads: 4, ..Default::default() }).expect("a context");
    let mut random = Random::new(9);
    // More labels than points a worker, and fewer labels than workers; some labels have no points.
    for (n, k) in [(0, 3), (7, 100), (100_000, 300), (100_000, 2), (70_000, 50_000)] {
        let label = |_| u32::try_from(random.below(k) / 2).expect("a label");
        let labels: Vec<u32> = (0..n).map(label).collect();
        for workers in [1, 2, 3, 4] {
            let mut groups = Groups::default();
            groups.make(&context, workers, &labels, k).expect("groups");
            assert_eq!(groups.starts().len(), k + 1);
            let mut points: Vec<u32> = (0u32..).take(n).collect();
            points.sort_by_key(|&point| labels[point as usize]);
            assert_eq!(groups.all(), points);
            assert!(
                (0..k).all(|label| groups.of(label).iter().all(|&p| labels[p as usize] as usize == label))
            );
        }
    }
}

#[test]
fn near_finds_the_nearest_of_the_near() {
    for spherical in [false, true] {
        let mut random = Random::new(7);
        let (n, k) = (5000, 150);
        let (x, mut rows) = (numbers(&mut random, n), numbers(&mut random, k));
        if spherical {
            rows.chunks_exact_mut(DIM).for_each(super::means::normalize);
        }
        // One centroid has more points than a panel, one has none.
        let label = |point: u32| if point < 700 { 3 } else { 5 + point * 7 % 145 };
        let was: Vec<u32> = (0u32..).take(n).map(label).collect();
        let (labels, keys) = look(&x, &rows, spherical, 2, &was);
        for point in 0..n {
            let x = &x[point * DIM..][..DIM];
            let row = |centroid: usize| &rows[centroid * DIM..][..DIM];
            let mut order: Vec<usize> = (0..k).collect();
            let from = row(was[point] as usize);
            order.sort_by(|&a, &b| key(spherical, from, row(a)).total_cmp(&key(spherical, from, row(b))));
            let best = order[..NEAR].iter().map(|&near| key(spherical, x, row(near)));
            let best = best.fold(f64::INFINITY, f64::min);
            let got = key(spherical, x, row(labels[point] as usize));
            assert!((got - best).abs() < 1e-5, "point {point}: {got}, the best is {best}");
            assert!((f64::from(keys[point]) - best).abs() < 1e-5, "point {point}: key {}", keys[point]);
        }
        assert_eq!(look(&x, &rows, spherical, 1, &was), (labels, keys), "another number of threads");
    }
}

#[test]
fn near_is_trusted_while_it_overlooks_little() {
    let mut random = Random::new(8);
    let rows = numbers(&mut random, 200);
    let x: Vec<f32> = rows.iter().cycle().take(1000 * DIM).copied().collect();
    let context = Context::new(&ContextOptions::default()).expect("a context");
    let x = MatrixRef::new("x", &x, 1000, DIM).expect("a matrix").into();
    let (options, control) = (KMeansOptions::default(), Control::default());
    let task = Task::new(&context, x, 200, &options, Purpose::Lists, &control);
    let mut centroids = Centroids::new(200, DIM, Metric::L2).expect("memory");
    centroids.rows.copy_from_slice(&rows);
    centroids.pack(&context);
    let right: Vec<u32> = (0..1000).map(|point| point % 200).collect();
    let (mut labels, mut keys, mut groups) = (right.clone(), vec![0.0; 1000], Groups::default());
    groups.make(&context, 1, &labels, 200).expect("groups");
    let mut near = Neighbourhoods::default();
    let mut look = |near: &mut Neighbourhoods| {
        let rows = Rows { x, numbers: None };
        let kept = Kept { slot: &RowsSlot::default(), all: rows, places: None };
        near.assign(&task, rows, kept, &groups, &centroids, &mut labels, &mut keys).expect("labels");
        assert_eq!(labels, right, "every point is a centroid");
    };
    near.judge(&[], &right, true);
    look(&mut near);
    assert!(!near.are_due(), "not trusted yet: the next pass is over all");
    near.judge(&right, &right, false);
    look(&mut near);
    assert!(near.are_due(), "nothing was overlooked");
    // Every point went to the centroid with the next number, which is near for some at most.
    let others: Vec<u32> = right.iter().map(|label| (label + 1) % 200).collect();
    near.judge(&right, &others, false);
    look(&mut near);
    assert!(!near.are_due(), "most was overlooked");
}

#[test]
fn words_of_a_part_are_the_means_of_the_rows_nearest_to_them_on_any_number_of_threads() {
    const FEW: usize = 4;
    let mut random = Random::new(5);
    let x: Vec<f32> = (0..9001 * FEW).map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32).collect();
    let found = |x: &[f32], threads: usize, purpose: Purpose| {
        let context = Context::new(&ContextOptions { threads, ..Default::default() }).expect("a context");
        let options = KMeansOptions { max_points_per_centroid: usize::MAX, ..Default::default() };
        let x = MatrixRef::new("x", x, x.len() / FEW, FEW).expect("a matrix");
        cluster(&context, x.into(), 16, &options, purpose, &Control::default()).expect("centroids")
    };
    let (one, other) = (found(&x, 1, Purpose::Words), found(&x, 3, Purpose::Words));
    assert_eq!(one.centroids, other.centroids);
    let tiles = found(&x, 1, Purpose::Caller);
    assert!(one.objective < 1.02 * tiles.objective, "{} {}", one.objective, tiles.objective);
    let mean = |centroids: &[f32]| {
        let nearest = |row: &[f32]| {
            centroids
                .chunks_exact(FEW)
                .map(|centroid| key(false, row, centroid))
                .fold(f64::INFINITY, f64::min)
        };
        x.chunks_exact(FEW).map(nearest).sum::<f64>() / 9001.0
    };
    let got = mean(&one.centroids);
    // The last step moved them.
    assert!(got <= one.objective && got > 0.99 * one.objective, "{got} {}", one.objective);
    // Seventeen places, one of which has nearly all rows: no centroid is left without.
    let heaps: Vec<f32> =
        (0..2000).flat_map(|i| [if i < 1900 { 0.0 } else { (i % 17) as f32 }; FEW]).collect();
    let few = found(&heaps, 2, Purpose::Words);
    assert!(few.objective < 1.0, "{}", few.objective);
}

#[test]
fn improve_assigns_rows_and_moves_words_to_the_means_of_theirs() {
    let (n, dim) = (5000, 3);
    let mut random = Random::new(8);
    let x: Vec<f32> = (0..n * dim).map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32).collect();
    let context = Context::new(&ContextOptions { threads: 2, ..Default::default() }).expect("a context");
    let rows = MatrixRef::new("x", &x, n, dim).expect("a matrix");
    // So many are found by rows side by side, and so many by tiles.
    for k in [16, 300] {
        let before = x[..k * dim].to_vec();
        let mut words = before.clone();
        let (labels, error) =
            improve(&context, rows.into(), &mut words, 2, &Control::default()).expect("improved");
        let distance = |row: &[f32], word: usize| key(false, row, &before[word * dim..(word + 1) * dim]);
        let mut sum = 0.0;
        let (mut means, mut counts) = (vec![0f64; k * dim], vec![0; k]);
        for (row, &label) in x.chunks_exact(dim).zip(&labels) {
            let label = label as usize;
            let least = (0..k).map(|word| distance(row, word)).fold(f64::INFINITY, f64::min);
            assert!(distance(row, label) <= least + 1e-5);
            sum += least;
            counts[label] += 1;
            let mean = &mut means[label * dim..(label + 1) * dim];
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        assert!((error - sum / n as f64).abs() < 1e-4, "{k}: {error} {}", sum / n as f64);
        for (at, (&word, mean)) in words.iter().zip(&means).enumerate() {
            assert!((f64::from(word) - mean / f64::from(counts[at / dim])).abs() < 1e-4, "{k}: {at}");
        }
    }
}
