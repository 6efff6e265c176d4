//! Copies of lists. What lies in a mapped file stays there and is shared: nobody writes to it.

use super::Lists;
use super::list::List;
use crate::error::Result;

impl List {
    fn copy(&self) -> Result<Self> {
        Ok(Self {
            element: self.element,
            vectors: self.vectors.copy()?,
            bias: self.bias.copy()?,
            ids: self.ids.copy()?,
            rows: self.rows.copy()?,
            ranks: self.ranks.copy()?,
            dead: self.dead,
        })
    }
}

impl Lists {
    /// The same lists in memory of their own, without the room that these keep to grow.
    pub(crate) fn copy(&self) -> Result<Self> {
        let lists = self.lists.iter().map(List::copy).collect::<Result<_>>()?;
        Ok(Self { lists, ..self.like(0) })
    }
}
