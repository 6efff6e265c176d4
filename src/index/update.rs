//! Replacing vectors under their ids: in place where the list stays, else moved to the new list. What moves is appended
//! first, and a cancel then only has to cut that off; writing over and burying, at the speed of memory, come last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Index;
use super::add::IDS_A_STEP;
use super::list_order::Ranking;
use super::remove::{bury, pack_if_due, passing};
use crate::coarse::Coarse;
use crate::codec::Keeper;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::lists::block::rows_a_step;
use crate::lists::{List, Lists};
use crate::progress::Control;
use crate::rows::RowsRef;

/// Rows that make another worker worth while.
const ROWS: usize = 256;

/// What happens to one list.
#[derive(Default)]
struct Change {
    /// Slots that get a new vector, and its row.
    replaced: Vec<(u32, u32)>,
    /// Slots whose vector goes elsewhere.
    left: Vec<u32>,
    /// Rows that come from elsewhere.
    arriving: Vec<u32>,
}

impl Index {
    /// Replaces the vectors with these `ids` by the rows of `x` (`[ids, dim]`); each goes to the list that it
    /// now belongs to. Where ids may repeat, one vector takes the place of all that an id has.
    ///
    /// An id that no vector has is an [`Error::NotFound`], one that is given twice an [`Error::RepeatedId`].
    /// On failure, and when cancelled, nothing is changed.
    pub fn update<'x>(
        &mut self,
        ids: &[i64],
        x: impl Into<RowsRef<'x>>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        self.update_rows(ids, x.into(), threads, control)
    }

    fn update_rows(
        &mut self,
        ids: &[i64],
        x: RowsRef<'_>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        self.check_trained()?;
        x.check_dim("rows", self.input_dim())?;
        if ids.len() != x.rows() {
            return Err(Error::Length { what: "ids", expected: x.rows(), got: ids.len() });
        }
        let rows = rows_by_id(ids, control)?;
        self.check_finite(x, "rows", threads, control)?;
        let workers = self.context.workers(threads);
        let (mut floats, mut between) = Default::default();
        let raw = self.measured(x);
        let x = self.prepared(x, workers, control.cancel(), &mut floats, &mut between)?;
        self.check_ranges(x, raw, control)?;
        let places = self.places(ids, &rows, control)?;
        let labels = self.assign("update", x, workers, control)?;

        let mut gone = 0;
        let mut changes: HashMap<u32, Change> = HashMap::new();
        for ((places, row), &label) in places.iter().zip(0u32..).zip(&labels) {
            if (row as usize).is_multiple_of(IDS_A_STEP) {
                control.check()?;
            }
            let kept = places.iter().position(|&(list, _)| list == label);
            for (place, &(list, slot)) in places.iter().enumerate() {
                let change = changes.entry(list).or_default();
                if Some(place) == kept {
                    change.replaced.push((slot, row));
                } else {
                    change.left.push(slot);
                }
            }
            if kept.is_none() {
                changes.entry(label).or_default().arriving.push(row);
            }
            gone += places.len() - 1;
        }
        changes.values_mut().for_each(|change| change.replaced.sort_unstable());
        let columns = self.codec.columns(self.dim);
        for (&list, change) in &changes {
            let store = &mut self.lists.lists[list as usize];
            if change.replaced.is_empty() && change.arriving.is_empty() {
                store.bias.to_mut()?;
            } else {
                store.reserve(change.arriving.len(), columns, &|| control.check())?;
            }
            control.check()?;
        }
        // From here on nothing can fail, all memory is there; a cancel cuts off what was appended.
        let before = self.lists.lens();
        let cancel = control.cancel();
        let rows_a_step = rows_a_step(self.dim);
        let centroids = self.coarse.as_ref().map(Coarse::centroids);
        let encoder = self.codec.encoder(self.context.kernels(), self.metric, centroids);
        let keeper = self.refine.as_ref().map(|codec| Keeper::new(raw, codec, &self.context));
        let keeper = keeper.as_ref();
        let centroids = centroids.filter(|_| self.lists.ordered);
        let ranking = Ranking { centroids, metric: self.metric, dim: self.dim };
        let workers = workers.min(1 + x.rows() / ROWS);
        let appended =
            each_changed(&self.context, &mut self.lists, &changes, workers, &|list, store, change| {
                let encoder = encoder.at(list);
                change.arriving.chunks(rows_a_step).try_for_each(|rows| {
                    cancel.check()?;
                    let ranks = ranking.of_rows(list, x, rows.iter().copied());
                    store.append(x, rows, |row| ids[row], &encoder, keeper, &ranks)
                })
            });
        if let Err(error) = appended.and_then(|()| control.check()) {
            self.lists.truncate(&before, columns)?;
            return Err(error);
        }
        // Nothing stops the rest, until all that is due is a list's packing.
        let moved = AtomicBool::new(false);
        each_changed(&self.context, &mut self.lists, &changes, workers, &|list, store, change| {
            let ranks = ranking.of_rows(list, x, change.replaced.iter().map(|&(_, row)| row));
            store.replace(x, &change.replaced, &encoder.at(list), keeper, &ranks)?;
            bury(store, &change.left)?;
            let packed = pack_if_due(store, columns, &|| cancel.check());
            // As after packing, a list that is left as it is is still right.
            let sorted = store.sort(columns, &mut store.like(), &|| cancel.check());
            if packed
                || sorted.is_ok_and(|moved| moved)
                || !change.left.is_empty()
                || !change.arriving.is_empty()
            {
                moved.store(true, Ordering::Relaxed);
            }
            Ok(())
        })?;
        self.count -= gone;
        self.age_curve(x.rows());
        if moved.into_inner() {
            self.directory.take();
        }
        control.report("update", x.rows(), x.rows(), 0.0).or(Ok(()))
    }

    /// Where each id lies, all its places in turn, `[ids]`.
    fn places(
        &self,
        ids: &[i64],
        rows: &HashMap<i64, u32>,
        control: &Control<'_>,
    ) -> Result<Vec<Vec<(u32, u32)>>> {
        let mut places = vec![Vec::new(); ids.len()];
        match self.directory.get() {
            // It has one place only for each id.
            Some(directory) if !self.allow_duplicate_ids => {
                for (places, ids) in places.chunks_mut(IDS_A_STEP).zip(ids.chunks(IDS_A_STEP)) {
                    control.check()?;
                    for (places, id) in places.iter_mut().zip(ids) {
                        places.extend(directory.get(id));
                    }
                }
            }
            _ => {
                let filter = Filter::ids(ids);
                for (list, store) in (0u32..).zip(&self.lists.lists) {
                    control.check()?;
                    for slot in passing(store, &filter) {
                        let row = rows[&store.ids[slot as usize]];
                        places[row as usize].push((list, slot));
                    }
                }
            }
        }
        match places.iter().position(Vec::is_empty) {
            Some(row) => Err(Error::NotFound { id: ids[row] }),
            None => Ok(places),
        }
    }
}

/// The row of each id, if none is there twice.
fn rows_by_id(ids: &[i64], control: &Control<'_>) -> Result<HashMap<i64, u32>> {
    let mut rows = HashMap::with_capacity(ids.len());
    for (row, &id) in ids.iter().enumerate() {
        if row.is_multiple_of(IDS_A_STEP) {
            control.check()?;
        }
        let number = u32::try_from(row)
            .map_err(|_| Error::argument(format!("ids: expected fewer than 2^32, got {}", ids.len())))?;
        if rows.insert(id, number).is_some() {
            return Err(Error::RepeatedId { id, row });
        }
    }
    Ok(rows)
}

/// Does `work` (the list's number, the list, its change) for every list with a change.
fn each_changed(
    context: &Context,
    lists: &mut Lists,
    changes: &HashMap<u32, Change>,
    workers: usize,
    work: &(impl Fn(usize, &mut List, &Change) -> Result<()> + Sync),
) -> Result<()> {
    let jobs = lists.lists.iter_mut().enumerate();
    let jobs = Mutex::new(jobs.filter_map(|(list, store)| {
        let change = changes.get(&u32::try_from(list).ok()?)?;
        Some((list, store, change))
    }));
    let failure = Mutex::new(None);
    context.parallel(workers, &|_| {
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((list, store, change)) = next else { break };
            if let Err(error) = work(list, store, change) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                break;
            }
        }
    })?;
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
