//! Calls on whole indexes: copies, and taking in another's vectors.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::draw::Draw;
use crate::oracle::{Entry, Filter};
use crate::subject::{FilterHandle, Index, fails, ok, sized};
use crate::world::World;

fn copy(world: &World, draw: &mut Draw) -> Index {
    let context = if draw.chance(30) { null() } else { world.context(draw).0.cast_const() };
    let mut clone = null_mut();
    ok(unsafe { ivf_index_clone(world.index.0, context, &mut clone) });
    Index(clone)
}

/// The index goes on as its copy; what happens to the original is nothing to it.
pub(crate) fn clone(world: &mut World, draw: &mut Draw) {
    let clone = copy(world, draw);
    let original = std::mem::replace(&mut world.index, clone);
    ok(unsafe { ivf_reset(original.0) });
}

/// Takes in part of a copy under shifted ids; unshifted they clash.
pub(crate) fn merge(world: &mut World, draw: &mut Draw) {
    if !world.trained() || world.model.count() > 3000 || world.model.next_id > 1 << 40 {
        return;
    }
    let other = copy(world, draw);
    let filter = Filter::draw(draw, world.model.next_id % 100_000, 1);
    ok(unsafe { ivf_remove_filter(other.0, FilterHandle::new(&filter).0, null_mut()) });
    let left: Vec<Vec<Entry>> = world
        .model
        .lists
        .iter()
        .map(|list| list.iter().filter(|entry| !filter.passes(entry.id)).cloned().collect())
        .collect();
    let count: usize = left.iter().map(Vec::len).sum();
    let shift = if draw.chance(20) { 0 } else { world.model.next_id + draw.below(3) as i64 };
    let mut merged = 99;
    let options = ivf_add_options { threads: draw.below(4) as u32, ..sized() };
    let status = unsafe { ivf_merge(world.index.0, other.0, shift, &mut merged, &options) };
    if shift == 0 && count > 0 && !world.model.duplicates {
        return fails(status, IVF_E_DUPLICATE_ID);
    }
    ok(status);
    assert_eq!(merged, count as u64, "merged");
    world.model.age(count);
    for (list, entries) in world.model.lists.iter_mut().zip(left) {
        for entry in entries {
            let id = entry.id + shift;
            world.model.next_id = world.model.next_id.max(id + 1);
            list.push(Entry { id, ..entry });
        }
    }
}
