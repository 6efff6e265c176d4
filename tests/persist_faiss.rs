//! faiss's files, as faiss itself wrote them (tests/golden/faiss/make.py): what is read equals the same
//! index built here, and what is written equals faiss's file byte for byte. The proof with the library
//! itself, both ways, is tests/faiss.

#![allow(clippy::unwrap_used, reason = "tests")]

mod persist_support;

use std::fs;
use std::path::PathBuf;

use ivf::{Control, Error, Index, IndexOptions, LoadOptions, Metric};
use persist_support::*;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/faiss").join(format!("{name}.faiss"))
}

fn golden_bytes(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap()
}

fn exported(index: &Index) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("файл.faiss");
    index.export_faiss(&path, &Control::default()).unwrap();
    fs::read(path).unwrap()
}

fn refused(bytes: &[u8]) -> Error {
    from_bytes(bytes).err().unwrap()
}

fn flat(metric: Metric, seed: u32, n: usize, ids: Option<&[i64]>) -> Index {
    let mut index = create(metric, "Flat", &IndexOptions::default());
    add(&mut index, seed, n, ids);
    index
}

fn ivf(metric: Metric, nlist: usize, seed: u32, n: usize, ids: Option<&[i64]>, nprobe: usize) -> Index {
    let allow_duplicate_ids = ids.is_some_and(|ids| ids.len() > 1 && ids[0] == ids[1]);
    let mut index =
        trained(metric, nlist, &IndexOptions { nprobe, allow_duplicate_ids, ..Default::default() });
    add(&mut index, seed, n, ids);
    index
}

fn refined(metric: Metric, description: &str, k_factor: f32, seed: u32, ids: Option<&[i64]>) -> Index {
    let mut index = create(metric, description, &IndexOptions { nprobe: 1, k_factor, ..Default::default() });
    let nlist = index.info().nlist;
    if index.info().is_ivf {
        index.set_centroids(matrix(&rows(99, nlist))).unwrap();
    }
    add(&mut index, seed, 20, ids);
    index
}

/// Each golden file that is read, the same index built here, and whether export writes the same bytes.
fn pairs() -> Vec<(&'static str, Index, bool)> {
    let descending: Vec<i64> = (0..40).rev().map(|i| 1_000_000_007 * i).collect();
    let spread: Vec<i64> = (0..30).map(|i| 7 * i + 2).collect();
    let mapped: Vec<i64> = (0..60).map(|i| 5 * i + 3).collect();
    let untrained = create(Metric::L2, "IVF7,Flat", &IndexOptions { nprobe: 1, ..Default::default() });
    vec![
        ("flat_l2", flat(Metric::L2, 1, 40, None), true),
        ("flat_ip", flat(Metric::InnerProduct, 2, 40, None), true),
        ("flat_empty", flat(Metric::L2, 1, 0, None), true),
        ("flat_idmap", flat(Metric::L2, 3, 40, Some(&descending)), false),
        ("flat_idmap2", flat(Metric::L2, 3, 40, Some(&descending)), true),
        ("ivf_l2", ivf(Metric::L2, 5, 4, 90, None, 3), true),
        ("ivf_l2_map_array", ivf(Metric::L2, 5, 4, 90, None, 3), false),
        ("ivf_l2_map_hash", ivf(Metric::L2, 5, 4, 90, None, 3), false),
        ("ivf_ip_sparse", ivf(Metric::InnerProduct, 16, 5, 4, None, 1), true),
        ("ivf_ids", ivf(Metric::L2, 3, 6, 30, Some(&spread), 1), true),
        ("ivf_duplicate_ids", ivf(Metric::L2, 3, 7, 20, Some(&[42; 20]), 1), true),
        ("ivf_empty", ivf(Metric::InnerProduct, 4, 0, 0, None, 1), true),
        ("ivf_untrained", untrained, true),
        ("ivf_idmap2", ivf(Metric::L2, 5, 8, 60, Some(&mapped), 1), false),
        ("refine_ivf", refined(Metric::L2, "IVF5,Flat,RFlat", 3.0, 10, None), true),
        (
            "refine_idmap2",
            refined(Metric::InnerProduct, "IVF3,SQfp16,RFlat", 1.0, 11, Some(&mapped[..20])),
            false,
        ),
        ("refine_codes", refined(Metric::L2, "SQfp16,Refine(SQbf16)", 2.5, 12, None), true),
    ]
}

#[test]
fn load_golden_file_equals_the_index_built_here() {
    for (name, index, _) in pairs() {
        assert_equal(&index, &load(&golden(name), &LoadOptions::default()).unwrap(), name);
        assert_equal(&index, &from_bytes(&golden_bytes(name)).unwrap(), name);
    }
}

#[test]
fn export_writes_the_golden_file_byte_for_byte() {
    for (name, index, same) in pairs() {
        let bytes = exported(&index);
        assert_eq!(bytes == golden_bytes(name), same, "{name}");
        assert_equal(&index, &from_bytes(&bytes).unwrap(), name);
        let again = exported(&load(&golden(name), &LoadOptions::default()).unwrap());
        assert_eq!(again, bytes, "{name}: loaded and exported");
    }
}

#[test]
fn export_after_remove_leaves_removed_vectors_out() {
    let mut index = ivf(Metric::L2, 5, 4, 90, None, 3);
    index.remove(&[3, 17, 18, 89]).unwrap();
    let mut packed = from_bytes(&to_bytes(&index)).unwrap();
    packed.compact().unwrap();
    let mut loaded = from_bytes(&exported(&index)).unwrap();
    assert_eq!(loaded.info().count, 86);
    assert_eq!(results(&loaded, &Default::default()), results(&packed, &Default::default()));
    // What faiss does not keep: the next id follows the largest that is left.
    assert_eq!((loaded.info().next_id, index.info().next_id), (89, 90));
    let mut flat = flat(Metric::L2, 1, 40, None);
    flat.remove(&[39]).unwrap();
    assert_eq!(&exported(&flat)[..4], b"IxF2", "ids still count from 0");
    flat.remove(&[0]).unwrap();
    assert_eq!(&exported(&flat)[..4], b"IxM2");
    add(&mut loaded, 1, 1, None);
}

#[test]
fn export_cosine_is_inner_product_over_normalised_vectors() {
    let mut index = trained(Metric::Cosine, 4, &IndexOptions { nprobe: 4, ..Default::default() });
    add(&mut index, 6, 50, None);
    let loaded = from_bytes(&exported(&index)).unwrap();
    assert_eq!(loaded.info().metric, Metric::InnerProduct);
    let vectors = |index: &Index| {
        let mut out = vec![0.0; 50 * DIM];
        index.reconstruct(&(0..50).collect::<Vec<_>>(), &mut out).unwrap();
        out
    };
    assert_eq!(vectors(&index), vectors(&loaded));
    for vector in vectors(&loaded).chunks(DIM) {
        assert!((vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn export_without_a_number_of_lists_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(Metric::L2, "IVF,Flat", &IndexOptions::default());
    let error = index.export_faiss(&dir.path().join("a"), &Control::default()).unwrap_err();
    assert!(matches!(&error, Error::State(text) if text.contains("train")), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn load_generic_flat_code_is_read_by_its_metric() {
    for (name, index, _) in pairs().into_iter().take(2) {
        let mut bytes = golden_bytes(name);
        bytes[3] = b'l';
        assert_equal(&index, &from_bytes(&bytes).unwrap(), name);
    }
}

/// `ivf_l2` as faiss wrote it before inverted lists were objects.
fn old_ivf(code: &[u8; 4]) -> Vec<u8> {
    let new = golden_bytes("ivf_l2");
    let centroids = 4 + 33 + 16 + 4 + 33 + 8 + 5 * DIM * 4;
    let mut old = [code, &new[4..centroids]].concat();
    let lists = centroids + 9 + 4 + 8 + 8 + 4 + 8;
    let sizes: Vec<usize> = (0..5)
        .map(|list| usize::from(new[lists + 8 * list]) + 256 * usize::from(new[lists + 8 * list + 1]))
        .collect();
    let (mut ids, mut vectors) = (Vec::new(), Vec::new());
    let mut at = lists + 5 * 8;
    for size in sizes {
        let bytes = size * DIM * 4;
        let count = if code == b"IvFl" { size * DIM } else { bytes };
        vectors.extend((count as u64).to_le_bytes());
        vectors.extend(&new[at..at + bytes]);
        ids.extend((size as u64).to_le_bytes());
        ids.extend(&new[at + bytes..at + bytes + size * 8]);
        at += bytes + size * 8;
    }
    old.extend(ids);
    old.extend(&new[centroids..centroids + 9]);
    old.extend(vectors);
    old
}

#[test]
fn load_old_ivf_codes_gives_the_same_index() {
    let (_, index, _) = pairs().swap_remove(5);
    for code in [b"IvFl", b"IvFL"] {
        assert_equal(&index, &from_bytes(&old_ivf(code)).unwrap(), "old");
    }
}

#[test]
fn load_unsupported_types_are_refused_by_name() {
    let mut lsq = golden_bytes("ivf_l2");
    lsq[..4].copy_from_slice(b"IwLS");
    let mut inner = golden_bytes("flat_idmap2");
    inner[4 + 33..4 + 33 + 4].copy_from_slice(b"IxLS");
    let mut disk = golden_bytes("ivf_empty");
    let lists = 4 + 33 + 16 + 4 + 33 + 8 + 4 * DIM * 4 + 9;
    assert_eq!(&disk[lists..lists + 4], b"ilar");
    disk[lists..lists + 4].copy_from_slice(b"ilod");
    for (bytes, names) in [
        (lsq, ["`IwLS` (IVF local search quantizer)", "IwFl"]),
        (inner, ["`IxLS` (local search quantizer)", "IxF2"]),
        (golden_bytes("ivf_hnsw"), ["coarse quantizer of type `IHNf` (HNSW Flat)", "IxF2"]),
        (golden_bytes("ivf_mixed_metrics"), ["metric InnerProduct", "metric L2"]),
        (golden_bytes("flat_l1"), ["metric 2 (L1)", "inner product"]),
        (disk, ["`ilod`", "ilar"]),
    ] {
        let error = refused(&bytes);
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        for name in names {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

/// Files of product codes, and what they are: their words cannot be set here.
const PRODUCTS: [(&str, &str, Metric); 4] = [
    ("pq", "PQ3x4", Metric::InnerProduct),
    ("ivf_pq", "IVF3,PQ3x4", Metric::L2),
    ("pq_fast", "PQ3x4fs", Metric::InnerProduct),
    ("ivf_pq_fast", "IVF3,PQ3x4fsr", Metric::L2),
];

#[test]
fn load_product_codes_gives_what_they_stand_for_and_the_same_bytes_again() {
    for (name, description, metric) in PRODUCTS {
        let index = load(&golden(name), &LoadOptions::default()).unwrap();
        assert_eq!((index.describe().as_str(), index.info().metric), (description, metric));
        assert_eq!(exported(&index), golden_bytes(name), "{name}");
        let n = index.info().count;
        let mut held = vec![0.0; n * DIM];
        index.reconstruct(&(0..n as i64).collect::<Vec<_>>(), &mut held).unwrap();
        let words = rows(13, 16);
        // Every part is a word, here of a vector and there of a residual, in whole 1/64ths.
        let centroids = rows(99, 3);
        for vector in held.chunks(DIM) {
            let near = |centroid: &[f32], scale: f32| {
                (0..3).all(|part| {
                    let rest: Vec<f32> =
                        (0..2).map(|d| (vector[2 * part + d] - centroid[2 * part + d]) * scale).collect();
                    words.chunks(2).skip(16 * part).take(16).any(|word| word == rest)
                })
            };
            let found = if name.starts_with("pq") {
                near(&[0.0; DIM], 1.0)
            } else {
                centroids.chunks(DIM).any(|centroid| near(centroid, 2.0))
            };
            assert!(found, "{name}: {vector:?}");
        }
        // Biases are not in the file; an index of the same parts in our own format has them.
        let again = from_bytes(&to_bytes(&index)).unwrap();
        assert_eq!(results(&again, &Default::default()), results(&index, &Default::default()));
    }
}

#[test]
fn load_product_codes_that_are_not_sound_are_refused() {
    // Behind header and direct map, by_residual and code_size: dimensions, parts, bits and the number of values.
    let inside = 4 + 33 + 16 + 4 + 33 + 8 + 3 * DIM * 4 + 9 + 1 + 8;
    for (name, sizes) in [("pq", 4 + 33), ("ivf_pq", inside)] {
        let good = golden_bytes(name);
        let with = |at: usize, bytes: &[u8]| {
            let mut wrong = good.clone();
            wrong[at..at + bytes.len()].copy_from_slice(bytes);
            refused(&wrong).to_string()
        };
        assert!(with(sizes + 16, &[5]).contains("5 bits a part"), "{name}");
        assert!(with(sizes, &[7]).contains("expected 6 dimensions"), "{name}");
        for parts in [0, 4, 7] {
            assert!(with(sizes + 8, &[parts]).contains("parts that divides"), "{name}");
        }
        assert!(with(sizes + 16, &[8]).contains("expected 256 words"), "{name}");
        assert!(with(sizes + 32, &f32::NAN.to_le_bytes()).contains("finite words"), "{name}");
        // Untrained, with codes.
        with(4 + 28, &[0]);
    }
    let good = golden_bytes("ivf_pq");
    let mut wrong = good.clone();
    wrong[inside - 8] = 3;
    assert!(refused(&wrong).to_string().contains("codes of 2 bytes, got 3"));
    let mut wrong = golden_bytes("pq");
    let end = wrong.len();
    wrong[end - 9] = 4;
    assert!(refused(&wrong).to_string().contains("search_type 4"));
}

#[test]
fn load_interleaved_codes_that_are_not_sound_are_refused() {
    let good = golden_bytes("pq_fast");
    // Behind the quantizer: implem, bbs, qbs, ntotal2, M2 and the number of bytes.
    let fields = 4 + 33 + 32 + 16 * DIM * 4;
    assert_eq!(good[fields + 4], 32);
    let inside = 4 + 33 + 16 + 4 + 33 + 8 + 3 * DIM * 4 + 9 + 1;
    let ivf = golden_bytes("ivf_pq_fast");
    assert_eq!(ivf[inside + 8], 32);
    let lists = inside + 8 + 4 + 8 + 4 + 8 + 32 + 16 * DIM * 4;
    assert_eq!(&ivf[lists..lists + 4], b"ilbl");
    for (good, at, byte, text) in [
        (&good, fields + 4, 0, "multiple of 32"),
        (&good, fields + 4, 33, "multiple of 32"),
        (&good, fields + 7, 1, "multiple of 32"),
        (&good, fields + 20, 3, "4 parts of 4 bits"),
        (&good, fields + 28, 1, "blocks of 20 codes of 2 bytes"),
        (&good, 4 + 4, 65, "blocks of 65 codes"),
        (&ivf, inside, 3, "codes of 2 bytes, got 3"),
        (&ivf, inside + 8, 64, "in blocks of 64"),
        (&ivf, lists, b'x', "ilbl"),
        (&ivf, lists + 4, 4, "expected 3 in blocks"),
        (&ivf, lists + 28, 65, "in 65 bytes"),
        (&ivf, lists + 36, 0, "list"),
    ] {
        let mut wrong = good.clone();
        wrong[at] = byte;
        let error = refused(&wrong).to_string();
        assert!(error.contains(text), "{text}: {error}");
    }
}

/// The file of a refined index: `IxRF`, its header, the base, the rows to refine with, and the factor.
#[test]
fn load_refinements_that_are_not_sound_are_refused() {
    let good = golden_bytes("refine_ivf");
    let (head, end) = (4 + 33, good.len());
    let rows = end - 4 - 20 * DIM * 4;
    let refine = rows - 8 - head;
    assert_eq!((&good[..4], &good[refine..refine + 4]), (&b"IxRF"[..], &b"IxF2"[..]));
    let with = |at: usize, bytes: &[u8]| {
        let mut wrong = good.clone();
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        refused(&wrong)
    };
    for factor in [0.5f32, 0.0, -1.0, 1000.5, f32::NAN, f32::INFINITY] {
        let error = with(end - 4, &factor.to_le_bytes());
        assert!(
            matches!(&error, Error::Corrupt(text) if text.contains("k_factor from 1 to 1000")),
            "{error}"
        );
    }
    let error = with(rows, &f32::NAN.to_le_bytes());
    assert!(matches!(&error, Error::Corrupt(text) if text.contains("finite")), "{error}");
    // The last list's last id, which then is there twice or too large.
    for id in [0i64, 20] {
        let error = with(refine - 8, &id.to_le_bytes());
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("ids 0 to n - 1")), "{error}");
    }
    for (at, byte) in [(4, 5), (8, 19), (head - 4, 0), (refine + head - 4, 0)] {
        let error = with(at, &[byte]);
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("two indexes alike")), "{error}");
    }
    let names = ["refine index of type `IxPq` (PQ)", "IxSQ"];
    for name in names {
        assert!(with(refine, b"IxPq").to_string().contains(name));
    }
    let twice = [&good[..head], &good, &good[refine..]].concat();
    assert!(refused(&twice).to_string().contains("around another one"));
    // "IxPT", its header, one transform "VNrm" of norm 2.
    let mut behind = [b"IxPT", &good[4..head], &1i32.to_le_bytes(), b"VNrm", &2f32.to_le_bytes()].concat();
    behind.extend([6u32.to_le_bytes(), 6u32.to_le_bytes()].concat());
    behind.extend([&[1], &good[..]].concat());
    assert!(refused(&behind).to_string().contains("`IxRF` around `IxPT`"));
}

#[test]
fn export_refined_after_any_history_keeps_what_is_left() {
    for description in ["IVF5,Flat,RFlat", "IVF5,SQfp16,Refine(SQbf16)", "SQfp16,RFlat"] {
        let mut index = refined(Metric::L2, description, 2.0, 10, None);
        index.remove(&[19, 3]).unwrap();
        add(&mut index, 13, 5, Some(&[3, 70, 19, 71, 72]));
        let loaded = from_bytes(&exported(&index)).unwrap();
        assert_eq!((loaded.describe().as_str(), loaded.info().k_factor), (description, 2.0));
        assert_eq!(results(&loaded, &Default::default()), results(&index, &Default::default()));
        let ids = [3i64, 0, 72, 18];
        let vectors = |index: &Index| {
            let mut out = vec![0.0; ids.len() * DIM];
            index.reconstruct(&ids, &mut out).unwrap();
            out
        };
        assert_eq!(vectors(&loaded), vectors(&index));
    }
    let index = refined(Metric::L2, "IVF5,Flat,RFlat", 1001.0, 10, None);
    let error = index.export_faiss(&tempfile::tempdir().unwrap().path().join("x"), &Control::default());
    assert!(error.unwrap_err().to_string().contains("k_factor from 1 to 1000, got 1001"));
}

#[test]
fn load_with_memory_map_is_refused() {
    let options = LoadOptions { memory_map: true, ..Default::default() };
    let error = load(&golden("ivf_l2"), &options).err().unwrap();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("memory_map")), "{error}");
}

#[test]
fn load_inconsistent_files_are_corrupt() {
    let header = 4 + 33;
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, &str, Change); 9] = [
        ("flat_l2", "more", |b| b.push(0)),
        ("flat_l2", "0 or 1", |b| b[4 + 28] = 2),
        ("flat_l2", "240 values", |b| b[4 + 4] = 41),
        ("flat_l2", "finite", |b| b[4 + 33 + 8..][..4].copy_from_slice(&f32::NAN.to_le_bytes())),
        ("flat_l2", "dimension", |b| b[4..8].copy_from_slice(&(-6i32).to_le_bytes())),
        ("flat_idmap2", "40 ids", |b| b[4 + 4] = 41),
        ("ivf_l2", "5 centroids", |b| {
            let quantizer = 4 + 33 + 16;
            b[quantizer + 8] = 4;
            b[quantizer + 4 + 33] = 24;
        }),
        ("ivf_l2", "direct map", |b| b[4 + 33 + 16 + 4 + 33 + 8 + 5 * DIM * 4] = 3),
        ("ivf_ids", "negative", |b| {
            let last = b.len() - 1;
            b[last] = 0x80;
        }),
    ];
    assert_eq!(header, 37);
    for (name, text, change) in cases {
        let mut bytes = golden_bytes(name);
        change(&mut bytes);
        let error = refused(&bytes);
        assert!(matches!(&error, Error::Corrupt(got) if got.contains(text)), "{name}: {text}: {error}");
    }
}

#[test]
fn load_id_maps_within_each_other_end_at_a_depth() {
    let shell = golden_bytes("flat_idmap2")[..37].to_vec();
    let error = refused(&shell.repeat(100_000));
    assert!(matches!(&error, Error::Corrupt(text) if text.contains("within each other")), "{error}");
}
