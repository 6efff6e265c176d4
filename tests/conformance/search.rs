//! The searches of a case, and what they say of themselves.

use std::sync::Mutex;

use ivf::{
    Budget, Control, CurvePoint, Filter, Profile, Result, RowsRef, SearchOptions, SearchOutput, SearchStats,
    Sharing, Switch, TuneOptions,
};
use serde_json::Value;

use super::{Run, integers, size};

#[expect(clippy::cast_possible_truncation, reason = "the file has float32 numbers")]
fn float(step: &Value, key: &str) -> f32 {
    step[key].as_f64().unwrap_or(0.0) as f32
}

fn switch(step: &Value, key: &str) -> Switch {
    match step[key].as_bool() {
        None => Switch::Default,
        Some(true) => Switch::On,
        Some(false) => Switch::Off,
    }
}

fn profile(step: &Value) -> Profile {
    match step["profile"].as_str() {
        None => Profile::Default,
        Some("exact") => Profile::Exact,
        Some("speed") => Profile::Speed,
        Some("approx_fast") => Profile::ApproxFast,
        Some("approx_balanced") => Profile::ApproxBalanced,
        Some("approx_quality") => Profile::ApproxQuality,
        Some(other) => panic!("profile {other}"),
    }
}

fn sharing(step: &Value) -> Sharing {
    match step["sharing"].as_str() {
        None => Sharing::Default,
        Some("uniform") => Sharing::Uniform,
        Some("distance_weighted") => Sharing::DistanceWeighted,
        Some("probe_order") => Sharing::ProbeOrder,
        Some(other) => panic!("sharing {other}"),
    }
}

/// The filter that a step's member describes.
fn filter(member: &Value) -> Filter {
    let (name, of) = member.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "ids" => Filter::ids(&integers(member, name)),
        "range" => Filter::range(of[0].as_i64().unwrap(), of[1].as_i64().unwrap()),
        "bitmap" => {
            let bytes: Vec<u8> =
                integers(member, name).into_iter().map(|byte| u8::try_from(byte).unwrap()).collect();
            Filter::bitmap(&bytes)
        }
        "and" => filter(&of[0]).and(&filter(&of[1])),
        "or" => filter(&of[0]).or(&filter(&of[1])),
        "not" => filter(of).negate(),
        other => panic!("filter {other}"),
    }
}

/// What a step's options refer to.
#[derive(Default)]
pub(super) struct Beside {
    stats: Mutex<SearchStats>,
    filter: Option<Filter>,
}

impl Beside {
    pub(super) fn of(step: &Value) -> Self {
        Self { filter: step["filter"].is_object().then(|| filter(&step["filter"])), ..Self::default() }
    }
}

/// What a step sets; the lists of a preassigned search count as no nprobe.
pub(super) fn options<'a>(step: &Value, beside: &'a Beside) -> SearchOptions<'a> {
    SearchOptions {
        filter: beside.filter.as_ref(),
        nprobe: if step["lists"].is_array() { 0 } else { size(step, "nprobe") },
        max_codes: size(step, "max_codes"),
        target_recall: float(step, "target_recall"),
        k_factor: float(step, "k_factor"),
        probe_scale: float(step, "probe_scale"),
        profile: profile(step),
        budget: Budget {
            codes: size(step, "budget_codes"),
            share: float(step, "budget_share"),
            sharing: sharing(step),
            list_min: size(step, "list_min"),
            list_max: size(step, "list_max"),
            dynamic_nprobe: switch(step, "dynamic_nprobe"),
            strict: switch(step, "strict_budget"),
        },
        stats: step["stats"].is_array().then_some(&beside.stats),
        ..SearchOptions::default()
    }
}

impl Run {
    pub(super) fn search(&self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        self.found(step, queries.rows(), |options, output| {
            let (k, control) = (size(step, "k"), Control::default());
            if step["lists"].is_array() {
                let (lists, nprobe) = (integers(step, "lists"), size(step, "nprobe"));
                self.index.search_preassigned(queries, &lists, nprobe, k, options, output, &control)
            } else {
                self.index.search(queries, k, options, output, &control)
            }
        })
    }

    pub(super) fn range_search(&self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        let (radius, beside) = (self.float(&step["radius"]), Beside::of(step));
        let found = self.index.range_search(queries, radius, &options(step, &beside), &Control::default())?;
        let offsets: Vec<i64> = found.offsets.iter().map(|&offset| i64::try_from(offset).unwrap()).collect();
        assert_eq!(offsets, integers(step, "offsets"));
        assert_eq!(found.ids, integers(step, "ids"));
        self.close(step, "distances", &found.distances);
        Ok(())
    }

    pub(super) fn search_and_reconstruct(&self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        let (k, control) = (size(step, "k"), Control::default());
        let mut vectors = vec![0.0; queries.rows() * k * self.dim];
        self.found(step, queries.rows(), |options, output| {
            self.index.search_and_reconstruct(queries, k, options, output, &mut vectors, &control)
        })?;
        self.close(step, "vectors", &vectors);
        Ok(())
    }

    /// Runs a search for the `n` queries of a step and compares what it finds.
    pub(super) fn found(
        &self,
        step: &Value,
        n: usize,
        search: impl FnOnce(&SearchOptions<'_>, SearchOutput<'_>) -> Result<()>,
    ) -> Result<()> {
        let k = size(step, "k");
        let (mut distances, mut ids, mut hits) = (vec![0.0; n * k], vec![0; n * k], vec![0; n]);
        let beside = Beside::of(step);
        let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: Some(&mut hits) };
        search(&options(step, &beside), output)?;
        assert_eq!(ids, integers(step, "ids"));
        self.close(step, "distances", &distances);
        assert_eq!(hits, integers(step, "hits").iter().map(|&hits| hits as u64).collect::<Vec<_>>());
        if step["stats"].is_array() {
            let SearchStats { queries, lists, codes, .. } = beside.stats.into_inner().unwrap();
            assert_eq!([queries, lists, codes].map(|number| number as i64)[..], integers(step, "stats"));
        }
        Ok(())
    }

    pub(super) fn tune(&mut self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        let truth = integers(step, "truth");
        let truth = step["truth"].is_array().then_some(&truth[..]);
        let options = TuneOptions { truth, ..TuneOptions::default() };
        let recall = step["recall"].as_f64().unwrap();
        let tuned = self.index.tune(queries, size(step, "k"), recall, &options, &Control::default())?;
        assert_eq!(tuned.nprobe, size(step, "nprobe"));
        assert!((tuned.recall - step["reached"].as_f64().unwrap()).abs() < 1e-5);
        assert_eq!(tuned.k_factor, float(step, "k_factor"));
        assert!((tuned.probe_scale - float(step, "probe_scale")).abs() <= 1e-5 * tuned.probe_scale);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "shares, to 1e-5")]
    pub(super) fn curve(&self, step: &Value) {
        let about = integers(step, "about");
        let Some(curve) = self.index.curve() else {
            assert_eq!(about, [0; 5]);
            return;
        };
        let got = [curve.k, curve.queries, curve.count, curve.changed, usize::from(curve.is_stale())];
        assert_eq!(got.map(|number| number as i64)[..], about);
        let nprobe: Vec<i64> = curve.points.iter().map(|point| point.nprobe as i64).collect();
        assert_eq!(nprobe, integers(step, "nprobe"));
        let column = |name, of: fn(&CurvePoint) -> f32| {
            let got: Vec<f32> = curve.points.iter().map(of).collect();
            self.close(step, name, &got);
        };
        column("recall", |point| point.recall as f32);
        column("low", |point| point.low as f32);
        column("cost", |point| point.cost as f32);
        column("k_factor", |point| point.k_factor);
        column("probe_scale", |point| point.probe_scale);
    }
}
