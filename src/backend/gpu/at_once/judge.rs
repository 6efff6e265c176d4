//! What both steps at once found, judged: first that the lists which the device took are the query's nearest, then what is
//! best in them.

use std::ops::Range;

use crate::backend::ScanJob;
use crate::backend::gpu::arithmetic::Arithmetic;
use crate::backend::gpu::encode::to32;
use crate::backend::gpu::exact::{Candidate, Judge, Judged, Judges};
use crate::backend::gpu::land::hits_of;
use crate::collect::Sink;
use crate::lists::block::{BLOCK, blocks};
use crate::topk::Hit;

/// The judge of both steps.
pub(super) struct BothJudge<'a> {
    /// Of the nearest centroids, and how many of them are the lists to be visited.
    pub(super) first: Judge<'a>,
    pub(super) nprobe: usize,
    /// Where those go.
    pub(super) lists: &'a dyn Sink,
    /// Of the best in them, and how many are wanted.
    pub(super) second: Judge<'a>,
    pub(super) k: usize,
    /// How many hits a row has room for, and how many slots each list has, on the device.
    pub(super) wanted: usize,
    pub(super) slots: &'a [u32],
}

/// Memory for one query after another.
#[derive(Default)]
struct Room {
    nearest: Vec<Candidate>,
    hits: Vec<Hit>,
    /// Where in the query's row the lanes of each list begin.
    places: Vec<u32>,
    candidates: Vec<Candidate>,
}

impl<'a> Judges<'a> for BothJudge<'a> {
    fn job(&self) -> &'a ScanJob<'a> {
        self.first.job()
    }

    fn some(&self, judged: &Judged, queries: Range<usize>, arithmetic: &mut Arithmetic<'a>, sink: &dyn Sink) {
        let mut room = Room::default();
        for query in queries {
            if !self.one(judged, query, arithmetic, &mut room, sink) {
                judged.leave(query);
            }
        }
    }
}

impl<'a> BothJudge<'a> {
    /// Hands over what is best of a query; whether it is proven that this is right.
    fn one(
        &self,
        judged: &Judged,
        query: usize,
        arithmetic: &mut Arithmetic<'a>,
        room: &mut Room,
        sink: &dyn Sink,
    ) -> bool {
        let Room { nearest, hits, places, candidates } = room;
        let landed = &judged.landed;
        let Some(number) = landed.round.row_of(query) else { return false };
        nearest.clear();
        let bar = landed.add(query, nearest);
        let proven = landed.is_ordered(number)
            && self.first.best((query, self.nprobe), (nearest, bar), arithmetic, hits);
        if !proven || !are_the_first(hits, nearest) {
            return false;
        }
        self.lists.take(query, hits);
        nearest.truncate(hits.len());
        places.clear();
        let mut lanes = 0;
        for list in &*nearest {
            places.push(lanes);
            lanes += to32(BLOCK * blocks(self.slots[list.slot as usize] as usize));
        }
        let words = landed.behind();
        let begin = 2 * (landed.round.rows.len() + number * self.wanted);
        let (found, bar) = hits_of(words, number, begin, to32(self.wanted));
        candidates.clear();
        candidates.extend(found.chunks_exact(2).map(|hit| {
            let own = places.partition_point(|&place| place <= hit[1]) - 1;
            Candidate { list: nearest[own].slot, slot: hit[1] - places[own], key: hit[0] }
        }));
        if !self.second.best((query, self.k), (candidates, bar), arithmetic, hits) {
            return false;
        }
        sink.take(query, hits);
        true
    }
}

/// Whether these hits are the first of `nearest`, in whichever order.
fn are_the_first(hits: &[Hit], nearest: &[Candidate]) -> bool {
    let of_nearest = nearest[..hits.len()].iter().map(|centroid| i64::from(centroid.slot));
    if hits.iter().map(|hit| hit.id).eq(of_nearest.clone()) {
        return true;
    }
    let mut ids: Vec<i64> = hits.iter().map(|hit| hit.id).collect();
    let mut device: Vec<i64> = of_nearest.collect();
    ids.sort_unstable();
    device.sort_unstable();
    ids == device
}
