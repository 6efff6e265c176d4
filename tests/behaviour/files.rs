//! Saving and loading.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, ok, rows, sized};

const DIM: u32 = 16;

fn path(name: &str) -> (PathBuf, CString) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    (path, text)
}

fn load(path: &CStr, memory_map: u32) -> Index {
    let mut index = null_mut();
    let options = ivf_io_options { memory_map, ..sized() };
    ok(unsafe { ivf_load(null(), path.as_ptr(), &options, &mut index) });
    Index(index)
}

fn through_memory(index: &Index) -> Index {
    let (mut size, mut loaded) = (0, null_mut());
    ok(unsafe { ivf_serialize(index.0, null_mut(), 0, &mut size) });
    let mut bytes = vec![0u8; usize::try_from(size).expect("small")];
    ok(unsafe { ivf_serialize(index.0, bytes.as_mut_ptr().cast(), size, &mut size) });
    ok(unsafe { ivf_deserialize(null(), bytes.as_ptr().cast(), size, null(), &mut loaded) });
    Index(loaded)
}

fn description(index: &Index) -> String {
    let mut text = [0u8; 100];
    ok(unsafe { ivf_index_describe(index.0, text.as_mut_ptr().cast(), 100, null_mut()) });
    CStr::from_bytes_until_nul(&text).expect("terminated").to_str().expect("UTF-8").to_owned()
}

#[test]
fn empty_trained_index_saves_loads_and_searches() {
    let (file, name) = path("behaviour empty.ivf");
    for metric in [IVF_METRIC_L2, IVF_METRIC_COSINE] {
        let index = Index::filled("IVF4,Flat", DIM, metric, 200);
        ok(unsafe { ivf_reset(index.0) });
        ok(unsafe { ivf_save(index.0, name.as_ptr(), null()) });
        for loaded in [load(&name, 0), load(&name, 1), through_memory(&index)] {
            let info = loaded.info();
            assert_eq!((info.trained, info.count, info.nlist, info.next_id), (1, 0, 4, 200));
            let (distances, ids) = loaded.search(&rows(3, DIM), DIM, 2, 4);
            assert_eq!(ids, [-1; 6]);
            assert!(distances.iter().all(|distance| distance.is_infinite()));
            loaded.add(&rows(5, DIM), DIM);
            assert_eq!(loaded.search(&rows(1, DIM), DIM, 1, 4).1, [200]);
        }
    }
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn trap_4_a_loaded_index_has_forgotten_nothing() {
    let (file, name) = path("behaviour whole.ivf");
    for text in ["Flat", "IVF6,Flat", "IVF6,SQfp16", "SQbf16", "PCA8,IVF6,SQfp16", "OPQ4,IVF6,Flat"] {
        for (metric, nprobe, allow_duplicate_ids) in
            [(IVF_METRIC_L2, 3, 1), (IVF_METRIC_INNER_PRODUCT, 0, 0), (IVF_METRIC_COSINE, 2, 0)]
        {
            let options = ivf_index_options { nprobe, allow_duplicate_ids, ..sized() };
            let (index, x) = (Index::with_options(text, DIM, metric, &options), rows(600, DIM));
            ok(unsafe { ivf_train(index.0, x.as_ptr(), 600, DIM, null()) });
            index.add(&x, DIM);
            let gone: Vec<i64> = (0..600).step_by(17).collect();
            ok(unsafe { ivf_remove(index.0, gone.as_ptr(), gone.len() as u64, null_mut()) });
            ok(unsafe { ivf_save(index.0, name.as_ptr(), null()) });
            let wanted = index.info();
            for loaded in [load(&name, 0), load(&name, 1), through_memory(&index)] {
                let got = loaded.info();
                let all = |info: &ivf_index_info| {
                    let numbers = [info.count, info.nlist, info.nprobe, info.dead, info.next_id];
                    let kind = [info.dim, info.list_dim, info.trained, info.is_ivf, info.allow_duplicate_ids];
                    (numbers, kind, info.metric)
                };
                assert_eq!(all(&got), all(&wanted), "{text}");
                assert_eq!(description(&loaded), description(&index), "{text}");
                let queries = &x[..50 * DIM as usize];
                // With the index's own nprobe, which was loaded.
                assert_eq!(loaded.search(queries, DIM, 9, 0), index.search(queries, DIM, 9, 0), "{text}");
            }
        }
    }
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn trap_10_every_call_takes_paths_of_any_script() {
    for name in ["индекс", "索引ファイル", "ئىندېكس", "𝓲𝓷𝓭𝓮𝔁 🗂"] {
        let folder = path(&format!("behaviour {name}")).0;
        std::fs::create_dir_all(&folder).expect("made");
        let at = |file: &str| {
            let path = folder.join(format!("{name}{file}"));
            CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
        };
        let index = Index::filled("IVF4,Flat", DIM, IVF_METRIC_L2, 300);
        let found = index.search(&rows(9, DIM), DIM, 5, 4);
        ok(unsafe { ivf_save(index.0, at(".ivf").as_ptr(), null()) });
        ok(unsafe { ivf_export_faiss(index.0, at(".faiss").as_ptr(), null()) });
        for loaded in [load(&at(".ivf"), 0), load(&at(".ivf"), 1), load(&at(".faiss"), 0)] {
            assert_eq!(loaded.search(&rows(9, DIM), DIM, 5, 4), found, "{name}");
        }
        let row = |row: &[f32]| row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let vectors: Vec<u8> =
            rows(7, DIM).chunks(16).flat_map(|x| [DIM.to_le_bytes().to_vec(), row(x)].concat()).collect();
        let file = at(".fvecs");
        std::fs::write(file.to_str().expect("UTF-8"), vectors).expect("written");
        ok(unsafe { ivf_add_file(index.0, file.as_ptr(), null(), null_mut()) });
        assert_eq!(index.info().count, 307);
        // A failure tells the path as it is.
        let missing = at(".missing");
        assert_eq!(unsafe { ivf_load(null(), missing.as_ptr(), null(), &mut null_mut()) }, IVF_E_IO);
        assert!(crate::support::last_error().contains(name), "{}", crate::support::last_error());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
