//! The index: what a user trains, fills, searches and saves.

mod add;
mod at_once;
mod blend;
mod bounds;
#[cfg(all(test, feature = "gpu"))]
mod emulated;
mod exact;
mod file;
mod info;
mod knn;
mod list_order;
mod measure;
mod merge;
mod order;
mod persist;
mod range;
mod reconstruct;
mod refine;
mod remove;
mod rerank;
mod search;
mod soar;
mod stats;
mod train;
mod transforms;
mod tune;
mod update;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

pub use crate::output::{RangeOutput, SearchOutput};
pub use info::IndexInfo;
pub use knn::knn;
pub use list_order::ListOrder;
pub use search::SearchOptions;
pub use stats::SearchStats;
pub use train::TrainOptions;
pub use tune::{TuneOptions, Tuned};

use self::bounds::Bounds;
use crate::coarse::Coarse;
use crate::codec::{Codec, Product, RaBitQ, Scalar};
use crate::context::Context;
use crate::curve::Curve;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::factory::{Code, Description, ProductScan};
use crate::lists::{List, Lists};
use crate::metric::Metric;
use crate::progress::Control;
use crate::transform::Chain;

/// Most dimensions a vector may have: a block of 32 must stay addressable in 32 bits.
pub(crate) const MAX_DIM: usize = 1 << 20;

/// How an [`Index`] is made.
#[derive(Clone, Debug, Default)]
pub struct IndexOptions {
    /// Lists visited by a search that does not say; 0 = chosen from the number of lists.
    pub nprobe: usize,
    /// Whether an id may be added more than once.
    pub allow_duplicate_ids: bool,
    /// How many times k candidates are compared again by a search that does not say, where the index string ends in a
    /// refinement; 0 = chosen, see [`SearchOptions::k_factor`].
    pub k_factor: f32,
    /// How the vectors of a list are ordered; any other way than as they are added wants inverted lists.
    pub list_order: ListOrder,
    /// Above 0: each vector is also kept, without its row for a refinement, in a second list, so that searches of as many
    /// lists find more; 0 = in its nearest list alone. The lambda of SOAR (Sun et al., NeurIPS 2023), how much it counts
    /// against a list that the vector lies in the same direction from it as from its nearest; 1 is usual. A vector is
    /// found once; candidates for a refinement, budgets, `max_codes` and statistics count both. Wants two inverted lists
    /// or more, in the order of adding, and ids that do not repeat.
    pub soar: f32,
}

/// A vector index: `Flat` (exact) or `IVFn,Flat` (inverted lists); with `SQfp16`, `SQbf16` or `SQ8_direct` instead
/// of `Flat` vectors are held in float16, bfloat16 or bytes, with `SQ8`, `SQ6` or `SQ4` in as many bits a dimension,
/// with `RaBitQ` (1 bit) to `RaBitQ8` in codes by which distances are estimated, with `PQm` (8 bits), `PQmx4` or
/// `PQmx4fs` (4 bits) in the words that are nearest to each of m parts. With `,RFlat` or `,Refine(SQ8)` behind
/// it the best by that are compared again with rows that are kept beside.
///
/// `&self` methods may run in parallel. A method that fails has changed nothing.
pub struct Index {
    context: Arc<Context>,
    /// Columns of what the lists hold: after the transforms.
    dim: usize,
    metric: Metric,
    description: Description,
    /// Shared with copies.
    transforms: Arc<Chain>,
    /// `None` for flat indexes and before training.
    coarse: Option<Coarse>,
    /// Shared with copies.
    codec: Arc<Codec>,
    /// What rows are kept in that the best are compared again with, as they came in, before the transforms. Shared
    /// with copies.
    refine: Option<Arc<Codec>>,
    /// One list for flat indexes, none before training.
    lists: Lists,
    /// Vectors that can be found.
    count: usize,
    next_id: i64,
    nprobe: usize,
    allow_duplicate_ids: bool,
    /// 0 = chosen.
    k_factor: f32,
    /// 0 = vectors lie in their nearest list alone.
    soar: f32,
    /// Where each id lies; built when first asked for, dropped by whatever moves vectors.
    directory: OnceLock<HashMap<i64, (u32, u32)>>,
    /// Recall against lists, once measured.
    curve: Option<Curve>,
    /// How far codes lie off, once measured.
    bounds: Bounds,
}

impl Index {
    /// An empty index for vectors of `dim` columns, described by an index string.
    pub fn new(
        context: Arc<Context>,
        dim: usize,
        metric: Metric,
        description: &str,
        options: &IndexOptions,
    ) -> Result<Self> {
        if dim == 0 || dim > MAX_DIM {
            return Err(Error::argument(format!("dim: expected 1 to {MAX_DIM}, got {dim}")));
        }
        let description = Description::parse(description)?;
        let bytes = Code::Plain(Element::U8);
        if metric == Metric::Cosine && (description.code == bytes || description.refine == Some(bytes)) {
            return Err(Error::argument(format!(
                "{description}: expected the metric L2 or inner product, got cosine: normalised vectors are no whole numbers"
            )));
        }
        let transforms = transforms::chain(&description, dim)?;
        let codec = codec(&description, transforms.d_out(dim), metric)?;
        let refine = refine::codec(&description);
        let row_bytes = refine.as_ref().map_or(0, |codec| codec.row_bytes(dim));
        let ordered = options.list_order != ListOrder::Added;
        if ordered && !description.is_ivf() {
            return Err(Error::argument(format!(
                "list_order: expected none, for \"{description}\" has no inverted lists, got best first"
            )));
        }
        soar::check(&description, options)?;
        let mut lists =
            Lists::new(usize::from(!description.is_ivf()), codec.element(), row_bytes).in_order(ordered);
        if options.soar > 0.0 {
            lists = lists.with_copies();
        }
        let index = Self {
            context,
            dim: transforms.d_out(dim),
            metric,
            description,
            transforms: Arc::new(transforms),
            coarse: None,
            codec: Arc::new(codec),
            refine: refine.map(Arc::new),
            lists,
            count: 0,
            next_id: 0,
            nprobe: options.nprobe,
            allow_duplicate_ids: options.allow_duplicate_ids,
            k_factor: options.k_factor,
            soar: options.soar,
            directory: OnceLock::new(),
            curve: None,
            bounds: Bounds::default(),
        };
        index.check_k_factor(options.k_factor, false)?;
        Ok(index)
    }

    /// What the index runs on.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The index string, with the number of lists once it is chosen.
    pub fn describe(&self) -> String {
        self.description.to_string()
    }

    /// Drops all vectors; the training and the ids handed out stay.
    pub fn reset(&mut self) {
        self.lists = self.lists.like(self.lists.lists.len());
        self.count = 0;
        self.directory = OnceLock::new();
        self.curve = None;
    }

    /// Packs the lists and gives the space of removed vectors back. On Linux 6.1 and later the lists' memory becomes huge
    /// pages where they can be had, which makes single queries faster.
    pub fn compact(&mut self) -> Result<()> {
        self.compact_under(0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress and cancel. Lists that a cancel leaves as they are are
    /// right, and so are those that are packed by then.
    pub fn compact_under(&mut self, threads: usize, control: &Control<'_>) -> Result<()> {
        control.check()?;
        self.directory = OnceLock::new();
        let (columns, cancel) = (self.codec.columns(self.dim), control.cancel());
        let check = || cancel.check();
        let workers = self.context.workers(threads);
        self.context.each(workers, self.lists.all_mut(), &|list: &mut List| {
            check()?;
            list.compact(columns, &check)?;
            list.sort(columns, &mut list.like(), &check).map(drop)
        })?;
        self.lists.link_anew(&check);
        self.lists.collapse(&self.context, workers, cancel);
        control.report("compact", self.count, self.count, 0.0).or(Ok(()))
    }

    fn is_trained(&self) -> bool {
        (!self.description.is_ivf() || self.coarse.is_some())
            && self.transforms.is_trained()
            && self.codec.is_trained()
            && self.refine.as_ref().is_none_or(|codec| codec.is_trained())
    }

    /// `[nlist, dim]` of a trained IVF index.
    fn coarse_centroids(&self) -> Option<&[f32]> {
        self.coarse.as_ref().map(Coarse::centroids)
    }

    fn check_trained(&self) -> Result<()> {
        if self.is_trained() { Ok(()) } else { Err(Error::NotTrained) }
    }
}

/// The codec that a description names, not trained. As in faiss, lists hold residuals.
fn codec(description: &Description, dim: usize, metric: Metric) -> Result<Codec> {
    Ok(match description.code {
        Code::Plain(element) => Codec::Plain(element),
        Code::Scalar { bits } => Codec::Scalar(Scalar::new(bits, description.is_ivf())),
        Code::RaBitQ { bits, .. } => {
            let products = metric != Metric::L2;
            Codec::RaBitQ(RaBitQ::new(dim, bits.into(), products, description.is_ivf()))
        }
        Code::Product { m, .. } if !dim.is_multiple_of(m) => {
            return Err(Error::argument(format!(
                "{description}: expected a number of parts that divides the {dim} dimensions, got {m}"
            )));
        }
        Code::Product { m, bits, scan } => {
            // Of fast scan, as in faiss, only "fsr" holds residuals.
            let by_residual = description.is_ivf() && scan != ProductScan::Fast;
            Codec::Product(Product::new(dim, m, bits.into(), by_residual, scan != ProductScan::Tables))
        }
    })
}
