//! Range search: every vector nearer than a radius.

use super::search::Request;
use super::stats::{self, Clock};
use super::{Index, RangeOutput, SearchOptions};
use crate::backend;
use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;
use crate::topk::{self, Hit};

impl Index {
    /// Finds, for each query, all vectors of the lists visited that are strictly better than `radius`:
    /// squared distance below it (L2), similarity above it.
    pub fn range_search<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        radius: f32,
        options: &SearchOptions<'_>,
        control: &Control<'_>,
    ) -> Result<RangeOutput> {
        let queries = queries.into();
        self.check_trained()?;
        queries.check_dim("queries", self.input_dim())?;
        if radius.is_nan() {
            return Err(Error::argument("radius: expected a number, got NaN"));
        }
        self.check_finite(queries, "queries", options.threads, control)?;
        if options.target_recall != 0.0 {
            return Err(Error::argument(format!(
                "target_recall: expected 0, for a range has no k nearest to find, got {}",
                options.target_recall
            )));
        }
        self.check_no_k_factor(options.k_factor, "a range has no k")?;
        options.check_probe_scale()?;
        self.budget(options)?;
        control.check()?;
        let key = match self.metric {
            Metric::L2 => radius,
            // No similarity is above 1.
            Metric::Cosine if radius >= 1.0 => f32::NEG_INFINITY,
            _ => -radius,
        };
        let mut output = RangeOutput { offsets: vec![0], ..RangeOutput::default() };
        if self.count > 0 {
            let mut workspace = self.context.workspaces().take();
            let step = self.queries_a_step(queries, options);
            for from in (0..queries.rows()).step_by(step) {
                let to = (from + step).min(queries.rows());
                let request =
                    Request { stage: "search", queries: queries.slice(from, to), k: 0, given: None };
                let mut clock = Clock::start(options.stats);
                let job = self.job(&request, options, control.cancel(), &mut workspace, &mut clock)?;
                let mut found = backend::scan_within(&self.context, &job, key)?;
                let workers = job.workers;
                if let Some(codec) = &self.refine {
                    clock.lap(|stats| &mut stats.scan_ns);
                    self.rekey_found(codec, request.queries, key, &mut found, workers, control.cancel())?;
                    clock.lap(|stats| &mut stats.refine_ns);
                }
                if job.copies {
                    distinct(&mut found);
                    control.check()?;
                }
                output.append(&self.context, self.metric, to - from, found, workers, control.cancel())?;
                clock.lap(|stats| &mut stats.scan_ns);
                control.report("search", to, queries.rows(), 0.0)?;
            }
            self.context.workspaces().put(workspace);
        } else {
            stats::answered(options.stats, queries.rows());
        }
        output.offsets.resize(queries.rows() + 1, 0);
        Ok(output)
    }
}

/// Leaves one hit of each vector that a query has found, the better of two.
fn distinct(found: &mut Vec<(u32, Hit)>) {
    sort_by_query(found);
    let (mut kept, mut place, mut hits) = (0, 0, Vec::new());
    while place < found.len() {
        let query = found[place].0;
        hits.clear();
        hits.extend(found[place..].iter().take_while(|(other, _)| *other == query).map(|(_, hit)| *hit));
        place += hits.len();
        for &mut hit in topk::distinct(&mut hits) {
            found[kept] = (query, hit);
            kept += 1;
        }
    }
    found.truncate(kept);
}

/// Puts what was found in the order of the queries.
pub(super) fn sort_by_query(found: &mut [(u32, Hit)]) {
    found.sort_unstable_by_key(|&(query, _)| query);
}
