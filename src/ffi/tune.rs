//! Section "recall on demand": the operating curve of an index.

use std::ffi::c_void;

use super::arguments::{check_dim, count, rows, values, values_mut};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options::{self, growing};
use super::progress::{Hooks, ivf_progress_fn};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::curve::CurvePoint;
use crate::error::{Error, Result};
use crate::index::TuneOptions;
use crate::progress::Control;

/// How a curve is measured.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_tune_options {
    /// `sizeof(ivf_tune_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// `[n, k]`, row-major: the ids of the true nearest of each query, -1 for none; NULL = the index's own
    /// vectors are searched exhaustively.
    pub truth: *const i64,
    /// NULL, or told after every search of the sample: `done` lists of `total`.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
}

growing!(ivf_tune_options, cancel: *const i32);

/// What `ivf_tune` chose.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_tune_result {
    /// `sizeof(ivf_tune_result)`, set by the caller.
    pub struct_size: u32,
    /// How many times k candidates a search for this recall compares again; 0 without a refinement.
    pub k_factor: f32,
    /// Lists that a search for this recall looks into, at most.
    pub nprobe: u64,
    /// The recall that the sample had so, or at the next point of the curve.
    pub recall: f64,
    /// Points of the curve; see `ivf_tune_curve`.
    pub points: u64,
    /// By what its queries visit fewer than `nprobe` lists, see `ivf_search_options`; 0 = none does.
    pub probe_scale: f32,
    /// 0.
    pub reserved: u32,
}

growing!(ivf_tune_result, points: u64);

/// What a curve was measured on, and what has changed since.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_curve_info {
    /// `sizeof(ivf_curve_info)`, set by the caller.
    pub struct_size: u32,
    /// The k nearest that recall counts.
    pub k: u32,
    /// Points.
    pub points: u64,
    /// Sample queries.
    pub queries: u64,
    /// Vectors that the index held.
    pub count: u64,
    /// Vectors added or removed since.
    pub changed: u64,
    /// 1 if these are more than a fifth of `count`: searches by recall fail until `ivf_tune` measures again.
    pub stale: u32,
    /// 0.
    pub reserved: u32,
}

growing!(ivf_curve_info, reserved: u32);

/// Measures what recall how many lists give, on sample queries, so that a search can ask for a recall
/// (`target_recall` of `ivf_search_options`) instead of a number of lists.
///
/// It tries as many lists for every query, and fewer for easy ones (`probe_scale`), and keeps what meets fewer vectors at
/// this recall. Behind a refinement ("RFlat") `k_factor` is chosen too, of a flat index that alone.
///
/// The index keeps the curve, also in its file; a new one takes the old one's place. Training, new centroids and
/// `ivf_reset` end it; adding and removing make it stale once they add up to more than a fifth of the vectors it
/// was measured on. It holds for this k and smaller ones, and for searches without a filter.
///
/// The library chooses so that other queries like the sample get the recall with 95 % confidence, so a larger
/// sample needs less margin: 1000 queries cost about a hundredth of recall, 10000 a third of that.
///
/// - `queries`: `[n, dim]`, row-major, n at least 1: like those to come, and not among the vectors, for each
///   of those would find itself.
/// - `dim`: the index's own.
/// - `k`: the nearest that recall counts, 1 to the number of vectors.
/// - `recall`: the share of them wanted, above 0; 1 = all.
/// - `options`: NULL for the defaults.
/// - `result`: set its `struct_size` before; what was chosen for `recall`. May be NULL.
///
/// Threads: searches go on meanwhile; an index that is changed meanwhile keeps its old curve. Cost: about twenty
/// exhaustive searches at most, behind a refinement a few times as many. Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`;
/// `IVF_E_NOT_TRAINED`; `IVF_E_NOT_FINITE`; `IVF_E_ARGUMENT` (k, recall, n out of range); `IVF_E_STATE` if there is nothing to choose
/// ("Flat"), nothing in the index, nothing that reaches `recall`, or the index was changed meanwhile;
/// `IVF_E_OVERFLOW`; `IVF_E_CANCELLED`. After a failure the old curve stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_tune(
    index: *mut ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    recall: f64,
    options: *const ivf_tune_options,
    result: *mut ivf_tune_result,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { tune(index, queries.cast(), IVF_ELEMENT_F32, n, dim, k, recall, options, result) })
}

/// `ivf_tune` on queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn tune(
    index: *mut ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    recall: f64,
    options: *const ivf_tune_options,
    result: *mut ivf_tune_result,
) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, options) = unsafe { (borrow(index)?, options::read(options)?) };
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: `rows`, `count` and `values` check the pointers and the sizes; their lengths are the
    // caller's promise.
    let (queries, truth) = unsafe {
        let truth = options.truth;
        let room = count::<i64>("truth", n, u64::from(k))?;
        let truth = if truth.is_null() { None } else { Some(values("truth", truth, room)?) };
        (rows("queries", queries, element, n, dim)?, truth)
    };
    let tune = TuneOptions { threads: options.threads as usize, truth };
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    let (curve, tuned) = {
        let core = index.read()?;
        let work = |control: &Control<'_>| core.measure(queries, k as usize, recall, &tune, control);
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(Some(index), work) }?
    };
    let filled = ivf_tune_result {
        k_factor: tuned.k_factor,
        nprobe: tuned.nprobe as u64,
        recall: tuned.recall,
        points: curve.points.len() as u64,
        probe_scale: tuned.probe_scale,
        ..options::zeroed()
    };
    if !result.is_null() {
        // SAFETY: not NULL; `struct_size` writable bytes are the caller's promise.
        unsafe { options::write("result", result, &filled) }?;
    }
    index.write()?.keep_curve(curve)
}

/// Copies the curve that `ivf_tune` measured last.
///
/// - `info`: set its `struct_size` before; may be NULL. `points` is 0 and the rest too if there is no curve.
/// - `nprobe`: `[capacity]`, receives the numbers of lists, none fewer than the one before; may be NULL.
/// - `recall`: `[capacity]`, the sample's recall with each; may be NULL.
/// - `low`: `[capacity]`, what other queries' recall is at least, with 95 % confidence; may be NULL.
/// - `cost`: `[capacity]`, vectors compared with a query on average, centroids included (one that is compared again
///   counts for as many as codes have its bytes); may be NULL.
/// - `capacity`: room for so many points; those beyond it are left out. Ask for `info` first.
///
/// `ivf_tune_curve_k_factor` and `ivf_tune_curve_probe_scale` have one more column each.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if `struct_size` is wrong; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_tune_curve(
    index: *const ivf_index,
    info: *mut ivf_curve_info,
    nprobe: *mut u64,
    recall: *mut f64,
    low: *mut f64,
    cost: *mut f64,
    capacity: u64,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let index = unsafe { borrow(index) }?.read()?;
        // SAFETY: each column is NULL or has `capacity` places, by the caller's promise.
        let (nprobe, recall, low, cost) = unsafe {
            (
                column("nprobe", nprobe, capacity)?,
                column("recall", recall, capacity)?,
                column("low", low, capacity)?,
                column("cost", cost, capacity)?,
            )
        };
        let curve = index.curve();
        let mut filled: ivf_curve_info = options::zeroed();
        if let Some(curve) = curve {
            filled = ivf_curve_info {
                k: u32::try_from(curve.k).map_err(|_| Error::argument("k: beyond 32 bits"))?,
                points: curve.points.len() as u64,
                queries: curve.queries as u64,
                count: curve.count as u64,
                changed: curve.changed as u64,
                stale: curve.is_stale().into(),
                ..filled
            };
        }
        if !info.is_null() {
            // SAFETY: not NULL; `struct_size` writable bytes are the caller's promise.
            unsafe { options::write("info", info, &filled) }?;
        }
        let points = curve.map_or(&[][..], |curve| &curve.points);
        nprobe.iter_mut().zip(points).for_each(|(to, point)| *to = point.nprobe as u64);
        recall.iter_mut().zip(points).for_each(|(to, point)| *to = point.recall);
        low.iter_mut().zip(points).for_each(|(to, point)| *to = point.low);
        cost.iter_mut().zip(points).for_each(|(to, point)| *to = point.cost);
        Ok(())
    })
}

/// Copies the `k_factor` of each point of the curve, beside the columns of `ivf_tune_curve`: how many times k candidates
/// the searches of that point compared again; 0 without a refinement. Behind one, several points may share an `nprobe`.
///
/// - `k_factor`: `[capacity]`; NULL if `capacity` is 0.
/// - `capacity`: room for so many points; those beyond it are left out.
///
/// Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_tune_curve_k_factor(
    index: *const ivf_index,
    k_factor: *mut f32,
    capacity: u64,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { real_column(index, "k_factor", k_factor, capacity, |point| point.k_factor) })
}

/// Copies the `probe_scale` of each point of the curve, beside the columns of `ivf_tune_curve`: by what queries visited
/// fewer lists than `nprobe`, see `ivf_search_options`; 0 = none did.
///
/// - `probe_scale`: `[capacity]`; NULL if `capacity` is 0.
/// - `capacity`: room for so many points; those beyond it are left out.
///
/// Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_tune_curve_probe_scale(
    index: *const ivf_index,
    probe_scale: *mut f32,
    capacity: u64,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { real_column(index, "probe_scale", probe_scale, capacity, |point| point.probe_scale) })
}

/// Copies a column of the curve.
///
/// # Safety
/// As the functions in C.
unsafe fn real_column(
    index: *const ivf_index,
    name: &'static str,
    to: *mut f32,
    capacity: u64,
    field: impl Fn(&CurvePoint) -> f32,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?.read()?;
    // SAFETY: `count` bounds it, `values_mut` checks it; the length is the caller's promise.
    let to = unsafe { values_mut(name, to, count::<f32>(name, capacity, 1)?) }?;
    let points = index.curve().map_or(&[][..], |curve| &curve.points);
    to.iter_mut().zip(points).for_each(|(to, point)| *to = field(point));
    Ok(())
}

/// A column that the caller need not want.
///
/// # Safety
/// `pointer` is NULL or points at `capacity` writable values that nobody reads meanwhile.
unsafe fn column<'a, T: super::arguments::Plain>(
    name: &'static str,
    pointer: *mut T,
    capacity: u64,
) -> Result<&'a mut [T]> {
    if pointer.is_null() {
        return Ok(&mut []);
    }
    // SAFETY: `count` bounds it, `values_mut` checks it; the rest is the caller's promise.
    unsafe { values_mut(name, pointer, count::<T>(name, capacity, 1)?) }
}
