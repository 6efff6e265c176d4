//! Each call's reports, stage after stage, rise to their total.

use std::ffi::{CStr, CString, c_void};
use std::ptr::{from_mut, null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, ok, rows, sized};

const DIM: u32 = 8;
const N: usize = 2000;

/// (stage, done, total), as told.
type Heard = Vec<(String, u64, u64)>;

unsafe extern "C" fn listen(progress: *const ivf_progress, heard: *mut c_void) -> i32 {
    let (progress, heard) = unsafe { (&*progress, &mut *heard.cast::<Heard>()) };
    let stage = unsafe { CStr::from_ptr(progress.stage) }.to_str().expect("UTF-8").to_owned();
    heard.push((stage, progress.done, progress.total));
    0
}

/// Runs a call; its stages must be these, each told in order up to its total.
fn hear(stages: &[&str], call: impl FnOnce(ivf_progress_fn, *mut c_void) -> ivf_status) {
    let mut heard = Heard::new();
    ok(call(Some(listen), from_mut(&mut heard).cast()));
    let parts: Vec<&[(String, u64, u64)]> = heard.chunk_by(|a, b| a.0 == b.0).collect();
    let told: Vec<&str> = parts.iter().map(|part| &part[0].0[..]).collect();
    assert_eq!(told, stages, "{heard:?}");
    for part in parts {
        assert!(part.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].2 == pair[1].2), "{part:?}");
        let (_, done, total) = part.last().expect("not empty");
        assert!(done == total && *total > 0, "{part:?}");
    }
}

fn add_options(progress: ivf_progress_fn, progress_data: *mut c_void) -> ivf_add_options {
    ivf_add_options { progress, progress_data, ..sized() }
}

#[test]
fn progress_of_training_rises_to_its_total_through_transforms_and_restarts() {
    let x = rows(N, DIM);
    for description in
        ["IVF8,Flat", "PCA4,IVF8,Flat", "OPQ4,IVF8,Flat", "OPQ4_8,PCA4,Flat", "ITQ4,L2norm,Flat"]
    {
        for restarts in [0, 3] {
            let index = Index::new(description, DIM, IVF_METRIC_L2);
            hear(&["train"], |progress, progress_data| {
                let options = ivf_train_options { restarts, progress, progress_data, ..sized() };
                unsafe { ivf_train(index.0, x.as_ptr(), N as u64, DIM, &options) }
            });
        }
    }
}

#[test]
fn progress_of_changes_rises_to_its_total() {
    let (index, other) = (
        Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, N),
        Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, N),
    );
    let (x, ids) = (rows(N, DIM), (0..N as i64).collect::<Vec<_>>());
    hear(&["update"], |progress, data| unsafe {
        let options = add_options(progress, data);
        ivf_update(index.0, ids.as_ptr(), x.as_ptr(), N as u64, DIM, &options)
    });
    hear(&["merge"], |progress, data| unsafe {
        ivf_merge(index.0, other.0, N as i64, null_mut(), &add_options(progress, data))
    });
    let many = rows(70_000, DIM);
    hear(&["add"], |progress, data| unsafe {
        ivf_add(index.0, many.as_ptr(), 70_000, DIM, null(), &add_options(progress, data))
    });
}

#[test]
fn progress_of_files_of_vectors_rises_to_its_total() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("progress.fvecs");
    let row = |row: &[f32]| {
        let values = row.iter().flat_map(|value| value.to_le_bytes());
        DIM.to_le_bytes().into_iter().chain(values).collect::<Vec<u8>>()
    };
    std::fs::write(&path, rows(N, DIM).chunks(DIM as usize).flat_map(row).collect::<Vec<u8>>())
        .expect("written");
    let name = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    let index = Index::new("OPQ4,IVF8,Flat", DIM, IVF_METRIC_L2);
    hear(&["train", "add"], |progress, progress_data| unsafe {
        let options = ivf_train_options { progress, progress_data, ..sized() };
        ivf_build_file(index.0, name.as_ptr(), &options, null_mut())
    });
    hear(&["add"], |progress, data| unsafe {
        ivf_add_file(index.0, name.as_ptr(), &add_options(progress, data), null_mut())
    });
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn progress_of_searches_rises_to_its_total() {
    let (index, queries) = (Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, N), rows(N, DIM));
    hear(&["search"], |progress, progress_data| unsafe {
        let options = ivf_search_options { progress, progress_data, ..sized() };
        let mut result = null_mut();
        let status = ivf_range_search(index.0, queries.as_ptr(), N as u64, DIM, 0.1, &options, &mut result);
        ivf_range_result_destroy(result);
        status
    });
    let mut heard = Heard::new();
    let options =
        ivf_tune_options { progress: Some(listen), progress_data: from_mut(&mut heard).cast(), ..sized() };
    ok(unsafe { ivf_tune(index.0, queries.as_ptr(), 300, DIM, 5, 0.9, &options, null_mut()) });
    // It counts the lists of a search, and ends as soon as nothing is left to find.
    assert!(heard.iter().all(|(stage, done, total)| stage == "tune" && done <= total), "{heard:?}");
    let mut centroids = vec![0f32; 8 * DIM as usize];
    hear(&["kmeans"], |progress, progress_data| unsafe {
        let options = ivf_kmeans_options { mini_batch: 100, restarts: 2, progress, progress_data, ..sized() };
        ivf_kmeans(null(), queries.as_ptr(), N as u64, DIM, 8, centroids.as_mut_ptr(), &options)
    });
}
