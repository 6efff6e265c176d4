//! The index under test: handles that free themselves, and the calls of the C ABI with their buffers.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::oracle::{Ask, Filter};

/// An index that destroys itself.
pub(crate) struct Index(pub(crate) *mut ivf_index);

impl Drop for Index {
    fn drop(&mut self) {
        unsafe { ivf_index_destroy(self.0) };
    }
}

/// A context that destroys itself.
pub(crate) struct Context(pub(crate) *mut ivf_context);

impl Drop for Context {
    fn drop(&mut self) {
        unsafe { ivf_context_destroy(self.0) };
    }
}

impl Context {
    /// A context of these kernels; `None` if the CPU has not got them.
    pub(crate) fn new(kernel: &CStr, threads: u32) -> Option<Self> {
        let options = ivf_context_options { threads, kernel: kernel.as_ptr(), ..sized() };
        let mut context = null_mut();
        let status = unsafe { ivf_context_create(&options, &mut context) };
        (status == IVF_OK).then_some(Self(context))
    }
}

/// A filter that destroys itself.
pub(crate) struct FilterHandle(pub(crate) *mut ivf_filter);

impl Drop for FilterHandle {
    fn drop(&mut self) {
        unsafe { ivf_filter_destroy(self.0) };
    }
}

impl FilterHandle {
    pub(crate) fn new(filter: &Filter) -> Self {
        let mut handle = null_mut();
        let to = &raw mut handle;
        let part = Self::new;
        unsafe {
            ok(match filter {
                Filter::Range(from, end) => ivf_filter_create_range(*from, *end, to),
                Filter::Bitmap(bytes, bits) => ivf_filter_create_bitmap(bytes.as_ptr(), *bits, to),
                Filter::Ids(ids) => ivf_filter_create_ids(ids.as_ptr(), ids.len() as u64, to),
                Filter::And(a, b) => ivf_filter_create_and(part(a).0, part(b).0, to),
                Filter::Or(a, b) => ivf_filter_create_or(part(a).0, part(b).0, to),
                Filter::Not(a) => ivf_filter_create_not(part(a).0, to),
            });
        }
        Self(handle)
    }
}

/// What a search is told; the filter is that of `ask`.
pub(crate) fn options(ask: &Ask, filter: Option<&FilterHandle>) -> ivf_search_options {
    let limited = ask.codes > 0 || ask.share > 0.0;
    ivf_search_options {
        nprobe: ask.nprobe as u32,
        list_max: ask.list_max as u32,
        budget_codes: ask.codes as u64,
        budget_share: ask.share,
        budget_sharing: if limited { IVF_SHARING_PROBE_ORDER } else { IVF_SHARING_DEFAULT },
        max_codes: ask.max_codes as u64,
        probe_scale: ask.scale,
        k_factor: ask.factor,
        filter: filter.map_or(null(), |handle| handle.0),
        ..sized()
    }
}

/// What a search answers for `[n]` queries.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) k: usize,
    pub(crate) distances: Vec<f32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) hits: Vec<u64>,
}

impl Found {
    /// Buffers filled with what no answer has.
    pub(crate) fn room(n: usize, k: usize) -> Self {
        Self { k, distances: vec![f32::NAN; n * k], ids: vec![-77; n * k], hits: vec![u64::MAX; n] }
    }
}

/// What a range search answers.
pub(crate) struct Ranges {
    pub(crate) offsets: Vec<usize>,
    pub(crate) distances: Vec<f32>,
    pub(crate) ids: Vec<i64>,
}

pub(crate) fn range_search(
    index: &Index,
    queries: &[f32],
    dim: usize,
    radius: f32,
    options: &ivf_search_options,
) -> Ranges {
    let n = queries.len() / dim;
    ranges(n, |result| unsafe {
        ivf_range_search(index.0, queries.as_ptr(), n as u64, dim as u32, radius, options, result)
    })
}

/// What a range search of `n` queries answers.
pub(crate) fn ranges(n: usize, search: impl FnOnce(*mut *mut ivf_range_result) -> ivf_status) -> Ranges {
    let mut result = null_mut();
    let mut view = sized::<ivf_range_view>();
    ok(search(&mut result));
    unsafe {
        ok(ivf_range_result_get(result, &mut view));
        assert_eq!(view.n, n as u64);
        let total = view.total as usize;
        let offsets = std::slice::from_raw_parts(view.offsets, n + 1);
        let found = Ranges {
            offsets: offsets.iter().map(|&offset| offset as usize).collect(),
            distances: slice(view.distances, total).to_vec(),
            ids: slice(view.ids, total).to_vec(),
        };
        ivf_range_result_destroy(result);
        found
    }
}

/// # Safety
/// `start` points at `len` values, or `len` is 0.
unsafe fn slice<'a, T>(start: *const T, len: usize) -> &'a [T] {
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, len) } }
}

pub(crate) fn info(index: &Index) -> ivf_index_info {
    let mut info = sized();
    ok(unsafe { ivf_index_get_info(index.0, &mut info) });
    info
}

pub(crate) fn describe(index: &Index) -> String {
    let mut text = [0; 128];
    ok(unsafe { ivf_index_describe(index.0, text.as_mut_ptr(), 128, null_mut()) });
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_str().expect("UTF-8").to_owned()
}

pub(crate) fn save(index: &Index, path: &Path) {
    ok(unsafe { ivf_save(index.0, c_path(path).as_ptr(), null()) });
}

pub(crate) fn serialize(index: &Index) -> Vec<u8> {
    let mut size = 0;
    ok(unsafe { ivf_serialize(index.0, null_mut(), 0, &mut size) });
    let mut bytes = vec![0u8; size as usize];
    ok(unsafe { ivf_serialize(index.0, bytes.as_mut_ptr().cast(), size, &mut size) });
    assert_eq!(size as usize, bytes.len());
    bytes
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}

/// A struct of zeros with its `struct_size` set.
pub(crate) fn sized<T: Copy>() -> T {
    let mut value: T = unsafe { std::mem::zeroed() };
    unsafe { (&raw mut value).cast::<u32>().write(size_of::<T>() as u32) };
    value
}

pub(crate) fn last_error() -> String {
    unsafe { CStr::from_ptr(ivf_last_error()) }.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
pub(crate) fn ok(status: ivf_status) {
    assert_eq!(status, IVF_OK, "{}", last_error());
}

/// The call failed in this way.
#[track_caller]
pub(crate) fn fails(status: ivf_status, expected: ivf_status) {
    assert_eq!(status, expected, "{}", last_error());
}
