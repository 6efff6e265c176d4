//! Every vector in a second list: searches of as many lists find more. See [`crate::coarse`] for how that is chosen, and
//! [`crate::lists`] for how copies lie beside the vectors.

use super::{Index, IndexOptions, ListOrder};
use crate::coarse::Coarse;
use crate::codec::Keeper;
use crate::error::{Error, Result};
use crate::factory::Description;
use crate::lists::{Lists, PLACE_BYTES};
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Fails unless an index can be made with the second lists that the options ask for.
pub(super) fn check(description: &Description, options: &IndexOptions) -> Result<()> {
    let got = options.soar;
    if !(got >= 0.0 && got.is_finite()) {
        return Err(Error::argument(format!("soar: expected 0 or more, got {got}")));
    }
    let against = if !description.is_ivf() {
        format!("\"{description}\" has no inverted lists")
    } else if description.nlist() == Some(1) {
        format!("\"{description}\" has no second list")
    } else if options.allow_duplicate_ids {
        "ids may repeat (allow_duplicate_ids)".into()
    } else if options.list_order != ListOrder::Added {
        "lists are kept best first (list_order)".into()
    } else {
        return Ok(());
    };
    if got == 0.0 {
        Ok(())
    } else {
        Err(Error::argument(format!("soar: expected 0, for {against}, got {got}")))
    }
}

impl Index {
    /// Fails unless so many lists are enough.
    pub(super) fn check_second(&self, nlist: usize) -> Result<()> {
        if nlist > 1 || self.soar == 0.0 {
            return Ok(());
        }
        Err(Error::argument(format!("soar: expected two lists or more, got {nlist}")))
    }

    /// Vectors that a query meets in a list, with those that are copied to it where it visits them.
    pub(super) fn met_in(&self, list: usize, copies: bool) -> usize {
        let of_copies = self.lists.copies.as_ref().filter(|_| copies);
        self.lists.lists[list].live() + of_copies.map_or(0, |copies| copies.lists[list].live())
    }

    /// Writes the list of every row into `labels`, and tells those to which rows are copied, by their numbers; none where
    /// there are no copies. `keys` has a place for every row.
    pub(super) fn place(
        &self,
        coarse: &Coarse,
        x: RowsRef<'_>,
        workers: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        cancel: Cancel<'_>,
    ) -> Result<Vec<u32>> {
        if self.soar == 0.0 {
            coarse.assign(&self.context, x, workers, labels, keys, cancel)?;
            return Ok(Vec::new());
        }
        let mut copied_to = vec![0; labels.len()];
        coarse.assign_twice(&self.context, x, self.soar, workers, (labels, &mut copied_to), cancel)?;
        let nlist = u32::try_from(coarse.nlist()).expect("invariant: nlist fits in u32");
        copied_to.iter_mut().for_each(|list| *list += nlist);
        Ok(copied_to)
    }
}

/// Where the vectors of a batch lie, for copies to say.
pub(super) struct Places {
    /// `[rows]`, a list and a slot; none where nobody wants to know.
    places: Vec<[u32; 2]>,
}

impl Places {
    /// Still unknown ones, for the copies of these lists.
    pub(super) fn of_copies(lists: &Lists, rows: usize) -> Self {
        let wanted = lists.copies.as_ref().is_some_and(|copies| copies.row_bytes > 0);
        Self { places: vec![[0; 2]; if wanted { rows } else { 0 }] }
    }

    /// Notes that `rows` lie in the slots of a list from `first` on.
    pub(super) fn set(&mut self, list: usize, first: usize, rows: impl IntoIterator<Item = u32>) {
        if self.places.is_empty() {
            return;
        }
        let number = |number: usize| u32::try_from(number).expect("invariant: lists and slots fit in u32");
        for (slot, row) in (first..).zip(rows) {
            self.places[row as usize] = [number(list), number(slot)];
        }
    }

    /// What writes them; none where nobody wants to know.
    pub(super) fn keeper(&self) -> Result<Option<Keeper<'_>>> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.places);
        Ok(Some(Keeper::of_bytes(RowsRef::new("places", bytes, self.places.len(), PLACE_BYTES)?)))
    }
}
