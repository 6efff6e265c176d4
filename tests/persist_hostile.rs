//! Files that somebody damaged or forged: a clear error or an index that works, never a crash, and never
//! more memory than the file's own size times a small constant.

#![allow(clippy::unwrap_used, reason = "tests")]

mod persist_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use ivf::{
    Context, Control, Error, Index, IndexOptions, ListOrder, LoadOptions, Metric, Result, SearchOptions,
};
use persist_support::*;
use std::sync::Arc;

/// Memory of this thread, now and at most.
struct Meter;

thread_local! {
    static USED: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    // Once the thread's locals are gone nobody asks any more.
    let _ = USED.try_with(|used| {
        used.set((used.get() + more).saturating_sub(less));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(used.get())));
    });
}

#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// Loads, and fails if a check answers otherwise, or if either took much more memory than the file has bytes.
fn load_metered(context: &Arc<Context>, bytes: &[u8], options: &LoadOptions) -> Result<Index> {
    let loaded =
        metered(bytes.len(), || Index::deserialize(context.clone(), bytes, options, &Control::default()));
    if !options.skip_verify {
        let checked =
            metered(bytes.len(), || Index::check_bytes(context.clone(), bytes, 1, &Control::default()));
        let verdict = |error: &Error| format!("{error:?}");
        assert_eq!(checked.as_ref().err().map(verdict), loaded.as_ref().err().map(verdict));
    }
    loaded
}

fn metered<T>(file: usize, work: impl FnOnce() -> T) -> T {
    let before = USED.get();
    PEAK.set(before);
    let result = work();
    let took = PEAK.get() - before;
    assert!(took <= 40 * file + 8192, "{took} bytes of memory for a file of {file}");
    result
}

/// An index that was let in has to work, whatever it holds.
fn exercise(mut index: Index) {
    if !index.info().trained {
        return;
    }
    for options in
        [SearchOptions::default(), SearchOptions { nprobe: usize::MAX, max_codes: 3, ..Default::default() }]
    {
        if index.info().dim == DIM {
            results(&index, &options);
        }
    }
    drop(to_bytes(&index));
    index.remove(&[0, 1, 2, 3, 4, 5, i64::MAX]).unwrap();
    index.compact().unwrap();
    if index.info().dim == DIM && index.info().next_id < i64::MAX - 9 {
        add(&mut index, 3, 5, None);
    }
}

/// Small files of ours.
fn small() -> Vec<(&'static str, Vec<u8>)> {
    let plain = IndexOptions::default();
    let mut flat = create(Metric::Cosine, "Flat", &plain);
    add(&mut flat, 1, 5, Some(&[3, 1, 4, 15, 9]));
    let mut ivf = trained(Metric::L2, 3, &IndexOptions { nprobe: 2, ..plain.clone() });
    add(&mut ivf, 2, 19, None);
    ivf.remove(&[5]).unwrap();
    let untrained = create(Metric::InnerProduct, "IVF,Flat", &plain);
    let mut refined = create(Metric::L2, "IVF2,SQfp16,RFlat", &plain);
    refined.set_centroids(matrix(&rows(99, 2))).unwrap();
    add(&mut refined, 4, 5, None);
    let mut copied = trained(Metric::L2, 3, &IndexOptions { soar: 1.0, ..plain.clone() });
    add(&mut copied, 5, 7, None);
    copied.remove(&[5]).unwrap();
    let mut places = create(Metric::L2, "IVF2,SQfp16,RFlat", &IndexOptions { soar: 1.0, ..plain });
    places.set_centroids(matrix(&rows(99, 2))).unwrap();
    add(&mut places, 6, 5, None);
    vec![
        ("flat", to_bytes(&flat)),
        ("ivf", to_bytes(&ivf)),
        ("untrained", to_bytes(&untrained)),
        ("refined", to_bytes(&refined)),
        ("copied", to_bytes(&copied)),
        ("copied refined", to_bytes(&places)),
    ]
}

fn all_modes() -> [LoadOptions; 2] {
    [LoadOptions::default(), LoadOptions { skip_verify: true, ..Default::default() }]
}

fn assert_clean(error: &Error, what: &str) {
    assert!(
        matches!(error, Error::Corrupt(_) | Error::Format(_) | Error::Unsupported(_))
            && !error.to_string().is_empty(),
        "{what}: {error}"
    );
}

#[test]
fn load_every_flipped_byte_is_an_error_or_the_same_index() {
    let context = context(1);
    for (name, good) in small() {
        let expected = from_bytes(&good).unwrap();
        let mut bytes = good.clone();
        let mut errors = 0;
        for at in 0..bytes.len() {
            for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                bytes[at] = good[at] ^ mask;
                match load_metered(&context, &bytes, &LoadOptions::default()) {
                    Ok(index) => assert_equal(&expected, &index, &format!("{name}: byte {at} ^ {mask}")),
                    Err(error) => {
                        assert_clean(&error, &format!("{name}: byte {at} ^ {mask}"));
                        errors += 1;
                    }
                }
                if let Ok(index) = load_metered(&context, &bytes, &all_modes()[1]) {
                    exercise(index);
                }
                bytes[at] = good[at];
            }
        }
        // Only the zeros between sections may change unseen.
        let forge = Forge { bytes: good };
        let content: usize = (0..forge.sections()).map(|section| forge.place(section).1).sum();
        assert_eq!(errors, 9 * (64 + 32 * forge.sections() + content), "{name}");
    }
}

#[test]
fn load_every_cut_length_is_an_error() {
    let context = context(1);
    for (name, good) in small() {
        for cut in 0..good.len() {
            for options in all_modes() {
                let error = load_metered(&context, &good[..cut], &options).err().unwrap();
                assert_clean(&error, &format!("{name}: cut at {cut}"));
            }
        }
        let longer = [good.as_slice(), b"x"].concat();
        assert!(matches!(load_metered(&context, &longer, &LoadOptions::default()), Err(Error::Corrupt(_))));
    }
}

#[test]
fn load_mapped_damaged_files_are_refused_or_the_same() {
    let context = context(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let load = |bytes: &[u8], skip_verify: bool| {
        std::fs::write(&path, bytes).unwrap();
        let options = LoadOptions { memory_map: true, skip_verify, threads: 1 };
        metered(bytes.len() + path_room(&path), || {
            Index::load(context.clone(), &path, &options, &Control::default())
        })
    };
    for (name, good) in small() {
        let expected = from_bytes(&good).unwrap();
        let mut bytes = good.clone();
        // Not every byte: a file for each takes its time, and the bytes are the same as in memory.
        for at in (0..bytes.len()).step_by(9) {
            bytes[at] ^= 255;
            match load(&bytes, false) {
                Ok(index) => assert_equal(&expected, &index, name),
                Err(error) => assert_clean(&error, name),
            }
            if let Ok(index) = load(&bytes, true) {
                exercise(index);
            }
            bytes[at] = good[at];
            assert_clean(&load(&good[..at], true).err().unwrap(), name);
        }
    }
}

/// Errors name the path.
fn path_room(path: &Path) -> usize {
    path.as_os_str().len()
}

/// A file of ours taken apart, to be forged with checksums that fit.
struct Forge {
    bytes: Vec<u8>,
}

impl Forge {
    const HEADER: usize = 64;
    const ENTRY: usize = 32;
    /// The most that a sound file has here.
    const SECTIONS: usize = 16;

    fn sections(&self) -> usize {
        u32::from_le_bytes(self.bytes[12..16].try_into().unwrap()) as usize
    }

    fn word(&self, at: usize) -> usize {
        usize::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// A section's offset and length.
    fn place(&self, section: usize) -> (usize, usize) {
        let entry = Self::HEADER + section * Self::ENTRY;
        (self.word(entry + 8), self.word(entry + 16))
    }

    /// The sections that get new checksums; a forged number may be any.
    fn sealed(&self) -> usize {
        self.sections().min(Self::SECTIONS).min((self.bytes.len() - Self::HEADER) / Self::ENTRY)
    }

    /// Computes every checksum anew.
    fn seal(mut self) -> Vec<u8> {
        for section in 0..self.sealed() {
            let entry = Self::HEADER + section * Self::ENTRY;
            let (offset, length) = self.place(section);
            if let Some(content) = offset.checked_add(length).and_then(|end| self.bytes.get(offset..end)) {
                let sum = crc32fast::hash(content);
                self.bytes[entry + 24..entry + 28].copy_from_slice(&sum.to_le_bytes());
            }
        }
        let table = Self::HEADER + self.sealed() * Self::ENTRY;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.bytes[..60]);
        hasher.update(&self.bytes[Self::HEADER..table]);
        self.bytes[60..64].copy_from_slice(&hasher.finalize().to_le_bytes());
        self.bytes
    }
}

#[test]
fn load_forged_values_with_right_checksums_never_crash() {
    let context = context(1);
    let mut let_in = 0;
    for (name, good) in small() {
        assert_eq!(Forge { bytes: good.clone() }.seal(), good, "{name}: the forge makes sound files");
        let words: [u64; 12] = [
            0,
            1,
            3,
            0x7f,
            0xffff_ffff,
            1 << 31,
            1 << 32,
            (1 << 32) - 16,
            1 << 60,
            i64::MAX as u64,
            u64::MAX,
            u64::from(f32::NAN.to_bits()),
        ];
        let forge = Forge { bytes: good.clone() };
        let (vectors, length) = forge.place(forge.sections() - 1);
        for at in (0..vectors + length.min(8)).step_by(4).filter(|at| at + 8 <= good.len()) {
            for word in words {
                for width in [1, 4, 8] {
                    let mut bytes = good.clone();
                    bytes[at..at + width].copy_from_slice(&word.to_le_bytes()[..width]);
                    let bytes = Forge { bytes }.seal();
                    for options in all_modes() {
                        match load_metered(&context, &bytes, &options) {
                            Ok(index) => {
                                let_in += 1;
                                exercise(index);
                            }
                            Err(error) => assert_clean(&error, &format!("{name}: {word:#x} at {at}")),
                        }
                    }
                }
            }
        }
    }
    assert!(let_in > 1000, "the forge reaches the lists: {let_in}");
}

#[test]
fn load_forged_faults_are_told_by_name() {
    let (_, good) = small().swap_remove(1);
    let find = |tag: &[u8; 4]| {
        let forge = Forge { bytes: good.clone() };
        let entry = (0..6).map(|s| 64 + 32 * s).find(|&entry| &good[entry..entry + 4] == tag).unwrap();
        forge.word(entry + 8)
    };
    let forged = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        from_bytes(&Forge { bytes }.seal()).err().unwrap().to_string()
    };
    let cases: [(String, &str); 12] = [
        (forged(find(b"META"), &[0; 4]), "dimension"),
        (forged(find(b"META") + 4, &[9]), "metric from 0 to 2, got 9"),
        (forged(find(b"META") + 16, &[2]), "next id"),
        (forged(find(b"META") + 24, &[0]), "lists"),
        (forged(find(b"META") + 32, b"HNSW9"), "HNSW9"),
        (forged(find(b"META") + 35, b"4"), "IVF4,Flat: expected 4 lists"),
        (forged(find(b"LIST"), &[0xff]), "section"),
        (forged(find(b"LIST") + 8, &[1]), "1 of them for removed"),
        (forged(find(b"CENT"), &f32::NAN.to_le_bytes()), "centroids"),
        (forged(find(b"BIAS"), &1f32.to_le_bytes()), "biases"),
        (forged(find(b"IDS "), &(-1i64).to_le_bytes()), "IDS"),
        (forged(find(b"VECS"), &f32::INFINITY.to_le_bytes()), "VECS"),
    ];
    for (error, text) in cases {
        assert!(error.contains(text), "{text}: {error}");
    }
    // The same id in two lists' first places.
    let ids = find(b"IDS ");
    let again = good[ids..ids + 8].to_vec();
    assert!(forged(ids + 8, &again).contains("two vectors have it"));
}

#[test]
fn load_forged_factors_are_refused() {
    let mut index = create(Metric::L2, "SQfp16,RFlat", &IndexOptions { k_factor: 3.0, ..Default::default() });
    add(&mut index, 1, 9, None);
    let good = to_bytes(&index);
    assert_eq!(from_bytes(&good).unwrap().info().k_factor, 3.0);
    let entry = (0..8).map(|s| 64 + 32 * s).find(|&entry| &good[entry..entry + 4] == b"KFAC").unwrap();
    let at = Forge { bytes: good.clone() }.word(entry + 8);
    for factor in [0.5, 0.0, -3.0, f32::NAN, f32::INFINITY] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&factor.to_le_bytes());
        let error = from_bytes(&Forge { bytes }.seal()).err().unwrap().to_string();
        assert!(error.contains("KFAC: expected a k_factor of 1 or more"), "{error}");
    }
}

#[test]
fn load_forged_ranks_are_refused_and_their_order_is_not_asked_for() {
    let options = IndexOptions { list_order: ListOrder::BestFirst, ..Default::default() };
    let mut index = trained(Metric::L2, 3, &options);
    add(&mut index, 1, 30, None);
    let good = to_bytes(&index);
    let entry = (0..8).map(|s| 64 + 32 * s).find(|&entry| &good[entry..entry + 4] == b"RANK").unwrap();
    let forge = Forge { bytes: good.clone() };
    let (at, length) = (forge.word(entry + 8), forge.word(entry + 16));
    assert_eq!(length, 30 * 4);
    let forged = |place: usize, values: &[u8]| {
        let mut bytes = good.clone();
        bytes[place..place + values.len()].copy_from_slice(values);
        from_bytes(&Forge { bytes }.seal())
    };
    let error = forged(at, &f32::NAN.to_le_bytes()).err().unwrap().to_string();
    assert!(error.contains("RANK"), "{error}");
    let error = forged(entry + 16, &(length as u64 - 4).to_le_bytes()).err().unwrap().to_string();
    assert!(error.contains("RANK: expected 120 bytes, got 116"), "{error}");
    // An ordering that was cut short: the vectors are where they are, and are put in order by the next change.
    let mut loaded = forged(at, &1e9f32.to_le_bytes()).unwrap();
    assert_eq!(loaded.info().count, 30);
    loaded.compact().unwrap();
    assert_eq!(loaded.ids(), index.ids());
    // Of an index without inverted lists.
    let mut flat = create(Metric::L2, "Flat", &IndexOptions::default());
    add(&mut flat, 1, 30, None);
    let (mut bytes, entry) = with_another_section(&to_bytes(&flat), *b"RANK");
    bytes[entry + 16..entry + 24].copy_from_slice(&120u64.to_le_bytes());
    let ranked = Forge { bytes }.seal();
    let error = from_bytes(&ranked).err().unwrap().to_string();
    assert!(error.contains("section RANK, but no inverted lists"), "{error}");
}

#[test]
fn load_forged_copies_are_refused() {
    let mut index = trained(Metric::L2, 3, &IndexOptions { soar: 1.0, ..Default::default() });
    add(&mut index, 1, 30, Some(&(0..30).map(|i| 3 * i).collect::<Vec<_>>()));
    let good = to_bytes(&index);
    let entry = |tag: &[u8; 4]| (0..11).map(|s| 64 + 32 * s).find(|&at| &good[at..at + 4] == tag).unwrap();
    let place = |tag| Forge { bytes: good.clone() }.word(entry(tag) + 8);
    let forged = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        let bytes = Forge { bytes }.seal();
        let trusting = LoadOptions { skip_verify: true, ..Default::default() };
        let trusted = Index::deserialize(context(1), &bytes, &trusting, &Control::default());
        let error = from_bytes(&bytes).err().unwrap().to_string();
        // What a search relies on is checked of trusted files too.
        assert_eq!(trusted.err().map(|error| error.to_string()), Some(error.clone()));
        error
    };
    for lambda in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = forged(place(b"SOAR"), &lambda.to_le_bytes());
        assert!(error.contains("SOAR: expected a lambda above 0"), "{error}");
    }
    // An id that no vector has, and one that two copies have.
    let ids: Vec<i64> = bytemuck::pod_collect_to_vec(&good[place(b"SIDS")..][..30 * 8]);
    for id in [1, ids[1]] {
        let error = forged(place(b"SIDS"), &id.to_le_bytes());
        assert!(error.contains("expected a copy of each vector and none of others"), "{error}");
    }
    let error = forged(place(b"SBIA"), &f32::NEG_INFINITY.to_le_bytes());
    assert!(error.contains("biases"), "{error}");
    let error = forged(entry(b"SLST") + 16, &32u64.to_le_bytes());
    assert!(error.contains("SBIA") || error.contains("SIDS"), "{error}");
    let error = forged(entry(b"SIDS"), b"SIDX");
    assert!(error.contains("SIDX"), "{error}");
    // Ids that may repeat have no copies.
    let flags = place(b"META") + 24;
    let error = forged(flags, &[good[flags] | 2]);
    assert!(error.contains("soar: expected 0, for ids may repeat"), "{error}");
}

#[test]
fn load_forged_factor_of_a_curve_without_refinement_is_refused() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/curve.ivf");
    let mut bytes = std::fs::read(golden).unwrap();
    assert!(from_bytes(&bytes).unwrap().curve().is_some());
    let forge = Forge { bytes: bytes.clone() };
    let entry = (0..7).map(|s| 64 + 32 * s).find(|&entry| &bytes[entry..entry + 4] == b"CURV").unwrap();
    // The first point's last field.
    let at = forge.word(entry + 8) + 32 + 32;
    for (factor, text) in [(2f64, "a k_factor, but no refinement"), (0.5, "factors of 1 or more")] {
        bytes[at..at + 8].copy_from_slice(&factor.to_le_bytes());
        let error = from_bytes(&Forge { bytes: bytes.clone() }.seal()).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}

/// A file with the last section once more under another name, not required, and where its entry is; to be sealed.
fn with_another_section(good: &[u8], tag: [u8; 4]) -> (Vec<u8>, usize) {
    let forge = Forge { bytes: good.to_vec() };
    let table = 64 + 32 * forge.sections();
    let mut bytes = good.to_vec();
    // What follows the table moves by 64 bytes for it.
    let mut entry = good[table - 32..table].to_vec();
    entry[..4].copy_from_slice(&tag);
    entry[4..8].copy_from_slice(&0u32.to_le_bytes());
    bytes.splice(table..table, entry.into_iter().chain([0; 32]));
    let count = forge.sections() + 1;
    bytes[12..16].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
    let length = bytes.len();
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    for section in 0..count {
        let at = 64 + 32 * section + 8;
        let offset = usize::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) + 64;
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    (bytes, table)
}

#[test]
fn load_newer_sections_are_passed_over_unless_required() {
    let (_, good) = small().swap_remove(0);
    let (mut bytes, entry) = with_another_section(&good, *b"TUNE");
    let index = from_bytes(&Forge { bytes: bytes.clone() }.seal()).unwrap();
    assert_equal(&from_bytes(&good).unwrap(), &index, "with a newer section");
    bytes[entry + 4] = 1;
    let error = from_bytes(&Forge { bytes }.seal()).err().unwrap();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("TUNE")), "{error}");
}

/// faiss's files as they are in tests/golden, with none of ours around them.
fn faiss_files() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/faiss");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "faiss"))
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 10);
    files
}

#[test]
fn load_faiss_every_flipped_byte_never_crashes() {
    let context = context(1);
    for (name, good) in faiss_files() {
        let mut bytes = good.clone();
        for at in 0..good.len() {
            for mask in [1, 16, 128, 255] {
                bytes[at] = good[at] ^ mask;
                match load_metered(&context, &bytes, &LoadOptions::default()) {
                    Ok(index) => exercise(index),
                    Err(error) => assert_clean(&error, &format!("{name}: byte {at} ^ {mask}")),
                }
                bytes[at] = good[at];
            }
        }
    }
}

#[test]
fn load_faiss_every_cut_length_is_an_error() {
    let context = context(1);
    for (name, good) in faiss_files() {
        for cut in 0..good.len() {
            let error = load_metered(&context, &good[..cut], &LoadOptions::default()).err().unwrap();
            assert_clean(&error, &format!("{name}: cut at {cut}"));
        }
    }
}

#[test]
fn load_faiss_forged_sizes_never_crash() {
    let context = context(1);
    for (name, good) in faiss_files() {
        for at in 0..good.len().min(600) - 8 {
            for word in
                [0u64, 1, 1 << 20, 1 << 31, (1 << 32) + 1, 1 << 40, 1 << 60, i64::MAX as u64, u64::MAX]
            {
                for width in [4, 8] {
                    let mut bytes = good.clone();
                    bytes[at..at + width].copy_from_slice(&word.to_le_bytes()[..width]);
                    match load_metered(&context, &bytes, &LoadOptions::default()) {
                        Ok(index) => exercise(index),
                        Err(error) => assert_clean(&error, &format!("{name}: {word:#x} at {at}")),
                    }
                }
            }
        }
    }
}
