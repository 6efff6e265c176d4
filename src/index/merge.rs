//! Whole indexes: taking in another's vectors, and copies.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use super::Index;
use super::add::IDS_A_STEP;
use super::list_order::Ranking;
use crate::coarse::Coarse;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lists::List;
use crate::lists::block::rows_a_step;
use crate::progress::Control;

/// Vectors that make another worker worth while.
const ROWS: usize = 256;

impl Index {
    /// Adds the vectors of `other`, which keeps them, under their ids plus `add_id`; returns how many. Both
    /// must have the same dimension, metric, description, transforms and centroids.
    ///
    /// An id that this index has already, or would get twice, is an [`Error::ClashingId`] unless this index
    /// allows ids to repeat. On failure, and when cancelled, nothing is added.
    pub fn merge(
        &mut self,
        other: &Self,
        add_id: i64,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<usize> {
        self.check_alike(other)?;
        let next_id = self.check_merged_ids(other, add_id, control)?;
        let columns = self.codec.columns(self.dim);
        for (list, from) in self.lists.all_mut().zip(other.lists.all()) {
            list.reserve(from.live(), columns, &|| control.check())?;
            control.check()?;
        }
        self.lists.advise_huge_pages();
        // From here on nothing can fail, all memory is there; a cancel cuts off what was appended.
        let before = self.lists.lens();
        let cancel = control.cancel();
        let workers = self.context.workers(threads).min(1 + other.count / ROWS);
        let centroids = self.coarse.as_ref().map(Coarse::centroids);
        let centroids = centroids.filter(|_| self.lists.ordered);
        let ranking = Ranking { centroids, metric: self.metric, dim: self.dim };
        let jobs = self.lists.all_mut().zip(other.lists.all()).enumerate();
        let appended =
            self.context.each(workers, jobs, &|(number, (list, from)): (_, (&mut List, &List))| {
                let mut live: Vec<usize> = (0..from.len()).filter(|&slot| from.is_live(slot)).collect();
                let ranks = ranking.order_slots(number, from, &other.codec, &mut live, cancel)?;
                let mut ranks = ranks.chunks(rows_a_step(columns));
                live.chunks(rows_a_step(columns)).try_for_each(|live| {
                    cancel.check()?;
                    let ranks = ranks.next().unwrap_or_default();
                    list.append_from(from, live, |id| id + add_id, Some(ranks), columns)
                })
            });
        if let Err(error) = appended {
            self.lists.truncate(&before, columns)?;
            return Err(error);
        }
        self.count += other.count;
        self.next_id = next_id;
        self.age_curve(other.count);
        self.directory.take();
        self.order_lists(&before, workers, cancel);
        self.lists.link_anew(&|| cancel.check());
        control.report("merge", other.count, other.count, 0.0).or(Ok(()))?;
        Ok(other.count)
    }

    /// A copy in memory of its own, which runs on `context`. Lists that lie in a mapped file stay there.
    pub fn copy(&self, context: Arc<Context>) -> Result<Self> {
        self.copy_under(context, 0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress and cancel.
    pub fn copy_under(&self, context: Arc<Context>, threads: usize, control: &Control<'_>) -> Result<Self> {
        control.check()?;
        let coarse = self.coarse.as_ref().map(|coarse| coarse.copy(&context)).transpose()?;
        let lists = self.lists.copy(&context, context.workers(threads), control.cancel())?;
        control.report("clone", self.count, self.count, 0.0)?;
        Ok(Self {
            context,
            dim: self.dim,
            metric: self.metric,
            description: self.description.clone(),
            transforms: self.transforms.clone(),
            coarse,
            codec: self.codec.clone(),
            refine: self.refine.clone(),
            lists,
            count: self.count,
            next_id: self.next_id,
            nprobe: self.nprobe,
            allow_duplicate_ids: self.allow_duplicate_ids,
            k_factor: self.k_factor,
            soar: self.soar,
            curve: self.curve.clone(),
            directory: OnceLock::new(),
            bounds: super::bounds::Bounds::default(),
        })
    }

    /// Fails unless a vector belongs to the same list in both, and is held there alike.
    fn check_alike(&self, other: &Self) -> Result<()> {
        self.check_trained()?;
        other.check_trained()?;
        let (what, expected, got) = ("index to merge", self.input_dim(), other.input_dim());
        if expected != got {
            return Err(Error::Dimension { what, expected, got });
        }
        if self.metric != other.metric {
            return Err(Error::argument(format!(
                "{what}: expected the metric {:?}, got {:?}",
                self.metric, other.metric
            )));
        }
        let (expected, got) = (self.describe(), other.describe());
        if expected != got {
            return Err(Error::argument(format!("{what}: expected \"{expected}\", got \"{got}\"")));
        }
        let (expected, got) = (self.soar, other.soar);
        if expected != got {
            return Err(Error::argument(format!("{what}: expected soar {expected}, got {got}")));
        }
        if !self.transforms.is_same(&other.transforms) {
            return Err(Error::argument(format!(
                "{what}: expected the same transforms, got others; train one and copy it"
            )));
        }
        if !self.codec.reads(&other.codec) || self.refine != other.refine {
            return Err(Error::argument(format!(
                "{what}: expected codes trained alike, got others; train one and copy it"
            )));
        }
        if let (Some(ours), Some(theirs)) = (&self.coarse, &other.coarse)
            && let Some(place) =
                ours.centroids().iter().zip(theirs.centroids()).position(|(a, b)| a.to_bits() != b.to_bits())
        {
            return Err(Error::argument(format!(
                "{what}: expected the same centroids, got another in list {}; give both the same ones",
                place / self.dim
            )));
        }
        Ok(())
    }

    /// Fails on an id of `other` that cannot be taken over; else the next free id afterwards.
    fn check_merged_ids(&self, other: &Self, add_id: i64, control: &Control<'_>) -> Result<i64> {
        let mut ids = Vec::with_capacity(other.count);
        for (id, ..) in other.lists.live_ids() {
            if ids.len().is_multiple_of(IDS_A_STEP) {
                control.check()?;
            }
            // One below the largest: the next id has to fit too.
            match id.checked_add(add_id).filter(|&id| (0..i64::MAX).contains(&id)) {
                Some(id) => ids.push(id),
                None => {
                    return Err(Error::argument(format!(
                        "add_id: expected ids from 0 to {} after it, got {id} plus {add_id}",
                        i64::MAX - 1
                    )));
                }
            }
        }
        if !self.allow_duplicate_ids {
            if other.allow_duplicate_ids {
                let mut seen = HashSet::with_capacity(ids.len());
                for part in ids.chunks(IDS_A_STEP) {
                    control.check()?;
                    if let Some(&id) = part.iter().find(|&&id| !seen.insert(id)) {
                        return Err(Error::ClashingId { id, place: "twice in the index to merge" });
                    }
                }
            }
            if ids.iter().any(|&id| id < self.next_id)
                && let Some(id) = self.find_any(&ids, control)?
            {
                return Err(Error::ClashingId { id, place: "in both indexes" });
            }
        }
        Ok(ids.iter().max().map_or(self.next_id, |&largest| self.next_id.max(largest + 1)))
    }
}
