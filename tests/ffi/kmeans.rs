//! k-means through the C ABI.

use std::ptr::null;

use ivf::ffi::*;

use crate::support::{ok, rows, sized};

const DIM: u32 = 4;

/// Four clusters around the corners of a square, far apart.
fn clusters(n: usize) -> Vec<f32> {
    let mut x = rows(n, DIM);
    for (i, row) in x.chunks_exact_mut(DIM as usize).enumerate() {
        row[0] += if i % 2 == 0 { 0.0 } else { 100.0 };
        row[1] += if i / 2 % 2 == 0 { 0.0 } else { 100.0 };
    }
    x
}

fn run(x: &[f32], k: u32, options: ivf_kmeans_options) -> (Vec<f32>, Vec<i64>, f64) {
    let n = x.len() / DIM as usize;
    let (mut centroids, mut labels, mut objective) = (vec![0f32; (k * DIM) as usize], vec![-1; n], -1.0);
    let options = ivf_kmeans_options { labels: labels.as_mut_ptr(), objective: &mut objective, ..options };
    ok(unsafe { ivf_kmeans(null(), x.as_ptr(), n as u64, DIM, k, centroids.as_mut_ptr(), &options) });
    (centroids, labels, objective)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn kmeans_labels_and_objective_belong_to_the_centroids() {
    let x = clusters(1000);
    for mini_batch in [0, 100] {
        let options = ivf_kmeans_options { mini_batch, seeding: IVF_SEEDING_PLUS_PLUS, ..sized() };
        let (centroids, labels, objective) = run(&x, 4, options);
        let (points, centroids): (Vec<_>, Vec<_>) =
            (x.chunks_exact(4).collect(), centroids.chunks_exact(4).collect());
        let mut mean = 0.0;
        for (point, &label) in points.iter().zip(&labels) {
            let distances: Vec<f64> =
                centroids.iter().map(|centroid| squared_distance(point, centroid)).collect();
            let nearest = (0..4).min_by(|&a, &b| distances[a].total_cmp(&distances[b])).expect("four");
            assert_eq!(label, nearest as i64);
            mean += distances[nearest] / 1000.0;
        }
        assert!((objective - mean).abs() < 1e-4 * mean, "{objective} is not {mean}");
        // Points that share a corner share a label.
        assert!((4..1000).all(|i| labels[i] == labels[i % 4]), "mini_batch {mini_batch}");
    }
}

#[test]
fn kmeans_spherical_centroids_have_length_1_and_similarity() {
    let x = clusters(1000);
    let (centroids, labels, objective) = run(&x, 4, ivf_kmeans_options { spherical: 1, ..sized() });
    for centroid in centroids.chunks_exact(4) {
        assert!((squared_distance(centroid, &[0.0; 4]).sqrt() - 1.0).abs() < 1e-5, "{centroid:?}");
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut mean = 0.0;
    for (point, &label) in x.chunks_exact(4).zip(&labels) {
        let best = centroids.chunks_exact(4).map(|centroid| dot(point, centroid)).fold(f64::MIN, f64::max);
        let label = usize::try_from(label).expect("a label");
        assert!((dot(point, &centroids[label * 4..][..4]) - best).abs() < 1e-4 * best.abs());
        mean += best / 1000.0;
    }
    assert!((objective - mean).abs() < 1e-4 * mean, "{objective} is not {mean}");
}

#[test]
fn kmeans_same_seed_gives_the_same_on_any_number_of_threads() {
    let x = clusters(1000);
    let of = |threads, seed| run(&x, 16, ivf_kmeans_options { threads, seed, ..sized() });
    let (centroids, labels, objective) = of(1, 7);
    assert_eq!(of(2, 7), (centroids.clone(), labels, objective));
    assert_eq!(of(1, 0), of(0, 1234), "1234 is the default");
    assert_ne!(of(1, 8).0, centroids);
}

#[test]
fn kmeans_more_labels_than_a_piece_are_all_set() {
    let x = clusters(70_000);
    let options = ivf_kmeans_options { seeding: IVF_SEEDING_PLUS_PLUS, ..sized() };
    let (_, labels, objective) = run(&x, 4, options);
    assert!((4..70_000).all(|i| labels[i] == labels[i % 4]));
    assert!(objective > 0.1 && objective < 1.0, "{objective}");
}
