//! Reading the lists of our format, to where they stay or borrowed from a map.

use super::format::{ListEntry, Section};
use super::read::to_usize;
use super::transfer::Transfer;
use super::{Keep, LoadOptions, check, map};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::block::lanes;
use crate::lists::{Beside, List, Lists, Storage};

/// The sections that lists are made of.
pub(super) struct Sections {
    pub(super) bias: Section,
    pub(super) ids: Section,
    pub(super) element: Element,
    pub(super) vectors: Section,
    /// Of a two-stage search, with the bytes of a row and what it is held in.
    pub(super) rows: Option<(Section, usize, Element)>,
    /// Of lists that are kept in order.
    pub(super) ranks: Option<Section>,
}

impl Sections {
    pub(super) fn bytes(&self) -> u64 {
        // No overflow: each lies within the file.
        let rows = self.rows.map_or(0, |(rows, ..)| rows.length);
        let ranks = self.ranks.map_or(0, |ranks| ranks.length);
        self.bias
            .length
            .saturating_add(self.ids.length)
            .saturating_add(self.vectors.length)
            .saturating_add(rows)
            .saturating_add(ranks)
    }

    /// Fails unless the lists' sizes add up to the sections' lengths; afterwards they fit in memory's
    /// address space, since the file does.
    pub(super) fn check_lengths(&self, entries: &[ListEntry], columns: usize) -> Result<()> {
        let (mut all_lanes, mut all_len) = (0u64, 0u64);
        for (number, entry) in entries.iter().enumerate() {
            if entry.len > u64::from(u32::MAX) || entry.dead > entry.len {
                return Err(Error::corrupt(format!(
                    "list {number}: expected at most {} vectors, no more of them removed than there are, got {} and {}",
                    u32::MAX,
                    entry.len,
                    entry.dead
                )));
            }
            // No overflow: no more entries than bytes in the file, each below 2^32.
            all_lanes += lanes(to_usize(entry.len)?) as u64;
            all_len += entry.len;
        }
        let too_long = || Error::corrupt("section LIST: more vectors than any file holds");
        let bytes = |count: u64, each: u64| count.checked_mul(each).ok_or_else(too_long);
        self.bias.check_length(bytes(all_lanes, 4)?)?;
        self.ids.check_length(bytes(all_len, 8)?)?;
        if let Some((rows, each, _)) = self.rows {
            rows.check_length(bytes(all_len, each as u64)?)?;
        }
        if let Some(ranks) = self.ranks {
            ranks.check_length(bytes(all_len, 4)?)?;
        }
        self.vectors.check_length(bytes(bytes(all_lanes, self.element.size() as u64)?, columns as u64)?)
    }

    /// Bytes of a kept row.
    fn row_bytes(&self) -> usize {
        self.rows.map_or(0, |(_, bytes, _)| bytes)
    }

    /// The lists, in memory or borrowed from a map.
    pub(super) fn read(
        &self,
        transfer: &mut Transfer<'_, '_>,
        entries: &[ListEntry],
        columns: usize,
        options: &LoadOptions,
    ) -> Result<Lists> {
        if options.memory_map {
            self.borrow(transfer, entries, columns, options)
        } else {
            self.fill(transfer, entries, columns)
        }
    }

    /// Reads the lists straight to where they stay. Vectors that are not kept are checked alone: the lists then are
    /// those of vectors without columns.
    fn fill(&self, transfer: &mut Transfer<'_, '_>, entries: &[ListEntry], columns: usize) -> Result<Lists> {
        let lens = entries.iter().map(|entry| to_usize(entry.len)).collect::<Result<Vec<_>>>()?;
        let check = || transfer.control.check();
        let keep = transfer.keep == Keep::Vectors;
        let (kept, row_bytes) = if keep { (columns, self.row_bytes()) } else { (0, 0) };
        let mut lists = Lists::with_lens(self.element, lens.iter().copied(), kept, row_bytes, &check)?;
        for (list, entry) in lists.lists.iter_mut().zip(entries) {
            list.dead = to_usize(entry.dead)?;
        }
        if self.ranks.is_some() && keep {
            lists.keep_ranks(&check)?;
        }
        let (mut bias, mut ids, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut ranks) = (Vec::new(), Vec::new());
        for list in &mut lists.lists {
            let slices = list.slices_mut()?;
            bias.push(slices.bias);
            ids.push(slices.ids);
            vectors.push(slices.vectors);
            rows.push(slices.rows);
            ranks.push(slices.ranks);
        }
        transfer.fill(&self.bias, bias, any)?;
        transfer.fill(&self.ids, ids, check::not_negative)?;
        let finite = check::finite(self.element);
        if keep {
            transfer.fill(&self.vectors, vectors, finite)?;
        } else {
            transfer.check(&self.vectors, finite)?;
        }
        match self.rows {
            Some((section, _, element)) if keep => transfer.fill(&section, rows, check::finite(element))?,
            Some((section, _, element)) => transfer.check(&section, check::finite(element))?,
            None => {}
        }
        match &self.ranks {
            Some(section) if keep => transfer.fill(section, ranks, check::not_nan)?,
            Some(section) => transfer.check(section, check::not_nan)?,
            None => {}
        }
        Ok(lists)
    }

    /// Lets the lists borrow from a map. What is checked is read past the map, so that its pages do not all
    /// come into memory.
    fn borrow(
        &self,
        transfer: &mut Transfer<'_, '_>,
        entries: &[ListEntry],
        columns: usize,
        options: &LoadOptions,
    ) -> Result<Lists> {
        if !options.skip_verify {
            transfer.check(&self.bias, any)?;
            transfer.check(&self.ids, check::not_negative)?;
            transfer.check(&self.vectors, check::finite(self.element))?;
            if let Some((rows, _, element)) = &self.rows {
                transfer.check(rows, check::finite(*element))?;
            }
            if let Some(ranks) = &self.ranks {
                transfer.check(ranks, check::not_nan)?;
            }
        }
        let region = map::map(transfer.source)?;
        let row_bytes = self.row_bytes();
        let mut lists = Lists::new(0, self.element, row_bytes).in_order(self.ranks.is_some());
        let mut ranks = self.ranks.map_or(Ok(0), |ranks| to_usize(ranks.offset))?;
        let width = usize::from(lists.ordered);
        let mut rows = self.rows.map_or(Ok(0), |(rows, ..)| to_usize(rows.offset))?;
        let mut bias = to_usize(self.bias.offset)?;
        let mut ids = to_usize(self.ids.offset)?;
        let mut vectors = to_usize(self.vectors.offset)?;
        for entry in entries {
            let len = to_usize(entry.len)?;
            let lanes = lanes(len);
            let bytes = lanes * columns * self.element.size();
            lists.lists.push(List {
                element: self.element,
                // Aligned as a list must be: the section is, and the bytes of 16 lanes are a multiple of 16.
                vectors: Storage::shared(region.clone(), vectors, bytes)?,
                bias: Storage::shared(region.clone(), bias, lanes)?,
                ids: Storage::shared(region.clone(), ids, len)?,
                rows: Beside::of(row_bytes, Storage::shared(region.clone(), rows, len * row_bytes)?),
                ranks: Beside::of(width, Storage::shared(region.clone(), ranks, len * width)?),
                dead: to_usize(entry.dead)?,
                moved: false,
            });
            vectors += bytes;
            bias += lanes * size_of::<f32>();
            ids += len * size_of::<i64>();
            rows += len * row_bytes;
            ranks += len * width * size_of::<f32>();
        }
        Ok(lists)
    }
}

/// For a section whose values are looked at later.
fn any(_: &[f32]) -> bool {
    true
}
