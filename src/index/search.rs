//! Searching: the coarse step finds each query's lists, the scan finds the k best in them.

use std::sync::Mutex;

use super::stats::{self, Clock};
use super::{Index, SearchOutput, SearchStats};
use crate::backend::workspace::Workspace;
use crate::backend::{self, ListSource, Probes, ScanJob};
use crate::budget::{Budget, Profile};
use crate::coarse::{Coarse, Reach};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::output::TopKSink;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;

/// What a search may set; the default is the index's own way.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions<'a> {
    /// Lists to visit; 0 = the index's default; more than there are = all.
    pub nprobe: usize,
    /// Above 0: of its `nprobe` nearest lists a query visits the r-th only while
    /// `r * exp(gap / probe_scale) <= 4 * nprobe`, so that queries in the midst of a list visit few and those between
    /// lists many. The gap is how much farther that list is than the nearest, as a share of the nearest's squared
    /// distance; for inner products the difference over the query's length. 0 = every query visits `nprobe` lists.
    /// [`Index::tune`] finds what is good.
    pub probe_scale: f32,
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// Vectors to look at for each query, in probe order; 0 = no limit.
    pub max_codes: usize,
    /// Which ids may be returned; `None` = all. Applies inside the scan: k results come back whenever k
    /// vectors of the lists visited pass.
    pub filter: Option<&'a Filter>,
    /// Instead of `nprobe`: the share of the true nearest that is to be found, 0 = not asked for. Wants a
    /// curve that [`Index::tune`] measured for this k or a larger one.
    pub target_recall: f32,
    /// How many times `k` candidates are compared again where the index string ends in a refinement (`RFlat`),
    /// at least 1; 0 = the index's default, and where that is not set: 1.5, and 3 candidates beyond k at least, behind codes
    /// of 8 bits a dimension or more, 4 behind 4 bits or more, else 10. Infinity = all that the search looks at, so that the
    /// results are those of the kept rows; behind scalar codes without transforms only as many are compared as the codes' error leaves in question.
    /// Infinity behind RaBitQ codes, with no transform that changes distances: all that is not farther than the k-th best
    /// by the codes' error bound of 2.3 standard deviations, which on data that was rotated at random (`RR`, `HR`) fails
    /// for 1 of 100 vectors at most, so that a few in 1000 results are missing; a large finite factor compares all.
    pub k_factor: f32,
    /// A named set of budget options; what `budget` sets replaces the profile's.
    pub profile: Profile,
    /// How many vectors of the lists visited a query looks at.
    pub budget: Budget,
    /// What the search did is added here; `None` = nobody wants to know, and nothing is counted.
    pub stats: Option<&'a Mutex<SearchStats>>,
}

impl SearchOptions<'_> {
    pub(super) fn check_probe_scale(&self) -> Result<()> {
        let got = self.probe_scale;
        if got >= 0.0 && got.is_finite() {
            return Ok(());
        }
        Err(Error::argument(format!("probe_scale: expected 0 or more, got {got}")))
    }
}

/// What is asked for.
pub(super) struct Request<'a> {
    /// The name that progress goes by.
    pub(super) stage: &'static str,
    pub(super) queries: RowsRef<'a>,
    pub(super) k: usize,
    /// The caller's own coarse step: `[n, nprobe]` and nprobe.
    pub(super) given: Option<(&'a [i64], usize)>,
}

/// Multiply-adds between two looks at progress: a fifth of a second or so, on a GPU much less; but each step has a
/// beginning and an end, when the device waits for the CPU.
const WORK_A_STEP: usize = 1 << 34;
const WORK_A_STEP_WITH_A_GPU: usize = 1 << 36;

/// Values of queries that are widened at a time: 16 MiB.
const WIDENED_VALUES: usize = 1 << 22;

/// Queries between two looks at progress, at least and at most.
const QUERIES_A_STEP: (usize, usize) = (1 << 10, 1 << 15);

impl Index {
    /// Finds the `k` best of each query (`[n, dim]`, of any element type).
    pub fn search<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        control: &Control<'_>,
    ) -> Result<()> {
        let request = Request { stage: "search", queries: queries.into(), k, given: None };
        self.run(&request, options, output, control)
    }

    /// Finds the `k` best of each query in the lists given (`[n, nprobe]`, best first, -1 = none).
    pub fn search_preassigned<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        lists: &[i64],
        nprobe: usize,
        k: usize,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        control: &Control<'_>,
    ) -> Result<()> {
        let queries = queries.into();
        self.check_trained()?;
        for (name, got) in [("target_recall", options.target_recall), ("probe_scale", options.probe_scale)] {
            if got != 0.0 {
                return Err(Error::argument(format!(
                    "{name}: expected 0, for the lists are given, got {got}"
                )));
            }
        }
        let expected = queries.rows().checked_mul(nprobe).ok_or(Error::Overflow {
            what: "lists",
            rows: queries.rows() as u64,
            dim: nprobe as u64,
        })?;
        if lists.len() != expected {
            return Err(Error::Length { what: "lists", expected, got: lists.len() });
        }
        let nlist = self.lists.lists.len();
        if let Some(&got) = lists.iter().find(|&&list| list < -1 || list >= nlist as i64) {
            return Err(Error::argument(format!(
                "lists: expected 0 to {}, or -1 for none, got {got}",
                nlist - 1
            )));
        }
        let request = Request { stage: "search", queries, k, given: Some((lists, nprobe)) };
        self.run(&request, options, output, control)
    }

    pub(super) fn run(
        &self,
        request: &Request<'_>,
        options: &SearchOptions<'_>,
        mut output: SearchOutput<'_>,
        control: &Control<'_>,
    ) -> Result<()> {
        let &Request { stage, queries, k, given } = request;
        self.check_trained()?;
        queries.check_dim("queries", self.input_dim())?;
        output.check(queries.rows(), k)?;
        self.check_finite(queries, "queries", options.threads, control)?;
        self.check_k_factor(options.k_factor, true)?;
        options.check_probe_scale()?;
        let options = &self.at_recall(options, k)?;
        self.budget(options)?;
        output.clear(self.metric);
        if queries.rows() == 0 || self.count == 0 {
            stats::answered(options.stats, queries.rows());
            return control.check();
        }
        let mut workspace = self.context.workspaces().take();
        let step = self.queries_a_step(queries, options).min(self.most_refined(k, options));
        for from in (0..queries.rows()).step_by(step) {
            let to = (from + step).min(queries.rows());
            let given = given.map(|(lists, nprobe)| (&lists[from * nprobe..to * nprobe], nprobe));
            let part = output.part(from, to, k);
            let request = Request { stage, queries: queries.slice(from, to), k, given };
            self.step(&request, options, part, control, &mut workspace)?;
            control.report(stage, to, queries.rows(), 0.0)?;
        }
        self.context.workspaces().put(workspace);
        Ok(())
    }

    /// What limits a search, if anything does.
    pub(super) fn budget(&self, options: &SearchOptions<'_>) -> Result<Option<Budget>> {
        options.budget.resolve(options.profile, self.lists.ordered.then_some(self.metric))
    }

    /// How many queries to search between two looks at progress.
    pub(super) fn queries_a_step(&self, queries: RowsRef<'_>, options: &SearchOptions<'_>) -> usize {
        let nlist = self.nlist().max(1);
        let nprobe = if options.nprobe == 0 { self.default_nprobe() } else { options.nprobe.min(nlist) };
        let vectors = nlist + self.lists.list_count() / nlist * (self.count / nlist) * nprobe;
        let work = if self.context.device().has_gpu() { WORK_A_STEP_WITH_A_GPU } else { WORK_A_STEP };
        let step = (work / (vectors * self.dim)).clamp(QUERIES_A_STEP.0, QUERIES_A_STEP.1);
        match queries.element() {
            Element::F32 => step,
            // Those are copied.
            _ => step.min((WIDENED_VALUES / self.dim).max(1)),
        }
    }

    fn step(
        &self,
        request: &Request<'_>,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        control: &Control<'_>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let &Request { k, .. } = request;
        if let Some(codec) = &self.refine {
            return self.search_in_stages(codec, request, options, output, control, workspace);
        }
        let mut clock = Clock::start(options.stats);
        let sink = TopKSink::new(self.metric, k, output);
        if self.search_at_once(request, options, &sink, control.cancel(), workspace, &mut clock)? {
            return Ok(());
        }
        let job = self.job(request, options, control.cancel(), workspace, &mut clock)?;
        let hits = job.hits_for(k.min(self.count));
        backend::scan_best(&self.context, &job, hits, &sink)?;
        clock.lap(|stats| &mut stats.scan_ns);
        Ok(())
    }

    /// The scan that a request asks for; `workspace` keeps its queries and lists.
    pub(super) fn job<'a>(
        &'a self,
        request: &Request<'a>,
        options: &SearchOptions<'a>,
        cancel: Cancel<'a>,
        workspace: &'a mut Workspace,
        clock: &mut Clock<'_>,
    ) -> Result<ScanJob<'a>> {
        let queries = request.queries;
        let workers = self.context.workers(options.threads);
        let budget = self.budget(options)?;
        let weighted = budget.is_some_and(|budget| budget.wants_distances());
        let adaptive = options.probe_scale > 0.0;
        let Workspace { floats, lists, between, keys, limits, .. } = workspace;
        keys.clear();
        let data = self.prepared_matrix(queries, workers, cancel, floats, between)?.data();
        clock.lap(|stats| &mut stats.prepare_ns);
        let copies = self.lists.copies.is_some();
        let probes = match (request.given, &self.coarse) {
            (Some((given, nprobe)), coarse) => {
                if let (true, Some(coarse)) = (weighted, coarse) {
                    coarse.distances(data, given, nprobe, keys);
                }
                if copies {
                    lists.clear();
                    lists.extend(given);
                    self.with_copies(lists, keys, nprobe)
                } else {
                    Probes::Lists { lists: given, nprobe }
                }
            }
            (None, None) => Probes::All,
            (None, Some(coarse)) => {
                let nprobe = self.nprobe(options, coarse);
                lists.resize(queries.rows() * nprobe, -1);
                if weighted || adaptive {
                    keys.resize(queries.rows() * nprobe, f32::INFINITY);
                }
                coarse.probe(&self.context, data, nprobe, workers, lists, keys, cancel)?;
                if adaptive {
                    Reach::new(self.metric, nprobe, options.probe_scale, limits)
                        .cut(data, self.dim, lists, keys);
                }
                // Who visits all lists meets every vector as it is.
                if copies && (adaptive || nprobe < coarse.nlist()) {
                    self.with_copies(lists, keys, nprobe)
                } else {
                    Probes::Lists { lists, nprobe }
                }
            }
        };
        clock.lap(|stats| &mut stats.coarse_ns);
        let keys = (weighted && !keys.is_empty()).then_some(&keys[..]);
        let job = ScanJob { keys, budget, ..self.scan(data, probes, options, workers, cancel) };
        clock.count(&job)?;
        Ok(job)
    }

    /// How many lists each query visits.
    pub(super) fn nprobe(&self, options: &SearchOptions<'_>, coarse: &Coarse) -> usize {
        let wanted = if options.nprobe == 0 { self.default_nprobe() } else { options.nprobe };
        wanted.min(coarse.nlist())
    }

    /// The scan of the lists that `probes` names for these queries, which are ready.
    pub(super) fn scan<'a>(
        &'a self,
        queries: &'a [f32],
        probes: Probes<'a>,
        options: &SearchOptions<'a>,
        workers: usize,
        cancel: Cancel<'a>,
    ) -> ScanJob<'a> {
        let copies = self.lists.copies.is_some();
        ScanJob {
            dim: self.dim,
            metric: self.metric,
            queries,
            count: queries.len() / self.dim,
            probes,
            lists: &self.lists,
            codes: self.codec.codes(self.coarse_centroids()),
            vectors: if copies { 2 * self.count } else { self.count },
            places: self.refine.is_some(),
            copies,
            filter: options.filter.map(|filter| filter as _),
            bars: None,
            keys: None,
            budget: None,
            max_codes: if options.max_codes == 0 { usize::MAX } else { options.max_codes },
            workers,
            cancel,
        }
    }

    /// The copies of each list (`[queries, nprobe]`) visited after it, at the same distance.
    fn with_copies<'a>(&self, lists: &'a mut Vec<i64>, keys: &mut Vec<f32>, nprobe: usize) -> Probes<'a> {
        let nlist = self.lists.lists.len() as i64;
        twice(lists, |list| if list < 0 { list } else { list + nlist });
        twice(keys, |key| key);
        Probes::Lists { lists, nprobe: 2 * nprobe }
    }
}

/// Puts behind each value what `other` makes of it.
fn twice<T: Copy>(values: &mut Vec<T>, other: impl Fn(T) -> T) {
    let Some(&first) = values.first() else { return };
    let count = values.len();
    values.resize(2 * count, first);
    for place in (0..count).rev() {
        let value = values[place];
        (values[2 * place], values[2 * place + 1]) = (value, other(value));
    }
}
