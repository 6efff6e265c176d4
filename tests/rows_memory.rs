//! What an index of bytes takes of memory beside the bytes themselves, measured by the system in a process of its
//! own. (The system's measure is read from /proc, so this runs on Linux.)

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::context;
use ivf::{Control, Index, Metric, RowsRef, SearchOptions, SearchOutput, TrainOptions};

const MIB: u64 = 1 << 20;

/// The size of MNIST.
const ROWS: usize = 60_000;
const DIM: usize = 784;

/// Set in the process that is measured: the description of its index.
const WORK: &str = "IVF_TEST_ROWS_MEMORY";

/// Most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Bytes that look like drawn digits: strokes around a few places, most of the picture empty.
fn pictures() -> Vec<u8> {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut x = vec![0u8; ROWS * DIM];
    for (row, picture) in x.chunks_exact_mut(DIM).enumerate() {
        for stroke in 0..4 {
            let start = (row % 40 * 17 + stroke * 131 + next() % 8) % (DIM - 60);
            for pixel in &mut picture[start..start + 40] {
                *pixel = u8::try_from(next() % 256).unwrap();
            }
        }
    }
    x
}

/// Builds and searches, and prints what that took beside the rows. Does nothing in an ordinary run of the tests.
#[test]
fn measured_process() {
    let Ok(description) = std::env::var(WORK) else { return };
    let pictures = pictures();
    let x = RowsRef::new("rows", &pictures[..], ROWS, DIM).unwrap();
    let before = peak();
    let control = Control::default();
    let mut index = Index::new(context(2, None), DIM, Metric::L2, &description, &Default::default()).unwrap();
    let mut options = TrainOptions::default();
    // The number of steps changes nothing of the memory.
    options.kmeans.iterations = 2;
    index.train(x, &options, &control).unwrap();
    let trained = peak() - before;
    index.add(x, None, 0, &control).unwrap();
    let added = peak() - before;
    let n = 10_000;
    let (mut distances, mut ids) = (vec![0.0; n * 10], vec![0; n * 10]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let options = SearchOptions { nprobe: 4, ..Default::default() };
    index.search(x.slice(0, n), 10, &options, output, &control).unwrap();
    assert!((0..n).all(|i| distances[i * 10] == 0.0 && ids[i * 10] <= i as i64));
    println!("took {trained} {added} {} for {}", peak() - before, index.info().vector_bytes);
}

/// Peaks above the rows themselves after training, adding and searching, and the bytes of the index.
fn measure(description: &str) -> [u64; 4] {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "measured_process", "--nocapture", "--test-threads=1"])
        .env(WORK, description)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = &text[text.find("took ").unwrap()..];
    let numbers: Vec<u64> = line.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse).take(4).collect();
    numbers.try_into().unwrap()
}

#[test]
fn bytes_of_mnist_s_size_are_trained_added_and_searched_without_a_float_copy() {
    let floats = (ROWS * DIM * 4) as u64;
    let rows = (ROWS * DIM) as u64;
    for description in ["IVF256,SQ8_direct", "IVF256,Flat"] {
        let [trained, added, searched, index] = measure(description);
        println!(
            "{description}: beside {} MiB of rows (as floats {}), training took {} MiB, with adding {}, with \
             searching {}; the index has {}",
            rows / MIB,
            floats / MIB,
            trained / MIB,
            added / MIB,
            searched / MIB,
            index / MIB,
        );
        // 256 centroids twice, and of each row a label, a key and a number.
        assert!(trained < 16 * MIB, "{} MiB", trained / MIB);
        assert!(added < index + 16 * MIB, "{} MiB", added / MIB);
        // Queries are widened 16 MiB at a time.
        assert!(searched < index + 16 * MIB + 48 * MIB, "{} MiB", searched / MIB);
    }
}
