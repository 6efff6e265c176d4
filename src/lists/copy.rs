//! Copies of lists. What lies in a mapped file stays there and is shared: nobody writes to it.

use bytemuck::Pod;

use super::Lists;
use super::list::List;
use super::storage::{AlignedVec, Storage};
use crate::error::Result;

impl<T: Pod> Storage<T> {
    fn copy(&self) -> Result<Self> {
        Ok(match self {
            Self::Owned(own) => {
                let mut copy = AlignedVec::new();
                copy.resize(own.len())?;
                copy.as_mut_slice().copy_from_slice(own);
                Self::Owned(copy)
            }
            Self::Shared { region, start, len } => {
                Self::Shared { region: region.clone(), start: *start, len: *len }
            }
        })
    }
}

impl List {
    fn copy(&self) -> Result<Self> {
        Ok(Self {
            element: self.element,
            vectors: self.vectors.copy()?,
            bias: self.bias.copy()?,
            ids: self.ids.copy()?,
            dead: self.dead,
        })
    }
}

impl Lists {
    /// The same lists in memory of their own, without the room that these keep to grow.
    pub(crate) fn copy(&self) -> Result<Self> {
        let lists = self.lists.iter().map(List::copy).collect::<Result<_>>()?;
        Ok(Self { element: self.element, lists })
    }
}
