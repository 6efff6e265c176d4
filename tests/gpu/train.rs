//! Assignment and k-means on the GPU give what they give on the CPU, bit by bit, also when the device fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ivf::{
    Context, ContextOptions, Control, Error, Index, IndexOptions, KMeans, KMeansOptions, Metric, Report,
    RowsRef, Seeding, TrainOptions, kmeans, kmeans_assign,
};

use crate::support::{cpu, gpu, matrix, numbers};

/// Both contexts; `None` where there is no adapter.
fn contexts(options: ContextOptions) -> Option<(Arc<Context>, Arc<Context>)> {
    Some((cpu(), gpu(options)?))
}

fn calls(context: &Context) -> u64 {
    context.device_status().calls
}

/// The nearest of `centroids` to `rows`.
fn nearest<'x>(
    context: &Context,
    rows: impl Into<RowsRef<'x>>,
    centroids: &[f32],
    dim: usize,
    spherical: bool,
) -> (Vec<u32>, Vec<f32>) {
    let rows = rows.into();
    let (mut labels, mut distances) = (vec![7; rows.rows()], vec![7.0; rows.rows()]);
    let centroids = matrix(centroids, dim);
    let control = Control::default();
    kmeans_assign(context, rows, centroids, spherical, 0, &mut labels, &mut distances, &control)
        .expect("assigned");
    (labels, distances)
}

fn cluster(context: &Context, rows: &[f32], dim: usize, k: usize, options: &KMeansOptions) -> KMeans {
    kmeans(context, matrix(rows, dim), k, options, &Control::default()).expect("clustered")
}

#[test]
fn assign_every_shape_equals_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let mut before = calls(&gpu);
    for dim in [1, 3, 15, 16, 17, 50, 128, 784, 1536] {
        for k in [1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 257, 1000] {
            // A thousand centroids and a workgroup not full, few of them and many rows.
            let count = if k < 300 && dim < 300 { 1003 } else { 65 };
            let centroids = numbers(dim as u64 * 1000 + k as u64, k * dim);
            let rows = numbers(5, count * dim);
            for spherical in [false, true] {
                let want = nearest(&cpu, matrix(&rows, dim), &centroids, dim, spherical);
                let got = nearest(&gpu, matrix(&rows, dim), &centroids, dim, spherical);
                assert_eq!(want, got, "dim {dim}, {k} centroids, spherical {spherical}");
                assert_eq!(calls(&gpu), before + 1);
                before += 1;
            }
        }
    }
    assert_eq!(gpu.device_status().lost, None);
}

#[test]
fn assign_ties_and_hard_numbers_equal_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 6;
    let base = numbers(1, 40 * dim);
    let scaled = |factor: f32, shift: f32| base.iter().map(|v| v * factor + shift).collect::<Vec<f32>>();
    let whole: Vec<f32> = base.iter().map(|v| (v * 3.0).round()).collect();
    // Every centroid three times; far from the origin; tiny, huge and overflowing; zeros; rows that are centroids.
    let sets = [
        base.repeat(3),
        whole.repeat(2),
        scaled(1.0, 1e4),
        scaled(1e-3, 100.0),
        scaled(1e-20, 0.0),
        scaled(1e-38, 0.0),
        scaled(1e18, 0.0),
        scaled(4e18, 3e18),
        vec![0.0; 40 * dim],
    ];
    for (number, centroids) in sets.iter().enumerate() {
        let more: Vec<f32> =
            numbers(2, 50 * dim).iter().zip(centroids.iter().cycle()).map(|(a, b)| a * b).collect();
        let rows = [&centroids[..], &more, &numbers(3, 50 * dim)].concat();
        for spherical in [false, true] {
            let want = nearest(&cpu, matrix(&rows, dim), centroids, dim, spherical);
            let got = nearest(&gpu, matrix(&rows, dim), centroids, dim, spherical);
            assert_eq!(want.0, got.0, "set {number}, spherical {spherical}");
            let bits = |keys: &[f32]| keys.iter().map(|key| key.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&want.1), bits(&got.1), "set {number}, spherical {spherical}");
        }
    }
    assert_eq!(gpu.device_status().lost, None);
}

#[test]
fn assign_typed_rows_in_many_chunks_equals_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 24;
    let bytes: Vec<u8> = numbers(1, 9000 * dim).iter().map(|v| (v * 127.0 + 128.0) as u8).collect();
    let rows = RowsRef::new("rows", &bytes[..], 9000, dim).expect("rows");
    let centroids: Vec<f32> = numbers(2, 300 * dim).iter().map(|v| v * 127.0 + 128.0).collect();
    let want = nearest(&cpu, rows, &centroids, dim, false);
    assert_eq!(want, nearest(&gpu, rows, &centroids, dim, false));
    // A device with so little memory takes many turns.
    let (_, gpu) = contexts(ContextOptions { device_memory_bytes: 300_000, ..ContextOptions::default() })
        .expect("an adapter");
    assert_eq!(want, nearest(&gpu, rows, &centroids, dim, false));
    assert_eq!(calls(&gpu), 1);
    assert!(gpu.device_status().memory_bytes <= 300_000);
}

#[test]
fn kmeans_of_every_kind_equals_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    for dim in [2, 48] {
        let rows = numbers(dim as u64, 6000 * dim);
        let k = 40;
        let options = KMeansOptions { iterations: 6, ..KMeansOptions::default() };
        let kinds = [
            options.clone(),
            KMeansOptions { spherical: true, ..options.clone() },
            KMeansOptions { seeding: Seeding::PlusPlus, iterations: 3, ..options.clone() },
            KMeansOptions { max_points_per_centroid: 50, restarts: 2, ..options.clone() },
            KMeansOptions { mini_batch: 500, iterations: 20, ..options.clone() },
            KMeansOptions { mini_batch: 300, spherical: true, iterations: 20, ..options },
        ];
        for kind in &kinds {
            let before = calls(&gpu);
            let want = cluster(&cpu, &rows, dim, k, kind);
            let got = cluster(&gpu, &rows, dim, k, kind);
            assert_eq!(want.centroids, got.centroids, "{kind:?}");
            assert_eq!(want.objective.to_bits(), got.objective.to_bits(), "{kind:?}");
            // An assignment a step, and the sums.
            let steps = 2 * (kind.iterations * kind.restarts.max(1)) as u64;
            assert!(calls(&gpu) - before >= steps, "{kind:?}");
        }
    }
    let status = gpu.device_status();
    assert_eq!(status.lost, None);
    // The rows are gone with the call; what is left is the calls' own buffers.
    assert!(status.memory_bytes < 4 << 20, "{status:?}");
}

#[test]
fn kmeans_of_equal_points_equals_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 5;
    // Fewer different points than centroids: empty ones are split off at every step, and all distances tie.
    let rows = numbers(4, 20 * dim).repeat(30);
    let options = KMeansOptions { iterations: 4, ..KMeansOptions::default() };
    let want = cluster(&cpu, &rows, dim, 33, &options);
    assert_eq!(want.centroids, cluster(&gpu, &rows, dim, 33, &options).centroids);
}

#[test]
fn means_of_every_shape_equal_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    // Labels with few rows and with many, and more sums than are made at a time.
    for (dim, k, count) in [(1, 3, 2999), (3, 40, 1001), (50, 7, 4000), (128, 33, 700), (784, 400, 1500)] {
        let base = numbers(dim as u64, count * dim);
        // Sums that float64 rounds too: of magnitudes that lie far apart, and of numbers that GPUs take for zero.
        let spread = |(i, v): (usize, &f32)| v * f32::powi(2.0, (i * 37 % 83) as i32 - 60);
        let small = |(i, v): (usize, &f32)| if i % 5 == 0 { 0.0 } else { v * f32::from_bits(1 << (i % 26)) };
        let wide: Vec<f32> = base.iter().enumerate().map(spread).collect();
        let tiny: Vec<f32> = base.iter().enumerate().map(small).collect();
        for (name, rows) in [("plain", base), ("wide", wide), ("tiny", tiny)] {
            for spherical in [false, true] {
                let options = KMeansOptions { iterations: 2, spherical, ..KMeansOptions::default() };
                let before = calls(&gpu);
                let want = cluster(&cpu, &rows, dim, k, &options).centroids;
                let got = cluster(&gpu, &rows, dim, k, &options).centroids;
                let bits = |all: &[f32]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert!(bits(&want) == bits(&got), "{name}, dim {dim}, k {k}, spherical {spherical}");
                assert_eq!(calls(&gpu) - before, 4, "{name}, dim {dim}, k {k}, spherical {spherical}");
            }
        }
    }
    assert_eq!(gpu.device_status().lost, None);
}

/// The centroids of an index of so many lists, and its device's calls.
fn trained(
    context: &Arc<Context>,
    rows: &[f32],
    metric: Metric,
    dim: usize,
    seeding: Seeding,
) -> (Vec<f32>, u64) {
    let mut index =
        Index::new(context.clone(), dim, metric, "IVF130,Flat", &IndexOptions::default()).expect("an index");
    let kmeans = KMeansOptions { seeding, ..KMeansOptions::default() };
    let options = TrainOptions { kmeans, ..TrainOptions::default() };
    let before = calls(context);
    index.train(matrix(rows, dim), &options, &Control::default()).expect("trained");
    (index.centroids().expect("trained").to_vec(), calls(context) - before)
}

#[test]
fn looks_at_near_centroids_equal_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 18;
    let base = numbers(11, 9000 * dim);
    // Fewer different rows than centroids, so that there are ties everywhere.
    let equal = base[..90 * dim].repeat(100);
    // Fifteen steps have an assignment and sums each, and five of them look near: at centroids that are found first.
    // Where all that is overlooked are ties there are three more of these. And the last passes of a hierarchy are such.
    for (rows, metric, seeding, calls) in [
        (&base, Metric::L2, Seeding::Default, 35),
        (&base, Metric::InnerProduct, Seeding::Default, 35),
        (&base, Metric::Cosine, Seeding::Default, 35),
        (&base, Metric::L2, Seeding::Hierarchical, 235),
        (&equal, Metric::L2, Seeding::Default, 38),
    ] {
        let want = trained(&cpu, rows, metric, dim, seeding).0;
        let got = trained(&gpu, rows, metric, dim, seeding);
        assert_eq!(want, got.0, "{metric:?}, {seeding:?}");
        assert_eq!(calls, got.1, "{metric:?}, {seeding:?}");
    }
    assert_eq!(gpu.device_status().lost, None);
    // Without room for the rows, near centroids are the CPU's.
    let options = ContextOptions { device_memory_bytes: 600_000, ..ContextOptions::default() };
    let (cpu, gpu) = contexts(options).expect("an adapter");
    let want = trained(&cpu, &base, Metric::L2, dim, Seeding::Default).0;
    assert_eq!(want, trained(&gpu, &base, Metric::L2, dim, Seeding::Default).0);
    assert!(gpu.device_status().memory_bytes <= 600_000);
}

#[test]
fn train_and_add_equal_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 20;
    let rows = numbers(9, 8000 * dim);
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let make = |context: &Arc<Context>| {
            let options = IndexOptions::default();
            let mut index =
                Index::new(context.clone(), dim, metric, "IVF60,Flat", &options).expect("an index");
            index.train(matrix(&rows, dim), &TrainOptions::default(), &Control::default()).expect("trained");
            index.add(matrix(&rows, dim), None, 0, &Control::default()).expect("added");
            index
        };
        let before = calls(&gpu);
        let (want, got) = (make(&cpu), make(&gpu));
        assert_eq!(want.centroids().expect("trained"), got.centroids().expect("trained"), "{metric:?}");
        assert_eq!(want.list_sizes(), got.list_sizes());
        // Ten iterations' work, some of it on parts, and one assignment.
        assert!(calls(&gpu) - before > 10, "{}", calls(&gpu) - before);
    }
}

#[test]
fn kmeans_on_a_device_lost_in_the_middle_is_finished_on_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 32;
    let rows = numbers(3, 20_000 * dim);
    let options = KMeansOptions { iterations: 8, ..KMeansOptions::default() };
    let want = cluster(&cpu, &rows, dim, 100, &options);
    let mut lose = |report: &Report| {
        if (report.stage, report.done) == ("kmeans", 3) {
            gpu.lose_device();
        }
        true
    };
    let control = Control::new(Some(&mut lose), None);
    let got = kmeans(&gpu, matrix(&rows, dim), 100, &options, &control).expect("clustered");
    assert_eq!(want.centroids, got.centroids);
    assert!(gpu.device_status().lost.is_some());
    assert_eq!(calls(&gpu), 6);
}

#[test]
fn kmeans_while_the_device_is_lost_is_finished_on_the_cpu() {
    let Some((cpu, gpu)) = contexts(ContextOptions::default()) else { return };
    let dim = 32;
    let rows = numbers(3, 20_000 * dim);
    let options = KMeansOptions { iterations: 4, ..KMeansOptions::default() };
    let want = cluster(&cpu, &rows, dim, 100, &options);
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = scope.spawn(|| cluster(&gpu, &rows, dim, 100, &options));
        while calls(&gpu) == 0 && !work.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        begun.store(calls(&gpu) > 0, Ordering::Relaxed);
        gpu.lose_device();
        assert_eq!(want.centroids, work.join().expect("no panic").centroids);
    });
    assert!(begun.into_inner());
    assert!(gpu.device_status().lost.is_some());
}

#[test]
fn kmeans_without_memory_is_the_cpu_s() {
    let Some((cpu, gpu)) = contexts(ContextOptions { device_memory_bytes: 900, ..ContextOptions::default() })
    else {
        return;
    };
    let (dim, options) = (8, KMeansOptions { iterations: 3, ..KMeansOptions::default() });
    let rows = numbers(3, 2000 * dim);
    assert_eq!(
        cluster(&cpu, &rows, dim, 20, &options).centroids,
        cluster(&gpu, &rows, dim, 20, &options).centroids
    );
    let status = gpu.device_status();
    assert_eq!((status.lost, status.calls, status.memory_bytes), (None, 0, 0));
}

#[test]
fn kmeans_on_a_device_is_cancelled() {
    let Some((_, gpu)) = contexts(ContextOptions::default()) else { return };
    let rows = numbers(3, 4000 * 8);
    let mut stop = |report: &Report| report.done < 2;
    let control = Control::new(Some(&mut stop), None);
    let result = kmeans(&gpu, matrix(&rows, 8), 50, &KMeansOptions::default(), &control);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!((calls(&gpu), gpu.device_status().lost), (4, None));
}
