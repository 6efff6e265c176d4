//! Calls that read back what the index holds.

use ivf::ffi::*;

use super::find::{Drawn, draw_factor, draw_k, draw_options};
use super::typed::Typed;
use crate::draw::Draw;
use crate::oracle::{Entry, Metric};
use crate::subject::{Found, fails, ok};
use crate::twin;
use crate::world::World;

/// Vectors of ids come back as they are stored; an id that is not there refuses them all.
pub(crate) fn reconstruct(world: &mut World, draw: &mut Draw) {
    let dim = world.model.dim;
    let count = world.model.count();
    let mut ids: Vec<i64> = Vec::new();
    for _ in 0..draw.count(40) {
        let known = world.model.entries().nth(draw.below(count)).map(|entry| entry.id);
        ids.push(if draw.chance(1) { world.id(draw) } else { known.unwrap_or(0) });
    }
    let mut rows = vec![f32::NAN; ids.len() * dim];
    let status = unsafe {
        ivf_reconstruct(world.index.0, ids.as_ptr(), ids.len() as u64, rows.as_mut_ptr(), dim as u32)
    };
    read_back(world, &ids, &rows, status);
}

/// The same of ids that follow each other.
pub(crate) fn reconstruct_range(world: &mut World, draw: &mut Draw) {
    let (dim, n) = (world.model.dim, draw.count(40));
    let known = world.model.entries().nth(draw.below(world.model.count())).map_or(0, |entry| entry.id);
    let first = if draw.chance(5) { world.id(draw) } else { known };
    let mut rows = vec![f32::NAN; n * dim];
    let status =
        unsafe { ivf_reconstruct_range(world.index.0, first, n as u64, rows.as_mut_ptr(), dim as u32) };
    let ids: Vec<i64> = (first..first + n as i64).collect();
    read_back(world, &ids, &rows, status);
}

fn read_back(world: &World, ids: &[i64], rows: &[f32], status: ivf_status) {
    if ids.iter().any(|&id| !world.model.has(id)) {
        return fails(status, IVF_E_NOT_FOUND);
    }
    ok(status);
    check_rows(world, ids, rows);
}

/// These are vectors of these ids, all of which there are.
fn check_rows(world: &World, ids: &[i64], rows: &[f32]) {
    if world.model.coded && !ids.is_empty() {
        return twin::check_rows(&world.index, &world.model, ids, rows);
    }
    for (&id, row) in ids.iter().zip(rows.chunks(world.model.dim)) {
        let same = |entry: &Entry| match world.model.metric {
            Metric::Cosine => entry.vector.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-6),
            _ => entry.vector == row,
        };
        assert!(world.model.entries().any(|entry| entry.id == id && same(entry)), "id {id}: {row:?}");
    }
}

/// What a search finds, with the vectors of it: NaN where nothing is.
pub(crate) fn search_and_reconstruct(world: &mut World, draw: &mut Draw) {
    let (n, k, dim) = (draw.count(60), draw_k(world, draw), world.model.dim);
    let queries = Typed::of(world.queries(draw, n), draw);
    let Drawn { mut options, mut ask, _filter } = draw_options(world, draw);
    (options.k_factor, ask.factor) = draw_factor(world, draw);
    let (mut found, mut vectors) = (Found::room(n, k), vec![0.5; n * k * dim]);
    options.hits = found.hits.as_mut_ptr();
    let (index, to) = (world.index.0, vectors.as_mut_ptr());
    let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    let (rows, columns, most) = (n as u64, dim as u32, k as u32);
    let status = unsafe {
        match queries.floats() {
            Some(x) => {
                ivf_search_and_reconstruct(index, x, rows, columns, most, distances, ids, to, &options)
            }
            None => {
                let (x, element) = (queries.start(), queries.element);
                ivf_search_and_reconstruct_typed(
                    index, x, element, rows, columns, most, distances, ids, to, &options,
                )
            }
        }
    };
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    world.check_search(&queries.floats, |model, _, query| model.visited(query, &ask), &ask, &found);
    let (mut there, mut rows) = (Vec::new(), Vec::new());
    for (&id, row) in found.ids.iter().zip(vectors.chunks(dim)) {
        if id < 0 {
            assert!(row.iter().all(|v| v.is_nan()), "{row:?}");
        } else {
            there.push(id);
            rows.extend(row);
        }
    }
    check_rows(world, &there, &rows);
}

/// All ids, ascending, each as often as it is there.
pub(crate) fn ids(world: &mut World, _: &mut Draw) {
    let mut expected: Vec<i64> = world.model.entries().map(|entry| entry.id).collect();
    expected.sort_unstable();
    let mut ids = vec![-77; expected.len()];
    ok(unsafe { ivf_ids(world.index.0, ids.as_mut_ptr(), ids.len() as u64) });
    assert_eq!(ids, expected);
    let mut more = vec![0; ids.len() + 1];
    fails(unsafe { ivf_ids(world.index.0, more.as_mut_ptr(), more.len() as u64) }, IVF_E_ARGUMENT);
}

/// Those that were trained or set, whatever the index has been through since.
pub(crate) fn centroids(world: &mut World, _: &mut Draw) {
    let (nlist, dim) = (world.model.lists.len(), world.model.dim);
    let mut centroids = vec![f32::NAN; nlist.max(1) * dim];
    let to = centroids.as_mut_ptr();
    let status = unsafe { ivf_centroids(world.index.0, to, nlist as u64, dim as u32) };
    if !world.model.is_ivf {
        return fails(status, IVF_E_STATE);
    }
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    assert_eq!(centroids, world.model.centroids.concat());
}
