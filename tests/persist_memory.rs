//! What loading and saving take of memory, measured by the system in a process of its own for each way.
//! (The system's measure is read from /proc, so this runs on Linux.)

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod persist_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use ivf::{Control, Index, IndexOptions, LoadOptions, Metric};
use persist_support::*;

const MIB: u64 = 1 << 20;

/// Set in the processes that are measured: what to do, and with which file.
const WORK: &str = "IVF_TEST_MEMORY_WORK";
const FILE: &str = "IVF_TEST_MEMORY_FILE";

/// Most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Does one thing and prints what it took. Does nothing in an ordinary run of the tests.
#[test]
fn measured_process() {
    let Ok(work) = std::env::var(WORK) else { return };
    let path = std::env::var(FILE).unwrap();
    let path = Path::new(&path);
    let load = |options: LoadOptions| Index::load(context(2), path, &options, &Control::default()).unwrap();
    // Threads and libraries are there before the measure begins.
    results(&from_bytes(&to_bytes(&kinds()[1].1)).unwrap(), &Default::default());
    let before = peak();
    let index = match work.as_str() {
        "read" | "save" => load(LoadOptions::default()),
        "map" => load(LoadOptions { memory_map: true, ..Default::default() }),
        "map unverified" => load(LoadOptions { memory_map: true, skip_verify: true, ..Default::default() }),
        other => unreachable!("{other}"),
    };
    println!("took {} bytes for {}", peak() - before, index.info().count);
    if work == "save" {
        let before = peak();
        index.save(&path.with_extension("copy"), &Control::default()).unwrap();
        index.export_faiss(&path.with_extension("faiss"), &Control::default()).unwrap();
        println!("took {} bytes for saving", peak() - before);
    }
}

/// Bytes that each step of `work` took, in a new process.
fn measure(work: &str, path: &Path) -> Vec<u64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "measured_process", "--nocapture", "--test-threads=1"])
        .env(WORK, work)
        .env(FILE, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{work}: {text}");
    let took: Vec<u64> =
        text.lines().filter_map(|line| line.split("took ").nth(1)?.split(' ').next()?.parse().ok()).collect();
    assert!(!took.is_empty(), "{work}: {text}");
    took
}

#[test]
fn load_and_save_take_no_second_copy_of_the_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("index.ivf"), dir.path().join("index.faiss"));
    let dim = 256;
    let n = 100_000;
    let mut index = Index::new(context(2), dim, Metric::L2, "IVF16,Flat", &IndexOptions::default()).unwrap();
    let data = rows(1, n * dim / DIM + 1);
    let x = ivf::MatrixRef::new("rows", &data[..n * dim], n, dim).unwrap();
    index.set_centroids(x.slice(0, 16)).unwrap();
    index.add(x, None, 0, &Control::default()).unwrap();
    save(&index, &ours);
    index.export_faiss(&theirs, &Control::default()).unwrap();
    let file = fs::metadata(&ours).unwrap().len();
    assert!(file > 95 * MIB);

    let read = measure("read", &ours)[0];
    assert!(read > file / 2 && read < file + file / 20 + 8 * MIB, "read: {read} for a file of {file}");
    let faiss = measure("read", &theirs)[0];
    assert!(faiss > file / 2 && faiss < file + file / 20 + 8 * MIB, "faiss: {faiss} for a file of {file}");
    // Ids and biases, 12 bytes of 1036, are looked at through the map.
    let mapped = measure("map", &ours)[0];
    assert!(mapped < file / 20 + 8 * MIB, "mapped: {mapped} for a file of {file}");
    let unverified = measure("map unverified", &ours)[0];
    assert!(unverified < file / 50 + 4 * MIB, "mapped, unverified: {unverified} for a file of {file}");
    let saved = measure("save", &ours)[1];
    assert!(saved < 4 * MIB, "saving took {saved}");
    println!(
        "file {file}: read {read}, faiss {faiss}, mapped {mapped}, unverified {unverified}, save {saved}"
    );
}
