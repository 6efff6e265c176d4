//! The nearest centroid of every row: on the device if the context has one, else by [`super::nearest`].

use super::slot::RowsSlot;
use super::{ListSource, nearest};
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Rows of a matrix: all of them, or those named.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) x: RowsRef<'a>,
    pub(crate) numbers: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.numbers.map_or(self.x.rows(), <[u32]>::len)
    }

    /// The `i`-th of them, in `buffer` if it does not lie there as float32.
    #[inline]
    pub(crate) fn row<'b>(&self, i: usize, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        self.x.row(self.numbers.map_or(i, |numbers| numbers[i] as usize), buffer)
    }

    /// All of them (as many as `panel` is long), in `buffer` if they do not lie there as float32.
    pub(super) fn panel<'b>(&self, buffer: &'b mut Vec<f32>, panel: &mut [&'b [f32]])
    where
        'a: 'b,
    {
        let number = |i| self.numbers.map_or(i, |numbers| numbers[i] as usize);
        if let Some(x) = self.x.as_matrix() {
            panel.iter_mut().enumerate().for_each(|(i, row)| *row = x.row(number(i)));
            return;
        }
        self.x.gather((0..panel.len()).map(number), buffer);
        panel.iter_mut().zip(buffer.chunks_exact(self.x.dim())).for_each(|(row, read)| *row = read);
    }

    /// Copies all of them into `buffer`, one after another.
    #[cfg(feature = "gpu")]
    pub(super) fn gather(&self, buffer: &mut Vec<f32>) {
        match self.numbers {
            Some(numbers) => self.x.gather(numbers.iter().map(|&number| number as usize), buffer),
            None => self.x.gather(0..self.x.rows(), buffer),
        }
    }

    /// The row of `x` that the `i`-th is.
    pub(crate) fn number(&self, i: u32) -> u32 {
        self.numbers.map_or(i, |numbers| numbers[i as usize])
    }

    /// The rows `from..to` of these.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        match self.numbers {
            Some(numbers) => Self { x: self.x, numbers: Some(&numbers[from..to]) },
            None => Self { x: self.x.slice(from, to), numbers: None },
        }
    }
}

/// Which rows meet which centroids.
pub(crate) struct AssignJob<'a> {
    pub(crate) rows: Rows<'a>,
    /// Rows that come again and again; `None` = these come once.
    pub(crate) kept: Option<Kept<'a>>,
    /// One list.
    pub(crate) centroids: &'a dyn ListSource,
    /// L2 or inner product.
    pub(crate) metric: Metric,
    /// The centroids, row-major, if the labels that are there already say where to look first: a good guess saves
    /// the CPU time and changes nothing else.
    pub(crate) hints: Option<&'a [f32]>,
    /// Which centroids rows are compared with; `None` = all. Only devices ask.
    pub(crate) near: Option<Near<'a>>,
    /// Workers that the call may use.
    pub(crate) workers: usize,
    pub(crate) cancel: Cancel<'a>,
}

/// The centroids that rows are compared with, by the label that they have.
#[derive(Clone, Copy)]
pub(crate) struct Near<'a> {
    /// `[labels, BLOCK]`: those of each label, ascending.
    pub(crate) centroids: &'a [u32],
    /// The job's rows, label after label.
    pub(crate) order: &'a [u32],
    /// Where the rows of each label begin there, and where the last end.
    pub(crate) starts: &'a [u32],
}

/// Rows that a device may keep from one job to the next.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub(crate) slot: &'a RowsSlot,
    /// All that jobs with this slot are of.
    pub(crate) all: Rows<'a>,
    /// Which of them the job's rows are; `None` = all.
    pub(crate) places: Option<&'a [u32]>,
}

#[cfg(feature = "gpu")]
impl Kept<'_> {
    /// Which of all rows the job's rows of these numbers are.
    pub(super) fn places(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().map(|&row| self.places.map_or(row, |places| places[row as usize])).collect()
    }
}

/// Writes the slot of the nearest centroid (ties: the lowest slot) and its key (squared distance, or minus the
/// similarity) of each row. The same on any device and any number of workers.
pub(crate) fn assign(
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<()> {
    if let Some(device) = context.device().backend(context, || job.into()) {
        if let Some(left) = device.assign(context, job, labels, keys)? {
            return nearest::assign_some(context, job, &left, labels, keys);
        }
        context.notice_loss();
    }
    context.device().on_cpu(|| nearest::assign(context, job, labels, keys))
}

/// The same for a job with [`Near`] centroids, as far as a device can; the rows that it leaves, and `None` = all.
pub(crate) fn assign_near(
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<Option<Vec<u32>>> {
    let Some(device) = context.device().backend(context, || job.into()) else { return Ok(None) };
    let left = device.assign(context, job, labels, keys)?;
    if left.is_none() {
        context.notice_loss();
    }
    Ok(left)
}

/// The key of a row and a centroid, up to rounding.
pub(crate) fn key(metric: Metric, row: &[f32], centroid: &[f32]) -> f32 {
    match metric {
        Metric::L2 => sum(row, centroid, |a, b| (a - b) * (a - b)),
        Metric::InnerProduct | Metric::Cosine => sum(row, centroid, |a, b| -(a * b)),
    }
}

/// The sum of a term over all dimensions. Sixteen sums side by side let the compiler use vector registers.
#[inline]
fn sum(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let (left, right) = (left.chunks_exact(16), right.chunks_exact(16));
    let tail: f32 = left.remainder().iter().zip(right.remainder()).map(|(&a, &b)| term(a, b)).sum();
    for (left, right) in left.zip(right) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += term(a, b);
        }
    }
    sums.iter().sum::<f32>() + tail
}
