//! Copies of lists. What lies in a mapped file stays there and is shared: nobody writes to it.

use super::Lists;
use super::list::List;
use super::storage::Check;
use crate::context::Context;
use crate::error::Result;
use crate::progress::Cancel;

impl List {
    /// An empty list of the same kind, with room for what this one holds.
    fn room(&self) -> Result<Self> {
        Ok(Self {
            element: self.element,
            vectors: self.vectors.room()?,
            bias: self.bias.room()?,
            ids: self.ids.room()?,
            rows: self.rows.room()?,
            ranks: self.ranks.room()?,
            dead: 0,
            moved: false,
        })
    }

    /// Makes of a list with room for it a copy of `from`. Asks `check` now and then whether to go on.
    pub(crate) fn fill(&mut self, from: &Self, check: Check<'_>) -> Result<()> {
        self.vectors.fill(&from.vectors, check)?;
        self.bias.fill(&from.bias, check)?;
        self.ids.fill(&from.ids, check)?;
        self.rows.data.fill(&from.rows.data, check)?;
        self.ranks.data.fill(&from.ranks.data, check)?;
        (self.dead, self.moved) = (from.dead, from.moved);
        Ok(())
    }
}

impl Lists {
    /// As many empty lists of the same kind, those that are `wanted` with room for what these hold.
    pub(crate) fn room(&self, wanted: impl Fn(&u32) -> bool) -> Result<Self> {
        let mut lists = self.like(self.lists.len());
        for ((number, list), from) in (0u32..).zip(lists.all_mut()).zip(self.all()) {
            if wanted(&number) {
                *list = from.room()?;
            }
        }
        lists.advise_huge_pages();
        Ok(lists)
    }

    /// The same lists in memory of their own, without the room that these keep to grow.
    pub(crate) fn copy(&self, context: &Context, workers: usize, cancel: Cancel<'_>) -> Result<Self> {
        let mut copy = self.room(|_| true)?;
        let jobs = copy.all_mut().zip(self.all());
        context.each(workers, jobs, &|(list, from): (&mut List, _)| list.fill(from, &|| cancel.check()))?;
        Ok(copy)
    }
}
