//! What the tests share: handles that free themselves, data, and checks of a status with its text.

use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

/// An index that is destroyed at the end of the test.
pub(crate) struct Index(pub(crate) *mut ivf_index);

// As in C: a handle may be used by any thread.
unsafe impl Send for Index {}
unsafe impl Sync for Index {}

impl Drop for Index {
    fn drop(&mut self) {
        unsafe { ivf_index_destroy(self.0) };
    }
}

impl Index {
    pub(crate) fn new(description: &str, dim: u32, metric: i32) -> Self {
        Self::with_options(description, dim, metric, null())
    }

    pub(crate) fn with_options(
        description: &str,
        dim: u32,
        metric: i32,
        options: *const ivf_index_options,
    ) -> Self {
        let description = CString::new(description).expect("no NUL");
        let mut index = null_mut();
        ok(unsafe { ivf_index_create(null(), dim, metric, description.as_ptr(), options, &mut index) });
        Self(index)
    }

    /// An index trained on `n` rows and holding them under the ids 0 to n - 1.
    pub(crate) fn filled(description: &str, dim: u32, metric: i32, n: usize) -> Self {
        let index = Self::new(description, dim, metric);
        let x = rows(n, dim);
        ok(unsafe { ivf_train(index.0, x.as_ptr(), n as u64, dim, null()) });
        index.add(&x, dim);
        index
    }

    pub(crate) fn add(&self, x: &[f32], dim: u32) {
        let n = x.len() as u64 / u64::from(dim);
        ok(unsafe { ivf_add(self.0, x.as_ptr(), n, dim, null(), null()) });
    }

    pub(crate) fn info(&self) -> ivf_index_info {
        let mut info = sized::<ivf_index_info>();
        ok(unsafe { ivf_index_get_info(self.0, &mut info) });
        info
    }

    /// Distances and ids, `[n, k]` each.
    pub(crate) fn search(&self, queries: &[f32], dim: u32, k: u32, nprobe: u32) -> (Vec<f32>, Vec<i64>) {
        let n = queries.len() / dim as usize;
        let (mut distances, mut ids) = (vec![0.0; n * k as usize], vec![0; n * k as usize]);
        let options = ivf_search_options { nprobe, ..sized() };
        let (distances_to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
        ok(unsafe { ivf_search(self.0, queries.as_ptr(), n as u64, dim, k, distances_to, ids_to, &options) });
        (distances, ids)
    }
}

/// A struct of zeros with its `struct_size` set, as C's users make it.
pub(crate) fn sized<T: Copy>() -> T {
    let mut value: T = unsafe { std::mem::zeroed() };
    let size = u32::try_from(size_of::<T>()).expect("a small struct");
    unsafe { (&raw mut value).cast::<u32>().write(size) };
    value
}

/// `n` rows of numbers in [0, 1) that look random and are the same each time.
pub(crate) fn rows(n: usize, dim: u32) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        u16::try_from(state >> 48).map_or(0.0, f32::from) / 65536.0
    };
    (0..n * dim as usize).map(|_| next()).collect()
}

/// This thread's last failure.
pub(crate) fn last_error() -> String {
    unsafe { CStr::from_ptr(ivf_last_error()) }.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
pub(crate) fn ok(status: ivf_status) {
    assert_eq!(status, IVF_OK, "{}", last_error());
}

/// The call failed with this status and a text that has this part.
#[track_caller]
pub(crate) fn fails(status: ivf_status, expected: ivf_status, part: &str) {
    assert_eq!(status, expected, "{}", last_error());
    assert!(last_error().contains(part), "expected {part:?} in {:?}", last_error());
}
