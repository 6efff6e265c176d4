//! Training and k-means.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, last_error, ok, rows, sized};

const DIM: u32 = 8;

fn bytes(index: &Index) -> Vec<u8> {
    let mut size = 0;
    ok(unsafe { ivf_serialize(index.0, null_mut(), 0, &mut size) });
    let mut bytes = vec![0u8; usize::try_from(size).expect("small")];
    ok(unsafe { ivf_serialize(index.0, bytes.as_mut_ptr().cast(), size, &mut size) });
    bytes
}

#[test]
fn index_is_the_same_on_any_number_of_threads() {
    let x = rows(20_000, DIM);
    for (metric, description) in [
        (IVF_METRIC_L2, c"IVF64,Flat"),
        (IVF_METRIC_COSINE, c"IVF,SQfp16"),
        (IVF_METRIC_INNER_PRODUCT, c"OPQ4,IVF32,Flat"),
    ] {
        let built: Vec<Vec<u8>> = [1, 2, 5]
            .into_iter()
            .map(|threads| {
                let (mut context, mut index) = (null_mut(), null_mut());
                let options = ivf_context_options { threads, ..sized() };
                ok(unsafe { ivf_context_create(&options, &mut context) });
                let options = null();
                ok(unsafe {
                    ivf_index_create(context, DIM, metric, description.as_ptr(), options, &mut index)
                });
                let index = Index(index);
                ok(unsafe { ivf_train(index.0, x.as_ptr(), 20_000, DIM, null()) });
                index.add(&x, DIM);
                unsafe { ivf_context_destroy(context) };
                bytes(&index)
            })
            .collect();
        assert!(built.windows(2).all(|pair| pair[0] == pair[1]), "{description:?}");
    }
}

fn kmeans(x: &[f32], k: u32, options: ivf_kmeans_options) -> Vec<f32> {
    let mut centroids = vec![0f32; (k * DIM) as usize];
    let n = x.len() as u64 / u64::from(DIM);
    ok(unsafe { ivf_kmeans(null(), x.as_ptr(), n, DIM, k, centroids.as_mut_ptr(), &options) });
    centroids
}

#[test]
fn kmeans_defaults_are_what_they_are_said_to_be() {
    // More than 256 points a centroid, so that a sample is drawn.
    let x = rows(3000, DIM);
    let default = kmeans(&x, 6, sized());
    let said = ivf_kmeans_options {
        seed: 1234,
        iterations: 25,
        max_points_per_centroid: 256,
        restarts: 1,
        seeding: IVF_SEEDING_RANDOM,
        ..sized()
    };
    assert_eq!(default, kmeans(&x, 6, said));
    for other in [
        ivf_kmeans_options { seed: 1, ..said },
        ivf_kmeans_options { iterations: 1, ..said },
        ivf_kmeans_options { max_points_per_centroid: 100, ..said },
        ivf_kmeans_options { seeding: IVF_SEEDING_PLUS_PLUS, ..said },
    ] {
        assert_ne!(default, kmeans(&x, 6, other), "{other:?}");
    }
}

#[test]
fn bad_training_points_are_told_by_row_and_number() {
    let mut x = rows(100, DIM);
    let index = Index::new("IVF101,Flat", DIM, IVF_METRIC_L2);
    let train = |x: &[f32]| unsafe { ivf_train(index.0, x.as_ptr(), 100, DIM, null()) };
    fails(train(&x), IVF_E_TOO_FEW_POINTS, "101");
    assert!(last_error().contains("100"), "{}", last_error());
    let index = Index::new("IVF4,Flat", DIM, IVF_METRIC_L2);
    for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
        x[37 * DIM as usize + 2] = bad;
        let status = unsafe { ivf_train(index.0, x.as_ptr(), 100, DIM, null()) };
        fails(status, IVF_E_NOT_FINITE, "row 37 ");
        assert_eq!(index.info().trained, 0);
    }
}

#[test]
fn training_again_is_refused_and_reset_keeps_the_training() {
    let (index, x) = (Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 800), rows(800, DIM));
    let train = || unsafe { ivf_train(index.0, x.as_ptr(), 800, DIM, null()) };
    let centroids = || {
        let mut centroids = vec![0f32; 8 * DIM as usize];
        ok(unsafe { ivf_centroids(index.0, centroids.as_mut_ptr(), 8, DIM) });
        centroids
    };
    let before = centroids();
    fails(train(), IVF_E_STATE, "800 vectors");
    assert!(last_error().contains("reset"), "{}", last_error());
    ok(unsafe { ivf_reset(index.0) });
    assert_eq!((index.info().trained, centroids()), (1, before));
    index.add(&x, DIM);
    ok(unsafe { ivf_reset(index.0) });
    ok(train());
}
