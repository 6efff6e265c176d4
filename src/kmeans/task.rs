//! What one run of k-means has to do, and on what.

use super::centroids::Centroids;
use super::{KMeansOptions, Purpose, Seeding};
use crate::backend::{AssignJob, Kept, Near, Rows, assign, assign_near};
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;

/// The options with defaults filled in, and the data.
#[derive(Clone, Copy)]
pub(super) struct Task<'a, 'c> {
    pub(super) context: &'a Context,
    pub(super) x: RowsRef<'a>,
    pub(super) k: usize,
    pub(super) workers: usize,
    pub(super) iterations: usize,
    pub(super) seeding: Seeding,
    /// At most so many points are used.
    pub(super) most: usize,
    pub(super) spherical: bool,
    pub(super) mini_batch: usize,
    pub(super) purpose: Purpose,
    pub(super) control: &'a Control<'c>,
    /// Iterations of earlier runs, and of all.
    pub(super) done: usize,
    pub(super) total: usize,
}

impl<'a, 'c> Task<'a, 'c> {
    pub(super) fn new(
        context: &'a Context,
        x: RowsRef<'a>,
        k: usize,
        options: &KMeansOptions,
        purpose: Purpose,
        control: &'a Control<'c>,
    ) -> Self {
        let default = if options.mini_batch == 0 { ITERATIONS } else { STEPS };
        let iterations = if options.iterations == 0 { default } else { options.iterations };
        let per_centroid = match options.max_points_per_centroid {
            0 => POINTS_PER_CENTROID,
            // All points: the C API's number, and Rust's.
            n if n >= u32::MAX as usize => usize::MAX,
            n => n,
        };
        Self {
            context,
            x,
            k,
            workers: context.workers(options.threads),
            iterations,
            seeding: options.seeding,
            most: k.saturating_mul(per_centroid).min(x.rows()),
            spherical: options.spherical,
            mini_batch: options.mini_batch,
            purpose,
            control,
            done: 0,
            total: iterations.saturating_mul(options.restarts.max(1)),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.x.dim()
    }

    pub(super) fn metric(&self) -> Metric {
        if self.spherical { Metric::InnerProduct } else { Metric::L2 }
    }

    /// Finds the nearest centroid of every row: its label and its key. `kept` = the rows come again; `hinted` = the
    /// labels are guesses.
    pub(super) fn assign(
        &self,
        rows: Rows<'_>,
        kept: Option<Kept<'_>>,
        centroids: &Centroids,
        hinted: bool,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<()> {
        let hints = hinted.then_some(&centroids.rows[..]);
        let job = AssignJob { hints, ..self.job(rows, kept, centroids) };
        assign(self.context, &job, labels, keys)
    }

    /// As [`Task::assign`], but rows are compared with near centroids only, as far as a device does that; the rows left,
    /// `None` = all.
    pub(super) fn assign_near(
        &self,
        rows: Rows<'_>,
        kept: Kept<'_>,
        near: Near<'_>,
        centroids: &Centroids,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<Option<Vec<u32>>> {
        let job = AssignJob { near: Some(near), ..self.job(rows, Some(kept), centroids) };
        assign_near(self.context, &job, labels, keys)
    }

    fn job<'j>(&self, rows: Rows<'j>, kept: Option<Kept<'j>>, centroids: &'j Centroids) -> AssignJob<'j>
    where
        'a: 'j,
    {
        AssignJob {
            rows,
            kept,
            centroids,
            metric: centroids.metric,
            hints: None,
            near: None,
            workers: self.workers,
            cancel: self.control.cancel(),
        }
    }

    /// Tells how far this run is, then fails if the call is to end.
    pub(super) fn report(&self, iteration: usize, value: f64) -> Result<()> {
        if matches!(self.purpose, Purpose::Part | Purpose::Words) {
            return self.control.check();
        }
        self.control.report(self.purpose.stage(), self.done + iteration, self.total, value)
    }

    /// The mean of what the keys stand for: squared distance or similarity.
    pub(super) fn mean(&self, keys: &[f32]) -> f64 {
        let metric = self.metric();
        // Side by side: one sum would wait for each addition before the next.
        let mut sums = [0.0; SUMS];
        for keys in keys.chunks(SUMS) {
            for (sum, &key) in sums.iter_mut().zip(keys) {
                *sum += f64::from(metric.value_of_key(key));
            }
        }
        sums.iter().sum::<f64>() / keys.len() as f64
    }
}

/// Sums that a mean is made of.
const SUMS: usize = 16;

/// Iterations of the full algorithm.
const ITERATIONS: usize = 25;

/// Mini-batch steps.
const STEPS: usize = 100;

/// Points sampled for each centroid: more cost time and change little.
const POINTS_PER_CENTROID: usize = 256;
