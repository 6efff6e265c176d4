//! How far the codes of each list lie off: measured when a search first asks, and again where a list has changed since.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Index;
use crate::backend::{Bound, Deviations, ListSource, RaBitQ, Rounded, Version};
use crate::codec::Codec;
use crate::error::Result;
use crate::progress::Cancel;

/// What was measured.
#[derive(Default)]
pub(super) struct Bounds {
    /// Of scalar codes.
    lists: Measured<Bound>,
    /// Of RaBitQ codes.
    vectors: Measured<Arc<Deviations>>,
    pub(super) room: Room,
}

/// How much more room than usual for candidates searches were seen to want: that decides how fast they are, not what they
/// find.
pub(super) struct Room(AtomicUsize);

/// A room in its own units, as usual and at most.
const USUAL: usize = 32;
const MOST: usize = 4 * USUAL;

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(USUAL))
    }
}

impl Room {
    /// So many times `usual`.
    pub(super) fn times(&self, usual: usize) -> usize {
        usual.saturating_mul(self.0.load(Ordering::Relaxed)) / USUAL
    }

    /// Notes how many queries out of some wanted more: an eighth of them at most should.
    pub(super) fn learn(&self, queries: usize, wanted_more: usize) {
        let now = self.0.load(Ordering::Relaxed);
        let next = match wanted_more {
            more if more > queries / 8 => now + now / 2,
            fewer if fewer <= queries / 32 => now - now / 32,
            _ => now,
        };
        self.0.store(next.clamp(USUAL, MOST), Ordering::Relaxed);
    }
}

/// What was measured of the lists, with the versions of their vectors.
type Measured<T> = Mutex<Known<T>>;

#[derive(Default)]
struct Known<T> {
    versions: Vec<Version>,
    bounds: Arc<Vec<T>>,
}

/// Slots that a worker measures at a time.
const SLOTS: usize = 1 << 10;

impl Index {
    /// Of each list how far `codes` lie from the rows that are kept in `rows`.
    pub(super) fn bounds(
        &self,
        codes: &Rounded<'_>,
        rows: &Codec,
        workers: usize,
        cancel: Cancel<'_>,
    ) -> Result<Arc<Vec<Bound>>> {
        self.known(&self.bounds.lists, workers, cancel, &|number, slots| {
            let list = &self.lists.lists[number];
            let read =
                |slot, out: &mut [f32]| rows.read_row(self.context.kernels(), list.rows.row(slot), out);
            let part = codes.bound(&list.view(), number, slots, read);
            move |bound: &mut Bound| *bound = bound.or(part)
        })
    }

    /// Of each list how far estimates by its codes may lie off.
    pub(super) fn deviations(
        &self,
        codes: &RaBitQ<'_>,
        workers: usize,
        cancel: Cancel<'_>,
    ) -> Result<Arc<Vec<Arc<Deviations>>>> {
        self.known(&self.bounds.vectors, workers, cancel, &|number, slots: Range<usize>| {
            let from = slots.start;
            let part = codes.measure(&self.lists.lists[number].view(), slots);
            move |list: &mut Arc<Deviations>| Arc::make_mut(list).put(from, &part)
        })
    }

    /// What `measured` has of each list, where need be measured anew: of some slots of a list, and then taken in.
    fn known<T: Clone + Default + Send + Sync, P: FnOnce(&mut T)>(
        &self,
        measured: &Measured<T>,
        workers: usize,
        cancel: Cancel<'_>,
        measure: &(dyn Fn(usize, Range<usize>) -> P + Sync),
    ) -> Result<Arc<Vec<T>>> {
        let versions: Vec<_> = (0..self.lists.list_count()).map(|list| self.lists.version(list)[0]).collect();
        // Held while it is measured: who asks meanwhile wants the same.
        let mut known = measured.lock().unwrap_or_else(PoisonError::into_inner);
        if known.versions == versions {
            return Ok(known.bounds.clone());
        }
        let old = |list: usize| match known.versions.get(list) {
            Some(version) if *version == versions[list] => Some(known.bounds[list].clone()),
            _ => None,
        };
        let kept: Vec<_> = (0..versions.len()).map(|list| old(list).unwrap_or_default()).collect();
        let changed = (0..versions.len()).filter(|&list| old(list).is_none());
        let pieces = changed.flat_map(|list| {
            let len = self.lists.lists[list].len();
            (0..len).step_by(SLOTS).map(move |from| (list, from..(from + SLOTS).min(len)))
        });
        let (bounds, pieces) = (Mutex::new(kept), Mutex::new(pieces));
        self.context.parallel(workers, &|_| {
            while !cancel.is_set() {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, slots)) = next else { break };
                let take = measure(number, slots);
                take(&mut bounds.lock().unwrap_or_else(PoisonError::into_inner)[number]);
            }
        })?;
        cancel.check()?;
        let bounds = Arc::new(bounds.into_inner().unwrap_or_else(PoisonError::into_inner));
        *known = Known { versions, bounds: bounds.clone() };
        Ok(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::workspace::Workspace;
    use crate::backend::{Codes, ScanJob, Scores, scan_within};
    use crate::context::{Context, ContextOptions};
    use crate::index::search::Request;
    use crate::index::stats::Clock;
    use crate::index::{IndexOptions, SearchOptions, TrainOptions};
    use crate::matrix::MatrixRef;
    use crate::metric::Metric;
    use crate::progress::Control;
    use crate::random::Random;

    const DIM: usize = 64;

    /// Normal numbers about as many centres, `spread` apart.
    fn rows(seed: u64, count: usize, centres: u64, spread: f64) -> Vec<f32> {
        let mut random = Random::new(seed);
        let mut row = |number: usize| -> Vec<f32> {
            let mut centre = Random::new(1000 + number as u64 % centres);
            #[expect(clippy::cast_possible_truncation, reason = "rounds")]
            (0..DIM).map(|_| (random.normal() + spread * centre.normal()) as f32).collect()
        };
        (0..count).flat_map(&mut row).collect()
    }

    /// The share of all pairs of queries and vectors whose lower bound is above the truth.
    fn share_beyond(description: &str, metric: Metric, x: &[f32], queries: &[f32]) -> f64 {
        let matrix = |rows| MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap();
        let context = Arc::new(Context::new(&ContextOptions { threads: 2, ..Default::default() }).unwrap());
        let mut index = Index::new(context, DIM, metric, description, &IndexOptions::default()).unwrap();
        let control = Control::default();
        index.train(matrix(x), &TrainOptions::default(), &control).unwrap();
        index.add(matrix(x), None, 0, &control).unwrap();
        let mut workspace = index.context.workspaces().take();
        let request = Request { stage: "search", queries: matrix(queries).into(), k: 1, given: None };
        let options = SearchOptions { nprobe: usize::MAX, ..Default::default() };
        let cancel = Cancel::default();
        let Workspace { row, .. } = &mut *index.context.workspaces().take();
        let mut clock = Clock::start(None);
        let job = index.job(&request, &options, cancel, &mut workspace, &mut clock).unwrap();
        let Codes::RaBitQ(codes) = job.codes else { panic!("expected RaBitQ codes") };
        let deviations = index.deviations(&codes, 2, cancel).unwrap();
        let job = ScanJob { codes: Codes::RaBitQ(codes.with_deviations(&deviations)), ..job };
        let found = scan_within(&index.context, &job, f32::INFINITY).unwrap();
        assert_eq!(found.len(), x.len() / DIM * (queries.len() / DIM));
        let mut scores = Scores::new(&index.context, metric, row);
        let beyond = found.iter().filter(|(query, bound)| {
            let mut hits = [*bound];
            let query = &queries[*query as usize * DIM..][..DIM];
            index.rekey(index.refine.as_deref().unwrap(), query, &mut hits, &mut scores);
            bound.key > hits[0].key
        });
        beyond.count() as f64 / found.len() as f64
    }

    #[test]
    fn bounds_any_bits_hold_as_often_as_promised() {
        // Of a normal distribution the share beyond 2.3 deviations, on one side.
        const PROMISED: f64 = 0.0107;
        for (data, centres, spread) in [("normal", 1, 0.0), ("clustered", 12, 2.0)] {
            let (x, queries) = (rows(1, 1500, centres, spread), rows(2, 60, centres, spread));
            for bits in 1..=8 {
                for metric in [Metric::L2, Metric::InnerProduct] {
                    for lists in ["", "IVF6,", "RR,IVF6,"] {
                        let description = format!("{lists}RaBitQ{bits},RFlat");
                        let share = share_beyond(&description, metric, &x, &queries);
                        assert!(share <= PROMISED, "{data} {description} {metric:?}: {share}");
                        // Not because it is wide for no reason.
                        assert!(share >= 0.4 * PROMISED, "{data} {description} {metric:?}: {share}");
                    }
                }
            }
        }
    }
}
