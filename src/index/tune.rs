//! Recall on demand: the curve of recall against cost is measured on sample queries and kept, and a search that asks
//! for a recall takes from it how many lists a query visits, and behind a refinement its k_factor.

use super::measure::Measuring;
use super::{Index, SearchOptions};
use crate::curve::{Choice, Curve, worthwhile};
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::rows::RowsRef;

/// How [`Index::tune`] measures.
#[derive(Clone, Debug, Default)]
pub struct TuneOptions<'a> {
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// `[n, k]`: the ids of the true nearest of each sample query, -1 for none; `None` = the index's own
    /// vectors are searched exhaustively.
    pub truth: Option<&'a [i64]>,
}

/// What [`Index::tune`] chose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Lists that a search for the recall looks into, at most.
    pub nprobe: usize,
    /// By what its queries visit fewer, see [`SearchOptions::probe_scale`]; 0 = none does.
    pub probe_scale: f32,
    /// How many times k candidates it compares again; 0 without a refinement.
    pub k_factor: f32,
    /// The recall that the sample has so, or at the next point of the curve.
    pub recall: f64,
}

impl Index {
    /// Measures recall against cost on sample queries (`[n, dim]`), keeps the curve in the index and says how many
    /// lists give `recall` of the `k` nearest: as many for every query, or fewer for easy ones, whichever meets fewer
    /// vectors. Where there is a refinement its `k_factor` is chosen too.
    ///
    /// The queries should be like those to come, and not among the vectors: each of those would find
    /// itself. The more there are, the closer the choice; a thousand or two are plenty.
    pub fn tune<'x>(
        &mut self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        recall: f64,
        options: &TuneOptions<'_>,
        control: &Control<'_>,
    ) -> Result<Tuned> {
        let (curve, tuned) = self.measure(queries.into(), k, recall, options, control)?;
        self.keep_curve(curve)?;
        Ok(tuned)
    }

    /// The curve that was measured last, unless training or `reset` ended it. Adding and removing leave it,
    /// see [`Curve::is_stale`].
    pub fn curve(&self) -> Option<&Curve> {
        self.curve.as_ref()
    }

    /// The first half of [`Index::tune`]: changes nothing.
    pub(crate) fn measure(
        &self,
        queries: RowsRef<'_>,
        k: usize,
        recall: f64,
        options: &TuneOptions<'_>,
        control: &Control<'_>,
    ) -> Result<(Curve, Tuned)> {
        self.check_trained()?;
        queries.check_dim("queries", self.input_dim())?;
        check_recall(recall)?;
        if recall == 0.0 {
            return Err(Error::argument("recall: expected more than 0, got 0"));
        }
        if queries.rows() == 0 {
            return Err(Error::argument("queries: expected at least 1 sample query, got 0"));
        }
        if !self.is_tunable() {
            return Err(Error::State(format!(
                "{}: there is nothing to tune: it has no lists to choose from, and no refinement",
                self.description
            )));
        }
        if self.count == 0 {
            return Err(Error::State("tuning needs the vectors that are to be found: add them first".into()));
        }
        if !(1..=self.count).contains(&k) {
            return Err(Error::argument(format!(
                "k: expected 1 to the number of vectors, {}, got {k}",
                self.count
            )));
        }
        let mut measuring = Measuring::new(self, queries, k, options, control)?;
        let curve = |points| Curve { k, queries: queries.rows(), count: self.count, changed: 0, points };
        let mut best = curve(measuring.points(0.0)?);
        if self.refine.is_some() {
            best.points = worthwhile(best.points);
        }
        if let Some(scale) = measuring.scale()? {
            let adaptive = curve(worthwhile(measuring.points(scale)?));
            if adaptive.cost(recall) < best.cost(recall) {
                best = adaptive;
            }
        }
        let Choice { nprobe, probe_scale, k_factor, recall } = best.choice(recall, k, self.nlist())?;
        Ok((best, Tuned { nprobe, probe_scale, k_factor, recall }))
    }

    /// Whether there is anything that a search for a recall has to choose.
    fn is_tunable(&self) -> bool {
        self.description.is_ivf() || self.refine.is_some()
    }

    /// The second half of [`Index::tune`].
    pub(crate) fn keep_curve(&mut self, curve: Curve) -> Result<()> {
        let fits = curve.points.last().is_some_and(|point| point.nprobe <= self.nlist());
        if curve.count != self.count || !fits {
            return Err(Error::State(format!(
                "the index was changed while it was tuned: it held {} vectors, now {}",
                curve.count, self.count
            )));
        }
        self.curve = Some(curve);
        Ok(())
    }

    /// Notes that vectors were added or removed.
    pub(super) fn age_curve(&mut self, changed: usize) {
        if let Some(curve) = &mut self.curve {
            curve.changed = curve.changed.saturating_add(changed);
        }
    }

    /// The options with the number of lists that gives the recall asked for.
    pub(super) fn at_recall<'a>(&self, options: &SearchOptions<'a>, k: usize) -> Result<SearchOptions<'a>> {
        let target = f64::from(options.target_recall);
        check_recall(target)?;
        let mut options = options.clone();
        if target == 0.0 {
            return Ok(options);
        }
        self.check_no_k_factor(options.k_factor, "the recall chooses it")?;
        if options.probe_scale != 0.0 {
            return Err(Error::argument(format!(
                "probe_scale: expected 0, for the recall chooses it, got {}",
                options.probe_scale
            )));
        }
        for (name, got) in [("nprobe", options.nprobe), ("max_codes", options.max_codes)] {
            if got != 0 {
                return Err(Error::argument(format!(
                    "target_recall {target} and {name} {got}: expected one of them"
                )));
            }
        }
        if self.budget(&options)?.is_some() {
            return Err(Error::argument(format!(
                "target_recall {target} and a budget or an approximate profile: expected one of them"
            )));
        }
        options.target_recall = 0.0;
        if self.is_tunable() && self.count > 0 {
            let curve = self.curve.as_ref().ok_or_else(|| {
                Error::State(format!("recall {target}: it was not measured yet; call tune first"))
            })?;
            let choice = curve.choice(target, k.min(self.count), self.nlist())?;
            (options.nprobe, options.probe_scale, options.k_factor) =
                (choice.nprobe, choice.probe_scale, choice.k_factor);
        }
        Ok(options)
    }
}

fn check_recall(recall: f64) -> Result<()> {
    if (0.0..=1.0).contains(&recall) {
        return Ok(());
    }
    Err(Error::argument(format!("recall: expected a share from 0 to 1, got {recall}")))
}
