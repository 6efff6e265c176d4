//! What an index tells about itself.

use super::{Index, ListOrder};
use crate::backend::ListSource;
use crate::error::{Error, Result};
use crate::metric::Metric;

/// The numbers of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexInfo {
    /// Columns of a vector.
    pub dim: usize,
    /// Columns of a centroid: as many, or what the transforms make of them.
    pub list_dim: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// Whether vectors can be added.
    pub trained: bool,
    /// Vectors that can be found.
    pub count: usize,
    /// Inverted lists; 0 until chosen, 1 for flat indexes.
    pub nlist: usize,
    /// Lists visited by a search that does not say.
    pub nprobe: usize,
    /// Vectors removed whose space is not yet returned.
    pub dead: usize,
    /// The id that `add` hands out next.
    pub next_id: i64,
    /// Bytes of memory that the index holds.
    pub memory_bytes: u64,
    /// Of which vectors, ids, norms and what is kept to refine, with their lists' slack.
    pub vector_bytes: u64,
    /// Whether the index has inverted lists.
    pub is_ivf: bool,
    /// Whether an id may be added more than once.
    pub allow_duplicate_ids: bool,
    /// How many times k candidates are compared again by a search that does not say; 0 without a refinement.
    pub k_factor: f32,
    /// How the vectors of a list are ordered.
    pub list_order: ListOrder,
    /// The lambda by which vectors are kept in a second list too; 0 = they are not.
    pub soar: f32,
}

impl Index {
    /// The index in numbers.
    pub fn info(&self) -> IndexInfo {
        let vectors = self.lists.memory_bytes();
        let coarse = self.coarse.as_ref().map_or(0, |coarse| coarse.memory_bytes());
        let directory =
            self.directory.get().map_or(0, |map| map.capacity() * size_of::<(i64, (u32, u32, u8))>());
        let lists = self.lists.list_count() * size_of::<crate::lists::List>();
        let tables = self.transforms.memory_bytes()
            + self.codec.memory_bytes()
            + self.refine.as_ref().map_or(0, |codec| codec.memory_bytes());
        IndexInfo {
            dim: self.input_dim(),
            list_dim: self.dim,
            metric: self.metric,
            trained: self.is_trained(),
            count: self.count,
            nlist: self.nlist(),
            nprobe: self.default_nprobe(),
            dead: self.lists.dead(),
            next_id: self.next_id,
            memory_bytes: (vectors + coarse + directory + lists + tables) as u64,
            vector_bytes: vectors as u64,
            is_ivf: self.description.is_ivf(),
            allow_duplicate_ids: self.allow_duplicate_ids,
            k_factor: if self.refine.is_some() { self.default_k_factor() } else { 0.0 },
            list_order: self.list_order(),
            soar: self.soar,
        }
    }

    /// Live vectors in each list.
    pub fn list_sizes(&self) -> Vec<usize> {
        self.lists.lists.iter().map(|list| list.live()).collect()
    }

    /// What is to be said where centroids are asked of an index without lists.
    pub(super) fn no_centroids(&self) -> Error {
        Error::State(format!(
            "centroids: expected an index with lists, such as \"IVF64,Flat\", got \"{}\"",
            self.description
        ))
    }

    /// The lists' centroids, `[nlist, list_dim]`.
    pub fn centroids(&self) -> Result<&[f32]> {
        if !self.description.is_ivf() {
            return Err(self.no_centroids());
        }
        self.coarse.as_ref().map(|coarse| coarse.centroids()).ok_or(Error::NotTrained)
    }

    pub(super) fn nlist(&self) -> usize {
        match (&self.coarse, &self.description) {
            (Some(coarse), _) => coarse.nlist(),
            (None, description) if description.is_ivf() => description.nlist().unwrap_or(0),
            (None, _) => 1,
        }
    }

    /// What `nprobe = 0` means: the index's own value, or a sixteenth of the lists within 8 to 64.
    pub(super) fn default_nprobe(&self) -> usize {
        let nlist = self.nlist();
        let nprobe = if self.nprobe == 0 { (nlist / 16).clamp(8, 64) } else { self.nprobe };
        nprobe.min(nlist.max(1))
    }
}
