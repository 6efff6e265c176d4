//! Transforms: what is done to vectors before an index sees them.
//!
//! A [`Chain`] maps rows of `d_in` columns to rows of `d_out`, and back as well as that is possible. A
//! row's result depends on the row alone, bit by bit: one query is transformed as it is in a batch.

mod books;
mod chain;
mod dense;
mod hadamard;
mod itq;
mod linear;
mod opq;
mod pca;
mod procrustes;
mod rotation;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::progress::{Cancel, Control};

pub(crate) use chain::{Between, Chain};
pub(crate) use hadamard::Hadamard;
pub(crate) use itq::Itq;
pub(crate) use linear::Linear;
pub(crate) use pca::Pca;

/// What a transform is, trained or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Principal components, scaled to variance 1 if `whiten`, rotated at random afterwards if `rotate`.
    Pca { whiten: bool, rotate: bool },
    /// A rotation under which `m` codebooks for parts of a vector lose least (Ge et al. 2013).
    Opq { m: usize },
    /// A random rotation, or part of one.
    Rotation,
    /// A random rotation by Walsh-Hadamard transforms.
    Hadamard,
    /// Rows of length 1; zero rows stay.
    Normalize,
    /// Centred, normalised, and rotated to be near their signs (Gong et al. 2013).
    Itq,
    /// Any matrix and offset. Cannot be trained, only loaded.
    Linear,
    /// The mean subtracted.
    Center,
}

/// What training found.
pub(crate) enum Map {
    /// Not trained yet.
    None,
    Linear(Linear),
    Pca(Pca),
    Itq(Itq),
    Hadamard(Hadamard),
    Normalize,
    /// The mean.
    Center(Vec<f32>),
}

/// One transform.
pub(crate) struct Transform {
    pub(crate) kind: Kind,
    pub(crate) d_in: usize,
    pub(crate) d_out: usize,
    pub(crate) map: Map,
}

/// What a training has at its disposal.
pub(crate) struct Training<'a, 'c> {
    pub(crate) context: &'a Context,
    pub(crate) workers: usize,
    pub(crate) seed: u64,
    /// Words of a part of the product codes that come behind: what a rotation for them is learnt with.
    pub(crate) words: usize,
    pub(crate) control: &'a Control<'c>,
}

impl Transform {
    /// A transform of `d_in` columns to `d_out`, or to its natural number. What needs no data is trained.
    pub(crate) fn new(kind: Kind, d_in: usize, d_out: Option<usize>) -> Result<Self> {
        let natural = if kind == Kind::Hadamard { d_in.next_power_of_two() } else { d_in };
        let d_out = d_out.unwrap_or(natural);
        let transform = Self { kind, d_in, d_out, map: Map::None };
        let fail = |expected: &str| {
            Err(Error::argument(format!("{transform}: expected {expected}, got {d_in} and {d_out}")))
        };
        match kind {
            Kind::Pca { .. } | Kind::Itq if d_out > d_in => fail("no more dimensions out than in"),
            Kind::Opq { m } if !d_out.is_multiple_of(m) => {
                fail("a number of dimensions out that its parts divide")
            }
            Kind::Hadamard | Kind::Normalize | Kind::Center if d_out != natural => {
                fail("as many dimensions out as in, for HR rounded up to a power of two")
            }
            Kind::Hadamard => {
                Ok(Self { map: Map::Hadamard(Hadamard::new(d_in, HADAMARD_SEED)), ..transform })
            }
            Kind::Normalize => Ok(Self { map: Map::Normalize, ..transform }),
            _ => Ok(transform),
        }
    }

    pub(crate) fn is_trained(&self) -> bool {
        !matches!(self.map, Map::None)
    }

    /// The units of progress of its training.
    fn units(&self) -> usize {
        if matches!(self.kind, Kind::Opq { .. }) { opq::ITERATIONS } else { 1 }
    }

    /// What is to be learnt from `x`, whose rows are finite; `None` if there is nothing.
    fn learn(&self, x: MatrixRef<'_>, training: &Training<'_, '_>) -> Result<Option<Map>> {
        training.control.check()?;
        let (d_in, d_out) = (self.d_in, self.d_out);
        Ok(Some(match self.kind {
            Kind::Pca { whiten, rotate } => Map::Pca(pca::train(x, d_out, whiten, rotate, training)?),
            Kind::Opq { m } => Map::Linear(opq::train(x, m, d_out, training)?),
            Kind::Rotation => Map::Linear(Linear::new(
                rotation::random(d_in, d_out, training.seed, training.control)?,
                Vec::new(),
                d_in,
                d_out,
            )?),
            Kind::Itq => Map::Itq(itq::train(x, d_out, training)?),
            Kind::Center => Map::Center(pca::mean(x, training.control)?),
            Kind::Hadamard | Kind::Normalize => return Ok(None),
            Kind::Linear => {
                return Err(Error::State(
                    "a matrix of faiss's that is not trained cannot be trained here".into(),
                ));
            }
        }))
    }

    /// Writes the transformed rows into `out`, a part at a time.
    fn apply(
        &self,
        context: &Context,
        x: MatrixRef<'_>,
        workers: usize,
        cancel: Cancel<'_>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        out.clear();
        let values = x.rows().checked_mul(self.d_out).ok_or(Error::Overflow {
            what: "transformed rows",
            rows: x.rows() as u64,
            dim: self.d_out as u64,
        })?;
        let bytes = values.saturating_mul(size_of::<f32>()) as u64;
        out.try_reserve_exact(values).map_err(|_| Error::Memory { what: "transformed rows", bytes })?;
        let step = (WORK_A_STEP / (self.d_in * self.d_out)).max(ROWS_A_STEP);
        for from in (0..x.rows()).step_by(step) {
            cancel.check()?;
            let to = (from + step).min(x.rows());
            out.resize(to * self.d_out, 0.0);
            self.apply_to(context, x.slice(from, to), workers, &mut out[from * self.d_out..])?;
        }
        Ok(())
    }

    fn apply_to(&self, context: &Context, x: MatrixRef<'_>, workers: usize, out: &mut [f32]) -> Result<()> {
        match &self.map {
            Map::None => Err(Error::NotTrained),
            Map::Linear(linear) => linear.apply(context, x, workers, out),
            Map::Pca(pca) => pca.linear.apply(context, x, workers, out),
            Map::Itq(itq) => itq.apply(context, x, workers, out),
            Map::Hadamard(hadamard) => hadamard.apply(context, x, workers, out),
            Map::Normalize => {
                out.copy_from_slice(x.data());
                normalize_rows(out, x.dim());
                Ok(())
            }
            Map::Center(mean) => {
                for (out, row) in out.chunks_exact_mut(x.dim()).zip(x.data().chunks_exact(x.dim())) {
                    out.iter_mut().zip(row).zip(mean).for_each(|((out, v), mean)| *out = v - mean);
                }
                Ok(())
            }
        }
    }

    /// Writes the rows that `y` may have come from into `out`: the nearest where much is lost.
    fn reverse(&self, context: &Context, y: MatrixRef<'_>, workers: usize, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        out.resize(y.rows() * self.d_in, 0.0);
        match &self.map {
            Map::None => Err(Error::NotTrained),
            Map::Linear(linear) => linear.reverse(context, y, workers, out),
            Map::Pca(pca) => pca.linear.reverse(context, y, workers, out),
            Map::Itq(itq) => itq.reverse(context, y, workers, out),
            Map::Hadamard(hadamard) => hadamard.reverse(context, y, workers, out),
            // The length is lost.
            Map::Normalize => {
                out.copy_from_slice(y.data());
                Ok(())
            }
            Map::Center(mean) => {
                for (out, row) in out.chunks_exact_mut(y.dim()).zip(y.data().chunks_exact(y.dim())) {
                    out.iter_mut().zip(row).zip(mean).for_each(|((out, v), mean)| *out = v + mean);
                }
                Ok(())
            }
        }
    }

    /// Whether rows are as far from each other as before, and if `angles` count have the same products, too.
    fn is_isometry(&self, angles: bool) -> bool {
        match self.kind {
            Kind::Rotation | Kind::Opq { .. } | Kind::Hadamard => self.d_out >= self.d_in,
            Kind::Pca { whiten: false, .. } => self.d_out == self.d_in && !angles,
            Kind::Center => !angles,
            Kind::Pca { whiten: true, .. } | Kind::Normalize | Kind::Itq | Kind::Linear => false,
        }
    }

    /// Whether both make the same of every row.
    fn is_same(&self, other: &Self) -> bool {
        let linear = |a: &Linear, b: &Linear| a.matrix() == b.matrix() && a.offset() == b.offset();
        (self.d_in, self.d_out) == (other.d_in, other.d_out)
            && match (&self.map, &other.map) {
                (Map::Linear(a), Map::Linear(b)) => linear(a, b),
                (Map::Pca(a), Map::Pca(b)) => linear(&a.linear, &b.linear),
                (Map::Itq(a), Map::Itq(b)) => linear(&a.linear, &b.linear) && a.mean == b.mean,
                (Map::Hadamard(a), Map::Hadamard(b)) => a.seed() == b.seed(),
                (Map::Center(a), Map::Center(b)) => a == b,
                (Map::Normalize, Map::Normalize) => true,
                _ => false,
            }
    }

    fn memory_bytes(&self) -> usize {
        match &self.map {
            Map::None | Map::Normalize => 0,
            Map::Linear(linear) => linear.memory_bytes(),
            Map::Pca(pca) => pca.memory_bytes(),
            Map::Itq(itq) => itq.memory_bytes(),
            Map::Hadamard(hadamard) => hadamard.memory_bytes(),
            Map::Center(mean) => size_of_val(&mean[..]),
        }
    }
}

impl Kind {
    /// Whether a transform of this kind may be what a file has as `stored`: files do not tell where a matrix
    /// comes from.
    pub(crate) fn has_like_map(self, stored: Self) -> bool {
        let matrix = |kind| matches!(kind, Self::Opq { .. } | Self::Rotation | Self::Linear);
        self == stored || (matrix(self) && matrix(stored))
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.d_out;
        match self.kind {
            Kind::Pca { whiten, rotate } => {
                let (whiten, rotate) = (if whiten { "W" } else { "" }, if rotate { "R" } else { "" });
                write!(f, "PCA{whiten}{rotate}{out}")
            }
            Kind::Opq { m } => write!(f, "OPQ{m}_{out}"),
            Kind::Rotation => write!(f, "RR{out}"),
            Kind::Hadamard => f.write_str("HR"),
            Kind::Normalize => f.write_str("L2norm"),
            Kind::Itq => write!(f, "ITQ{out}"),
            Kind::Linear => write!(f, "Linear{out}"),
            Kind::Center => f.write_str("Center"),
        }
    }
}

/// Scales each row to length 1; a zero row stays.
pub(crate) fn normalize_rows(rows: &mut [f32], dim: usize) {
    rows.chunks_exact_mut(dim).for_each(crate::rows::normalize);
}

/// Multiply-adds between two looks at the cancel flag: a few milliseconds.
const WORK_A_STEP: usize = 1 << 28;

/// Rows between two looks at the cancel flag, at least: enough for every worker.
const ROWS_A_STEP: usize = 1 << 10;

/// faiss's seed.
const HADAMARD_SEED: u32 = 12345;
