//! Calls that change the index.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use super::typed::Typed;
use crate::draw::Draw;
use crate::oracle::{Entry, Filter, Metric};
use crate::subject::{FilterHandle, c_path, fails, info, last_error, ok, sized};
use crate::world::World;

/// Trains on random rows; refused while there are vectors, and with fewer points than lists.
pub(crate) fn train(world: &mut World, draw: &mut Draw) {
    let dim = world.model.dim;
    let n = draw.within(1, 150);
    let rows = world.rows(draw, n);
    let options = ivf_train_options {
        threads: draw.below(4) as u32,
        iterations: draw.below(6) as u32,
        seed: draw.bits(),
        ..sized::<ivf_train_options>()
    };
    let rows = Typed::of(rows, draw);
    let (index, to) = (world.index.0, dim as u32);
    let status = unsafe {
        match rows.floats() {
            Some(x) => ivf_train(index, x, n as u64, to, &options),
            None => ivf_train_typed(index, rows.start(), rows.element, n as u64, to, &options),
        }
    };
    if world.model.count() > 0 {
        return fails(status, IVF_E_STATE);
    }
    // So few points that one list is enough for them.
    if world.model.soar > 0.0 && world.named.is_none() && status == IVF_E_ARGUMENT {
        return assert!(last_error().contains("two lists or more, got 1"), "{}", last_error());
    }
    if n < world.model.points {
        return fails(status, IVF_E_TOO_FEW_POINTS);
    }
    if !world.model.is_ivf {
        // Codes need it, plain vectors do not.
        world.model.lists.resize(1, Vec::new());
        world.model.curve = None;
        return ok(status);
    }
    if world.named.is_some_and(|nlist| n < nlist) {
        return fails(status, IVF_E_TOO_FEW_POINTS);
    }
    ok(status);
    let nlist = info(&world.index).nlist as usize;
    assert!((1..=n).contains(&nlist));
    world.named = Some(nlist);
    let mut centroids = read_centroids(world, nlist);
    if world.model.exact {
        // Means are no halves: the nearest ones go into their place.
        centroids.iter_mut().for_each(|v| *v = (*v * 2.0).round() / 2.0);
        give(world, &centroids);
    } else {
        world.model.train(centroids.chunks(dim).map(<[f32]>::to_vec).collect());
    }
}

pub(crate) fn set_centroids(world: &mut World, draw: &mut Draw) {
    if !world.model.is_ivf || world.model.count() > 0 {
        let centroids = world.rows(draw, 1);
        let status =
            unsafe { ivf_set_centroids(world.index.0, centroids.as_ptr(), 1, world.model.dim as u32) };
        return fails(status, IVF_E_STATE);
    }
    let nlist = world.named.unwrap_or(draw.within(1, 30));
    if world.model.soar > 0.0 && nlist == 1 {
        let centroids = world.rows(draw, 1);
        let dim = world.model.dim as u32;
        let status = unsafe { ivf_set_centroids(world.index.0, centroids.as_ptr(), 1, dim) };
        return fails(status, IVF_E_ARGUMENT);
    }
    let centroids = world.rows(draw, nlist);
    give(world, &centroids);
    if world.model.trains() {
        // Codes are trained behind the centroids, which stay where that was still to be done.
        let least = nlist.max(world.model.points);
        let (n, dim) = (draw.within(least, least + 100), world.model.dim);
        let rows = world.rows(draw, n);
        ok(unsafe { ivf_train(world.index.0, rows.as_ptr(), n as u64, dim as u32, null()) });
        let centroids = read_centroids(world, nlist);
        world.model.train(centroids.chunks(dim).map(<[f32]>::to_vec).collect());
    }
}

/// Sets centroids in both; they come back as they were given.
fn give(world: &mut World, centroids: &[f32]) {
    let dim = world.model.dim;
    let nlist = centroids.len() / dim;
    ok(unsafe { ivf_set_centroids(world.index.0, centroids.as_ptr(), nlist as u64, dim as u32) });
    world.named = Some(nlist);
    let back = read_centroids(world, nlist);
    let expected: Vec<f32> = centroids.chunks(dim).flat_map(|row| world.model.prepared(row)).collect();
    if world.model.metric == Metric::Cosine {
        assert!(back.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    } else {
        assert_eq!(back, expected);
    }
    world.model.train(back.chunks(dim).map(<[f32]>::to_vec).collect());
}

fn read_centroids(world: &World, nlist: usize) -> Vec<f32> {
    let dim = world.model.dim;
    let mut centroids = vec![f32::NAN; nlist * dim];
    ok(unsafe { ivf_centroids(world.index.0, centroids.as_mut_ptr(), nlist as u64, dim as u32) });
    assert!(centroids.iter().all(|v| v.is_finite()));
    centroids
}

pub(crate) fn add(world: &mut World, draw: &mut Draw) {
    let n = draw.count(900);
    let rows = world.rows(draw, n);
    let status = call_add(world, draw, &rows, None);
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    let first = world.model.next_id;
    let ids: Vec<i64> = (first..first + n as i64).collect();
    world.added(&rows, &ids);
    world.model.next_id += n as i64;
}

/// Adds the rows of a file; one that is cut off, or has a row that is no number, adds none of them.
pub(crate) fn add_file(world: &mut World, draw: &mut Draw) {
    let (n, dim) = (draw.within(1, 60), world.model.dim);
    let mut rows = world.rows(draw, n);
    let spoilt = draw.chance(10);
    if spoilt {
        rows[draw.below(n * dim)] = f32::NAN;
    }
    let columns = (dim as i32).to_le_bytes();
    let values = |row: &[f32]| row.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut file: Vec<u8> = rows.chunks(dim).flat_map(|row| [&columns[..], &values(row)].concat()).collect();
    let cut = draw.chance(10);
    if cut {
        file.pop();
    }
    let path = world.files.path().join("rows.fvecs");
    std::fs::write(&path, file).expect("room");
    let mut added = 99;
    let path = c_path(&path);
    let status = unsafe { ivf_add_file(world.index.0, path.as_ptr(), null(), &mut added) };
    match () {
        () if !world.trained() => return fails(status, IVF_E_NOT_TRAINED),
        () if cut => return fails(status, IVF_E_CORRUPT),
        () if spoilt => return fails(status, IVF_E_NOT_FINITE),
        () => ok(status),
    }
    assert_eq!(added, n as u64, "added");
    let first = world.model.next_id;
    let ids: Vec<i64> = (first..first + n as i64).collect();
    world.added(&rows, &ids);
    world.model.next_id += n as i64;
}

/// Adds under ids of its own, new or not: a batch with an id twice is refused unless that is allowed.
pub(crate) fn add_with_ids(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let n = draw.count(120);
    let rows = world.rows(draw, n);
    let next = world.model.next_id;
    let fresh = draw.chance(70);
    let ids: Vec<i64> = (0..n as i64)
        .map(|i| if fresh { next + 3 * i + draw.below(3) as i64 } else { world.id(draw) })
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    let twice = sorted.windows(2).any(|pair| pair[0] == pair[1]) || ids.iter().any(|&id| world.model.has(id));
    let status = call_add(world, draw, &rows, Some(&ids));
    if twice && !world.model.duplicates {
        return fails(status, IVF_E_DUPLICATE_ID);
    }
    ok(status);
    world.added(&rows, &ids);
    world.model.next_id = sorted.last().map_or(next, |&last| next.max(last + 1));
}

fn call_add(world: &World, draw: &mut Draw, rows: &[f32], ids: Option<&[i64]>) -> ivf_status {
    let n = (rows.len() / world.model.dim) as u64;
    let options = ivf_add_options { threads: draw.below(4) as u32, ..sized::<ivf_add_options>() };
    let ids = ids.map_or(null(), <[i64]>::as_ptr);
    unsafe { ivf_add(world.index.0, rows.as_ptr(), n, world.model.dim as u32, ids, &options) }
}

/// Removes a few, or a share, some of them not there; the space may come back or not.
pub(crate) fn remove(world: &mut World, draw: &mut Draw) {
    let mut ids: Vec<i64> = (0..draw.count(60)).map(|_| world.id(draw)).collect();
    if draw.chance(15) {
        let (share, rest) = (draw.within(2, 9) as i64, draw.below(9) as i64);
        ids.extend(world.model.entries().map(|entry| entry.id).filter(|id| id % share == rest % share));
    }
    let before = world.model.count();
    for list in &mut world.model.lists {
        list.retain(|entry| !ids.contains(&entry.id));
    }
    let gone = before - world.model.count();
    world.model.age(gone);
    let mut removed = 99;
    let told = draw.chance(80);
    let to = if told { &raw mut removed } else { null_mut() };
    ok(unsafe { ivf_remove(world.index.0, ids.as_ptr(), ids.len() as u64, to) });
    if told {
        assert_eq!(removed, gone as u64, "removed");
    }
}

/// Replaces vectors in place; each goes to the list that it then belongs to.
pub(crate) fn update(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let ids = draw_known(world, draw);
    let rows = world.rows(draw, ids.len());
    let options = ivf_add_options { threads: draw.below(4) as u32, ..sized::<ivf_add_options>() };
    let (n, dim) = (ids.len() as u64, world.model.dim as u32);
    let status = unsafe { ivf_update(world.index.0, ids.as_ptr(), rows.as_ptr(), n, dim, &options) };
    updated(world, &ids, &rows, status);
}

/// Ids to update: with luck each once, and all there.
pub(super) fn draw_known(world: &World, draw: &mut Draw) -> Vec<i64> {
    let count = world.model.count();
    let mut ids: Vec<i64> = Vec::new();
    for _ in 0..draw.count(80).min(count) {
        let known = world.model.entries().nth(draw.below(count)).expect("below the count").id;
        let id = if draw.chance(1) { world.id(draw) } else { known };
        // Twice is refused, as is an id that is not there.
        if !ids.contains(&id) || draw.chance(1) {
            ids.push(id);
        }
    }
    ids
}

/// Does in the model what an update with this answer has done.
pub(super) fn updated(world: &mut World, ids: &[i64], rows: &[f32], status: ivf_status) {
    if (1..ids.len()).any(|i| ids[..i].contains(&ids[i])) {
        return fails(status, IVF_E_DUPLICATE_ID);
    }
    if ids.iter().any(|&id| !world.model.has(id)) {
        return fails(status, IVF_E_NOT_FOUND);
    }
    ok(status);
    world.model.age(ids.len());
    for (row, &id) in rows.chunks(world.model.dim).zip(ids) {
        let (list, second) = world.lists_of_only(row, id);
        let vector = world.model.stored(row);
        let mut kept = false;
        for (number, entries) in world.model.lists.iter_mut().enumerate() {
            entries.retain_mut(|entry| {
                // The first of an id in its list keeps its place.
                let stays = entry.id != id || (number == list && !std::mem::replace(&mut kept, true));
                if stays && entry.id == id {
                    entry.vector.clone_from(&vector);
                    entry.second = second;
                }
                stays
            });
        }
        if !kept {
            world.model.lists[list].push(Entry { id, vector, second });
        }
    }
}

pub(crate) fn remove_filter(world: &mut World, draw: &mut Draw) {
    let filter = Filter::draw(draw, world.model.next_id % 100_000, 2);
    let before = world.model.count();
    for list in &mut world.model.lists {
        list.retain(|entry| !filter.passes(entry.id));
    }
    world.model.age(before - world.model.count());
    let mut removed = 99;
    ok(unsafe { ivf_remove_filter(world.index.0, FilterHandle::new(&filter).0, &mut removed) });
    assert_eq!(removed, (before - world.model.count()) as u64, "removed");
}

pub(crate) fn reset(world: &mut World, _: &mut Draw) {
    ok(unsafe { ivf_reset(world.index.0) });
    world.model.lists.iter_mut().for_each(Vec::clear);
    world.model.curve = None;
}

pub(crate) fn compact(world: &mut World, _: &mut Draw) {
    ok(unsafe { ivf_compact(world.index.0) });
    assert_eq!(info(&world.index).dead, 0);
}
