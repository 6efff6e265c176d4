//! Section "k-means": a call of its own, without an index.

use std::ffi::c_void;

use super::arguments::{Out, count, rows, values_mut};
use super::context::{ivf_context, resolve};
use super::guard::guard;
use super::options::{self, flag, growing};
use super::progress::{Hooks, ivf_progress_fn};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kmeans::{KMeansOptions, Seeding, assign, kmeans};
use crate::matrix::MatrixRef;
use crate::progress::Control;
use crate::rows::RowsRef;

/// The library's choice.
pub const IVF_SEEDING_DEFAULT: i32 = 0;
/// Points drawn at random.
pub const IVF_SEEDING_RANDOM: i32 = 1;
/// k-means++: each next point drawn in proportion to its squared distance from those drawn before.
pub const IVF_SEEDING_PLUS_PLUS: i32 = 2;
/// Centroids of groups of points first, then within each group, then a few iterations that compare a point only with
/// centroids near its own: for thousands of centroids a fraction of the time, at a slightly higher objective.
pub const IVF_SEEDING_HIERARCHICAL: i32 = 3;

/// How k-means goes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_kmeans_options {
    /// `sizeof(ivf_kmeans_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// Iterations; 0 = 25, with mini-batches 100.
    pub iterations: u32,
    /// `IVF_SEEDING_*`.
    pub seeding: i32,
    /// Seed of all that is random; 0 = 1234. The same seed and data give the same centroids on any number of
    /// threads.
    pub seed: u64,
    /// Points used for each centroid, drawn at random if there are more; 0 = 256, UINT32_MAX = all.
    pub max_points_per_centroid: u32,
    /// Runs from different seeds, of which the best is kept; 0 = 1.
    pub restarts: u32,
    /// 1 = centroids of length 1 and assignment by inner product; 0 = squared distance.
    pub spherical: u32,
    /// Points of each step of mini-batch k-means; 0 = the full algorithm.
    pub mini_batch: u32,
    /// NULL, or told after every iteration.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
    /// `[n]`, receives the nearest centroid of every point, used for training or not; may be NULL.
    pub labels: *mut i64,
    /// Receives the mean squared distance of all n points to their centroids (spherical: the mean
    /// similarity); may be NULL.
    pub objective: *mut f64,
}

growing!(ivf_kmeans_options, objective: *mut f64);

/// The seeding of this number.
pub(super) fn seeding(number: i32) -> Result<Seeding> {
    match number {
        IVF_SEEDING_DEFAULT => Ok(Seeding::Default),
        IVF_SEEDING_RANDOM => Ok(Seeding::Random),
        IVF_SEEDING_PLUS_PLUS => Ok(Seeding::PlusPlus),
        IVF_SEEDING_HIERARCHICAL => Ok(Seeding::Hierarchical),
        got => Err(Error::argument(format!(
            "seeding: expected 0 (default), 1 (random), 2 (k-means++) or 3 (hierarchical), got {got}"
        ))),
    }
}

/// Finds `k` centroids of the points by k-means: every point counts to its nearest centroid, which is their
/// mean. A centroid that loses all points is set again by splitting the largest.
///
/// - `context`: NULL for the shared default one.
/// - `x`: `[n, dim]`, row-major.
/// - `k`: at least 1, at most `n`.
/// - `centroids`: `[k, dim]`, row-major, receives them.
/// - `options`: NULL for the defaults.
///
/// Cost: O(iterations * points used * k * dim), and O(n * k * dim) for labels or objective. Errors:
/// `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_NOT_FINITE`; `IVF_E_TOO_FEW_POINTS`; `IVF_E_OVERFLOW`;
/// `IVF_E_MEMORY`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_kmeans(
    context: *const ivf_context,
    x: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    centroids: *mut f32,
    options: *const ivf_kmeans_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cluster(context, x.cast(), IVF_ELEMENT_F32, n, dim, k, centroids, options) })
}

/// `ivf_kmeans` for points of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn cluster(
    context: *const ivf_context,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    centroids: *mut f32,
    options: *const ivf_kmeans_options,
) -> Result<()> {
    // SAFETY: each helper checks what it is given; live handle and lengths are the caller's promise.
    let (context, options, x, centroids) = unsafe {
        let length = count::<f32>("centroids", u64::from(k), u64::from(dim))?;
        let x = rows("x", x, element, n, dim)?;
        (resolve(context)?, options::read(options)?, x, values_mut("centroids", centroids, length)?)
    };
    // SAFETY: as above.
    let (labels, objective) = unsafe {
        let labels = if options.labels.is_null() {
            None
        } else {
            Some(values_mut("labels", options.labels, count::<i64>("labels", n, 1)?)?)
        };
        (labels, Out::optional("objective", options.objective)?)
    };
    let wants_objective = !options.objective.is_null();
    let settings = KMeansOptions {
        threads: options.threads as usize,
        iterations: options.iterations as usize,
        seeding: seeding(options.seeding)?,
        seed: options.seed,
        max_points_per_centroid: options.max_points_per_centroid as usize,
        restarts: options.restarts as usize,
        spherical: flag("spherical", options.spherical)?,
        mini_batch: options.mini_batch as usize,
    };
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    let work = |control: &Control<'_>| {
        let found = kmeans(&context, x, k as usize, &settings, control)?;
        if labels.is_some() || wants_objective {
            let found = MatrixRef::new("centroids", &found.centroids, k as usize, dim as usize)?;
            objective.set(label(&context, x, found, &settings, labels, control)?);
        }
        centroids.copy_from_slice(&found.centroids);
        Ok(())
    };
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(None, work) }
}

/// Writes the nearest centroid of every point, if they are wanted; returns the mean distance (or similarity).
fn label(
    context: &Context,
    x: RowsRef<'_>,
    centroids: MatrixRef<'_>,
    settings: &KMeansOptions,
    mut labels: Option<&mut [i64]>,
    control: &Control<'_>,
) -> Result<f64> {
    // A piece at a time: the core's 32-bit labels and distances need no buffer of n.
    const PIECE: usize = 1 << 16;
    let room = PIECE.min(x.rows());
    let (mut nearest, mut distances) = (vec![0; room], vec![0.0; room]);
    let mut sum = 0f64;
    for from in (0..x.rows()).step_by(PIECE) {
        let piece = x.slice(from, x.rows().min(from + PIECE));
        let (nearest, distances) = (&mut nearest[..piece.rows()], &mut distances[..piece.rows()]);
        let KMeansOptions { spherical, threads, .. } = *settings;
        assign(context, piece, centroids, spherical, threads, nearest, distances, control)?;
        sum += distances.iter().map(|&distance| f64::from(distance)).sum::<f64>();
        if let Some(labels) = &mut labels {
            for (to, &label) in labels[from..].iter_mut().zip(&*nearest) {
                *to = i64::from(label);
            }
        }
    }
    Ok(sum / x.rows() as f64)
}
