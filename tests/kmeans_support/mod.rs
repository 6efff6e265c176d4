//! Data with clusters, and what a set of centroids is worth, counted in float64.

#![allow(dead_code, reason = "each test binary uses a part")]

use crate::common::numbers;

/// `count` blobs of `each` points, of this spread around centres a few units apart: points, centres.
pub(crate) fn blobs(dim: usize, count: usize, each: usize, spread: f32) -> (Vec<f32>, Vec<f32>) {
    let centres: Vec<f32> = numbers(101, count * dim).iter().map(|v| v * 10.0).collect();
    let noise = numbers(102, count * each * dim);
    let point = |(i, noise): (usize, &[f32])| -> Vec<f32> {
        // Point by point through the blobs, so that any part of the data has all of them.
        let centre = &centres[i % count * dim..][..dim];
        centre.iter().zip(noise).map(|(c, n)| c + n * spread).collect()
    };
    (noise.chunks_exact(dim).enumerate().flat_map(point).collect(), centres)
}

fn nearest(row: &[f32], centroids: &[f32]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (c, centroid) in centroids.chunks_exact(row.len()).enumerate() {
        let distance = row.iter().zip(centroid).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        if distance < best.1 {
            best = (c, distance);
        }
    }
    best
}

/// The nearest centroid of every row.
pub(crate) fn labels(x: &[f32], dim: usize, centroids: &[f32]) -> Vec<usize> {
    x.chunks_exact(dim).map(|row| nearest(row, centroids).0).collect()
}

/// The mean squared distance of all rows to their nearest centroids.
pub(crate) fn objective(x: &[f32], dim: usize, centroids: &[f32]) -> f64 {
    let sum: f64 = x.chunks_exact(dim).map(|row| nearest(row, centroids).1).sum();
    sum / (x.len() / dim) as f64
}
