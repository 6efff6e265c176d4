//! Some of a job's queries, as a job of their own.

use super::{Probes, ScanJob};
use crate::collect::Sink;
use crate::topk::Hit;

/// What of a job belongs to some of its queries.
pub(crate) struct Subset<'a> {
    /// The queries' numbers in the job.
    numbers: &'a [usize],
    queries: Vec<f32>,
    lists: Vec<i64>,
    keys: Option<Vec<f32>>,
    bars: Option<Vec<f32>>,
}

impl<'a> Subset<'a> {
    pub(crate) fn of(job: &ScanJob<'_>, numbers: &'a [usize]) -> Self {
        let (lists, nprobe) = match job.probes {
            Probes::All => (&[][..], 0),
            Probes::Lists { lists, nprobe } => (lists, nprobe),
        };
        let keys = job.keys.map(|keys| gather(keys, nprobe, numbers));
        let bars = job.bars.map(|bars| gather(bars, 1, numbers));
        Self {
            numbers,
            queries: gather(job.queries, job.dim, numbers),
            lists: gather(lists, nprobe, numbers),
            keys,
            bars,
        }
    }

    /// The job for these queries, which are numbered anew.
    pub(crate) fn job<'s>(&'s self, job: &ScanJob<'s>) -> ScanJob<'s> {
        let probes = match job.probes {
            Probes::All => Probes::All,
            Probes::Lists { nprobe, .. } => Probes::Lists { lists: &self.lists, nprobe },
        };
        let (queries, keys, bars) = (&self.queries, self.keys.as_deref(), self.bars.as_deref());
        ScanJob { queries, count: self.numbers.len(), probes, keys, bars, ..*job }
    }

    /// Hands hits on under the queries' numbers in the job.
    pub(crate) fn renumbered(&self, sink: &'a dyn Sink) -> impl Sink + 'a {
        Renumbered { numbers: self.numbers, sink }
    }
}

/// The rows of these numbers.
fn gather<T: Copy>(rows: &[T], width: usize, numbers: &[usize]) -> Vec<T> {
    numbers.iter().flat_map(|number| &rows[number * width..(number + 1) * width]).copied().collect()
}

struct Renumbered<'a> {
    numbers: &'a [usize],
    sink: &'a dyn Sink,
}

impl Sink for Renumbered<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.sink.take(self.numbers[query], hits);
    }

    fn wants_order(&self) -> bool {
        self.sink.wants_order()
    }
}
