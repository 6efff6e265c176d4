//! Indexes from files: the same as from the file's values in memory, bad files refused by what is wrong.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers up to 255")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicI32;

use common::{context, numbers, search};
use ivf::{Control, Error, Index, MatrixRef, Metric, Report, TrainOptions, f16};

const DIM: usize = 12;

fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    while !(text.len() + 11).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).unwrap_or(0).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
}

fn little(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn vecs(values: &[f32], row: impl Fn(&[f32]) -> Vec<u8>) -> Vec<u8> {
    let columns = 12i32.to_le_bytes();
    values.chunks(DIM).flat_map(|values| [&columns[..], &row(values)].concat()).collect()
}

fn empty(description: &str) -> Index {
    Index::new(context(2, None), DIM, Metric::L2, description, &Default::default()).expect("known")
}

fn bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).expect("memory");
    bytes
}

/// 0 to 255, whole.
fn pixels(rows: usize) -> Vec<f32> {
    numbers(1, rows * DIM).iter().map(|v| (v * 127.0 + 128.0).floor()).collect()
}

#[test]
fn build_file_any_format_equals_the_rows_in_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let x = pixels(900);
    let u8s: Vec<u8> = x.iter().map(|&v| v as u8).collect();
    let halves: Vec<u8> = x.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
    let shape = format!("900, {DIM}");
    let files = [
        ("ж-日本.npy", npy("<f4", "False", &shape, &little(&x))),
        ("half.npy", npy("<f2", "False", &shape, &halves)),
        ("bytes.npy", npy("|u1", "False", &shape, &u8s)),
        ("x.fvecs", vecs(&x, little)),
        ("X.BVECS", vecs(&x, |row| row.iter().map(|&v| v as u8).collect())),
    ];
    for description in ["Flat", "IVF8,Flat", "IVF,SQ8_direct"] {
        let matrix = MatrixRef::new("x", &x, 900, DIM).expect("whole rows");
        let mut wanted = empty(description);
        wanted.train(matrix, &TrainOptions::default(), &Control::default()).expect("enough");
        wanted.add(matrix, None, 0, &Control::default()).expect("finite");
        for (name, content) in &files {
            let path = dir.path().join(name);
            fs::write(&path, content).expect("room");
            let mut built = empty(description);
            let control = Control::default();
            assert_eq!(built.build_file(&path, &TrainOptions::default(), &control).expect("sound"), 900);
            assert_eq!(bytes(&built), bytes(&wanted), "{description} {name}");
            // Once more, under the next ids.
            assert_eq!(built.add_file(&path, 0, &control).expect("sound"), 900);
            assert_eq!(built.info().next_id, 1800);
        }
    }
}

#[test]
fn build_file_larger_than_its_sample_trains_on_a_part_and_adds_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.fvecs");
    let x = pixels(6000);
    fs::write(&path, vecs(&x, little)).expect("room");
    let mut index = empty("IVF4,Flat");
    let mut options = TrainOptions::default();
    options.kmeans.max_points_per_centroid = 100;
    let mut stages = Vec::new();
    let mut tell = |report: &Report| {
        stages.push((report.stage, report.done, report.total));
        true
    };
    index.build_file(&path, &options, &Control::new(Some(&mut tell), None)).expect("sound");
    assert!(stages.contains(&("train", 10, 10)) && stages.ends_with(&[("add", 6000, 6000)]), "{stages:?}");
    let found = search(&index, &x[..50 * DIM], 1, &ivf::SearchOptions { nprobe: 4, ..Default::default() });
    assert!(found.distances.iter().all(|&d| d == 0.0));
    assert_eq!(index.list_sizes().iter().sum::<usize>(), 6000);
}

fn refused(index: &mut Index, path: &Path) -> Error {
    let before = bytes(index);
    let error = index.add_file(path, 0, &Control::default()).expect_err("a bad file");
    assert_eq!(bytes(index), before);
    error
}

#[test]
fn add_file_malformed_or_truncated_is_refused_by_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let x = pixels(20);
    let data = little(&x);
    let shape = format!("20, {DIM}");
    let good = npy("<f4", "False", &shape, &data);
    let mut ragged = vecs(&x, little);
    ragged[5 * (4 + DIM * 4)] = 11;
    let mut nan = x.clone();
    nan[7 * DIM + 3] = f32::NAN;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a.npy", good[..good.len() - 1].to_vec(), "truncated"),
        ("b.npy", [&good[..], &[0]].concat(), "expected"),
        ("c.npy", good[..20].to_vec(), "the file ends in it"),
        ("d.npy", npy("<f8", "False", &shape, &data), "got <f8"),
        ("e.npy", npy(">f4", "False", &shape, &data), "got >f4"),
        ("f.npy", npy("<f4", "True", &shape, &data), "Fortran"),
        ("g.npy", npy("<f4", "False", "240,", &data), "two dimensions"),
        ("h.npy", npy("<f4", "False", "99999999999999999999, 12", &data), "two dimensions"),
        ("i.npy", npy("<f4", "False", "4611686018427387904, 12", &data), "address space"),
        ("j.npy", npy("<f4", "False", "40, 6", &data), "expected 12 columns, got 6"),
        ("k.npy", npy("<f4", "False", &shape, &little(&nan)), "row 7 is not finite"),
        ("l.npy", b"\x93NUMPY\x09\x00".to_vec(), "got 9"),
        ("m.fvecs", ragged, "row 5: expected 12 columns as in the first row, got 11"),
        ("n.fvecs", vecs(&x, little)[..100].to_vec(), "truncated"),
        ("o.fvecs", vec![0xff; 60], "got -1"),
        ("p.bvecs", vec![0; 60], "1 column or more, got 0"),
        ("q.fvecs", Vec::new(), "got 0 bytes"),
        ("r.txt", data.clone(), ".npy, .fvecs or .bvecs"),
    ];
    for description in ["Flat", "SQfp16"] {
        let mut index = empty(description);
        index
            .add(MatrixRef::new("x", &x, 20, DIM).expect("whole"), None, 0, &Control::default())
            .expect("fits");
        for (name, content, expected) in &cases {
            let path = dir.path().join(name);
            fs::write(&path, content).expect("room");
            let error = refused(&mut index, &path).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        let error = refused(&mut index, &dir.path().join("absent.npy"));
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}

#[test]
fn add_file_failing_or_cancelled_half_way_adds_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.fvecs");
    // Two pieces and a bit.
    let rows = 2 * (1 << 23) / DIM + 100;
    let mut x = numbers(2, rows * DIM);
    fs::write(&path, vecs(&x, little)).expect("room");
    let mut index = empty("Flat");
    index
        .add(MatrixRef::new("x", &x[..5 * DIM], 5, DIM).expect("whole"), None, 0, &Control::default())
        .expect("fits");
    let before = bytes(&index);
    let mut pieces = 0;
    let mut stop = |_: &Report| {
        pieces += 1;
        pieces < 2
    };
    let error = index.add_file(&path, 0, &Control::new(Some(&mut stop), None));
    assert!(matches!(error, Err(Error::Cancelled)));
    assert!(bytes(&index) == before && pieces == 2);
    let flag = AtomicI32::new(1);
    assert!(matches!(index.add_file(&path, 0, &Control::new(None, Some(&flag))), Err(Error::Cancelled)));
    x[(rows - 1) * DIM] = f32::INFINITY;
    fs::write(&path, vecs(&x, little)).expect("room");
    let error = index.add_file(&path, 0, &Control::default()).expect_err("not finite").to_string();
    assert!(error.contains(&format!("row {} is not finite", rows - 1)), "{error}");
    assert!(bytes(&index) == before);
}
