//! Sums of rows by label, where a device has the rows; elsewhere whoever wants them has to sum up.

use super::ListSource;
use super::assign::Kept;
use crate::context::Context;
use crate::error::Result;
use crate::progress::Cancel;

/// Which rows are summed up.
pub(crate) struct SumJob<'a> {
    pub(crate) kept: Kept<'a>,
    /// The rows, label after label.
    pub(crate) order: &'a [u32],
    /// Where the rows of each label begin there, and where the last end.
    pub(crate) starts: &'a [u32],
    /// What the rows were assigned to.
    pub(crate) centroids: &'a dyn ListSource,
    /// Workers that the CPU would use.
    pub(crate) workers: usize,
    pub(crate) cancel: Cancel<'a>,
}

/// Takes a label and the sum of its rows.
pub(crate) type Take<'a> = &'a mut dyn FnMut(usize, &[f64]);

/// Hands sums to `take` for the labels in order, and returns at which it ended: the others are the caller's. The rows of
/// a label that four do not divide are added first, in float64; then fours, each added up in float32.
pub(crate) fn sums(context: &Context, job: &SumJob<'_>, take: Take<'_>) -> Result<usize> {
    let Some(device) = context.device().backend(context, || job.into()) else { return Ok(0) };
    let done = device.sums(job, take)?;
    if done + 1 < job.starts.len() {
        context.notice_loss();
    }
    Ok(done)
}
