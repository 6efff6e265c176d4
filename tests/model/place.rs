//! Which lists the vectors of an index are in: as the model has it, and as the index where rounding decides.

use std::collections::{HashMap, HashSet};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::oracle::{Entry, Filter};
use crate::subject::{FilterHandle, Found, Index, ok};
use crate::world::World;

impl World {
    /// Puts rows that the index has taken into the model.
    pub(crate) fn added(&mut self, rows: &[f32], ids: &[i64]) {
        let mut members = HashMap::new();
        for (row, &id) in rows.chunks(self.model.dim).zip(ids) {
            let list = self.list_of(row, id);
            let second = self.second_of(row, id, list, &mut members);
            let vector = self.model.stored(row);
            self.model.lists[list].push(Entry { id, vector, second });
        }
        self.model.age(ids.len());
    }

    /// The list of a row; where rounding decides, the index says which.
    fn list_of(&self, row: &[f32], id: i64) -> usize {
        let lists = self.model.list_of(&self.model.prepared(row));
        if self.model.soar > 0.0 {
            return self.first_of(&lists, id);
        }
        if let [list] = lists[..] {
            return list;
        }
        let held = |list: usize| self.model.lists[list].iter().filter(|entry| entry.id == id).count();
        let found = lists.iter().copied().find(|&list| self.count_in(list, id) > held(list));
        found.unwrap_or_else(|| panic!("id {id} is in none of its lists {lists:?}"))
    }

    /// The lists of a row whose id the index has once.
    pub(crate) fn lists_of_only(&self, row: &[f32], id: i64) -> (usize, Option<usize>) {
        let lists = self.model.list_of(&self.model.prepared(row));
        let list = match lists[..] {
            _ if self.model.soar > 0.0 => self.first_of(&lists, id),
            [list] => list,
            _ => {
                let found = lists.iter().copied().find(|&list| self.count_in(list, id) > 0);
                found.unwrap_or_else(|| panic!("id {id} is in none of its lists {lists:?}"))
            }
        };
        (list, self.second_of(row, id, list, &mut HashMap::new()))
    }

    /// Which of these lists holds a vector itself, not a copy: of a copy of the index where nothing else is left.
    fn first_of(&self, lists: &[usize], id: i64) -> usize {
        if let [list] = lists {
            return *list;
        }
        let mut copy = null_mut();
        ok(unsafe { ivf_index_clone(self.index.0, null(), &mut copy) });
        let copy = Index(copy);
        let others = FilterHandle::new(&Filter::Not(Box::new(Filter::Ids(vec![id]))));
        ok(unsafe { ivf_remove_filter(copy.0, others.0, null_mut()) });
        let mut sizes = vec![0; self.model.lists.len()];
        ok(unsafe { ivf_list_sizes(copy.0, sizes.as_mut_ptr(), sizes.len() as u64) });
        let found = lists.iter().copied().find(|&list| sizes[list] == 1);
        found.unwrap_or_else(|| panic!("id {id} is in none of its lists {lists:?}"))
    }

    /// The list that a row is copied to, of those that it may be; `members` keeps what lists hold.
    fn second_of(
        &self,
        row: &[f32],
        id: i64,
        first: usize,
        members: &mut HashMap<usize, HashSet<i64>>,
    ) -> Option<usize> {
        if self.model.soar == 0.0 || self.model.coded {
            return None;
        }
        let lists = self.model.seconds_of(&self.model.prepared(row), first);
        if let [list] = lists[..] {
            return Some(list);
        }
        let mut is_in = |list| {
            members.entry(list).or_insert_with(|| self.ids_in(list).into_iter().collect()).contains(&id)
        };
        let found = lists.iter().copied().find(|&list| is_in(list));
        Some(found.unwrap_or_else(|| panic!("id {id} is copied to none of its lists {lists:?}")))
    }

    /// How often the index has an id in a list.
    fn count_in(&self, list: usize, id: i64) -> usize {
        self.ids_in(list).into_iter().filter(|&got| got == id).count()
    }

    /// What the index finds in a list, -1 for nothing.
    fn ids_in(&self, list: usize) -> Vec<i64> {
        // The model may not know of all yet.
        let k = self.model.count() + 1000;
        let mut found = Found::room(1, k);
        let (query, list) = (vec![0.0; self.model.dim], list as i64);
        let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
        let (index, dim, k) = (self.index.0, self.model.dim as u32, k as u32);
        ok(unsafe {
            ivf_search_preassigned(index, query.as_ptr(), 1, dim, k, &list, 1, distances, ids, null())
        });
        found.ids
    }
}
