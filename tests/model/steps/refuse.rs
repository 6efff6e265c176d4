//! Calls that must fail, and change nothing by it: what follows would notice.

use std::ptr::null;

use ivf::ffi::*;

use crate::draw::Draw;
use crate::subject::{Found, fails, sized};
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

/// The flag is set before the call begins.
pub(crate) fn cancelled(world: &mut World, draw: &mut Draw) {
    let (n, dim) = (draw.within(1, 50), world.model.dim as u32);
    let rows = world.rows(draw, n);
    let flag = 1i32;
    let mut found = Found::room(n, 2);
    if !world.trained() {
        return;
    }
    unsafe {
        let add = ivf_add_options { cancel: &flag, ..sized() };
        fails(ivf_add(world.index.0, rows.as_ptr(), n as u64, dim, null(), &add), IVF_E_CANCELLED);
        let search = ivf_search_options { cancel: &flag, ..sized() };
        let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
        let status = ivf_search(world.index.0, rows.as_ptr(), n as u64, dim, 2, distances, ids, &search);
        fails(status, IVF_E_CANCELLED);
        if world.model.is_ivf && world.model.count() == 0 {
            let train = ivf_train_options { cancel: &flag, ..sized() };
            let many = world.rows(draw, 64);
            fails(ivf_train(world.index.0, many.as_ptr(), 64, dim, &train), IVF_E_CANCELLED);
        }
    }
}
