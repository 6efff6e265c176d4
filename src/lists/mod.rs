//! The block store: every inverted list of an index, in memory or in a mapped file.

mod append;
mod beside;
pub(crate) mod block;
mod copies;
mod copy;
mod huge;
mod list;
mod load;
mod pack;
mod storage;

pub(crate) use beside::Beside;
pub(crate) use copies::PLACE_BYTES;
pub(crate) use list::{List, NEVER};
pub(crate) use load::{fill_blocks, fill_stored};
pub(crate) use pack::rising;
pub(crate) use storage::{Check, Region, Storage};

use crate::backend::{DeviceSlot, ListSource, ListView, Version};
use crate::element::Element;
use crate::error::Result;
use crate::kernel::prefetch;

/// All lists of an index. A flat index has one.
pub(crate) struct Lists {
    /// What all of them hold.
    pub(crate) element: Element,
    /// Of what each vector keeps beside its codes; 0 = nothing.
    pub(crate) row_bytes: usize,
    /// Whether they are kept in the order of their vectors' ranks.
    pub(crate) ordered: bool,
    pub(crate) lists: Vec<List>,
    /// Where each vector is found in a second list too: as many lists with the same ids, see `copies`.
    pub(crate) copies: Option<Box<Lists>>,
    /// What a GPU has of them.
    device: DeviceSlot,
}

impl Lists {
    /// Empty lists.
    pub(crate) fn new(nlist: usize, element: Element, row_bytes: usize) -> Self {
        let lists = (0..nlist).map(|_| List::new(element, row_bytes)).collect();
        Self { element, row_bytes, ordered: false, lists, copies: None, device: DeviceSlot::default() }
    }

    /// These lists, which are empty, to be kept in the order of ranks, or not.
    pub(crate) fn in_order(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self.lists.iter_mut().for_each(|list| list.ranks = Beside::new(ordered.into()));
        self
    }

    /// `nlist` empty lists of the same kind.
    pub(crate) fn like(&self, nlist: usize) -> Self {
        let lists = Self::new(nlist, self.element, self.row_bytes).in_order(self.ordered);
        if self.copies.is_some() { lists.with_copies() } else { lists }
    }

    /// Vectors that can be found.
    pub(crate) fn live(&self) -> usize {
        self.lists.iter().map(List::live).sum()
    }

    /// Vectors removed whose space is not yet returned.
    pub(crate) fn dead(&self) -> usize {
        self.lists.iter().map(|list| list.dead).sum()
    }

    /// Bytes that a vector of so many columns has, with what is kept beside.
    pub(crate) fn vector_bytes(&self, columns: usize) -> usize {
        columns * self.element.size() + self.row_bytes
    }

    /// Bytes of vectors, biases, ids and what is kept beside, slack included.
    pub(crate) fn memory_bytes(&self) -> usize {
        let of = |list: &List| {
            list.vectors.memory_bytes()
                + list.bias.memory_bytes()
                + list.ids.memory_bytes()
                + list.rows.data.memory_bytes()
                + list.ranks.data.memory_bytes()
        };
        self.all().map(of).sum()
    }

    /// The length of each list and then of each list of copies, removed vectors included.
    pub(crate) fn lens(&self) -> Vec<usize> {
        self.all().map(List::len).collect()
    }

    /// Cuts them all back to these lengths; see [`List::truncate`].
    pub(crate) fn truncate(&mut self, lens: &[usize], columns: usize) -> Result<()> {
        self.all_mut().zip(lens).try_for_each(|(list, &len)| list.truncate(len, columns))
    }

    /// Every live vector's id with its place.
    pub(crate) fn live_ids(&self) -> impl Iterator<Item = (i64, u32, u32)> + '_ {
        self.lists.iter().enumerate().flat_map(|(list, store)| {
            let list = u32::try_from(list).expect("invariant: nlist fits in u32");
            (0u32..)
                .zip(store.ids.iter())
                .filter_map(move |(slot, &id)| store.is_live(slot as usize).then_some((id, list, slot)))
        })
    }
}

impl ListSource for Lists {
    fn list_count(&self) -> usize {
        self.lists.len() * if self.copies.is_some() { 2 } else { 1 }
    }

    fn list(&self, list: usize) -> ListView<'_> {
        self.any(list).view()
    }

    fn slots(&self, list: usize) -> usize {
        self.any(list).len()
    }

    fn announce(&self, list: usize) {
        prefetch(self.any(list));
    }

    fn version(&self, list: usize) -> [Version; 2] {
        self.any(list).version()
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}
