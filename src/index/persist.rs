//! An index to files and back; the formats are in [`crate::persist`].

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Index, IndexOptions, ListOrder, MAX_DIM, transforms};
use crate::coarse::Coarse;
use crate::codec::{Codec, RaBitQ};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::factory::Description;
use crate::matrix::MatrixRef;
use crate::persist::{self, LoadOptions, LoadedParts, Parts};
use crate::progress::Control;

impl Index {
    /// Saves the index in our format. The file is written beside `path`, synced and renamed: a failure, a
    /// crash or a cancel leaves an older file as it was.
    pub fn save(&self, path: &Path, control: &Control<'_>) -> Result<()> {
        persist::save(&self.context, &self.parts(&self.describe()), path, control)
    }

    /// Loads an index that [`Index::save`] or faiss wrote, told apart by how the file begins. Of faiss's
    /// indexes Flat, IVF Flat and both with scalar or product quantizers are read, with inner product or L2, also behind
    /// transforms, refined (`IndexRefine`, whose `k_factor` becomes the default) and within an id map.
    ///
    /// Sizes are checked before memory is taken for them and checksums before anything is used; a damaged
    /// file is an [`Error::Corrupt`], a foreign one an [`Error::Format`], one of faiss's that we have no like
    /// of an [`Error::Unsupported`].
    pub fn load(
        context: Arc<Context>,
        path: &Path,
        options: &LoadOptions,
        control: &Control<'_>,
    ) -> Result<Self> {
        let parts = persist::load(&context, path, options, control)?;
        Self::from_parts(context, parts).map_err(|error| persist::name_file(error, path))
    }

    /// Saves the index so that faiss reads it, as atomically as [`Index::save`]. Flat becomes `IndexFlat`,
    /// within an `IndexIDMap2` unless the ids count from 0; IVF becomes `IndexIVFFlat`. A refinement becomes an
    /// `IndexRefine` around that, within an `IndexIDMap2` unless the ids are 0 to n - 1. faiss has no cosine:
    /// such an index is written as inner product, with its vectors normalised; normalise queries likewise.
    pub fn export_faiss(&self, path: &Path, control: &Control<'_>) -> Result<()> {
        let description = self.describe();
        // faiss knows no "chosen when searched".
        let (nprobe, k_factor) = (self.default_nprobe(), self.default_k_factor());
        let parts = Parts { nprobe, k_factor, ..self.parts(&description) };
        persist::export_faiss(&self.context, &parts, path, control)
    }

    /// The number of bytes that [`Index::serialize`] writes.
    pub fn serialized_size(&self) -> Result<u64> {
        persist::serialized_size(&self.parts(&self.describe()))
    }

    /// Writes what [`Index::save`] would put into a file.
    pub fn serialize(&self, writer: &mut dyn Write) -> Result<()> {
        self.serialize_under(writer, &Control::default())
    }

    /// The same, with progress and cancel.
    pub fn serialize_under(&self, writer: &mut dyn Write, control: &Control<'_>) -> Result<()> {
        persist::serialize(&self.parts(&self.describe()), writer, control)
    }

    /// Writes what [`Index::save`] would put into a file, in pieces of up to a MiB. A stream that has failed is not
    /// written to again; it then holds the beginning of an index, which no load takes for a whole one.
    pub fn save_stream(&self, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
        persist::save_stream(&self.parts(&self.describe()), out, control)
    }

    /// Loads from a stream what [`Index::save_stream`], [`Index::save`] or faiss wrote. Of ours exactly the index is
    /// read, and what follows is left; an index of faiss's has to be all that still comes. The bytes are gathered in
    /// memory before they become an index.
    pub fn load_stream(
        context: Arc<Context>,
        input: &mut dyn Read,
        options: &LoadOptions,
        control: &Control<'_>,
    ) -> Result<Self> {
        let parts = persist::load_stream(&context, input, options, control)?;
        Self::from_parts(context, parts)
    }

    /// Loads from memory what [`Index::serialize`], [`Index::save`] or faiss wrote.
    pub fn deserialize(
        context: Arc<Context>,
        bytes: &[u8],
        options: &LoadOptions,
        control: &Control<'_>,
    ) -> Result<Self> {
        let parts = persist::deserialize(&context, bytes, options, control)?;
        Self::from_parts(context, parts)
    }

    /// Answers what [`Index::load`] would answer of a file, without keeping its vectors: memory for its ids and
    /// centroids, not for more. A success is no promise that the index fits in memory.
    pub fn check(context: Arc<Context>, path: &Path, threads: usize, control: &Control<'_>) -> Result<()> {
        let parts = persist::check(&context, path, threads, control)?;
        Self::from_parts(context, parts).map(drop).map_err(|error| persist::name_file(error, path))
    }

    /// Answers what [`Index::deserialize`] would answer of these bytes, likewise.
    pub fn check_bytes(
        context: Arc<Context>,
        bytes: &[u8],
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        let parts = persist::check_bytes(&context, bytes, threads, control)?;
        Self::from_parts(context, parts).map(drop)
    }

    fn parts<'a>(&'a self, description: &'a str) -> Parts<'a> {
        Parts {
            dim: self.dim,
            metric: self.metric,
            description,
            transforms: &self.transforms,
            trained: self.is_trained(),
            nlist: if self.description.is_ivf() { Some(self.description.nlist()) } else { None },
            centroids: self.coarse_centroids(),
            grouping: self.coarse.as_ref().and_then(Coarse::grouping),
            refine: self.refine.as_deref().map(|codec| (codec, self.input_dim())),
            codec: &self.codec,
            lists: &self.lists,
            next_id: self.next_id,
            nprobe: self.nprobe,
            allow_duplicate_ids: self.allow_duplicate_ids,
            k_factor: self.k_factor,
            soar: self.soar,
            curve: self.curve.as_ref(),
        }
    }

    /// An index of loaded parts, if they belong together.
    fn from_parts(context: Arc<Context>, parts: LoadedParts) -> Result<Self> {
        if parts.dim > MAX_DIM {
            return Err(Error::corrupt(format!("dimension: expected at most {MAX_DIM}, got {}", parts.dim)));
        }
        let description = Description::parse(&parts.description).map_err(|error| match error {
            Error::Description { .. } => Error::corrupt(error.to_string()),
            other => other,
        })?;
        let transforms = transforms::check_loaded(&description, parts.transforms, parts.dim)?;
        if parts.trained && !transforms.is_trained() {
            return Err(Error::corrupt(format!("{description}: trained, but its transforms are not")));
        }
        let codes =
            parts.codec.is_trained() && parts.refine.as_ref().is_none_or(|(codec, _)| codec.is_trained());
        let untrained = !transforms.is_trained() || !codes;
        let (lists, centroids) = match (description.is_ivf(), description.nlist(), parts.trained) {
            (false, _, true) => (1, None),
            (false, _, false) if untrained => (1, None),
            (true, Some(nlist), true) => (nlist, nlist.checked_mul(parts.dim)),
            // Centroids that were set, whose codes are not trained yet.
            (true, Some(nlist), false) if !codes && parts.centroids.is_some() => {
                (nlist, nlist.checked_mul(parts.dim))
            }
            (true, _, false) => (0, None),
            (false, _, false) => {
                return Err(Error::corrupt(format!(
                    "{description}: expected a trained index, got an untrained one"
                )));
            }
            (true, None, true) => {
                return Err(Error::corrupt(format!("{description}: expected a number of lists, got none")));
            }
        };
        if !is_like(&super::codec(&description, parts.dim, parts.metric)?, &parts.codec)
            || parts.codec.element() != parts.lists.element
            || (parts.trained && !parts.codec.is_trained())
        {
            return Err(Error::corrupt(format!("{description}: the file holds other codes, or none")));
        }
        let refine = match (super::refine::codec(&description), parts.refine) {
            (None, None) => None,
            (Some(named), Some((codec, columns)))
                if is_like(&named, &codec)
                    && columns == transforms.d_in(parts.dim)
                    && (codec.is_trained() || !parts.trained) =>
            {
                Some(Arc::new(codec))
            }
            _ => return Err(Error::corrupt(format!("{description}: the file keeps other rows, or none"))),
        };
        let got = parts.centroids.as_ref().map(Vec::len);
        if (parts.lists.lists.len(), got) != (lists, centroids) {
            return Err(Error::corrupt(format!(
                "{description}: expected {lists} lists and {} values of centroids, got {} and {}",
                centroids.unwrap_or(0),
                parts.lists.lists.len(),
                got.unwrap_or(0)
            )));
        }
        if parts.lists.ordered && !description.is_ivf() {
            return Err(Error::corrupt(format!("{description}: section RANK, but no inverted lists")));
        }
        let list_order = if parts.lists.ordered { ListOrder::BestFirst } else { ListOrder::Added };
        let (soar, allow_duplicate_ids) = (parts.soar, parts.allow_duplicate_ids);
        let options = IndexOptions { soar, allow_duplicate_ids, list_order, ..IndexOptions::default() };
        super::soar::check(&description, &options).map_err(|error| Error::corrupt(error.to_string()))?;
        let mut index = Self {
            context,
            dim: parts.dim,
            metric: parts.metric,
            description,
            transforms: Arc::new(transforms),
            coarse: None,
            codec: Arc::new(parts.codec),
            refine,
            count: parts.lists.live(),
            lists: parts.lists,
            next_id: parts.next_id,
            nprobe: parts.nprobe,
            allow_duplicate_ids: parts.allow_duplicate_ids,
            k_factor: parts.k_factor,
            soar: parts.soar,
            directory: OnceLock::new(),
            curve: None,
            bounds: super::bounds::Bounds::default(),
        };
        if let Some(centroids) = parts.centroids {
            let centroids = MatrixRef::new("centroids", &centroids, lists, index.dim)?;
            centroids.check_finite("centroids").map_err(|error| Error::corrupt(error.to_string()))?;
            let hnsw = index.description.lists.is_some_and(|lists| lists.hnsw.is_some());
            match &parts.grouping {
                Some(_) if !hnsw => {
                    return Err(Error::corrupt(format!(
                        "{}: groups of lists that it has not",
                        index.description
                    )));
                }
                Some(grouping) => grouping.check(lists, index.dim)?,
                None => {}
            }
            let metric = index.coarse_metric();
            index.coarse = Some(Coarse::new(&index.context, centroids, metric, parts.grouping)?);
        } else if parts.grouping.is_some() {
            return Err(Error::corrupt("section TREE: groups of lists, but no centroids"));
        }
        if let Some(curve) = parts.curve {
            let most = curve.points.last().map_or(0, |point| point.nprobe);
            if (index.coarse.is_none() && index.refine.is_none()) || most > lists {
                return Err(Error::corrupt(format!(
                    "section CURV: expected at most {lists} lists, got {most}"
                )));
            }
            if index.refine.is_none() && curve.points.iter().any(|point| point.k_factor != 0.0) {
                return Err(Error::corrupt("section CURV: a k_factor, but no refinement"));
            }
            index.curve = Some(curve);
        }
        Ok(index)
    }
}

/// Whether `loaded` is what a description names: trained, and by residual, or not.
fn is_like(named: &Codec, loaded: &Codec) -> bool {
    match (named, loaded) {
        (Codec::Plain(named), Codec::Plain(loaded)) => named == loaded,
        (Codec::Scalar(named), Codec::Scalar(loaded)) => {
            named.bits == loaded.bits && (named.by_residual || !loaded.by_residual)
        }
        (Codec::Product(named), Codec::Product(loaded)) => {
            // A file of faiss's tells itself whether codes are of residuals.
            named.untrained() == loaded.untrained().of_residuals(named.by_residual)
        }
        (Codec::RaBitQ(named), Codec::RaBitQ(loaded)) => {
            let kind = |codes: &RaBitQ| (codes.dim, codes.bits, codes.products, codes.by_list);
            kind(named) == kind(loaded)
        }
        _ => false,
    }
}
