//! The look at every row that comes in: is it finite?

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Values that a worker looks at between two looks at the flag.
const VALUES: usize = 1 << 19;

/// Fails with the first row that is not finite, or whose squared length is not; `what` names the argument.
pub(crate) fn check_finite(
    context: &Context,
    x: RowsRef<'_>,
    what: &'static str,
    workers: usize,
    cancel: Cancel<'_>,
) -> Result<()> {
    let step = (VALUES / x.dim()).max(1);
    let (next, first) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    context.parallel(workers.min(x.rows().div_ceil(step)), &|_| {
        loop {
            let from = next.fetch_add(step, Ordering::Relaxed);
            if from >= x.rows() || cancel.is_set() {
                break;
            }
            let rows = x.slice(from, (from + step).min(x.rows()));
            if let Err(Error::NotFinite { row, .. }) = rows.check_finite(what) {
                first.fetch_min(from + row, Ordering::Relaxed);
            }
        }
    })?;
    cancel.check()?;
    match first.into_inner() {
        usize::MAX => Ok(()),
        row => Err(Error::NotFinite { what, row }),
    }
}
