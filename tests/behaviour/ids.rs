//! Ids and the space of removed vectors.

use std::collections::HashSet;
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, ok, rows};

fn ids(index: &Index) -> Vec<i64> {
    let mut ids = vec![-1; usize::try_from(index.info().count).expect("small")];
    ok(unsafe { ivf_ids(index.0, ids.as_mut_ptr(), ids.len() as u64) });
    ids
}

fn remove(index: &Index, ids: &[i64]) {
    let mut removed = 0;
    ok(unsafe { ivf_remove(index.0, ids.as_ptr(), ids.len() as u64, &mut removed) });
    assert_eq!(removed, ids.len() as u64);
}

#[test]
fn no_id_is_handed_out_twice() {
    let (index, mut handed_out) = (Index::new("Flat", 4, IVF_METRIC_L2), HashSet::new());
    let mut own = 1000;
    for round in 0..12 {
        let before: HashSet<i64> = ids(&index).into_iter().collect();
        let next = i64::try_from(index.info().next_id).expect("small");
        index.add(&rows(5, 4), 4);
        let new: Vec<i64> = ids(&index).into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(new, (next..next + 5).collect::<Vec<_>>());
        assert!(new.iter().all(|&id| handed_out.insert(id)), "round {round}: {new:?}");
        match round % 4 {
            0 => remove(&index, &new),
            1 => remove(&index, &ids(&index)),
            2 => {
                // An id of one's own, given and taken back: the next ones lie beyond it.
                own += 500;
                ok(unsafe { ivf_add(index.0, rows(1, 4).as_ptr(), 1, 4, &own, null()) });
                assert!(handed_out.insert(own));
                remove(&index, &[own]);
            }
            _ => ok(unsafe { ivf_reset(index.0) }),
        }
    }
    // A copy and a merge know what was handed out as well.
    let mut clone = null_mut();
    ok(unsafe { ivf_index_clone(index.0, null(), &mut clone) });
    assert_eq!(Index(clone).info().next_id, index.info().next_id);
}

#[test]
fn lists_are_packed_past_a_fifth_of_dead_vectors() {
    let index = Index::filled("Flat", 4, IVF_METRIC_L2, 100);
    let bytes = index.info().vector_bytes;
    remove(&index, &(0..20).collect::<Vec<_>>());
    assert_eq!((index.info().count, index.info().dead), (80, 20));
    remove(&index, &[20]);
    assert_eq!((index.info().count, index.info().dead), (79, 0));
    assert!(index.info().vector_bytes < bytes, "the space has come back");
    assert_eq!(ids(&index), (21..100).collect::<Vec<_>>());
}
