//! Vectors back from their ids.

use std::collections::{HashMap, HashSet};

use super::add::IDS_A_STEP;
use super::search::Request;
use super::{Index, SearchOptions, SearchOutput};
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::rows::RowsRef;

/// The list and slot of every id.
type Directory = HashMap<i64, (u32, u32)>;

impl Index {
    /// Writes the vectors with these ids into `out` (`[ids, dim]`), from what is kept to refine if there is that;
    /// normalised ones for cosine. Of an id
    /// that is there more than once, the first found.
    pub fn reconstruct(&self, ids: &[i64], out: &mut [f32]) -> Result<()> {
        self.reconstruct_under(ids, out, 0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress and cancel.
    pub fn reconstruct_under(
        &self,
        ids: &[i64],
        out: &mut [f32],
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        self.check_room(ids.len(), out)?;
        control.check()?;
        if ids.is_empty() {
            return Ok(());
        }
        let directory = self.directory(control)?;
        // Every id is looked up before the first is written.
        for ids in ids.chunks(IDS_A_STEP) {
            control.check()?;
            if let Some(&id) = ids.iter().find(|id| !directory.contains_key(id)) {
                return Err(Error::NotFound { id });
            }
        }
        self.read_places(ids, directory, out, threads, control)?;
        control.report("reconstruct", ids.len(), ids.len(), 0.0)
    }

    /// The same for the ids `first..first + n`, all of which must be there.
    pub fn reconstruct_range(&self, first: i64, n: usize, out: &mut [f32]) -> Result<()> {
        self.reconstruct_range_under(first, n, out, 0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress and cancel.
    pub fn reconstruct_range_under(
        &self,
        first: i64,
        n: usize,
        out: &mut [f32],
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        self.check_room(n, out)?;
        let end = i64::try_from(n).ok().and_then(|n| first.checked_add(n)).ok_or_else(|| {
            Error::argument(format!("first: {n} ids from {first} on do not fit in 63 bits"))
        })?;
        self.reconstruct_under(&(first..end).collect::<Vec<i64>>(), out, threads, control)
    }

    /// The ids of all vectors, ascending.
    pub fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.lists.live_ids().map(|(id, ..)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// Searches as [`Index::search`] does and writes each hit's vector into `vectors` (`[queries, k, dim]`), as
    /// [`Index::reconstruct`] has it. Where a hit is missing the row is NaN.
    pub fn search_and_reconstruct<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        vectors: &mut [f32],
        control: &Control<'_>,
    ) -> Result<()> {
        let SearchOutput { distances, ids, hits } = output;
        let request = Request { stage: "search", queries: queries.into(), k, given: None };
        self.check_room(ids.len(), vectors)?;
        self.run(&request, options, SearchOutput { distances, ids: &mut *ids, hits }, control)?;
        vectors.fill(f32::NAN);
        if ids.iter().all(|&id| id < 0) {
            return Ok(());
        }
        self.read_places(ids, self.directory(control)?, vectors, options.threads, control)
    }

    /// Writes the vectors with these ids into the rows of `out`, the transforms undone; a row whose vector is missing
    /// becomes NaN.
    fn read_places(
        &self,
        ids: &[i64],
        directory: &Directory,
        out: &mut [f32],
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        const ROWS: usize = 1024;
        let wide = self.input_dim();
        let cancel = control.cancel();
        let workers = self.context.workers(threads).min(ids.len().div_ceil(ROWS));
        let jobs = ids.chunks(ROWS).zip(out.chunks_mut(ROWS * wide));
        self.context.each(workers, jobs, &|(ids, out): (&[i64], &mut [f32])| {
            cancel.check()?;
            self.read_rows(ids, directory, out)
        })
    }

    /// The same of a few.
    fn read_rows(&self, ids: &[i64], directory: &Directory, out: &mut [f32]) -> Result<()> {
        let wide = self.input_dim();
        let places = ids.iter().map(|id| directory.get(id));
        if let Some(codec) = &self.refine {
            for (place, row) in places.zip(out.chunks_exact_mut(wide)) {
                match place {
                    Some(&(list, slot)) => {
                        let rows = &self.lists.lists[list as usize].rows;
                        codec.read_row(self.context.kernels(), rows.row(slot as usize), row);
                    }
                    None => row.fill(f32::NAN),
                }
            }
            return Ok(());
        }
        let mut buffer = vec![0f32; if self.transforms.is_empty() { 0 } else { ids.len() * self.dim }];
        let centroids = self.coarse_centroids();
        let inner = if buffer.is_empty() { &mut *out } else { &mut buffer };
        for (place, row) in places.clone().zip(inner.chunks_exact_mut(self.dim)) {
            match place {
                Some(&(list, slot)) => {
                    let (list, slot) = (list as usize, slot as usize);
                    self.codec.read(&self.lists.lists[list].view(), list, slot, centroids, row);
                }
                None => row.fill(f32::NAN),
            }
        }
        if !buffer.is_empty() {
            self.reversed(&buffer, out)?;
            let missing = places.zip(out.chunks_exact_mut(wide)).filter(|(place, _)| place.is_none());
            missing.for_each(|(_, row)| row.fill(f32::NAN));
        }
        Ok(())
    }

    /// Fails unless `out` holds `rows` vectors.
    fn check_room(&self, rows: usize, out: &[f32]) -> Result<()> {
        let dim = self.input_dim();
        let expected = rows.checked_mul(dim).ok_or(Error::Overflow {
            what: "vectors",
            rows: rows as u64,
            dim: dim as u64,
        })?;
        if out.len() != expected {
            return Err(Error::Length { what: "vectors", expected, got: out.len() });
        }
        Ok(())
    }

    /// The list and slot of every id; of one that is there more than once, the first.
    fn directory(&self, control: &Control<'_>) -> Result<&Directory> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        let mut places = HashMap::with_capacity(self.count);
        for (number, (id, list, slot)) in self.lists.live_ids().enumerate() {
            if number.is_multiple_of(IDS_A_STEP) {
                control.check()?;
            }
            places.entry(id).or_insert((list, slot));
        }
        // Another thread may have been as quick.
        Ok(self.directory.get_or_init(|| places))
    }

    /// One of `ids` that the index holds, if any.
    pub(super) fn find_any(&self, ids: &[i64], control: &Control<'_>) -> Result<Option<i64>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut wanted: HashSet<i64> = HashSet::new();
        for part in ids.chunks(IDS_A_STEP) {
            control.check()?;
            match self.directory.get() {
                Some(directory) => {
                    if let Some(&id) = part.iter().find(|id| directory.contains_key(id)) {
                        return Ok(Some(id));
                    }
                }
                None => wanted.extend(part),
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        for (number, (id, ..)) in self.lists.live_ids().enumerate() {
            if number.is_multiple_of(IDS_A_STEP) {
                control.check()?;
            }
            if wanted.contains(&id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
