//! Adding vectors: the whole batch is checked first, then assigned, then written list by list.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Index;
use super::list_order::Ranking;
use super::soar::Places;
use crate::backend::ListSource;
use crate::coarse::Coarse;
use crate::codec::{Codec, Keeper};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::block::rows_a_step;
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;

/// Rows assigned between two reports, at least and at most.
const ROWS_A_STEP: (usize, usize) = (1 << 10, 1 << 16);

/// Multiply-adds between two reports: a fifth of a second or so.
const WORK_A_STEP: usize = 1 << 34;

/// Ids looked at between two looks at the cancel flag.
pub(super) const IDS_A_STEP: usize = 1 << 16;

/// Rows from which on it pays to ask for huge pages: the lists' new memory is then mostly contiguous.
const HUGE_PAGE_ROWS: usize = 1 << 12;

impl Index {
    /// Adds `x` (`[n, dim]`, of any element type) under `ids` (`[n]`), or the next free ids. On failure, and when
    /// cancelled, nothing is added.
    pub fn add<'x>(
        &mut self,
        x: impl Into<RowsRef<'x>>,
        ids: Option<&[i64]>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        let (x, before) = (x.into(), self.lists.lens());
        self.append(x, ids, threads, control)?;
        self.order_lists(&before, self.context.workers(threads), control.cancel());
        control.report("add", x.rows(), x.rows(), 0.0).or(Ok(()))
    }

    /// The same, with lists still to be put in order.
    pub(super) fn append(
        &mut self,
        x: RowsRef<'_>,
        ids: Option<&[i64]>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        self.check_trained()?;
        x.check_dim("rows", self.input_dim())?;
        let most = u32::MAX as usize / if self.soar > 0.0 { 2 } else { 1 };
        if x.rows() > most {
            return Err(Error::argument(format!("rows: expected at most {most} at once, got {}", x.rows())));
        }
        self.check_finite(x, "rows", threads, control)?;
        let workers = self.context.workers(threads);
        let (mut floats, mut between) = Default::default();
        let raw = self.measured(x);
        let x = self.prepared(x, workers, control.cancel(), &mut floats, &mut between)?;
        self.check_ranges(x, raw, control)?;
        let next_id = match ids {
            Some(ids) => self.check_ids(ids, x.rows(), control)?,
            None => self.next_after(self.next_id, x.rows())?,
        };

        let labels = self.assign("add", x, workers, control)?;
        let columns = self.codec.columns(self.dim);
        let nlist = self.lists.lists.len();
        let (mut order, starts) = group_by_list(&labels, self.lists.list_count(), x.rows());
        drop(labels);
        for (list, range) in self.lists.all_mut().zip(starts.windows(2)) {
            list.reserve((range[1] - range[0]) as usize, columns, &|| control.check())?;
            control.check()?;
        }
        if x.rows() >= HUGE_PAGE_ROWS {
            self.lists.advise_huge_pages();
        }
        // From here on nothing can fail, all memory is there; a cancel cuts off what was appended.
        let before = self.lists.lens();
        let rows_a_step = rows_a_step(self.dim);
        let cancel = control.cancel();
        let first = self.next_id;
        let id_of = |row: usize| ids.map_or_else(|| first + row as i64, |ids| ids[row]);
        let centroids = self.coarse.as_ref().map(Coarse::centroids);
        let encoder = self.codec.encoder(self.context.kernels(), self.metric, centroids);
        let keeper = self.refine.as_ref().map(|codec| Keeper::new(raw, codec, &self.context));
        let mut places = Places::of_copies(&self.lists, x.rows());
        for (list, range) in starts.windows(2).take(nlist).enumerate() {
            let rows = &order[range[0] as usize..range[1] as usize];
            places.set(list, before[list], rows.iter().copied());
        }
        let placing = places.keeper()?;
        let keeper_of = |number: usize| if number < nlist { keeper.as_ref() } else { placing.as_ref() };
        let centroids = centroids.filter(|_| self.lists.ordered);
        let ranking = Ranking { centroids, metric: self.metric, dim: self.dim };
        let mut rest = &mut order[..];
        let rows = starts.windows(2).map_while(|range| rest.split_off_mut(..(range[1] - range[0]) as usize));
        let jobs = Mutex::new(self.lists.all_mut().zip(rows).enumerate());
        let failure = Mutex::new(None);
        self.context.parallel(workers.min(1 + x.rows() / 256), &|_| {
            loop {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, (list, rows))) = next else { break };
                let (encoder, keeper) = (encoder.at(number % nlist), keeper_of(number));
                let appended = ranking.order(number, x, rows, cancel).and_then(|ranks| {
                    let mut ranks = ranks.chunks(rows_a_step);
                    rows.chunks(rows_a_step).try_for_each(|rows| {
                        cancel.check()?;
                        list.append(x, rows, id_of, &encoder, keeper, ranks.next().unwrap_or_default())
                    })
                });
                if let Err(error) = appended {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    break;
                }
            }
        })?;
        drop(jobs);
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.lists.truncate(&before, columns)?;
            return Err(error);
        }
        self.count += x.rows();
        self.age_curve(x.rows());
        self.next_id = next_id;
        self.directory.take();
        Ok(())
    }

    /// The list of every row, and behind those the list of copies of every row where there are copies.
    pub(super) fn assign(
        &self,
        stage: &'static str,
        x: RowsRef<'_>,
        workers: usize,
        control: &Control<'_>,
    ) -> Result<Vec<u32>> {
        let mut labels = vec![0; x.rows()];
        let Some(coarse) = &self.coarse else { return Ok(labels) };
        let mut seconds = Vec::new();
        let most = (WORK_A_STEP / (coarse.nlist() * self.dim)).clamp(ROWS_A_STEP.0, ROWS_A_STEP.1);
        let mut keys = vec![0.0; most.min(x.rows())];
        for (step, labels) in labels.chunks_mut(most).enumerate() {
            let first = step * most;
            let rows = x.slice(first, first + labels.len());
            let keys = &mut keys[..labels.len()];
            seconds.extend(self.place(coarse, rows, workers, labels, keys, control.cancel())?);
            let done = first + labels.len();
            // The last report follows when all is written.
            if done < x.rows() {
                control.report(stage, done, x.rows(), 0.0)?;
            }
        }
        labels.append(&mut seconds);
        Ok(labels)
    }

    /// Fails on the first value that the lists cannot hold, of rows as they are searched among and as they are kept.
    pub(super) fn check_ranges(&self, x: RowsRef<'_>, raw: RowsRef<'_>, control: &Control<'_>) -> Result<()> {
        self.check_range(&self.codec, x, control)?;
        self.refine.as_ref().map_or(Ok(()), |codec| self.check_range(codec, raw, control))
    }

    /// Fails on the first value that does not fit in what `codec` holds. Normalised rows fit always.
    fn check_range(&self, codec: &Codec, x: RowsRef<'_>, control: &Control<'_>) -> Result<()> {
        // Codes cut off what lies beyond their range.
        let Codec::Plain(element) = *codec else { return Ok(()) };
        if element == Element::F32 || element == x.element() || self.metric == Metric::Cosine {
            return Ok(());
        }
        let mut buffer = Vec::new();
        let rows_a_step = rows_a_step(x.dim());
        for row in 0..x.rows() {
            if row.is_multiple_of(rows_a_step) {
                control.check()?;
            }
            let values = x.row(row, &mut buffer);
            if let Some((column, range)) = element.misfit(values) {
                return Err(Error::argument(format!(
                    "rows: row {row}, column {column}: expected {range}, got {}",
                    values[column]
                )));
            }
            // Rounding up may add a hundredth to a squared length.
            if !(squared_norm(values) * 1.01).is_finite() {
                return Err(Error::NotFinite { what: "rows", row });
            }
        }
        Ok(())
    }

    /// Fails on an id that is there already; else the next free id after these.
    fn check_ids(&self, ids: &[i64], rows: usize, control: &Control<'_>) -> Result<i64> {
        if ids.len() != rows {
            return Err(Error::Length { what: "ids", expected: rows, got: ids.len() });
        }
        if let Some(row) = ids.iter().position(|&id| id < 0) {
            return Err(Error::argument(format!("ids: expected 0 or more, got {} in row {row}", ids[row])));
        }
        let Some(&largest) = ids.iter().max() else { return Ok(self.next_id) };
        if !self.allow_duplicate_ids {
            self.check_unique(ids, control)?;
        }
        Ok(self.next_id.max(self.next_after(largest, 1)?))
    }

    fn check_unique(&self, ids: &[i64], control: &Control<'_>) -> Result<()> {
        if !ids.is_sorted_by(|a, b| a < b) {
            let mut seen = HashSet::with_capacity(ids.len());
            for (first, part) in (0..).step_by(IDS_A_STEP).zip(ids.chunks(IDS_A_STEP)) {
                control.check()?;
                if let Some(row) = part.iter().position(|&id| !seen.insert(id)) {
                    return Err(Error::DuplicateId { id: part[row], row: first + row, place: "batch" });
                }
            }
        }
        // Ids beyond any ever used are new without looking.
        if ids.iter().all(|&id| id >= self.next_id) {
            return Ok(());
        }
        match self.find_any(ids, control)? {
            Some(id) => {
                let row = ids.iter().position(|&other| other == id).unwrap_or(0);
                Err(Error::DuplicateId { id, row, place: "index" })
            }
            None => Ok(()),
        }
    }

    fn next_after(&self, id: i64, rows: usize) -> Result<i64> {
        i64::try_from(rows)
            .ok()
            .and_then(|rows| id.checked_add(rows))
            .ok_or_else(|| Error::argument(format!("ids: {rows} more after {id} do not fit in 63 bits")))
    }
}

/// Row numbers grouped by list, in row order, and where each list's begin. Of more labels than rows the first is again
/// the first row's.
fn group_by_list(labels: &[u32], nlist: usize, rows: usize) -> (Vec<u32>, Vec<u32>) {
    let to32 = |n: usize| u32::try_from(n).expect("invariant: a batch has fewer than 2^32 rows");
    let mut starts = vec![0u32; nlist + 1];
    for &label in labels {
        starts[label as usize + 1] += 1;
    }
    for list in 0..nlist {
        starts[list + 1] += starts[list];
    }
    let mut place = starts.clone();
    let mut order = vec![0u32; labels.len()];
    for (row, &label) in labels.iter().enumerate() {
        let place = &mut place[label as usize];
        order[*place as usize] = to32(row % rows);
        *place += 1;
    }
    (order, starts)
}
