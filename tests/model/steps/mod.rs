//! What can be done to an index: the table that the test draws from.

mod carry;
mod change;
mod find;
mod mix;
mod read;
mod recall;
mod refuse;
mod typed;
mod whole;

use crate::draw::Draw;
use crate::world::World;

/// A kind of call.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// How often it is drawn, beside the others.
    pub(crate) weight: usize,
    pub(crate) run: fn(&mut World, &mut Draw),
}

const fn step(name: &'static str, weight: usize, run: fn(&mut World, &mut Draw)) -> Step {
    Step { name, weight, run }
}

/// All of them.
pub(crate) const STEPS: &[Step] = &[
    step("create", 1, |world, draw| world.recreate(draw)),
    step("train", 5, change::train),
    step("set_centroids", 4, change::set_centroids),
    step("add", 14, change::add),
    step("add with ids", 8, change::add_with_ids),
    step("add_file", 3, change::add_file),
    step("remove", 8, change::remove),
    step("update", 6, change::update),
    step("remove by filter", 2, change::remove_filter),
    step("add typed", 4, typed::add),
    step("merge", 3, whole::merge),
    step("clone", 2, whole::clone),
    step("update typed", 3, typed::update),
    step("search typed", 5, typed::search),
    step("search_preassigned typed", 2, typed::search_preassigned),
    step("range_search typed", 3, typed::range_search),
    step("knn typed", 2, typed::knn),
    step("reset", 1, change::reset),
    step("compact", 3, change::compact),
    step("search", 28, find::search),
    step("search_preassigned", 8, find::search_preassigned),
    step("range_search", 8, find::range_search),
    step("reconstruct", 4, read::reconstruct),
    step("reconstruct_range", 3, read::reconstruct_range),
    step("search_and_reconstruct", 4, read::search_and_reconstruct),
    step("ids", 2, read::ids),
    step("centroids", 2, read::centroids),
    step("query_expansion", 3, mix::query_expansion),
    step("blend", 3, mix::blend),
    step("tune", 5, recall::tune),
    step("search for a recall", 5, recall::search_for_recall),
    step("knn", 4, find::knn),
    step("kmeans", 1, find::kmeans),
    step("save and load", 3, carry::save_and_load),
    step("serialize and deserialize", 3, carry::serialize_and_deserialize),
    step("stream", 3, carry::stream),
    step("export for faiss", 2, carry::export_faiss),
    step("refused add", 4, refuse::add),
    step("refused search", 3, refuse::search),
    step("cancelled", 5, refuse::cancelled),
];
