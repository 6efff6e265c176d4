//! Lists that hold float16, bfloat16 or bytes: everything is as in a float32 index of the rounded values.

mod common;

use std::sync::Arc;

use ivf::{
    Context, ContextOptions, Control, Error, Index, IndexOptions, LoadOptions, MatrixRef, Metric,
    SearchOptions, SearchOutput, bf16, f16,
};

const DIM: usize = 19;
const CODES: [&str; 3] = ["SQfp16", "SQbf16", "SQ8_direct"];

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    use rand_xoshiro::rand_core::{RngCore, SeedableRng};
    let mut rng = rand_xoshiro::SplitMix64::seed_from_u64(seed);
    (0..count).map(|_| (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32).collect()
}

/// Rows that `code` can hold: of whole numbers for bytes, which hold no others.
fn rows(code: &str, seed: u64, count: usize) -> Vec<f32> {
    let fit = |v: f32| if code == "SQ8_direct" { (v * 256.0).floor() } else { 2.0 * v - 1.0 };
    numbers(seed, count * DIM).into_iter().map(fit).collect()
}

fn rounded(code: &str, values: &[f32]) -> Vec<f32> {
    let round = |&v: &f32| match code {
        "SQfp16" => f16::from_f32(v).to_f32(),
        "SQbf16" => bf16::from_f32(v).to_f32(),
        _ => v,
    };
    values.iter().map(round).collect()
}

fn matrix(values: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", values, values.len() / DIM, DIM).expect("whole rows")
}

fn context(kernel: Option<&str>) -> Arc<Context> {
    let options = ContextOptions { kernel: kernel.map(str::to_owned), ..ContextOptions::default() };
    Arc::new(Context::new(&options).expect("a kernel of this CPU"))
}

/// An index with 8 lists around the first rows, or a flat one, without vectors.
fn empty(context: Arc<Context>, description: &str, metric: Metric, x: &[f32]) -> Index {
    let mut index =
        Index::new(context, DIM, metric, description, &IndexOptions::default()).expect("a known description");
    if description.starts_with("IVF") {
        index.set_centroids(matrix(&x[..8 * DIM])).expect("eight rows");
    }
    index
}

fn filled(context: Arc<Context>, description: &str, metric: Metric, x: &[f32]) -> Index {
    let mut index = empty(context, description, metric, x);
    index.add(matrix(x), None, 0, &Control::default()).expect("rows that fit");
    index
}

/// Ids and the bits of the distances.
fn search(index: &Index, queries: &[f32]) -> (Vec<i64>, Vec<u32>) {
    let (n, k) = (queries.len() / DIM, 10);
    let (mut distances, mut ids) = (vec![0.0; n * k], vec![0; n * k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let options = SearchOptions { nprobe: 5, ..SearchOptions::default() };
    index.search(matrix(queries), k, &options, output, &Control::default()).expect("finite queries");
    (ids, distances.iter().map(|d| d.to_bits()).collect())
}

#[test]
fn search_any_code_equals_float32_of_the_rounded_values() {
    for code in CODES {
        let x = rows(code, 1, 700);
        let rounded = rounded(code, &x);
        // Some queries are vectors themselves, whose distance of 0 needs the closer look.
        let queries = [&numbers(2, 30 * DIM)[..], &rounded[..10 * DIM]].concat();
        for kernel in [None, Some("scalar")] {
            for metric in [Metric::L2, Metric::InnerProduct] {
                for description in ["", "IVF8,"] {
                    // Both have the same lists: they are chosen before anything is rounded.
                    let mut narrow =
                        empty(context(kernel), &format!("{description}{code}"), metric, &rounded);
                    let mut wide = empty(context(kernel), &format!("{description}Flat"), metric, &rounded);
                    for index in [&mut narrow, &mut wide] {
                        index.add(matrix(&rounded), None, 0, &Control::default()).expect("rows that fit");
                    }
                    assert_eq!(search(&narrow, &queries), search(&wide, &queries), "{description}{code}");
                    assert_eq!(narrow.describe(), format!("{description}{code}"));
                }
            }
        }
    }
}

#[test]
fn search_words_in_float16_has_the_recall_of_float32() {
    let rows = common::words();
    let (dim, k, nprobe) = (50, 10, 16);
    // Every tenth word is a query, the others are searched.
    let pick = |queries: bool| -> Vec<f32> {
        let wanted = rows.chunks_exact(dim).enumerate().filter(|(word, _)| (word % 10 == 0) == queries);
        wanted.flat_map(|(_, row)| row.iter().copied()).collect()
    };
    let (x, queries) = (pick(false), pick(true));
    let x = MatrixRef::new("rows", &x, x.len() / dim, dim).expect("whole rows");
    let make = |description: &str| {
        let options = IndexOptions::default();
        Index::new(context(None), dim, Metric::Cosine, description, &options).expect("a known description")
    };
    let mut trained = make("IVF128,Flat");
    trained.train(x, &Default::default(), &Control::default()).expect("many points");
    let centroids = trained.centroids().expect("trained").to_vec();
    let search = |description: &str| -> Vec<i64> {
        let mut index = make(description);
        if description.starts_with("IVF") {
            let centroids = MatrixRef::new("centroids", &centroids, 128, dim).expect("whole rows");
            index.set_centroids(centroids).expect("128 rows");
        }
        index.add(x, None, 0, &Control::default()).expect("rows that fit");
        common::search(&index, &queries, k, &SearchOptions { nprobe, ..SearchOptions::default() }).ids
    };
    let exact = search("Flat");
    let recall = |found: &[i64]| {
        let pairs = found.chunks_exact(k).zip(exact.chunks_exact(k));
        let hits: usize =
            pairs.map(|(found, exact)| exact.iter().filter(|id| found.contains(id)).count()).sum();
        hits as f64 / exact.len() as f64
    };
    let (single, half) = (recall(&search("IVF128,Flat")), recall(&search("IVF128,SQfp16")));
    assert!(single > 0.9 && (single - half).abs() <= 0.001, "{single} in float32, {half} in float16");
}

#[test]
fn reconstruct_any_code_gives_the_rounded_values_at_half_or_a_quarter_of_the_bytes() {
    for (code, bytes) in [("SQfp16", 2), ("SQbf16", 2), ("SQ8_direct", 1)] {
        let x = rows(code, 3, 333);
        let mut index = filled(context(None), &format!("IVF8,{code}"), Metric::L2, &x);
        let ids: Vec<i64> = (0..333).collect();
        let mut out = vec![0.0; x.len()];
        index.reconstruct(&ids, &mut out).expect("all there");
        assert_eq!(out, rounded(code, &x));
        index.compact().expect("memory");
        let lanes: u64 = index.list_sizes().iter().map(|size| size.next_multiple_of(16) as u64).sum();
        let others = lanes * 4 + 333 * 8 + 8 * 2 * 64;
        assert!(index.info().vector_bytes <= lanes * DIM as u64 * bytes + others + 8 * 64, "{code}");
    }
}

#[test]
fn cosine_narrow_codes_stay_near_float32() {
    let x = rows("", 4, 500);
    let queries = rows("", 5, 40);
    let exact = search(&filled(context(None), "Flat", Metric::Cosine, &x), &queries);
    for (code, error) in [("SQfp16", 1e-3), ("SQbf16", 1e-2)] {
        let found = search(&filled(context(None), code, Metric::Cosine, &x), &queries);
        for (a, b) in exact.1.iter().zip(&found.1) {
            let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
            assert!((a - b).abs() < error && b <= 1.0, "{code}: {a} {b}");
        }
    }
    let error = Index::new(context(None), DIM, Metric::Cosine, "SQ8_direct", &IndexOptions::default());
    assert!(error.err().expect("bytes hold no normalised rows").to_string().contains("got cosine"));
}

#[test]
fn add_value_beyond_the_type_names_row_and_column_and_adds_nothing() {
    for (code, value, expected) in [
        ("SQfp16", 65505.0, "row 2, column 5: expected from -65504 to 65504 (float16), got 65505"),
        ("SQ8_direct", 0.25, "row 2, column 5: expected a whole number from 0 to 255, got 0.25"),
        ("SQ8_direct", 256.0, "row 2, column 5: expected a whole number from 0 to 255, got 256"),
        ("SQbf16", 1.844e19, "row 2 is not finite"),
    ] {
        let mut x = rows("SQ8_direct", 6, 50);
        x[2 * DIM..3 * DIM].fill(0.0);
        x[2 * DIM + 5] = value;
        let mut index = empty(context(None), code, Metric::L2, &x);
        let error = index.add(matrix(&x), None, 0, &Control::default()).expect_err("it does not fit");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((index.info().count, index.info().next_id), (0, 0));
    }
    // The largest value of all does.
    let mut index = empty(context(None), "SQfp16", Metric::L2, &[]);
    index.add(matrix(&[65504.0; DIM]), None, 0, &Control::default()).expect("it fits");
}

#[test]
fn lists_grown_bit_by_bit_and_packed_equal_those_filled_at_once() {
    for code in CODES {
        let x = rows(code, 7, 300);
        let mut grown = empty(context(None), &format!("IVF8,{code}"), Metric::L2, &x);
        for chunk in x.chunks(7 * DIM) {
            grown.add(matrix(chunk), None, 0, &Control::default()).expect("rows that fit");
        }
        let mut whole = filled(context(None), &format!("IVF8,{code}"), Metric::L2, &x);
        let queries = numbers(8, 20 * DIM);
        assert_eq!(search(&grown, &queries), search(&whole, &queries));
        let odd: Vec<i64> = (0..300).filter(|id| id % 2 == 1).collect();
        for index in [&mut grown, &mut whole] {
            assert_eq!(index.remove(&odd).expect("memory"), 150);
            index.compact().expect("memory");
        }
        let even: Vec<f32> = x.chunks(2 * DIM).flat_map(|pair| pair[..DIM].to_vec()).collect();
        let mut fresh = empty(context(None), &format!("IVF8,{code}"), Metric::L2, &x);
        let ids: Vec<i64> = (0..300).filter(|id| id % 2 == 0).collect();
        fresh.add(matrix(&even), Some(&ids), 0, &Control::default()).expect("rows that fit");
        assert_eq!(search(&grown, &queries), search(&fresh, &queries));
        assert_eq!(search(&whole, &queries), search(&fresh, &queries));
    }
}

#[test]
fn save_any_code_loads_the_same_index_however_it_is_loaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let queries = numbers(9, 20 * DIM);
    for code in CODES {
        for description in [code.to_owned(), format!("IVF8,{code}")] {
            let x = rows(code, 10, 200);
            let index = filled(context(None), &description, Metric::L2, &x);
            let path = dir.path().join("index.ivf");
            index.save(&path, &Control::default()).expect("a directory to write in");
            let mut bytes = Vec::new();
            index.serialize(&mut bytes).expect("memory");
            assert_eq!(bytes, std::fs::read(&path).expect("saved"));
            let control = Control::default();
            for (memory_map, skip_verify) in [(false, false), (true, false), (false, true), (true, true)] {
                let options = LoadOptions { memory_map, skip_verify, ..LoadOptions::default() };
                let mut loaded = Index::load(context(None), &path, &options, &control).expect("sound");
                assert_eq!(loaded.describe(), description);
                assert_eq!(search(&loaded, &queries), search(&index, &queries));
                loaded
                    .add(matrix(&x[..40 * DIM]), None, 0, &control)
                    .expect("a mapped list is copied to grow");
                assert_eq!(loaded.info().count, 240);
            }
            // One byte of the vectors' section, which comes last.
            let last = bytes.len() - 3;
            bytes[last] ^= 0x55;
            let damaged = Index::deserialize(context(None), &bytes, &LoadOptions::default(), &control);
            assert!(matches!(damaged, Err(Error::Corrupt(_))));
        }
        let untrained =
            Index::new(context(None), DIM, Metric::L2, &format!("IVF,{code}"), &IndexOptions::default())
                .expect("a known description");
        let mut bytes = Vec::new();
        untrained.serialize(&mut bytes).expect("memory");
        let loaded = Index::deserialize(context(None), &bytes, &LoadOptions::default(), &Control::default())
            .expect("sound");
        assert_eq!(loaded.describe(), format!("IVF,{code}"));
    }
}
