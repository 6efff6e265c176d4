//! Vectors back from their ids.

use std::collections::{HashMap, HashSet};

use super::add::IDS_A_STEP;
use super::search::Request;
use super::{Index, SearchOptions, SearchOutput};
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::rows::RowsRef;

impl Index {
    /// Writes the vectors with these ids into `out` (`[ids, dim]`), from what is kept to refine if there is that;
    /// normalised ones for cosine. Of an id
    /// that is there more than once, the first found.
    pub fn reconstruct(&self, ids: &[i64], out: &mut [f32]) -> Result<()> {
        self.check_room(ids.len(), out)?;
        if ids.is_empty() {
            return Ok(());
        }
        let directory = self.directory();
        // Every id is looked up before the first is written.
        if let Some(&id) = ids.iter().find(|id| !directory.contains_key(id)) {
            return Err(Error::NotFound { id });
        }
        self.read_places(ids.iter().map(|id| Some(directory[id])), out)
    }

    /// The same for the ids `first..first + n`, all of which must be there.
    pub fn reconstruct_range(&self, first: i64, n: usize, out: &mut [f32]) -> Result<()> {
        self.check_room(n, out)?;
        let end = i64::try_from(n).ok().and_then(|n| first.checked_add(n)).ok_or_else(|| {
            Error::argument(format!("first: {n} ids from {first} on do not fit in 63 bits"))
        })?;
        self.reconstruct(&(first..end).collect::<Vec<i64>>(), out)
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
        let directory = self.directory();
        self.read_places(ids.iter().map(|id| directory.get(id).copied()), vectors)
    }

    /// Writes the vectors in these places into the rows of `out`, the transforms undone; a row whose vector is
    /// missing becomes NaN.
    fn read_places(&self, places: impl Iterator<Item = Option<(u32, u32)>>, out: &mut [f32]) -> Result<()> {
        const ROWS: usize = 1024;
        let wide = self.input_dim();
        if let Some(codec) = &self.refine {
            for (place, row) in places.zip(out.chunks_exact_mut(wide)) {
                match place {
                    Some((list, slot)) => {
                        let rows = &self.lists.lists[list as usize].rows;
                        codec.read_row(rows.row(slot as usize), row);
                    }
                    None => row.fill(f32::NAN),
                }
            }
            return Ok(());
        }
        let mut buffer = vec![0f32; if self.transforms.is_empty() { 0 } else { ROWS * self.dim }];
        let mut places = places.fuse();
        let centroids = self.coarse_centroids();
        for out in out.chunks_mut(ROWS * wide) {
            let places: Vec<_> = places.by_ref().take(out.len() / wide).collect();
            let inner = if buffer.is_empty() { &mut *out } else { &mut buffer[..places.len() * self.dim] };
            for (place, row) in places.iter().zip(inner.chunks_exact_mut(self.dim)) {
                match *place {
                    Some((list, slot)) => {
                        let (list, slot) = (list as usize, slot as usize);
                        self.codec.read(&self.lists.lists[list].view(), list, slot, centroids, row);
                    }
                    None => row.fill(f32::NAN),
                }
            }
            if !buffer.is_empty() {
                self.reversed(&buffer[..places.len() * self.dim], out)?;
                let missing =
                    places.iter().zip(out.chunks_exact_mut(wide)).filter(|(place, _)| place.is_none());
                missing.for_each(|(_, row)| row.fill(f32::NAN));
            }
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
    fn directory(&self) -> &HashMap<i64, (u32, u32)> {
        self.directory.get_or_init(|| {
            let mut places = HashMap::with_capacity(self.count);
            for (id, list, slot) in self.lists.live_ids() {
                places.entry(id).or_insert((list, slot));
            }
            places
        })
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
