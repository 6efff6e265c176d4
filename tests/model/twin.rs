//! The model of a world of codes: what a code stands for only the library knows, so that its answers are compared, to
//! the last bit, with those of an index that is built anew of the same rows with the same training. Whatever updates,
//! merges, copies and files make of an index, its codes are those of its rows.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::oracle::{Ask, Model};
use crate::subject::{FilterHandle, Found, Index, Ranges, ok, options, range_search};

/// An empty copy of the index to which the model's rows are added, list after list.
pub(crate) fn build(index: &Index, model: &Model) -> Index {
    let mut copy = null_mut();
    ok(unsafe { ivf_index_clone(index.0, null(), &mut copy) });
    let twin = Index(copy);
    ok(unsafe { ivf_reset(twin.0) });
    let rows: Vec<f32> = model.entries().flat_map(|entry| entry.vector.iter().copied()).collect();
    let ids: Vec<i64> = model.entries().map(|entry| entry.id).collect();
    let (n, dim) = (ids.len() as u64, model.dim as u32);
    ok(unsafe { ivf_add(twin.0, rows.as_ptr(), n, dim, ids.as_ptr(), null()) });
    twin
}

/// Compares what queries found in the lists that they visit, each padded with -1 to as many; `None` is left out.
pub(crate) fn check_search(
    index: &Index,
    model: &Model,
    queries: &[f32],
    lists: &[Option<Vec<usize>>],
    ask: &Ask,
    found: &Found,
) {
    let twin = build(index, model);
    let (n, k) = (lists.len(), found.k);
    let columns = lists.iter().flatten().map(Vec::len).max().unwrap_or(0).max(1);
    let visited: Vec<i64> = lists
        .iter()
        .flat_map(|row| {
            (0..columns).map(|i| row.as_ref().and_then(|row| row.get(i)).map_or(-1, |&l| l as i64))
        })
        .collect();
    let filter = ask.filter.as_ref().map(FilterHandle::new);
    let mut expected = Found::room(n, k);
    let mut options = options(ask, filter.as_ref());
    options.hits = expected.hits.as_mut_ptr();
    let (x, dim, most) = (queries.as_ptr(), model.dim as u32, k as u32);
    let (distances, ids) = (expected.distances.as_mut_ptr(), expected.ids.as_mut_ptr());
    let all = lists.iter().flatten().all(|row| row.len() == model.lists.len());
    if model.soar > 0.0 && all && !ask.given && ask.scale == 0.0 {
        // Who visits all lists meets no copies, whose codes are others.
        ok(unsafe { ivf_search(twin.0, x, n as u64, dim, most, distances, ids, &options) });
    } else {
        // The lists say which.
        (options.nprobe, options.probe_scale) = (0, 0.0);
        let (visited, columns) = (visited.as_ptr(), columns as u32);
        ok(unsafe {
            ivf_search_preassigned(twin.0, x, n as u64, dim, most, visited, columns, distances, ids, &options)
        });
    }
    for q in (0..n).filter(|&q| lists[q].is_some()) {
        let row = q * k..(q + 1) * k;
        assert_eq!(found.ids[row.clone()], expected.ids[row.clone()], "query {q}: {ask:?} in {:?}", lists[q]);
        assert_eq!(found.distances[row.clone()], expected.distances[row], "query {q}: distances");
        assert_eq!(found.hits[q], expected.hits[q], "query {q}: hits");
    }
}

pub(crate) fn check_ranges(
    index: &Index,
    model: &Model,
    queries: &[f32],
    radius: f32,
    ask: &Ask,
    found: &Ranges,
) {
    let filter = ask.filter.as_ref().map(FilterHandle::new);
    let options = options(ask, filter.as_ref());
    let expected = range_search(&build(index, model), queries, model.dim, radius, &options);
    assert_eq!(found.offsets, expected.offsets, "offsets: {ask:?}");
    assert_eq!((&found.ids, &found.distances), (&expected.ids, &expected.distances), "{ask:?}");
}

/// The vectors of these ids, all of which there are.
pub(crate) fn check_rows(index: &Index, model: &Model, ids: &[i64], rows: &[f32]) {
    let mut expected = vec![f32::NAN; rows.len()];
    let (n, dim) = (ids.len() as u64, model.dim as u32);
    let twin = build(index, model);
    ok(unsafe { ivf_reconstruct(twin.0, ids.as_ptr(), n, expected.as_mut_ptr(), dim) });
    assert_eq!(rows, expected, "vectors of {ids:?}");
}
