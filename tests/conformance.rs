//! tests/conformance.json, which every language passes, through the Rust API. tests/conformance/generate.py tells what
//! is in it.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "conformance/alone.rs"]
mod alone;
mod common;
#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/search.rs"]
mod search;

use std::path::PathBuf;

use ivf::{
    Control, Error, Filter, Index, IndexOptions, ListOrder, MatrixRef, Metric, Result, RowsRef, Values, bf16,
    f16,
};
use search::{Beside, options};
use serde_json::Value;

fn metric(case: &Value) -> Metric {
    match case["metric"].as_str().unwrap() {
        "l2" => Metric::L2,
        "ip" => Metric::InnerProduct,
        "cosine" => Metric::Cosine,
        other => panic!("metric {other}"),
    }
}

/// The name of the status that the C API gives an error.
fn status(error: &Error) -> &'static str {
    match error {
        Error::Argument(_) | Error::Length { .. } => "IVF_E_ARGUMENT",
        Error::Dimension { .. } => "IVF_E_DIMENSION",
        Error::NotFinite { .. } => "IVF_E_NOT_FINITE",
        Error::NotTrained => "IVF_E_NOT_TRAINED",
        Error::State(_) => "IVF_E_STATE",
        Error::TooFewPoints { .. } => "IVF_E_TOO_FEW_POINTS",
        Error::DuplicateId { .. } | Error::RepeatedId { .. } | Error::ClashingId { .. } => {
            "IVF_E_DUPLICATE_ID"
        }
        Error::NotFound { .. } => "IVF_E_NOT_FOUND",
        Error::Description { .. } => "IVF_E_DESCRIPTION",
        Error::Format(_) => "IVF_E_FORMAT",
        Error::Corrupt(_) => "IVF_E_CORRUPT",
        Error::Unsupported(_) => "IVF_E_UNSUPPORTED",
        Error::Io { .. } => "IVF_E_IO",
        other => panic!("no case expects {other:?}"),
    }
}

fn integers(step: &Value, key: &str) -> Vec<i64> {
    step[key].as_array().map_or(Vec::new(), |all| all.iter().map(|value| value.as_i64().unwrap()).collect())
}

fn size(step: &Value, key: &str) -> usize {
    step[key].as_u64().map_or(0, |value| usize::try_from(value).unwrap())
}

/// The bits of a step's rows, as every type has them.
struct Typed {
    half: Vec<f16>,
    brain: Vec<bf16>,
    bytes: Vec<u8>,
}

impl Typed {
    fn of(step: &Value) -> Self {
        let bits: Vec<u16> = integers(step, "bits").into_iter().map(|v| u16::try_from(v).unwrap()).collect();
        Self {
            half: bits.iter().map(|&v| f16::from_bits(v)).collect(),
            brain: bits.iter().map(|&v| bf16::from_bits(v)).collect(),
            bytes: bits.iter().filter_map(|&v| u8::try_from(v).ok()).collect(),
        }
    }

    /// Those of the step's type, if it has one.
    fn rows(&self, step: &Value, dim: usize) -> Option<RowsRef<'_>> {
        let values = match step["element"].as_str()? {
            "f16" => Values::F16(&self.half),
            "bf16" => Values::Bf16(&self.brain),
            "u8" => Values::U8(&self.bytes),
            other => panic!("element {other}"),
        };
        Some(RowsRef::new("x", values, size(step, "n"), dim).unwrap())
    }
}

struct Run {
    index: Index,
    metric: Metric,
    dim: usize,
    file: PathBuf,
}

impl Run {
    fn new(case: &Value, file: PathBuf) -> Result<Self> {
        let (metric, dim) = (metric(case), size(case, "dim"));
        let allow_duplicate_ids = case["allow_duplicate_ids"].as_bool().unwrap_or(false);
        let list_order = match case["list_order"].as_str() {
            None => ListOrder::Added,
            Some("best_first") => ListOrder::BestFirst,
            Some(other) => panic!("list_order {other}"),
        };
        let options = IndexOptions { allow_duplicate_ids, list_order, ..IndexOptions::default() };
        let index =
            Index::new(common::context(2, None), dim, metric, case["index"].as_str().unwrap(), &options)?;
        Ok(Self { index, metric, dim, file })
    }

    fn float(&self, value: &Value) -> f32 {
        match value.as_str() {
            #[expect(clippy::cast_possible_truncation, reason = "the file has float32 numbers")]
            None => value.as_f64().unwrap() as f32,
            Some("nan") => f32::NAN,
            Some("inf") => f32::INFINITY,
            Some("-inf") => f32::NEG_INFINITY,
            Some("worst") => self.metric.worst(),
            Some(other) => panic!("{other}"),
        }
    }

    fn floats(&self, step: &Value, key: &str) -> Vec<f32> {
        step[key].as_array().map_or(Vec::new(), |all| all.iter().map(|value| self.float(value)).collect())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.index.serialize(&mut bytes).unwrap();
        bytes
    }

    fn close(&self, step: &Value, key: &str, got: &[f32]) {
        let expected = self.floats(step, key);
        assert_eq!(got.len(), expected.len(), "{key}");
        for (place, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
            // Squared distances have no rounding to hide behind: 0 is 0.
            let floor = if key == "distances" && self.metric == Metric::L2 { 0.0 } else { 1e-6 };
            let near = got == expected
                || (got.is_nan() && expected.is_nan())
                || (got - expected).abs() <= 1e-5 * expected.abs() + floor;
            assert!(near, "{key}[{place}]: expected {expected}, got {got}");
        }
    }

    /// Runs a step; one that is to fail changes nothing.
    fn step(&mut self, step: &Value) {
        let Some(expected) = step["status"].as_str() else {
            return self.action(step).unwrap();
        };
        let before = self.bytes();
        let error = self.action(step).unwrap_err();
        let text = error.to_string();
        assert_eq!(status(&error), expected, "{text}");
        assert!(text.contains(step["error"].as_str().unwrap_or("")), "{step}: {text}");
        assert!(self.bytes() == before, "a call that fails changes nothing");
    }

    fn action(&mut self, step: &Value) -> Result<()> {
        let dim = step["dim"].as_u64().map_or(self.dim, |dim| usize::try_from(dim).unwrap());
        let (values, typed, control) = (self.floats(step, "x"), Typed::of(step), Control::default());
        let matrix = MatrixRef::new("x", &values, values.len() / dim, dim).unwrap();
        let rows = typed.rows(step, dim).unwrap_or(matrix.into());
        match step["op"].as_str().unwrap().trim_end_matches("_typed") {
            "set_centroids" => self.index.set_centroids(matrix),
            "train" => self.index.train(rows, &Default::default(), &control),
            "add" => {
                let ids = integers(step, "ids");
                self.index.add(rows, step["ids"].is_array().then_some(&ids[..]), 0, &control)
            }
            "update" => self.index.update(&integers(step, "ids"), rows, 0, &control),
            "remove" => {
                assert_eq!(self.index.remove(&integers(step, "ids"))?, size(step, "removed"));
                Ok(())
            }
            "remove_range" => {
                let (first, end) = (step["first"].as_i64().unwrap(), step["end"].as_i64().unwrap());
                let removed = self.index.remove_filter(&Filter::range(first, end))?;
                assert_eq!(removed, size(step, "removed"));
                Ok(())
            }
            "reset" => {
                self.index.reset();
                Ok(())
            }
            "compact" => self.index.compact(),
            "search" | "search_preassigned" => self.search(step, rows),
            "range_search" => self.range_search(step, rows),
            "search_and_reconstruct" => self.search_and_reconstruct(step, rows),
            "query_expansion" | "blend" => self.mix(step, rows),
            "reconstruct" => self.reconstruct(step, &integers(step, "ids"), dim),
            "reconstruct_range" => {
                let count = size(step, "count");
                let mut x = vec![0.0; count * dim];
                self.index.reconstruct_range(step["first"].as_i64().unwrap(), count, &mut x)?;
                self.close(step, "x", &x);
                Ok(())
            }
            "ids" => {
                assert_eq!(self.index.ids(), integers(step, "ids"));
                Ok(())
            }
            "merge_copy" => {
                let copy = self.index.copy(self.index.context().clone())?;
                let merged = self.index.merge(&copy, step["add_id"].as_i64().unwrap(), 0, &control)?;
                assert_eq!(merged, size(step, "merged"));
                Ok(())
            }
            "info" => {
                self.info(step);
                Ok(())
            }
            "list_sizes" => {
                let sizes: Vec<i64> =
                    self.index.list_sizes().into_iter().map(|size| i64::try_from(size).unwrap()).collect();
                assert_eq!(sizes, integers(step, "sizes"));
                Ok(())
            }
            "describe" => {
                assert_eq!(self.index.describe(), step["text"].as_str().unwrap());
                Ok(())
            }
            "tune" => self.tune(step, rows),
            "curve" => {
                self.curve(step);
                Ok(())
            }
            "check" => self.check(step),
            "centroids" => {
                self.close(step, "x", self.index.centroids()?);
                Ok(())
            }
            "add_file" | "build_file" => self.vector_file(step),
            "kmeans" => self.kmeans(step, rows),
            "knn" => self.knn(step, rows),
            way => self.go_on(way),
        }
    }

    /// Query expansion or a blend.
    fn mix(&self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "the file has float32 numbers")]
        let float = |key: &str| step[key].as_f64().map(|value| value as f32);
        let (k, mut out) = (size(step, "k"), vec![0.0; queries.rows() * self.dim]);
        let beside = Beside::of(step);
        let (options, control) = (options(step, &beside), Control::default());
        if let Some(alpha) = float("alpha") {
            self.index.query_expansion(queries, k, alpha, &options, &mut out, &control)?;
        } else {
            let (power, ratio) = (float("power").unwrap(), float("ratio").unwrap());
            self.index.blend(queries, k, power, ratio, &options, &mut out, &control)?;
        }
        self.close(step, "out", &out);
        Ok(())
    }

    fn reconstruct(&self, step: &Value, ids: &[i64], dim: usize) -> Result<()> {
        let mut x = vec![0.0; ids.len() * dim];
        self.index.reconstruct(ids, &mut x)?;
        if step["x"].is_array() {
            self.close(step, "x", &x);
        }
        Ok(())
    }

    fn info(&self, step: &Value) {
        let info = self.index.info();
        let got = [
            ("dim", info.dim as u64),
            ("trained", info.trained.into()),
            ("count", info.count as u64),
            ("nlist", info.nlist as u64),
            ("nprobe", info.nprobe as u64),
            ("next_id", info.next_id.cast_unsigned()),
        ];
        for (name, expected) in step.as_object().unwrap().iter().filter(|(name, _)| *name != "op") {
            let (_, got) = got.iter().find(|(known, _)| known == name).unwrap();
            assert_eq!(Some(*got), expected.as_u64(), "{name}");
        }
    }
}

#[test]
fn conformance_every_case_passes() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(file["format"], 1);
    let folder = tempfile::tempdir().unwrap();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        println!("{}", case["name"]);
        let made = Run::new(case, folder.path().join("индекс-索引"));
        if let Some(expected) = case["create_status"].as_str() {
            let error = made.err().unwrap();
            assert_eq!(status(&error), expected);
            assert!(error.to_string().contains(case["error"].as_str().unwrap_or("")), "{error}");
            continue;
        }
        let mut run = made.unwrap();
        for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            println!("  step {number}: {}", step["op"]);
            run.step(step);
        }
    }
    assert!(cases.len() > 100);
}
