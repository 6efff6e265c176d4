//! What an index string says, and how it is written back.

use std::fmt;

use crate::element::Element;

/// A whole index string: `[IDMap,] [transforms,] [IVFn,] code [, refine]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// `IDMap` or `IDMap2` before all else. Every index of ours has ids, so it changes nothing.
    pub(crate) id_map: Option<IdMap>,
    /// What is done to vectors first, in this order.
    pub(crate) transforms: Vec<Transform>,
    /// The inverted lists; `None` = every query is compared with every vector.
    pub(crate) lists: Option<ListsSpec>,
    /// What vectors are held in.
    pub(crate) code: Code,
    /// What the best by their codes are compared again with.
    pub(crate) refine: Option<Code>,
}

/// Which of faiss's id maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdMap {
    One,
    Two,
}

/// `PCA64`, `OPQ16_64`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// `PCAd`, `PCAWd` (whitened), `PCARd` (rotated at random afterwards), `PCAWRd`.
    Pca { out: usize, whiten: bool, rotate: bool },
    /// `OPQm`, `OPQm_d`.
    Opq { m: usize, out: Option<usize> },
    /// `RR`, `RRd`: a random rotation.
    Rotation { out: Option<usize> },
    /// `HR`: a random rotation by Hadamard transforms.
    Hadamard,
    /// `L2norm`.
    Normalize,
    /// `ITQ`, `ITQd`.
    Itq { out: Option<usize> },
    /// `Lineard`: a matrix of any origin, as a file of faiss's has it. Cannot be trained.
    Linear { out: usize },
    /// `Center`: the mean subtracted.
    Center,
}

/// `IVFn`, `IVF`, `IVFn_HNSWm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListsSpec {
    /// `None` = the number of lists is chosen from the training data.
    pub(crate) nlist: Option<usize>,
    /// Links a node of the graph over the centroids, as written: an inverted file over them stands in its place.
    pub(crate) hnsw: Option<usize>,
}

/// What a vector, or its residual, is held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// `Flat`, `SQfp16`, `SQbf16`, `SQ8_direct`: the values themselves.
    Plain(Element),
    /// `SQ8`, `SQ6`, `SQ4`: this many bits a dimension, between the extremes of the training data.
    Scalar { bits: u8 },
    /// `PQm` (8 bits), `PQmx4`, and `PQmx4fs` and `PQmx4fsr` for fast scan.
    Product { m: usize, bits: u8, scan: ProductScan },
    /// `RaBitQ` (1 bit) to `RaBitQ8`, `RaBitQfs`.
    RaBitQ { bits: u8, fast_scan: bool },
}

/// How PQ codes are scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProductScan {
    /// By tables of floats.
    Tables,
    /// By tables in registers.
    Fast,
    /// The same, over residuals.
    FastResidual,
}

impl Description {
    pub(crate) fn is_ivf(&self) -> bool {
        self.lists.is_some()
    }

    /// The number of lists, if the string or the training has told.
    pub(crate) fn nlist(&self) -> Option<usize> {
        self.lists.and_then(|lists| lists.nlist)
    }
}

/// A number that may be left out.
struct Maybe(Option<usize>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| number.fmt(f))
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Pca { out, whiten, rotate } => {
                let (whiten, rotate) = (if whiten { "W" } else { "" }, if rotate { "R" } else { "" });
                write!(f, "PCA{whiten}{rotate}{out}")
            }
            Self::Opq { m, out: None } => write!(f, "OPQ{m}"),
            Self::Opq { m, out: Some(out) } => write!(f, "OPQ{m}_{out}"),
            Self::Rotation { out } => write!(f, "RR{}", Maybe(out)),
            Self::Hadamard => f.write_str("HR"),
            Self::Normalize => f.write_str("L2norm"),
            Self::Itq { out } => write!(f, "ITQ{}", Maybe(out)),
            Self::Linear { out } => write!(f, "Linear{out}"),
            Self::Center => f.write_str("Center"),
        }
    }
}

impl fmt::Display for ListsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IVF{}", Maybe(self.nlist))?;
        self.hnsw.map_or(Ok(()), |links| write!(f, "_HNSW{links}"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Plain(Element::F32) => f.write_str("Flat"),
            Self::Plain(Element::F16) => f.write_str("SQfp16"),
            Self::Plain(Element::Bf16) => f.write_str("SQbf16"),
            Self::Plain(Element::U8) => f.write_str("SQ8_direct"),
            Self::Scalar { bits } => write!(f, "SQ{bits}"),
            Self::Product { m, bits, scan } => {
                let bits = if bits == 8 { String::new() } else { format!("x{bits}") };
                let scan = match scan {
                    ProductScan::Tables => "",
                    ProductScan::Fast => "fs",
                    ProductScan::FastResidual => "fsr",
                };
                write!(f, "PQ{m}{bits}{scan}")
            }
            Self::RaBitQ { bits, fast_scan } => {
                let scan = if fast_scan { "fs" } else { "" };
                write!(f, "RaBitQ{scan}{}", Maybe((bits > 1).then_some(usize::from(bits))))
            }
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id_map {
            None => {}
            Some(IdMap::One) => f.write_str("IDMap,")?,
            Some(IdMap::Two) => f.write_str("IDMap2,")?,
        }
        for transform in &self.transforms {
            write!(f, "{transform},")?;
        }
        if let Some(lists) = self.lists {
            write!(f, "{lists},")?;
        }
        write!(f, "{}", self.code)?;
        match self.refine {
            None => Ok(()),
            Some(Code::Plain(Element::F32)) => f.write_str(",RFlat"),
            Some(code) => write!(f, ",Refine({code})"),
        }
    }
}
