//! What stands before the lists: the transforms of the index string, and the metric's own preparation.

use super::{Index, TrainOptions};
use crate::backend;
use crate::error::{Error, Result};
use crate::factory::{Code, Description, TransformSpec};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;
use crate::transform::{Between, Chain, Kind, Training, Transform, normalize_rows};

/// The transforms that a description names, for rows of `dim` columns; those that need data are not trained.
pub(super) fn chain(description: &Description, dim: usize) -> Result<Chain> {
    let mut chain = Chain::default();
    let mut columns = dim;
    for spec in &description.transforms {
        let (kind, out) = kind(*spec);
        let step = Transform::new(kind, columns, out)?;
        columns = step.d_out;
        chain.steps.push(step);
    }
    if columns > super::MAX_DIM {
        return Err(Error::argument(format!(
            "{description}: expected at most {} dimensions after the transforms, got {columns}",
            super::MAX_DIM
        )));
    }
    Ok(chain)
}

fn kind(spec: TransformSpec) -> (Kind, Option<usize>) {
    match spec {
        TransformSpec::Pca { out, whiten, rotate } => (Kind::Pca { whiten, rotate }, Some(out)),
        TransformSpec::Opq { m, out } => (Kind::Opq { m }, out),
        TransformSpec::Rotation { out } => (Kind::Rotation, out),
        TransformSpec::Hadamard => (Kind::Hadamard, None),
        TransformSpec::Normalize => (Kind::Normalize, None),
        TransformSpec::Itq { out } => (Kind::Itq, out),
        TransformSpec::Linear { out } => (Kind::Linear, Some(out)),
        TransformSpec::Center => (Kind::Center, None),
    }
}

/// `loaded`, if its steps are those that the description names; `dim` = columns of the lists.
pub(super) fn check_loaded(description: &Description, loaded: Chain, dim: usize) -> Result<Chain> {
    let expected = chain(description, loaded.d_in(dim)).map_err(|error| Error::corrupt(error.to_string()))?;
    let same = expected.steps.len() == loaded.steps.len()
        && expected
            .steps
            .iter()
            .zip(&loaded.steps)
            .all(|(a, b)| (a.d_in, a.d_out) == (b.d_in, b.d_out) && a.kind.has_like_map(b.kind));
    if !same || expected.d_out(dim) != dim {
        return Err(Error::corrupt(format!("{description}: the transforms in the file are others")));
    }
    let steps = expected.steps.into_iter().zip(loaded.steps);
    Ok(Chain { steps: steps.map(|(named, step)| Transform { kind: named.kind, ..step }).collect() })
}

impl Index {
    /// Columns of what is added and searched for.
    pub(super) fn input_dim(&self) -> usize {
        self.transforms.d_in(self.dim)
    }

    /// `x` as the lists hold and compare it: transformed, and normalised for cosine, before and after. A zero
    /// row stays.
    pub(super) fn prepared<'a>(
        &self,
        x: RowsRef<'a>,
        workers: usize,
        cancel: Cancel<'_>,
        floats: &'a mut Vec<f32>,
        between: &'a mut Between,
    ) -> Result<RowsRef<'a>> {
        if self.transforms.is_empty() {
            return Ok(self.measured(x));
        }
        self.prepared_matrix(x, workers, cancel, floats, between).map(RowsRef::from)
    }

    /// The same as one float32 matrix.
    pub(super) fn prepared_matrix<'a>(
        &self,
        x: RowsRef<'a>,
        workers: usize,
        cancel: Cancel<'_>,
        floats: &'a mut Vec<f32>,
        between: &'a mut Between,
    ) -> Result<MatrixRef<'a>> {
        let x = self.measured(x);
        let rows = MatrixRef::new("rows", x.matrix(floats), x.rows(), x.dim())?;
        if self.transforms.is_empty() {
            return Ok(rows);
        }
        self.transforms.apply(&self.context, rows, workers, cancel, between)?;
        if self.metric == Metric::Cosine {
            normalize_rows(&mut between[0], self.dim);
        }
        MatrixRef::new("rows", &between[0], x.rows(), self.dim)
    }

    /// Fails with the first row that is not finite, or whose squared length is not.
    pub(super) fn check_finite(
        &self,
        x: RowsRef<'_>,
        what: &'static str,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        backend::check_finite(&self.context, x, what, self.context.workers(threads), control.cancel())
    }

    /// `x` as the metric compares it: normalised for cosine.
    pub(super) fn measured<'a>(&self, x: RowsRef<'a>) -> RowsRef<'a> {
        if self.metric == Metric::Cosine { x.normalized() } else { x }
    }

    /// Trained transforms, and `x` as they make it, in `between`. Progress counts to `total`.
    pub(super) fn trained_transforms(
        &self,
        x: RowsRef<'_>,
        training: &Training<'_, '_>,
        between: &mut Between,
        total: usize,
    ) -> Result<Chain> {
        backend::check_finite(
            &self.context,
            x,
            "training rows",
            training.workers,
            training.control.cancel(),
        )?;
        let mut floats = Vec::new();
        let x = self.measured(x);
        let rows = MatrixRef::new("training rows", x.matrix(&mut floats), x.rows(), x.dim())?;
        let mut chain = chain(&self.description, x.dim())?;
        chain.train(rows, training, between, total)?;
        if self.metric == Metric::Cosine {
            normalize_rows(&mut between[0], self.dim);
        }
        Ok(chain)
    }

    /// Writes what the rows of the lists (`[n, list_dim]`) may have been before the transforms into `out`.
    pub(super) fn reversed(&self, rows: &[f32], out: &mut [f32]) -> Result<()> {
        let count = rows.len() / self.dim;
        let y = MatrixRef::new("rows", rows, count, self.dim)?;
        self.transforms.reverse(&self.context, y, 1, out)
    }

    /// What a training of the transforms may use.
    pub(super) fn training_of_transforms<'a, 'c>(
        &'a self,
        options: &TrainOptions,
        control: &'a Control<'c>,
    ) -> Training<'a, 'c> {
        let seed = if options.kmeans.seed == 0 { crate::kmeans::SEED } else { options.kmeans.seed };
        let words = match self.description.code {
            Code::Product { bits, .. } => 1 << bits,
            // As faiss has it.
            _ => 256,
        };
        Training {
            context: &self.context,
            workers: self.context.workers(options.threads),
            seed,
            words,
            control,
        }
    }
}
