//! Files of vectors, query expansion and blends through the C ABI.

use std::ffi::CString;
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 4;

#[test]
fn build_file_and_add_file_tell_how_many() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ж.fvecs");
    let x = rows(300, DIM);
    let row = |row: &[f32]| -> Vec<u8> {
        DIM.to_le_bytes().into_iter().chain(row.iter().flat_map(|v| v.to_le_bytes())).collect()
    };
    std::fs::write(&path, x.chunks(DIM as usize).flat_map(row).collect::<Vec<u8>>()).expect("room");
    let name = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    let index = Index::new("IVF4,Flat", DIM, IVF_METRIC_L2);
    let mut added = 7;
    fails(unsafe { ivf_add_file(index.0, name.as_ptr(), null(), &mut added) }, IVF_E_NOT_TRAINED, "train");
    let options = ivf_train_options { threads: 1, iterations: 3, ..sized() };
    ok(unsafe { ivf_build_file(index.0, name.as_ptr(), &options, &mut added) });
    assert_eq!(added, 300);
    ok(unsafe { ivf_add_file(index.0, name.as_ptr(), null(), null_mut()) });
    assert_eq!(index.info().count, 600);
    fails(unsafe { ivf_add_file(index.0, null(), null(), null_mut()) }, IVF_E_NULL, "`path`");
    std::fs::write(&path, [4, 0, 0, 0, 1, 2]).expect("room");
    fails(unsafe { ivf_add_file(index.0, name.as_ptr(), null(), null_mut()) }, IVF_E_CORRUPT, "truncated");
    std::fs::remove_file(&path).expect("there");
    fails(unsafe { ivf_build_file(index.0, name.as_ptr(), null(), null_mut()) }, IVF_E_IO, "opening");
    assert_eq!(index.info().next_id, 600);
}

#[test]
fn blend_and_expansion_write_the_rows_and_refuse_bad_arguments() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 50);
    let x = rows(50, DIM);
    let mut out = vec![f32::NAN; x.len()];
    let to = out.as_mut_ptr();
    ok(unsafe { ivf_blend(index.0, x.as_ptr(), 50, DIM, 3, 2.0, 1.0, to, null()) });
    assert_eq!(out, x);
    ok(unsafe { ivf_query_expansion(index.0, x.as_ptr(), 50, DIM, 3, 3.0, out.as_mut_ptr(), null()) });
    assert!(out != x && out.iter().all(|v| v.is_finite()));
    let mut hits = vec![0; 50];
    let options = ivf_search_options { hits: hits.as_mut_ptr(), ..sized() };
    let to = out.as_mut_ptr();
    fails(
        unsafe { ivf_blend(index.0, x.as_ptr(), 50, DIM, 3, 2.0, 1.0, to, &options) },
        IVF_E_ARGUMENT,
        "hits",
    );
    fails(
        unsafe { ivf_blend(index.0, x.as_ptr(), 50, DIM, 3, 2.0, 9.0, to, null()) },
        IVF_E_ARGUMENT,
        "ratio",
    );
    fails(
        unsafe { ivf_blend(index.0, x.as_ptr(), 50, DIM, 3, 2.0, 1.0, null_mut(), null()) },
        IVF_E_NULL,
        "`out`",
    );
    fails(
        unsafe { ivf_query_expansion(index.0, null(), 50, DIM, 3, 1.0, to, null()) },
        IVF_E_NULL,
        "`queries`",
    );
    let wide = unsafe { ivf_query_expansion(index.0, x.as_ptr(), 40, DIM + 1, 3, 1.0, to, null()) };
    fails(wide, IVF_E_DIMENSION, "expected 4 columns, got 5");
    ok(unsafe { ivf_query_expansion(index.0, null(), 0, DIM, 3, 1.0, null_mut(), null()) });
}
