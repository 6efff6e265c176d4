//! Searches whose two steps a device does at once: nobody waits for the coarse step to come back.

use super::stats::Clock;
use super::{Index, SearchOptions};
use crate::backend::workspace::Workspace;
use crate::backend::{self, Both, Probes, ScanJob};
use crate::coarse::ListSink;
use crate::codec::Codec;
use crate::collect::Sink;
use crate::error::Result;
use crate::index::search::Request;
use crate::output::TopKSink;
use crate::progress::Cancel;
use crate::topk::Hit;

impl Index {
    /// Hands what is best of each query to `sink`, if a device does both steps of this search; whether it was done.
    pub(super) fn search_at_once<'a>(
        &'a self,
        request: &Request<'a>,
        options: &SearchOptions<'a>,
        sink: &TopKSink<'_>,
        cancel: Cancel<'a>,
        workspace: &'a mut Workspace,
        clock: &mut Clock<'_>,
    ) -> Result<bool> {
        let Some(coarse) = self.coarse.as_ref().filter(|_| self.fits_device(request, options)) else {
            return Ok(false);
        };
        let queries = request.queries;
        let workers = self.context.workers(options.threads);
        let Workspace { floats, lists, between, .. } = workspace;
        let data = self.prepared_matrix(queries, workers, cancel, floats, between)?.data();
        clock.lap(|stats| &mut stats.prepare_ns);
        let nprobe = self.nprobe(options, coarse);
        let context = &self.context;
        let Some(first) = coarse.job(context, data, nprobe, workers, cancel) else { return Ok(false) };
        let not_yet = Probes::Lists { lists: &[], nprobe };
        let second = self.scan(data, not_yet, options, workers, cancel);
        let k = request.k.min(self.count);
        let both = Both { first: &first, nprobe, second: &second, k };
        let done = if options.stats.is_some() {
            lists.clear();
            lists.resize(queries.rows() * nprobe, -1);
            backend::scan_both(context, &both, &ListSink::new(lists, nprobe), sink)?
        } else {
            backend::scan_both(context, &both, &Nowhere, sink)?
        };
        if !done {
            return Ok(false);
        }
        clock.lap(|stats| &mut stats.scan_ns);
        clock.count(&ScanJob { probes: Probes::Lists { lists, nprobe }, ..second })?;
        Ok(true)
    }

    /// Whether a search is of the kind that devices do at once.
    fn fits_device(&self, request: &Request<'_>, options: &SearchOptions<'_>) -> bool {
        self.context.device().has_gpu()
            && request.given.is_none()
            && options.probe_scale == 0.0
            && options.filter.is_none()
            && options.max_codes == 0
            && matches!(self.budget(options), Ok(None))
            && self.lists.copies.is_none()
            && matches!(*self.codec, Codec::Plain(_))
    }
}

/// Where nobody wants to know.
struct Nowhere;

impl Sink for Nowhere {
    fn take(&self, _: usize, _: &[Hit]) {}
}
