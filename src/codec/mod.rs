//! Codes: what the lists of an index hold, and how rows become that and vectors come back.

mod encoder;
mod keeper;
mod product;
mod rabitq;
mod scalar;
mod words;

pub(crate) use encoder::Encoder;
pub(crate) use keeper::Keeper;
pub(crate) use product::Product;
pub(crate) use rabitq::RaBitQ;
pub(crate) use scalar::{Extremes, Scalar};

use crate::backend::{Codes, ListView};
use crate::element::{Element, Scalar as Value, with_values};
use crate::kernel::{Kernels, bitpack};
use crate::lists::block::locate;
use crate::metric::Metric;

/// What vectors are held in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Codec {
    /// Their values.
    Plain(Element),
    /// A few bits a dimension, between the extremes of the training data.
    Scalar(Scalar),
    /// A word of each part: the nearest, for inner products one that loses little along the vector.
    Product(Product),
    /// The direction of a residual on a grid of 1 to 8 bits a dimension.
    RaBitQ(RaBitQ),
}

impl Codec {
    /// Whether rows can be encoded.
    pub(crate) fn is_trained(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Scalar(scalar) => scalar.is_trained(),
            Self::Product(codes) => codes.is_trained(),
            Self::RaBitQ(codes) => codes.is_trained(),
        }
    }

    /// What lists hold.
    pub(crate) fn element(&self) -> Element {
        match self {
            Self::Plain(element) => *element,
            Self::Scalar(_) | Self::Product(_) | Self::RaBitQ(_) => Element::U8,
        }
    }

    /// How many elements a vector of `dim` dimensions has in a list.
    pub(crate) fn columns(&self, dim: usize) -> usize {
        match self {
            Self::Plain(_) => dim,
            Self::Scalar(scalar) => bitpack::columns(dim, scalar.bits),
            Self::Product(codes) => codes.columns(),
            Self::RaBitQ(codes) => codes.columns(),
        }
    }

    /// Whether codes of one are codes of the other.
    pub(crate) fn reads(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Product(a), Self::Product(b)) => a.reads(b),
            (a, b) => a == b,
        }
    }

    /// What a scan has to know; `centroids` are those of the lists (`[nlist, dim]`).
    pub(crate) fn codes<'a>(&'a self, centroids: Option<&'a [f32]>) -> Codes<'a> {
        match self {
            Self::Plain(_) => Codes::Plain,
            Self::Scalar(scalar) => Codes::Affine(scalar.affine(centroids)),
            Self::Product(codes) => Codes::Product(codes.view(centroids)),
            Self::RaBitQ(codes) => Codes::RaBitQ(codes.view(centroids)),
        }
    }

    /// What fills lists of an index with this metric and these centroids.
    pub(crate) fn encoder<'a>(
        &'a self,
        kernels: &'static Kernels,
        metric: Metric,
        centroids: Option<&'a [f32]>,
    ) -> Encoder<'a> {
        match self {
            Self::Plain(element) => Encoder::plain(kernels, metric, *element),
            Self::Scalar(scalar) => Encoder::scalar(metric, scalar, scalar.affine(centroids)),
            Self::Product(codes) => Encoder::product(kernels, metric, codes.view(centroids), codes.lost),
            Self::RaBitQ(codes) => Encoder::rabitq(codes.view(centroids)),
        }
    }

    /// Writes the vector in `slot` of list number `list`.
    pub(crate) fn read(
        &self,
        view: &ListView<'_>,
        list: usize,
        slot: usize,
        centroids: Option<&[f32]>,
        out: &mut [f32],
    ) {
        match self {
            Self::Plain(_) => {
                let (base, stride) = locate(slot, view.bias.len(), out.len());
                with_values!(view.vectors, values => widen(values[base..].iter().step_by(stride), out));
            }
            Self::Scalar(scalar) => {
                let values = scalar.affine(centroids).values(view, list, slot);
                out.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
            Self::Product(codes) => {
                let values = codes.view(centroids).values(view, list, slot);
                out.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
            Self::RaBitQ(codes) => {
                let values = codes.view(centroids).values(view, list, slot);
                out.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
        }
    }

    /// Bytes of tables.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Scalar(scalar) => scalar.memory_bytes(),
            Self::Product(codes) => codes.memory_bytes(),
            Self::RaBitQ(codes) => codes.memory_bytes(),
        }
    }
}

/// Writes elements as float32.
fn widen<'a, E: Value>(from: impl Iterator<Item = &'a E>, out: &mut [f32]) {
    out.iter_mut().zip(from).for_each(|(out, &value)| *out = value.into());
}
