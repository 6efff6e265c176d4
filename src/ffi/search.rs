//! Section "search".

use std::ffi::c_void;

use super::arguments::{check_dim, count, rows, values, values_mut};
use super::filter::ivf_filter;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options::{self, growing};
use super::progress::{Hooks, ivf_progress_fn};
use super::stats::{Tally, ivf_search_stats};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::{Error, Result};
use crate::index::{SearchOptions, SearchOutput};
use crate::progress::Control;

/// How a search goes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_search_options {
    /// `sizeof(ivf_search_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// Lists to look into, nearest first; 0 = the index's default, above nlist = all.
    pub nprobe: u32,
    /// Instead of `nprobe`: the share of the true nearest that is to be found, from 0 to 1; 0 = not asked for.
    /// Wants a curve of `ivf_tune` for this k or a larger one; `nprobe`, `max_codes` and the budget must be 0 then.
    pub target_recall: f32,
    /// A query ends after this many vectors, in probe order, even in the middle of a list; 0 = no limit.
    pub max_codes: u64,
    /// `[n]`, receives how many results each query has, at most k; may be NULL.
    pub hits: *mut u64,
    /// NULL, or told now and then.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
    /// NULL, or the ids that may be returned. It applies inside the scan: k results come back whenever k
    /// vectors of the lists visited pass.
    pub filter: *const ivf_filter,
    /// `IVF_PROFILE_*`: a named set of the fields below; what you set beside it replaces the profile's.
    pub profile: i32,
    /// `IVF_SHARING_*`: how a budget is shared out over the lists that a query visits. What full lists leave
    /// over goes to the others.
    pub budget_sharing: i32,
    /// Vectors that a query looks at in all, whatever `nprobe` lists hold; 0 = by `budget_share`. Removed
    /// vectors do not count, filtered ones do; `max_codes` holds as well, over what the budget lets pass.
    pub budget_codes: u64,
    /// The same as a share of the vectors in the lists visited, above 0 to 1; 0 = the profile's.
    pub budget_share: f32,
    /// `IVF_SWITCH_*`: lists that would get less than 32 vectors, or less than `list_min`, are not visited; the
    /// nearer ones get it instead.
    pub dynamic_nprobe: i32,
    /// `IVF_SWITCH_*`: keep the budget to the vector. Else each list's part is rounded up to whole blocks of 32,
    /// which cost no more.
    pub strict_budget: i32,
    /// At least so many vectors of each list, as far as the budget goes.
    pub list_min: u32,
    /// At most so many vectors of each list, with a budget or without; 0 = no limit.
    pub list_max: u32,
    /// How many times k candidates are compared again where the index string ends in a refinement such as "RFlat", at
    /// least 1; 0 = the index's default, and where that is 0 too: 1.5, and 3 candidates beyond k at least, behind codes of 8
    /// bits a dimension or more, 4 behind 4 bits or more, else 10. Elsewhere 0. Of candidates that are equally good by their codes at the cut it is open which are
    /// compared (as they lie, not by id). INFINITY = all that the search looks at, so that the results are
    /// those of the kept rows; behind SQ8, SQ6 and SQ4 without transforms only as many are compared as the codes' error
    /// leaves in question. INFINITY behind RaBitQ codes, with no transform that changes distances: all that is not farther
    /// than the k-th best by the codes' error bound of 2.3 standard deviations, which on data that was rotated at random
    /// ("RR", "HR") fails for 1 of 100 vectors at most, so that a few in 1000 results are missing; a large finite factor
    /// compares all.
    pub k_factor: f32,
    /// NULL, or receives what the search did; set its `struct_size` before. It costs the counting, and reads of a
    /// clock. Zeros where the call fails.
    pub stats: *mut ivf_search_stats,
    /// Above 0: of its `nprobe` nearest lists a query visits the r-th only while
    /// `r * exp(gap / probe_scale) <= 4 * nprobe`, so that queries in the midst of a list visit few and those between
    /// lists many. The gap is how much farther that list is than the nearest, as a share of the nearest's squared
    /// distance; for inner products the difference over the query's length. 0 = every query visits `nprobe` lists. `ivf_tune` finds what is good, and `target_recall` takes it: then 0.
    pub probe_scale: f32,
    /// 0.
    pub reserved: u32,
}

growing!(ivf_search_options, filter: *const ivf_filter);

/// What a search needs beside the queries, checked and as the core wants it.
pub(super) struct Search<'a> {
    options: SearchOptions<'a>,
    hooks: Hooks,
    tally: Tally,
}

impl<'a> Search<'a> {
    /// Reads the options and takes the output buffers of `n` queries with `k` results each.
    ///
    /// # Safety
    /// The pointers are as `ivf_search` wants them.
    pub(super) unsafe fn prepare(
        n: u64,
        k: u32,
        distances: *mut f32,
        ids: *mut i64,
        options: *const ivf_search_options,
    ) -> Result<(Self, SearchOutput<'a>)> {
        // SAFETY: NULL or whole options, by the caller's promise.
        let options = unsafe { options::read(options) }?;
        if k == 0 {
            return Err(Error::argument("k: expected at least 1, got 0"));
        }
        let results = u64::from(k);
        // SAFETY: `count` and `values_mut` check pointers and sizes; the lengths are the caller's promise.
        let output = unsafe {
            SearchOutput {
                distances: values_mut("distances", distances, count::<f32>("distances", n, results)?)?,
                ids: values_mut("ids", ids, count::<i64>("ids", n, results)?)?,
                hits: if options.hits.is_null() {
                    None
                } else {
                    Some(values_mut("hits", options.hits, count::<u64>("hits", n, 1)?)?)
                },
            }
        };
        // SAFETY: the filter and the hooks are as the header asks, by the caller's promise.
        Ok((unsafe { Self::of(&options) }?, output))
    }

    /// Reads the options of a search whose results go elsewhere.
    ///
    /// # Safety
    /// The options are as `ivf_search` wants them.
    pub(super) unsafe fn without_output(options: *const ivf_search_options) -> Result<Self> {
        // SAFETY: NULL or whole options, by the caller's promise.
        let options = unsafe { options::read(options) }?;
        if !options.hits.is_null() {
            return Err(Error::argument("ivf_search_options.hits: expected NULL, the result has the hits"));
        }
        // SAFETY: the filter and the hooks are as the header asks, by the caller's promise.
        unsafe { Self::of(&options) }
    }

    /// # Safety
    /// The filter and the statistics are NULL or live as long as the call.
    unsafe fn of(options: &ivf_search_options) -> Result<Self> {
        if options.reserved != 0 {
            return Err(Error::argument(format!(
                "ivf_search_options.reserved: expected 0, got {}",
                options.reserved
            )));
        }
        let (profile, budget) = super::budget::read(options)?;
        let search = SearchOptions {
            nprobe: options.nprobe as usize,
            threads: options.threads as usize,
            max_codes: usize::try_from(options.max_codes).unwrap_or(usize::MAX),
            // SAFETY: the caller's promise is the same.
            filter: unsafe { super::filter::optional(options.filter) }?,
            target_recall: options.target_recall,
            profile,
            budget,
            stats: None,
            k_factor: options.k_factor,
            probe_scale: options.probe_scale,
        };
        // SAFETY: the caller's promise is the same.
        let tally = unsafe { Tally::new(options.stats) }?;
        let hooks = Hooks {
            progress: options.progress,
            progress_data: options.progress_data,
            cancel: options.cancel,
        };
        Ok(Self { options: search, hooks, tally })
    }

    /// Runs `work`, and tells what it did. `index` is the one at work, if there is one.
    ///
    /// # Safety
    /// The hooks and the statistics are as the header asks.
    pub(super) unsafe fn run<T>(
        &self,
        index: Option<&ivf_index>,
        work: impl FnOnce(&SearchOptions<'_>, &Control<'_>) -> Result<T>,
    ) -> Result<T> {
        let options = SearchOptions { stats: self.tally.wanted(), ..self.options.clone() };
        // SAFETY: the caller's promise is the same.
        let result = unsafe { self.hooks.run(index, |control| work(&options, control)) }?;
        // SAFETY: as above.
        unsafe { self.tally.tell() }?;
        Ok(result)
    }

    /// Fails if the options ask for something that `call` has no use for.
    pub(super) fn refuse(&self, call: &str, nprobe: bool, max_codes: bool) -> Result<()> {
        let SearchOptions { nprobe: lists, max_codes: codes, target_recall, probe_scale, .. } = self.options;
        for (name, got) in [("target_recall", target_recall), ("probe_scale", probe_scale)] {
            if nprobe && got != 0.0 {
                return Err(Error::argument(format!(
                    "ivf_search_options.{name}: {call} has no use for it: expected 0, got {got}"
                )));
            }
        }
        for (name, refused, got) in [("nprobe", nprobe, lists), ("max_codes", max_codes, codes)] {
            if refused && got != 0 {
                return Err(Error::argument(format!(
                    "ivf_search_options.{name}: {call} has no use for it: expected 0, got {got}"
                )));
            }
        }
        if max_codes && self.options.k_factor != 0.0 {
            return Err(Error::argument(format!(
                "ivf_search_options.k_factor: {call} has no use for it: expected 0, got {}",
                self.options.k_factor
            )));
        }
        if max_codes && self.tally.wanted().is_some() {
            return Err(Error::argument(format!(
                "ivf_search_options.stats: {call} visits no lists and counts nothing: expected NULL"
            )));
        }
        let SearchOptions { profile, budget, .. } = &self.options;
        if max_codes && (*profile, *budget) != Default::default() {
            return Err(Error::argument(format!(
                "ivf_search_options.profile: {call} has no use for a profile or a budget: expected none, got \
                 {profile:?} and {budget:?}"
            )));
        }
        Ok(())
    }
}

/// Finds the `k` nearest vectors of each query among those in its `nprobe` nearest lists; in a "Flat" index,
/// among all.
///
/// - `queries`: `[n, dim]`, row-major; NULL if `n` is 0.
/// - `dim`: the index's own.
/// - `k`: results a query, at least 1; more than there are vectors is fine.
/// - `distances`: `[n, k]`, best first: squared distances rising for L2, similarities falling for inner
///   product and cosine.
/// - `ids`: `[n, k]`, the ids that belong to them; equal distances are in order of id. A missing result has
///   id -1 and the distance +infinity (L2) or -infinity.
/// - `options`: NULL for the defaults.
///
/// Threads: any number of searches at once; the results are the same on any number of threads. Cost a query:
/// O((nlist + vectors in the lists) * dim). Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`; `IVF_E_ARGUMENT` (k =
/// 0); `IVF_E_NOT_TRAINED`; `IVF_E_STATE` for a `target_recall` without a curve that has it; `IVF_E_NOT_FINITE`;
/// `IVF_E_OVERFLOW`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { search(index, queries.cast(), IVF_ELEMENT_F32, n, dim, k, distances, ids, options) })
}

/// `ivf_search` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn search(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: `rows` and `prepare` check pointers and sizes; the lengths are the caller's promise.
    let (queries, (search, output)) = unsafe {
        (rows("queries", queries, element, n, dim)?, Search::prepare(n, k, distances, ids, options)?)
    };
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(Some(index), |options, control| core.search(queries, k as usize, options, output, control))
    }
}

/// Searches like `ivf_search`, in lists that you chose: the coarse step is yours.
///
/// - `queries`, `dim`, `k`, `distances`, `ids`, `options`: as in `ivf_search`; the options' own `nprobe` must
///   be 0.
/// - `lists`: `[n, nprobe]`, row-major: the lists of each query in the order to look into them, from 0 to
///   nlist - 1; -1 = none. NULL if `n` is 0.
/// - `nprobe`: columns of `lists`, at least 1.
///
/// Errors: as `ivf_search`; `IVF_E_ARGUMENT` also for a list that does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search_preassigned(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    lists: *const i64,
    nprobe: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe {
        let queries = (queries.cast(), IVF_ELEMENT_F32, n);
        preassigned(index, queries, dim, k, lists, nprobe, distances, ids, options)
    })
}

/// `ivf_search_preassigned` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn preassigned(
    index: *const ivf_index,
    (queries, element, n): (*const c_void, i32, u64),
    dim: u32,
    k: u32,
    lists: *const i64,
    nprobe: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    if nprobe == 0 {
        return Err(Error::argument("nprobe: expected at least 1 column of lists, got 0"));
    }
    // SAFETY: each helper checks pointers and sizes; the lengths are the caller's promise.
    let (queries, lists, (search, output)) = unsafe {
        let lists = values("lists", lists, count::<i64>("lists", n, u64::from(nprobe))?)?;
        let queries = rows("queries", queries, element, n, dim)?;
        (queries, lists, Search::prepare(n, k, distances, ids, options)?)
    };
    search.refuse("ivf_search_preassigned", true, false)?;
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(Some(index), |options, control| {
            core.search_preassigned(queries, lists, nprobe as usize, k as usize, options, output, control)
        })
    }
}
