//! Lists whose likeliest vectors come first, so that a search of the first of each list only finds more in as many.
//!
//! Of L2 and cosine those are the vectors that are nearest to their list's centroid (as torch-ivf has it): the shorter a
//! residual, the nearer a vector is to whatever query visits the list. Of inner products they are the longest vectors. Where
//! all vectors have the same length, as for cosine they do, that tells little.

use std::sync::{Mutex, PoisonError};

use super::Index;
use crate::backend;
use crate::codec::Codec;
use crate::error::Result;
use crate::lists::block::rows_a_step;
use crate::lists::{List, rising};
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// How the vectors of a list are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListOrder {
    /// As they are added.
    #[default]
    Added,
    /// Those first that are likeliest to be results: the nearest to the list's centroid, of inner products the longest.
    /// Kept up whenever vectors come or change, for which adding costs more, the most where few are added at a time:
    /// each list that grows is merged with what comes.
    BestFirst,
}

/// What tells a vector's rank, by which its list is ordered.
#[derive(Clone, Copy)]
pub(super) struct Ranking<'a> {
    /// `[nlist, dim]`; `None` = there is no order to keep.
    pub(super) centroids: Option<&'a [f32]>,
    pub(super) metric: Metric,
    pub(super) dim: usize,
}

impl Ranking<'_> {
    /// Less for a likelier vector; 0 where ranks are not wanted.
    pub(super) fn of(&self, list: usize, row: &[f32]) -> f32 {
        match self.centroids {
            None => 0.0,
            Some(_) if self.metric == Metric::InnerProduct => -squared_norm(row),
            Some(all) => backend::key(Metric::L2, row, &all[list * self.dim..][..self.dim]),
        }
    }

    /// The ranks of rows of `x`; none where they are not wanted.
    pub(super) fn of_rows(
        &self,
        list: usize,
        x: RowsRef<'_>,
        rows: impl ExactSizeIterator<Item = u32>,
    ) -> Vec<f32> {
        if self.centroids.is_none() {
            return Vec::new();
        }
        let mut buffer = Vec::new();
        rows.map(|row| self.of(list, x.row(row as usize, &mut buffer))).collect()
    }

    /// Puts `rows` of `x` in order; their ranks. Leaves all as it is where there is no order to keep.
    pub(super) fn order(
        &self,
        list: usize,
        x: RowsRef<'_>,
        rows: &mut [u32],
        cancel: Cancel<'_>,
    ) -> Result<Vec<f32>> {
        let mut ranks = Vec::new();
        for rows in rows.chunks(rows_a_step(self.dim)) {
            cancel.check()?;
            ranks.extend(self.of_rows(list, x, rows.iter().copied()));
        }
        Ok(sort(ranks, rows))
    }

    /// Puts `slots` of a list in order; their ranks, as the list knows them, else of what it holds. Leaves all as it is
    /// where there is no order to keep.
    pub(super) fn order_slots(
        &self,
        list: usize,
        from: &List,
        codec: &Codec,
        slots: &mut [usize],
        cancel: Cancel<'_>,
    ) -> Result<Vec<f32>> {
        if self.centroids.is_none() {
            return Ok(Vec::new());
        }
        let mut row = vec![0.0; self.dim];
        let mut ranks = Vec::with_capacity(slots.len());
        for slots in slots.chunks(rows_a_step(self.dim)) {
            cancel.check()?;
            ranks.extend(slots.iter().map(|&slot| {
                from.ranks.data.get(slot).copied().unwrap_or_else(|| {
                    codec.read(&from.view(), list, slot, self.centroids, &mut row);
                    self.of(list, &row)
                })
            }));
        }
        Ok(sort(ranks, slots))
    }
}

/// Puts `items` in the order of their ranks, equal ones as they are, if there are ranks; returns these in that order.
fn sort<T: Copy>(ranks: Vec<f32>, items: &mut [T]) -> Vec<f32> {
    let places = rising(&ranks);
    let before = items.to_vec();
    items.iter_mut().zip(&places).for_each(|(item, &place)| *item = before[place]);
    places.into_iter().map(|place| ranks[place]).collect()
}

impl Index {
    /// How the lists are ordered.
    pub(super) fn list_order(&self) -> ListOrder {
        if self.lists.ordered { ListOrder::BestFirst } else { ListOrder::Added }
    }

    /// Puts those lists in order that are longer than `before`. One that a cancel, or want of memory, leaves as it is
    /// is right all the same, and put in order when it next changes.
    pub(super) fn order_lists(&mut self, before: &[usize], workers: usize, cancel: Cancel<'_>) {
        if !self.lists.ordered {
            return;
        }
        let columns = self.codec.columns(self.dim);
        let lists = self.lists.lists.iter_mut().zip(before);
        let jobs = Mutex::new(lists.filter(|(list, before)| list.len() > **before));
        // The same where no thread can be had.
        let _ = self.context.parallel(workers, &|_| {
            let mut room = None;
            loop {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((list, _)) = next else { break };
                let room = room.get_or_insert_with(|| list.like());
                if list.sort(columns, room, &|| cancel.check()).is_err() {
                    break;
                }
            }
        });
    }
}
