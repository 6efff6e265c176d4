//! How far the codes of each list lie off: measured when a search first asks, and again where a list has changed since.

use std::sync::{Arc, Mutex, PoisonError};

use super::Index;
use crate::backend::{Bound, ListSource, Rounded, Version};
use crate::codec::Codec;
use crate::error::Result;
use crate::progress::Cancel;

/// What was measured of the lists, with the versions of their vectors.
#[derive(Default)]
pub(super) struct Bounds(Mutex<Known>);

#[derive(Default)]
struct Known {
    versions: Vec<Version>,
    bounds: Arc<Vec<Bound>>,
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
        let versions: Vec<_> = (0..self.lists.list_count()).map(|list| self.lists.version(list)[0]).collect();
        // Held while it is measured: who asks meanwhile wants the same.
        let mut known = self.bounds.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.versions == versions {
            return Ok(known.bounds.clone());
        }
        let old = |list: usize| match known.versions.get(list) {
            Some(version) if *version == versions[list] => Some(known.bounds[list]),
            _ => None,
        };
        let kept: Vec<_> = (0..versions.len()).map(|list| old(list).unwrap_or_default()).collect();
        let changed = (0..versions.len()).filter(|&list| old(list).is_none());
        let pieces = changed.flat_map(|list| {
            let len = self.lists.lists[list].len();
            (0..len).step_by(SLOTS).map(move |from| (list, from..(from + SLOTS).min(len)))
        });
        let (measured, pieces) = (Mutex::new(kept), Mutex::new(pieces));
        self.context.parallel(workers, &|_| {
            while !cancel.is_set() {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, slots)) = next else { break };
                let list = &self.lists.lists[number];
                let read = |slot, out: &mut [f32]| rows.read_row(list.rows.row(slot), out);
                let bound = codes.bound(&list.view(), number, slots, read);
                let mut all = measured.lock().unwrap_or_else(PoisonError::into_inner);
                all[number] = all[number].or(bound);
            }
        })?;
        cancel.check()?;
        let bounds = Arc::new(measured.into_inner().unwrap_or_else(PoisonError::into_inner));
        *known = Known { versions, bounds: bounds.clone() };
        Ok(bounds)
    }
}
