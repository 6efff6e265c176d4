//! Both steps of a search at once, where a device does them.

use super::work::Work;
use super::{Codes, Probes, ScanJob, Subset, cpu, fits_device};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::output::Rows;
use crate::topk::Hit;

/// Both steps of a search.
pub(crate) struct Both<'a> {
    /// The scan of the centroids, all in one list, whose numbers are their places in it and those of the lists.
    pub(crate) first: &'a ScanJob<'a>,
    /// How many of the nearest lists a query visits.
    pub(crate) nprobe: usize,
    /// The scan of the lists, of which its probes do not tell yet.
    pub(crate) second: &'a ScanJob<'a>,
    /// How many it finds for each query.
    pub(crate) k: usize,
}

/// Hands the lists of each query to `lists` and what is best in them to `sink`, if there is a device that should find
/// both; whether it was done.
pub(crate) fn scan_both(
    context: &Context,
    both: &Both<'_>,
    lists: &dyn Sink,
    sink: &dyn Sink,
) -> Result<bool> {
    let second = both.second;
    let plain = matches!(second.codes, Codes::Plain) && second.max_codes == usize::MAX;
    if !plain || second.filter.is_some() || !fits_device(second) {
        return Ok(false);
    }
    let Some(device) = context.device().backend(context, || Work::both(both)) else { return Ok(false) };
    match device.both(context, both, lists, sink)? {
        None => {
            context.notice_loss();
            Ok(false)
        }
        Some(left) if left.is_empty() => Ok(true),
        Some(left) => both.on_cpu(context, &left, lists, sink).map(|()| true),
    }
}

impl Both<'_> {
    /// The same for some of the queries on the CPU.
    fn on_cpu(&self, context: &Context, numbers: &[usize], lists: &dyn Sink, sink: &dyn Sink) -> Result<()> {
        let nprobe = self.nprobe;
        let subset = Subset::of(self.first, numbers);
        let mut found = vec![-1; numbers.len() * nprobe];
        let both = Found { rows: Rows::new(&mut found, nprobe), also: &subset.renumbered(lists) };
        cpu::best(context, &subset.job(self.first), nprobe, &both)?;
        let all = ScanJob { probes: Probes::All, ..*self.second };
        let probes = Probes::Lists { lists: &found, nprobe };
        cpu::best(context, &ScanJob { probes, ..subset.job(&all) }, self.k, &subset.renumbered(sink))
    }
}

/// The ids of hits, which are handed on.
struct Found<'a> {
    rows: Rows<'a, i64>,
    also: &'a dyn Sink,
}

impl Sink for Found<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.rows.with_row(query, |row| row.iter_mut().zip(hits).for_each(|(list, hit)| *list = hit.id));
        self.also.take(query, hits);
    }
}
