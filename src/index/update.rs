//! Replacing vectors under their ids: in place where the list stays, else moved to the new list. What moves is appended
//! first, and a cancel then only has to cut that off; writing over and burying, at the speed of memory, come last. Where
//! even that would take long and may be cancelled, lists are written over in copies, which then take their places.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Index;
use super::add::IDS_A_STEP;
use super::list_order::Ranking;
use super::remove::{bury, each_passing, pack_if_due};
use super::soar::Places as CopyPlaces;
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

/// Bytes that are written over at once, within a few milliseconds.
const IN_PLACE: usize = 1 << 24;

/// The lists and slots of the ids of an update. Few have more than one, so that each need not have a vector of its own.
struct Places {
    /// `[ids]`.
    first: Vec<(u32, u32)>,
    /// By the place of the id in the batch.
    others: HashMap<u32, Vec<(u32, u32)>>,
}

/// No list has this number: nlist fits in u32.
const NOWHERE: (u32, u32) = (u32::MAX, u32::MAX);

impl Places {
    fn of(&self, row: u32) -> impl Iterator<Item = (u32, u32)> {
        let others = self.others.get(&row).into_iter().flatten();
        std::iter::once(self.first[row as usize]).chain(others.copied())
    }
}

/// What happens to one list, or to one of copies, which has nothing replaced.
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
        let lists = self.assign("update", x, workers, control)?;
        let (labels, copied_to) = lists.split_at(x.rows());

        let mut gone = 0;
        let mut changes: HashMap<u32, Change> = HashMap::new();
        for (row, &label) in (0u32..).zip(labels) {
            if (row as usize).is_multiple_of(IDS_A_STEP) {
                control.check()?;
            }
            let kept = places.of(row).position(|(list, _)| list == label);
            for (place, (list, slot)) in places.of(row).enumerate() {
                gone += usize::from(place > 0);
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
        }
        if !copied_to.is_empty() {
            self.copies_left(ids, control, &mut |list, slot| {
                changes.entry(list).or_default().left.push(slot)
            })?;
            let arriving = (0u32..).zip(copied_to);
            arriving.for_each(|(row, &list)| changes.entry(list).or_default().arriving.push(row));
        }
        changes.values_mut().for_each(|change| change.replaced.sort_unstable());
        let columns = self.codec.columns(self.dim);
        for (&list, change) in &changes {
            let store = self.lists.any_mut(list as usize);
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
        let nlist = self.lists.lists.len();
        let mut moved_to = CopyPlaces::of_copies(&self.lists, x.rows());
        for (&list, change) in changes.iter().filter(|(list, _)| (**list as usize) < nlist) {
            let list = list as usize;
            moved_to.set(list, before[list], change.arriving.iter().copied());
            change.replaced.iter().for_each(|&(slot, row)| moved_to.set(list, slot as usize, [row]));
        }
        let placing = moved_to.keeper()?;
        let keeper_of = |list: usize| if list < nlist { keeper.as_ref() } else { placing.as_ref() };
        let centroids = centroids.filter(|_| self.lists.ordered);
        let ranking = Ranking { centroids, metric: self.metric, dim: self.dim };
        let workers = workers.min(1 + x.rows() / ROWS);
        let appended =
            each_changed(&self.context, &mut self.lists, &changes, workers, &|list, store, change| {
                let (encoder, keeper) = (encoder.at(list % nlist), keeper_of(list));
                change.arriving.chunks(rows_a_step).try_for_each(|rows| {
                    cancel.check()?;
                    let ranks = ranking.of_rows(list, x, rows.iter().copied());
                    store.append(x, rows, |row| ids[row], &encoder, keeper, &ranks)
                })
            });
        let replaced: usize = changes.values().map(|change| change.replaced.len()).sum();
        let in_place =
            !cancel.is_given() || replaced.saturating_mul(self.lists.vector_bytes(columns)) <= IN_PLACE;
        let copied = appended.and_then(|()| {
            control.check()?;
            if in_place {
                return Ok(None);
            }
            let check = || cancel.check();
            let wanted = |list: &u32| changes.get(list).is_some_and(|change| !change.replaced.is_empty());
            let mut copies = self.lists.room(wanted)?;
            each_changed(&self.context, &mut copies, &changes, workers, &|list, copy, change| {
                if change.replaced.is_empty() {
                    return Ok(());
                }
                copy.fill(&self.lists.lists[list], &check)?;
                change.replaced.chunks(rows_a_step).try_for_each(|replaced| {
                    check()?;
                    let ranks = ranking.of_rows(list, x, replaced.iter().map(|&(_, row)| row));
                    copy.replace(x, replaced, &encoder.at(list), keeper_of(list), &ranks)
                })
            })?;
            control.check()?;
            Ok(Some(copies))
        });
        match copied {
            Ok(None) => (),
            Ok(Some(mut copies)) => {
                for &list in
                    changes.iter().filter(|(_, change)| !change.replaced.is_empty()).map(|(list, _)| list)
                {
                    std::mem::swap(&mut self.lists.lists[list as usize], &mut copies.lists[list as usize]);
                }
            }
            Err(error) => {
                self.lists.truncate(&before, columns)?;
                return Err(error);
            }
        }
        // Nothing stops the rest, until all that is due is a list's packing.
        let moved = AtomicBool::new(false);
        each_changed(&self.context, &mut self.lists, &changes, workers, &|list, store, change| {
            if in_place {
                let ranks = ranking.of_rows(list, x, change.replaced.iter().map(|&(_, row)| row));
                store.replace(x, &change.replaced, &encoder.at(list % nlist), keeper_of(list), &ranks)?;
            }
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

    /// Hands on the list and slot of every copy of a vector with one of these ids.
    fn copies_left(&self, ids: &[i64], control: &Control<'_>, take: &mut dyn FnMut(u32, u32)) -> Result<()> {
        let filter = Filter::ids(ids);
        for (list, store) in (0u32..).zip(self.lists.all()).skip(self.lists.lists.len()) {
            each_passing(store, &filter, &|| control.check(), &mut |slot| take(list, slot))?;
        }
        Ok(())
    }

    /// Where each id lies.
    fn places(&self, ids: &[i64], rows: &HashMap<i64, u32>, control: &Control<'_>) -> Result<Places> {
        let mut places = Places { first: vec![NOWHERE; ids.len()], others: HashMap::new() };
        match self.directory.get() {
            // It has one place only for each id.
            Some(directory) if !self.allow_duplicate_ids => {
                for (places, ids) in places.first.chunks_mut(IDS_A_STEP).zip(ids.chunks(IDS_A_STEP)) {
                    control.check()?;
                    for (place, id) in places.iter_mut().zip(ids) {
                        *place = directory.get(id).copied().unwrap_or(NOWHERE);
                    }
                }
            }
            _ => {
                let filter = Filter::ids(ids);
                for (list, store) in (0u32..).zip(&self.lists.lists) {
                    each_passing(store, &filter, &|| control.check(), &mut |slot| {
                        let row = rows[&store.ids[slot as usize]];
                        match &mut places.first[row as usize] {
                            place @ &mut NOWHERE => *place = (list, slot),
                            _ => places.others.entry(row).or_default().push((list, slot)),
                        }
                    })?;
                }
            }
        }
        match places.first.iter().position(|&place| place == NOWHERE) {
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
    let jobs = lists.all_mut().enumerate().filter_map(|(list, store)| {
        let change = changes.get(&u32::try_from(list).ok()?)?;
        Some((list, store, change))
    });
    context.each(workers, jobs, &|(list, store, change)| work(list, store, change))
}
