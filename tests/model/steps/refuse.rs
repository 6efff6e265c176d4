//! Calls that must fail, and change nothing by it: what follows would notice.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::draw::Draw;
use crate::subject::{self, Found, c_path, fails, sized};
use crate::world::World;

/// NaN or infinity, another width, a negative id.
pub(crate) fn add(world: &mut World, draw: &mut Draw) {
    let (n, dim) = (draw.within(1, 50), world.model.dim);
    let mut rows = world.rows(draw, n);
    let add = |rows: &[f32], dim: usize, ids: *const i64| unsafe {
        ivf_add(world.index.0, rows.as_ptr(), n as u64, dim as u32, ids, null())
    };
    if draw.chance(30) {
        rows.extend(vec![0.0; n]);
        return fails(add(&rows, dim + 1, null()), IVF_E_DIMENSION);
    }
    if !world.trained() {
        return fails(add(&rows, dim, null()), IVF_E_NOT_TRAINED);
    }
    if draw.chance(40) {
        let mut ids: Vec<i64> = (0..n as i64).map(|i| world.model.next_id + i).collect();
        ids[draw.below(n)] = -1 - draw.below(3) as i64;
        return fails(add(&rows, dim, ids.as_ptr()), IVF_E_ARGUMENT);
    }
    rows[draw.below(n * dim)] = draw.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    fails(add(&rows, dim, null()), IVF_E_NOT_FINITE);
}

/// NaN, another width, k = 0.
pub(crate) fn search(world: &mut World, draw: &mut Draw) {
    let (n, dim) = (draw.within(1, 20), world.model.dim);
    let mut queries = world.rows(draw, n);
    queries.extend(vec![0.0; n]);
    let mut found = Found::room(n, 3);
    let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    let search = |queries: &[f32], dim: usize, k: u32| unsafe {
        ivf_search(world.index.0, queries.as_ptr(), n as u64, dim as u32, k, distances, ids, null())
    };
    fails(search(&queries, dim + 1, 3), IVF_E_DIMENSION);
    fails(search(&queries, dim, 0), IVF_E_ARGUMENT);
    if world.trained() {
        queries[draw.below(n * dim)] = draw.pick(&[f32::NAN, f32::INFINITY]);
        fails(search(&queries, dim, 3), IVF_E_NOT_FINITE);
    }
}

/// The flag is set before the call begins: one of all calls that have one.
pub(crate) fn cancelled(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let (n, columns) = (draw.within(1, 50), world.model.dim);
    let (rows, many) = (world.rows(draw, n), world.rows(draw, 64));
    let known: Vec<i64> = world.model.entries().map(|entry| entry.id).take(1).collect();
    let path = c_path(&world.files.path().join("cancelled.ivf"));
    let flag = 1i32;
    let (mut found, mut row) = (Found::room(n, 2), vec![0.0; columns]);
    let mut bytes = vec![0u8; subject::serialize(&world.index).len()];
    let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    let (index, x, dim) = (world.index.0, rows.as_ptr(), columns as u32);
    let (mut copy, mut result, mut size) = (null_mut(), null_mut(), 0);
    let add = ivf_add_options { cancel: &flag, ..sized() };
    let search = ivf_search_options { cancel: &flag, ..sized() };
    let train = ivf_train_options { cancel: &flag, ..sized() };
    let tune = ivf_tune_options { cancel: &flag, ..sized() };
    let io = ivf_io_options { cancel: &flag, ..sized() };
    let n = n as u64;
    let (first, some) = (known.first().copied().unwrap_or(0), known.len() as u64);
    let status = unsafe {
        match draw.below(15) {
            0 => ivf_add(index, x, n, dim, null(), &add),
            1 => ivf_search(index, x, n, dim, 2, distances, ids, &search),
            2 if world.model.is_ivf && known.is_empty() => ivf_train(index, many.as_ptr(), 64, dim, &train),
            3 => ivf_range_search(index, x, n, dim, 1.0, &search, &mut result),
            4 if some > 0 => ivf_update(index, &first, x, 1, dim, &add),
            5 if some > 0 => ivf_remove_v2(index, &first, 1, null_mut(), &add),
            6 => ivf_index_clone_v2(index, null(), &mut copy, &io),
            7 if some > 0 => ivf_reconstruct_v2(index, &first, 1, row.as_mut_ptr(), dim, &io),
            8 if some > 0 => ivf_reconstruct_range_v2(index, first, 1, row.as_mut_ptr(), dim, &io),
            9 => ivf_serialize_v2(index, bytes.as_mut_ptr().cast(), bytes.len() as u64, &mut size, &io),
            10 => ivf_save(index, path.as_ptr(), &io),
            11 if world.model.is_ivf && some > 0 => ivf_tune(index, x, n, dim, 1, 1.0, &tune, null_mut()),
            12 => ivf_query_expansion(index, x, n, dim, 2, 1.0, rows.clone().as_mut_ptr(), &search),
            14 if world.model.is_ivf && known.is_empty() => {
                let (nlist, to) = (world.model.lists.len() as u64, world.model.centroids.concat());
                ivf_set_centroids_v2(index, to.as_ptr(), nlist, dim, &add)
            }
            13 => {
                let knn = world.context(draw).0;
                ivf_knn(knn, x, n, many.as_ptr(), 64, dim, 1, 2, distances, ids, &search)
            }
            _ => return,
        }
    };
    fails(status, IVF_E_CANCELLED);
    assert!(copy.is_null() && result.is_null());
    assert!(!world.files.path().join("cancelled.ivf").exists());
}
