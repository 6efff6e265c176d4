//! What is saved is what is loaded, by every way in and out, and nothing breaks half-way.

#![allow(clippy::unwrap_used, reason = "tests")]

mod persist_support;

use std::fs;
use std::sync::atomic::AtomicI32;

use ivf::{Control, Error, Index, IndexOptions, LoadOptions, MatrixRef, Metric, Report};
use persist_support::*;

#[test]
fn serialize_every_kind_deserializes_to_an_equal_index() {
    for (name, index) in kinds() {
        let bytes = to_bytes(&index);
        assert_eq!(bytes.len() as u64, index.serialized_size().unwrap(), "{name}");
        assert_equal(&index, &from_bytes(&bytes).unwrap(), name);
    }
}

#[test]
fn save_every_kind_loads_to_an_equal_index_in_every_mode() {
    let dir = tempfile::tempdir().unwrap();
    // Cyrillic, Chinese, a space and an accent: none of them may matter.
    let path = dir.path().join("индекс 索引 é.ivf");
    for (name, index) in kinds() {
        save(&index, &path);
        assert_eq!(fs::read(&path).unwrap(), to_bytes(&index), "{name}: a file is what serialize writes");
        for threads in [1, 2] {
            for (memory_map, skip_verify) in [(false, false), (false, true), (true, false), (true, true)] {
                let options = LoadOptions { threads, memory_map, skip_verify };
                assert_equal(&index, &load(&path, &options).unwrap(), &format!("{name} {options:?}"));
            }
        }
    }
}

#[test]
fn save_again_of_a_loaded_index_gives_the_same_bytes() {
    for (name, index) in kinds() {
        let bytes = to_bytes(&index);
        assert_eq!(bytes, to_bytes(&from_bytes(&bytes).unwrap()), "{name}");
    }
}

#[test]
fn loaded_index_goes_on_like_the_saved_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    for (name, mut index) in kinds() {
        if !index.info().trained {
            continue;
        }
        save(&index, &path);
        let mapped = LoadOptions { memory_map: true, ..Default::default() };
        for options in [LoadOptions::default(), mapped] {
            let mut loaded = load(&path, &options).unwrap();
            let mut fresh = from_bytes(&to_bytes(&index)).unwrap();
            for index in [&mut loaded, &mut fresh] {
                add(index, 50, 33, None);
                let ids: Vec<i64> = (0..2000).step_by(3).collect();
                index.remove(&ids).unwrap();
                index.compact().unwrap();
            }
            assert_equal(&loaded, &fresh, name);
        }
        add(&mut index, 50, 33, None);
        assert_eq!(index.info().next_id, {
            let mut loaded = load(&path, &mapped).unwrap();
            add(&mut loaded, 50, 33, None);
            loaded.info().next_id
        });
    }
}

#[test]
fn load_memory_map_holds_no_vectors_in_own_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let mut index = trained(Metric::L2, 5, &IndexOptions::default());
    add(&mut index, 1, 5000, None);
    save(&index, &path);
    let mapped = load(&path, &LoadOptions { memory_map: true, ..Default::default() }).unwrap();
    assert_eq!(mapped.info().vector_bytes, 0);
    let read = load(&path, &LoadOptions::default()).unwrap();
    assert!(read.info().vector_bytes >= 5000 * (4 * DIM as u64 + 12));
    // Packed: no growth, nothing but the last blocks' padding.
    assert!(read.info().vector_bytes <= (5000 + 5 * 16) * (4 * DIM as u64 + 12) + 5 * 64);
}

#[test]
fn save_over_a_mapped_file_leaves_the_map_valid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let mut index = trained(Metric::L2, 5, &IndexOptions::default());
    add(&mut index, 1, 500, None);
    save(&index, &path);
    if cfg!(windows) {
        return; // Windows refuses to replace a file that is mapped; that is its error to give.
    }
    let mapped = load(&path, &LoadOptions { memory_map: true, ..Default::default() }).unwrap();
    save(&create(Metric::L2, "Flat", &IndexOptions::default()), &path);
    assert_equal(&index, &mapped, "mapped");
    save(&mapped, &path);
    assert_equal(&index, &load(&path, &LoadOptions::default()).unwrap(), "saved from its map");
}

#[test]
fn deserialize_with_memory_map_is_refused() {
    let bytes = to_bytes(&kinds()[1].1);
    let options = LoadOptions { memory_map: true, ..Default::default() };
    let result = Index::deserialize(context(1), &bytes, &options, &Control::default());
    assert!(matches!(result, Err(Error::Argument(text)) if text.contains("memory_map")));
}

/// A file is there with old content; nothing else is in its directory.
fn old_file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    fs::write(&path, "old").unwrap();
    (dir, path)
}

fn assert_untouched(dir: &tempfile::TempDir, path: &std::path::Path) {
    assert_eq!(fs::read(path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn save_cancelled_by_its_callback_leaves_the_old_file() {
    let (dir, path) = old_file();
    let mut index = create(Metric::L2, "Flat", &IndexOptions::default());
    add(&mut index, 1, 200_000, None);
    for export in [false, true] {
        let mut stages = Vec::new();
        let mut stop = |report: &Report| {
            assert!(report.stage == "save" && report.done < report.total);
            stages.push(report.done);
            stages.len() < 2
        };
        let control = Control::new(Some(&mut stop), None);
        let result = if export { index.export_faiss(&path, &control) } else { index.save(&path, &control) };
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(stages.len(), 2);
        assert_untouched(&dir, &path);
    }
}

#[test]
fn save_with_the_flag_set_leaves_the_old_file() {
    let (dir, path) = old_file();
    let flag = AtomicI32::new(1);
    let control = Control::new(None, Some(&flag));
    let (_, index) = &kinds()[1];
    assert!(matches!(index.save(&path, &control), Err(Error::Cancelled)));
    assert!(matches!(index.export_faiss(&path, &control), Err(Error::Cancelled)));
    assert_untouched(&dir, &path);
}

#[test]
fn load_cancelled_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("index.ivf"), dir.path().join("index.faiss"));
    let mut index = create(Metric::L2, "Flat", &IndexOptions::default());
    add(&mut index, 1, 2_000_000, None);
    save(&index, &ours);
    index.export_faiss(&theirs, &Control::default()).unwrap();
    for (path, memory_map) in [(&ours, false), (&ours, true), (&theirs, false)] {
        let options = LoadOptions { memory_map, threads: 1, ..Default::default() };
        let mut calls = 0;
        let mut stop = |report: &Report| {
            assert!(report.stage == "load" && report.done < report.total);
            calls += 1;
            false
        };
        let control = Control::new(Some(&mut stop), None);
        assert!(matches!(Index::load(context(1), path, &options, &control), Err(Error::Cancelled)));
        assert_eq!(calls, 1);
        let flag = AtomicI32::new(1);
        let control = Control::new(None, Some(&flag));
        assert!(matches!(Index::load(context(1), path, &options, &control), Err(Error::Cancelled)));
    }
}

#[test]
fn progress_of_save_and_load_ends_at_its_total() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let mut index = trained(Metric::L2, 5, &IndexOptions::default());
    add(&mut index, 1, 100_000, None);
    let run = |work: &dyn Fn(&Control<'_>)| {
        let mut reports: Vec<Report> = Vec::new();
        let mut keep = |report: &Report| {
            reports.push(*report);
            true
        };
        work(&Control::new(Some(&mut keep), None));
        assert!(reports.is_sorted_by(|a, b| a.done < b.done), "{reports:?}");
        let last = reports.last().unwrap();
        assert_eq!(last.done, last.total);
        last.total
    };
    let saved = run(&|control| index.save(&path, control).unwrap());
    assert_eq!(saved, index.serialized_size().unwrap());
    run(&|control| drop(Index::load(context(2), &path, &LoadOptions::default(), control).unwrap()));
    let exported = run(&|control| index.export_faiss(&path, control).unwrap());
    assert_eq!(exported, fs::metadata(&path).unwrap().len());
    run(&|control| drop(Index::load(context(2), &path, &LoadOptions::default(), control).unwrap()));
}

#[test]
fn load_damaged_file_of_many_pieces_is_corrupt_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let mut index = trained(Metric::L2, 5, &IndexOptions::default());
    add(&mut index, 1, 500_000, None);
    save(&index, &path);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() - 3_000_000;
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    for threads in [1, 2] {
        for memory_map in [false, true] {
            let error =
                load(&path, &LoadOptions { threads, memory_map, ..Default::default() }).err().unwrap();
            assert!(matches!(&error, Error::Corrupt(text) if text.contains("VECS")), "{error}");
        }
        assert!(load(&path, &LoadOptions { threads, skip_verify: true, ..Default::default() }).is_ok());
    }
}

#[test]
fn save_where_it_cannot_be_names_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let (_, index) = &kinds()[1];
    for path in [dir.path().join("no").join("index.ivf"), dir.path().to_owned()] {
        let error = index.save(&path, &Control::default()).unwrap_err();
        assert!(matches!(&error, Error::Io { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn load_what_is_no_index_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let fail = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        load(&path, &LoadOptions::default()).err().unwrap()
    };
    let error = fail(b"");
    assert!(matches!(&error, Error::Format(text) if text.contains("empty")), "{error}");
    let error = fail(b"PK\x03\x04 a zip file");
    assert!(matches!(&error, Error::Format(text) if text.contains("PK\\x03\\x04")), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let error = load(&dir.path().join("none"), &LoadOptions::default()).err().unwrap();
    assert!(matches!(&error, Error::Io { action: "opening", .. }), "{error}");
    let error = load(dir.path(), &LoadOptions::default()).err().unwrap();
    assert!(matches!(&error, Error::Io { .. }), "{error}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn save_new_file_has_the_permissions_of_any_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, any) = (dir.path().join("index.ivf"), dir.path().join("any"));
        fs::write(&any, "").unwrap();
        save(&kinds()[1].1, &ours);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&any));
    }

    #[test]
    fn save_through_a_link_replaces_what_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target.ivf"));
        fs::write(&target, "old").unwrap();
        symlink("target.ivf", &link).unwrap();
        save(&kinds()[1].1, &link);
        assert!(link.is_symlink());
        assert_equal(&kinds()[1].1, &load(&target, &LoadOptions::default()).unwrap(), "through a link");
    }
}

/// A large file that is replaced is given back by and by, unless somebody still has it.
#[cfg(target_os = "linux")]
mod replaced {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    /// Descriptors and maps of this process that keep a file of this folder which has no name any more.
    fn nameless(dir: &std::path::Path) -> usize {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        let ours = |link: &std::path::PathBuf| {
            link.starts_with(dir) && link.to_string_lossy().ends_with("(deleted)")
        };
        links.filter(ours).count()
    }

    /// An index whose file is larger than what is given back at once.
    fn large() -> Index {
        let mut index = Index::new(context(2), 256, Metric::L2, "Flat", &IndexOptions::default()).unwrap();
        let x = rows(1, 20_000 * 256 / DIM + 1);
        let x = MatrixRef::new("x", &x[..20_000 * 256], 20_000, 256).unwrap();
        index.add(x, None, 0, &Control::default()).unwrap();
        index
    }

    #[test]
    fn save_over_a_large_file_gives_its_space_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.ivf");
        let index = large();
        save(&index, &path);
        assert!(fs::metadata(&path).unwrap().len() > 1 << 24);
        save(&kinds()[1].1, &path);
        let closed = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            nameless(&dir.path().canonicalize().unwrap()) == 0
        });
        assert!(closed, "the old file is still open");
        assert_equal(&kinds()[1].1, &load(&path, &LoadOptions::default()).unwrap(), "replaced");
    }

    #[test]
    fn save_over_a_large_file_leaves_it_to_whoever_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("index.ivf"), dir.path().join("link.ivf"));
        let index = large();
        // Mapped, open, and under another name: each alone.
        for way in 0..3 {
            save(&index, &path);
            let content = fs::read(&path).unwrap();
            let map = LoadOptions { memory_map: true, ..Default::default() };
            let mapped = (way == 0).then(|| load(&path, &map).unwrap());
            let open = (way == 1).then(|| fs::File::open(&path).unwrap());
            if way == 2 {
                fs::hard_link(&path, &link).unwrap();
            }
            save(&kinds()[1].1, &path);
            std::thread::sleep(Duration::from_millis(200));
            if let Some(mapped) = mapped {
                assert!(to_bytes(&mapped) == content, "mapped");
            }
            if let Some(mut open) = open {
                let mut read = Vec::new();
                open.read_to_end(&mut read).unwrap();
                assert!(read == content, "open");
            }
            if way == 2 {
                assert!(fs::read(&link).unwrap() == content, "under another name");
            }
        }
    }
}
