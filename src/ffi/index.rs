//! Section "index": create, destroy, and what an index says of itself.

use std::ffi::c_char;

use super::arguments::{Out, check_dim, count, give, take_back, text, values_mut};
use super::context::{ivf_context, resolve};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options::{self, flag, growing};
use super::status::ivf_status;
use crate::error::{Error, Result};
use crate::index::{Index, IndexOptions, ListOrder};
use crate::metric::Metric;

/// Inner product, a similarity: the largest comes first.
pub const IVF_METRIC_INNER_PRODUCT: i32 = 0;
/// Squared Euclidean distance, never negative: the smallest comes first.
pub const IVF_METRIC_L2: i32 = 1;
/// Cosine similarity, within [-1, 1]: the largest comes first. Vectors and queries are normalised inside; a
/// vector of length 0 has similarity 0 with everything.
pub const IVF_METRIC_COSINE: i32 = 2;

/// The vectors of a list in the order in which they are added.
pub const IVF_LIST_ORDER_ADDED: i32 = 0;
/// Those first that are likeliest to be results, the nearest to the list's centroid (of inner products the longest), kept
/// up whenever vectors come or change: searches that look at the first of each list only (budgets, profiles) find
/// more in as many. For cosine, as for other vectors of one length, it gains next to nothing.
pub const IVF_LIST_ORDER_BEST_FIRST: i32 = 1;

/// How an index is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_index_options {
    /// `sizeof(ivf_index_options)`.
    pub struct_size: u32,
    /// How many lists a search looks into unless its options say; 0 = chosen from nlist.
    pub nprobe: u32,
    /// 1 = ids given to `ivf_add` may repeat; 0 = they must be new.
    pub allow_duplicate_ids: u32,
    /// How many times k candidates a search compares again unless its options say, behind a refinement ("RFlat");
    /// 0 = chosen, and 0 without one.
    pub k_factor: f32,
    /// `IVF_LIST_ORDER_*`. Best first, adding costs more, the most where few vectors are added at a time: each list that
    /// grows is merged with what comes. A file keeps it; faiss's files do not.
    pub list_order: i32,
    /// Above 0: each vector is kept in a second list too (SOAR, Sun et al. 2023), so that a search of as many lists finds
    /// more, and one for the same recall visits fewer; 0 = in its nearest list alone. The number is the paper's lambda, how
    /// much it counts against a second list that the vector lies from it in the same direction as from the first; 1 is
    /// usual. It gains where vectors are clustered, as embeddings of words and sentences are, and loses where they are
    /// not: see the README. Codes and ids are then held twice, rows for a refinement once; searches with copies run on
    /// the CPU. A vector is found once; candidates for a refinement, budgets, `max_codes` and statistics count both.
    /// Wants two inverted lists or more, `IVF_LIST_ORDER_ADDED`, and ids that do not repeat. A file keeps it; faiss's
    /// files have the vectors in their nearest lists.
    pub soar: f32,
}

growing!(ivf_index_options, soar: f32);

/// What an index says of itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_index_info {
    /// `sizeof(ivf_index_info)`, set by the caller.
    pub struct_size: u32,
    /// Columns of a vector.
    pub dim: u32,
    /// `IVF_METRIC_*`.
    pub metric: i32,
    /// 1 if vectors can be added, 0 if it wants training first. A "Flat" index is always trained.
    pub trained: u32,
    /// Vectors that can be found.
    pub count: u64,
    /// Inverted lists; 0 until chosen ("IVF,Flat" before training), 1 for "Flat".
    pub nlist: u64,
    /// Lists that a search looks into unless its options say.
    pub nprobe: u64,
    /// Vectors removed whose space is not yet returned; see `ivf_compact`.
    pub dead: u64,
    /// The id that `ivf_add` would hand out next.
    pub next_id: u64,
    /// Bytes of memory that the index holds in all.
    pub memory_bytes: u64,
    /// Bytes of it that are vectors, norms and ids, with their lists' slack.
    pub vector_bytes: u64,
    /// 1 for an IVF index, 0 for "Flat".
    pub is_ivf: u32,
    /// As it was created.
    pub allow_duplicate_ids: u32,
    /// Columns of a centroid: `dim`, or what the transforms before the lists make of it ("PCA64,...": 64).
    pub list_dim: u32,
    /// How many times k candidates a search compares again unless its options say; 0 without a refinement.
    pub k_factor: f32,
    /// `IVF_LIST_ORDER_*`, as it was created.
    pub list_order: i32,
    /// The lambda by which vectors are kept in a second list too, as it was created; 0 = they are not.
    pub soar: f32,
}

growing!(ivf_index_info, soar: f32);

/// Makes an empty index from a description that faiss's users know.
///
/// - `context`: NULL for the shared default one.
/// - `dim`: columns of every vector and query, at least 1.
/// - `metric`: `IVF_METRIC_*`.
/// - `description`: "Flat" (exact, no training), "IVF1024,Flat" (1024 inverted lists), or "IVF,Flat" (the
///   number of lists is chosen in training, from the number of points).
///   "SQfp16" or "SQbf16" instead of "Flat" holds vectors in float16 (values up to 65504) or bfloat16: half the
///   bytes, and faster wherever memory is the limit; "SQ8_direct" whole numbers from 0 to 255 in bytes. Vectors
///   are rounded to the nearest when added; distances are exact ones to the rounded vectors.
///   "SQ8", "SQ6" and "SQ4" hold 8, 6 or 4 bits a dimension: the range that a dimension has in training, in equal
///   steps. They have to be trained, alone too; distances are those to the vectors that `ivf_reconstruct` gives.
///   "RaBitQ" (1 bit a dimension) to "RaBitQ8" hold the directions of residuals from the lists' centroids, alone from
///   the mean of the training data, and two or three numbers a vector (8 bytes for L2, else 12); "RaBitQfs" is the
///   same. Distances are estimates, without bias if the data was rotated at random: as in faiss put "RR," or "HR,"
///   before, unless no dimension stands out. Not written to faiss's files.
///   "PQ16" cuts a vector into 16 parts and holds of each the nearest of 256 words, a byte; "PQ16x4" of 16 words, half
///   a byte. The number of parts divides the dimensions. "PQ16x4fs" is looked up in registers: faster, and
///   distances are estimates, for the looked-up numbers are rounded. Behind "IVF1024," all but "fs" hold residuals
///   from the lists' centroids; "PQ16x4fsr" holds and does both. Put "OPQ16," before for less loss, and ",RFlat" behind
///   for exact distances. For cosine and inner products words are taken that lose little along the vector, if not always
///   the nearest, which finds more at the same size (a faiss file's words: the nearest). Training wants as many points as
///   there are words.
/// - `options`: NULL for the defaults.
/// - `index`: receives the handle; NULL on failure. Give it back with `ivf_index_destroy`.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_DESCRIPTION`, and the text points at the place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_create(
    context: *const ivf_context,
    dim: u32,
    metric: i32,
    description: *const c_char,
    options: *const ivf_index_options,
    index: *mut *mut ivf_index,
) -> ivf_status {
    // SAFETY: each helper checks what it is given; the rest is the caller's promise.
    guard(|| unsafe {
        give("index", index, || {
            let description = text("description", description)?;
            let options: ivf_index_options = options::read(options)?;
            let options = IndexOptions {
                nprobe: options.nprobe as usize,
                allow_duplicate_ids: flag("allow_duplicate_ids", options.allow_duplicate_ids)?,
                k_factor: options.k_factor,
                list_order: match options.list_order {
                    IVF_LIST_ORDER_ADDED => ListOrder::Added,
                    IVF_LIST_ORDER_BEST_FIRST => ListOrder::BestFirst,
                    got => {
                        return Err(Error::argument(format!(
                            "ivf_index_options.list_order: expected 0 or 1 (IVF_LIST_ORDER_*), got {got}"
                        )));
                    }
                },
                soar: options.soar,
            };
            let metric = Metric::from_number(metric)?;
            Ok(ivf_index::new(Index::new(resolve(context)?, dim as usize, metric, description, &options)?))
        })
    })
}

/// Gives an index back with all its memory; NULL is nothing. No other call on it may be running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_destroy(index: *mut ivf_index) {
    guard(|| {
        if !index.is_null() {
            // From its own callback: the call that runs still needs it, so a leak is the lesser evil.
            // SAFETY: a live handle, by the caller's promise.
            unsafe { borrow(index) }?.check_not_busy()?;
        }
        // SAFETY: NULL or a handle that is given up, by the caller's promise.
        unsafe { take_back(index) };
        Ok(())
    });
}

/// Says what the index is and holds.
///
/// - `info`: set its `struct_size` before; the rest is filled in.
///
/// Waits for a call that changes the index to end. Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if `struct_size` is
/// wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_get_info(
    index: *const ivf_index,
    info: *mut ivf_index_info,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let known = unsafe { borrow(index) }?.read()?.info();
        let filled = ivf_index_info {
            dim: u32::try_from(known.dim).map_err(|_| Error::argument("dim: beyond 32 bits"))?,
            metric: known.metric as i32,
            trained: known.trained.into(),
            count: known.count as u64,
            nlist: known.nlist as u64,
            nprobe: known.nprobe as u64,
            dead: known.dead as u64,
            next_id: known.next_id.cast_unsigned(),
            memory_bytes: known.memory_bytes,
            vector_bytes: known.vector_bytes,
            is_ivf: known.is_ivf.into(),
            allow_duplicate_ids: known.allow_duplicate_ids.into(),
            list_dim: u32::try_from(known.list_dim)
                .map_err(|_| Error::argument("list_dim: beyond 32 bits"))?,
            k_factor: known.k_factor,
            list_order: match known.list_order {
                ListOrder::Added => IVF_LIST_ORDER_ADDED,
                ListOrder::BestFirst => IVF_LIST_ORDER_BEST_FIRST,
            },
            soar: known.soar,
            ..options::zeroed()
        };
        // SAFETY: `write` checks it; `struct_size` writable bytes are the caller's promise.
        unsafe { options::write("info", info, &filled) }
    })
}

/// Writes the index's description, which `ivf_index_create` understands: "IVF1024,Flat".
///
/// - `text`: receives at most `capacity` bytes, the terminating NUL included; a longer description is cut.
///   NULL if `capacity` is 0.
/// - `length`: receives the length of the whole description without NUL; may be NULL. Ask with `text` NULL
///   and `capacity` 0 how much room it needs.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_describe(
    index: *const ivf_index,
    text: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> ivf_status {
    guard(|| {
        // SAFETY: `count` bounds it, `values_mut`, `optional` and `borrow` check; the rest is the caller's
        // promise.
        let (index, text, length) = unsafe {
            let capacity = count::<u8>("text", capacity, 1)?;
            (
                borrow(index)?,
                values_mut("text", text.cast::<u8>(), capacity)?,
                Out::optional("length", length)?,
            )
        };
        let description = index.read()?.describe();
        if let Some(room) = text.len().checked_sub(1) {
            let shown = description.len().min(room);
            text[..shown].copy_from_slice(&description.as_bytes()[..shown]);
            text[shown] = 0;
        }
        length.set(description.len() as u64);
        Ok(())
    })
}

/// Copies how many vectors that can be found each list holds.
///
/// - `sizes`: `[nlist]`.
/// - `nlist`: as `ivf_index_get_info` says.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if the index has another number of lists.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_list_sizes(index: *const ivf_index, sizes: *mut u64, nlist: u64) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let index = unsafe { borrow(index) }?.read()?;
        let expected = index.info().nlist;
        check_nlist("sizes", expected, nlist)?;
        // SAFETY: `count` bounds it, `values_mut` checks it; the length is the caller's promise.
        let sizes = unsafe { values_mut("sizes", sizes, count::<u64>("sizes", nlist, 1)?) }?;
        // Before training there are no lists yet, only their number.
        sizes.fill(0);
        for (to, size) in sizes.iter_mut().zip(index.list_sizes()) {
            *to = size as u64;
        }
        Ok(())
    })
}

/// Copies the centroids: list `i` holds the vectors whose nearest centroid is row `i`.
///
/// - `centroids`: `[nlist, dim]`, row-major; of length 1 each for the cosine metric.
/// - `nlist`, `dim`: `nlist` and `list_dim` of `ivf_index_get_info`.
///
/// Errors: `IVF_E_NULL`; `IVF_E_NOT_TRAINED`; `IVF_E_STATE` for a "Flat" index, which has none;
/// `IVF_E_DIMENSION`; `IVF_E_ARGUMENT` if the index has another number of lists.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_centroids(
    index: *const ivf_index,
    centroids: *mut f32,
    nlist: u64,
    dim: u32,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let index = unsafe { borrow(index) }?;
        let known = index.read()?;
        let known = known.centroids()?;
        check_dim("centroids", index.list_dim(), dim)?;
        check_nlist("centroids", known.len() / index.list_dim(), nlist)?;
        // SAFETY: `values_mut` checks it, as many values exist already; the length is the caller's promise.
        unsafe { values_mut("centroids", centroids, known.len()) }?.copy_from_slice(known);
        Ok(())
    })
}

fn check_nlist(what: &str, expected: usize, got: u64) -> Result<()> {
    if got == expected as u64 {
        return Ok(());
    }
    Err(Error::argument(format!("{what}: expected room for {expected} lists, got {got}")))
}
