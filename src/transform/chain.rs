//! Transforms one after another.

use super::{Training, Transform};
use crate::backend;
use crate::context::Context;
use crate::error::Result;
use crate::matrix::MatrixRef;
use crate::progress::{Cancel, Control};

/// Transforms one after another; none at all changes nothing.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Transform>,
}

/// Memory for the rows between two steps; the first holds the result.
pub(crate) type Between = [Vec<f32>; 2];

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether both make the same of every row.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(a, b)| a.is_same(b))
    }

    pub(crate) fn is_trained(&self) -> bool {
        self.steps.iter().all(Transform::is_trained)
    }

    /// Whether rows are as far from each other as before, and if `angles` count have the same products, too.
    pub(crate) fn is_isometry(&self, angles: bool) -> bool {
        self.steps.iter().all(|step| step.is_isometry(angles))
    }

    /// The units of progress of a training.
    pub(crate) fn units(&self) -> usize {
        self.steps.iter().map(Transform::units).sum()
    }

    /// Columns of what goes in, for an index of `dim` columns.
    pub(crate) fn d_in(&self, dim: usize) -> usize {
        self.steps.first().map_or(dim, |step| step.d_in)
    }

    /// Columns of what comes out, where `dim` go in if there is no step.
    pub(crate) fn d_out(&self, dim: usize) -> usize {
        self.steps.last().map_or(dim, |step| step.d_out)
    }

    /// Trains each step on what the earlier ones make of `x`, and leaves what the last one makes of it in the
    /// first of `between`. After a failure some steps are trained and some are not. Progress counts
    /// [`Chain::units`] out of `total`.
    pub(crate) fn train(
        &mut self,
        x: MatrixRef<'_>,
        training: &Training<'_, '_>,
        between: &mut Between,
        total: usize,
    ) -> Result<()> {
        let [rows, next] = between;
        let count = x.rows();
        let mut done = 0;
        for (number, step) in self.steps.iter_mut().enumerate() {
            let x = if number == 0 { x } else { MatrixRef::new("training rows", rows, count, step.d_in)? };
            let learn = |control: &Control<'_>| step.learn(x, &Training { control, ..*training });
            if let Some(map) = training.control.within(done, total, learn)? {
                step.map = map;
            }
            step.apply(training.context, x, training.workers, training.control.cancel(), next)?;
            std::mem::swap(rows, next);
            let result = MatrixRef::new("training rows", rows, count, step.d_out)?;
            let (context, cancel) = (training.context, training.control.cancel());
            let what = "transformed training rows";
            backend::check_finite(context, result.into(), what, training.workers, cancel)?;
            done += step.units();
            training.control.report("train", done, total, 0.0)?;
        }
        Ok(())
    }

    /// What the steps make of `x`, whose rows are finite; fails if a result is not.
    pub(crate) fn apply<'a>(
        &self,
        context: &Context,
        x: MatrixRef<'a>,
        workers: usize,
        cancel: Cancel<'_>,
        between: &'a mut Between,
    ) -> Result<MatrixRef<'a>> {
        let Some(last) = self.steps.last() else { return Ok(x) };
        let [rows, next] = between;
        for (number, step) in self.steps.iter().enumerate() {
            if number == 0 {
                step.apply(context, x, workers, cancel, rows)?;
            } else {
                let x = MatrixRef::new("rows", rows, x.rows(), step.d_in)?;
                step.apply(context, x, workers, cancel, next)?;
                std::mem::swap(rows, next);
            }
        }
        let result = MatrixRef::new("rows", rows, x.rows(), last.d_out)?;
        backend::check_finite(context, result.into(), "transformed rows", workers, cancel)?;
        Ok(result)
    }

    /// Writes the rows that `y` may have come from into `out`.
    pub(crate) fn reverse(
        &self,
        context: &Context,
        y: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let (mut rows, mut next) = (y.data().to_vec(), Vec::new());
        for step in self.steps.iter().rev() {
            step.reverse(context, MatrixRef::new("rows", &rows, y.rows(), step.d_out)?, workers, &mut next)?;
            std::mem::swap(&mut rows, &mut next);
        }
        out.copy_from_slice(&rows);
        Ok(())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.steps.iter().map(Transform::memory_bytes).sum()
    }
}
