//! How much a job has to do: what a device is chosen by.

use super::{AssignJob, Both, Codes, ListSource, Probes, ScanJob, SumJob};
use crate::lists::block::BLOCK;

/// A job, as far as its costs go.
pub(crate) struct Work<'a> {
    /// What its multiply-adds are for.
    pub(crate) kind: Kind,
    pub(crate) multiply_adds: f64,
    /// Bytes of lists that are read.
    pub(crate) read: f64,
    /// See [`choices`].
    pub(crate) choices: f64,
    /// Bytes that a device has to be sent for this job alone.
    pub(crate) bytes: f64,
    /// What it has to have.
    pub(crate) lists: &'a dyn ListSource,
    /// Whether only what passes a filter is found. A CPU leaves out blocks of which nothing passes, a device does not; how many
    /// that are is not known before the filter was asked about each vector: such work is the CPU's.
    pub(crate) filtered: bool,
    /// The scan, and how many it finds for each query, if lists are of codes: how long these take is seen on it.
    pub(crate) coded: Option<(&'a ScanJob<'a>, usize)>,
    /// Workers that it may use.
    pub(crate) workers: usize,
    /// Whether the same work is looked at again, part by part, if it is not done so.
    pub(crate) again: bool,
}

/// A kind of job: each has its own speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scan,
    Assign,
}

impl<'a> Work<'a> {
    /// The `k` best of each query.
    pub(crate) fn best(job: &'a ScanJob<'a>, k: usize) -> Self {
        let nlist = job.lists.list_count().max(1);
        let nprobe = match job.probes {
            Probes::All => nlist,
            Probes::Lists { nprobe, .. } => nprobe.min(nlist),
        };
        let codes = (nprobe * job.vectors.div_ceil(nlist)).min(job.max_codes).min(job.vectors);
        let (count, looked, all) = (job.count as f64, codes as f64, job.vectors.max(1) as f64);
        let element =
            if job.lists.list_count() == 0 { 0 } else { job.lists.list(0).vectors.element().size() };
        let sent = match &job.codes {
            Codes::Product(codes) => job.count * codes.table_bytes(),
            _ => size_of_val(job.queries),
        };
        // As if each query looked at any part of all.
        let met = 1.0 - (1.0 - looked / all).powf(count);
        Self {
            kind: Kind::Scan,
            multiply_adds: count * looked * job.dim as f64,
            read: met * all * (job.columns() * element) as f64,
            choices: count * choices(k, looked),
            bytes: sent as f64,
            lists: job.lists,
            filtered: job.filter.is_some(),
            coded: (!matches!(job.codes, Codes::Plain)).then_some((job, k)),
            workers: job.workers,
            again: false,
        }
    }

    /// Both steps of a search.
    pub(crate) fn both(both: &Both<'a>) -> Self {
        let [first, second] = [Self::best(both.first, both.nprobe), Self::best(both.second, both.k)];
        Self {
            multiply_adds: first.multiply_adds + second.multiply_adds,
            read: first.read + second.read,
            choices: first.choices + second.choices,
            again: true,
            ..second
        }
    }

    /// All that is near enough, which is taken to be little.
    pub(crate) fn within(job: &'a ScanJob<'a>) -> Self {
        Self::best(job, 1)
    }
}

/// How often a vector is among the `k` best so far of `seen`, if they come in no order: what choosing takes on the CPU,
/// and near enough on a device.
pub(crate) fn choices(k: usize, seen: f64) -> f64 {
    let k = (k as f64).min(seen).max(1.0);
    k * (1.0 + (seen / k).max(1.0).ln())
}

impl<'a> From<&AssignJob<'a>> for Work<'a> {
    fn from(job: &AssignJob<'a>) -> Self {
        let values = (job.rows.len() * job.rows.x.dim()) as f64;
        let sent = values * size_of::<f32>() as f64;
        let (met, bytes) = match (job.near, job.kept) {
            // As if they were not kept: next to the products it is little.
            (None, _) => (job.centroids.list(0).live, sent),
            (Some(near), kept) => {
                let sent = if kept.is_some_and(|kept| kept.slot.is_held()) { 0.0 } else { sent };
                (BLOCK, sent + (size_of_val(near.order) + size_of_val(near.centroids)) as f64)
            }
        };
        Self {
            kind: Kind::Assign,
            multiply_adds: values * met as f64,
            read: 0.0,
            choices: 0.0,
            bytes,
            lists: job.centroids,
            filtered: false,
            coded: None,
            workers: job.workers,
            again: false,
        }
    }
}

/// Multiply-adds of an assignment that take the CPU as long as to read and add a value.
const SUMMED: usize = 16;

impl<'a> From<&SumJob<'a>> for Work<'a> {
    fn from(job: &SumJob<'a>) -> Self {
        let dim = job.kept.all.x.dim();
        let sums = (job.starts.len() * dim * size_of::<f64>()) as f64;
        Self {
            kind: Kind::Assign,
            multiply_adds: (job.order.len() * dim * SUMMED) as f64,
            read: 0.0,
            choices: 0.0,
            bytes: size_of_val(job.order) as f64 + sums,
            lists: job.centroids,
            filtered: false,
            coded: None,
            workers: job.workers,
            again: false,
        }
    }
}
