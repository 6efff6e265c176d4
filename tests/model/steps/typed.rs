//! Rows of float16, bfloat16 and bytes, which count as the float32 that they stand for.

use std::ffi::c_void;
use std::ptr::null;

use ivf::ffi::*;

use super::change::{draw_known, updated};
use crate::draw::Draw;
use crate::oracle::{Ask, Element, Entry, Model};
use crate::subject::{Found, fails, ok, ranges, sized};
use crate::world::World;

/// Rows in a type of their own, and what they are as float32.
pub(super) struct Typed {
    pub(super) element: i32,
    halves: Vec<u16>,
    bytes: Vec<u8>,
    pub(super) floats: Vec<f32>,
}

impl Typed {
    fn draw(world: &World, draw: &mut Draw, n: usize) -> Self {
        let element = draw.pick(&[IVF_ELEMENT_F16, IVF_ELEMENT_BF16, IVF_ELEMENT_U8]);
        Self::rounded(world.rows(draw, n), element, draw)
    }

    /// These rows, or what another type makes of them.
    pub(super) fn of(rows: Vec<f32>, draw: &mut Draw) -> Self {
        let element =
            draw.pick(&[IVF_ELEMENT_F32, IVF_ELEMENT_F32, IVF_ELEMENT_F16, IVF_ELEMENT_BF16, IVF_ELEMENT_U8]);
        Self::rounded(rows, element, draw)
    }

    fn rounded(rows: Vec<f32>, element: i32, draw: &mut Draw) -> Self {
        let (mut halves, mut bytes) = (Vec::new(), Vec::new());
        let floats = rows
            .into_iter()
            .map(|value| match element {
                IVF_ELEMENT_F16 => {
                    let value = ivf::f16::from_f32(value);
                    halves.push(value.to_bits());
                    value.to_f32()
                }
                IVF_ELEMENT_BF16 => {
                    let value = ivf::bf16::from_f32(value);
                    halves.push(value.to_bits());
                    value.to_f32()
                }
                IVF_ELEMENT_U8 => {
                    let value = draw.below(9) as u8;
                    bytes.push(value);
                    f32::from(value)
                }
                _ => value,
            })
            .collect();
        Self { element, halves, bytes, floats }
    }

    /// Where they are float32: for the calls that take no element.
    pub(super) fn floats(&self) -> Option<*const f32> {
        (self.element == IVF_ELEMENT_F32).then_some(self.floats.as_ptr())
    }

    pub(super) fn start(&self) -> *const c_void {
        match self.element {
            IVF_ELEMENT_F32 => self.floats.as_ptr().cast(),
            IVF_ELEMENT_U8 => self.bytes.as_ptr().cast(),
            _ => self.halves.as_ptr().cast(),
        }
    }
}

pub(crate) fn add(world: &mut World, draw: &mut Draw) {
    let n = draw.count(200);
    let rows = Typed::draw(world, draw, n);
    let dim = world.model.dim as u32;
    let options = ivf_add_options { threads: draw.below(4) as u32, ..sized() };
    let status =
        unsafe { ivf_add_typed(world.index.0, rows.start(), rows.element, n as u64, dim, null(), &options) };
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    let first = world.model.next_id;
    let ids: Vec<i64> = (first..first + n as i64).collect();
    world.added(&rows.floats, &ids);
    world.model.next_id += n as i64;
}

pub(crate) fn search(world: &mut World, draw: &mut Draw) {
    let (n, k) = (draw.count(80), draw.within(1, 30));
    let queries = Typed::draw(world, draw, n);
    let ask = Ask { nprobe: draw.pick(&[1, 2, 5, 1000]), ..Ask::default() };
    let mut found = Found::room(n, k);
    let options = ivf_search_options {
        threads: draw.below(4) as u32,
        nprobe: ask.nprobe as u32,
        hits: found.hits.as_mut_ptr(),
        ..sized()
    };
    let status = unsafe {
        ivf_search_typed(
            world.index.0,
            queries.start(),
            queries.element,
            n as u64,
            world.model.dim as u32,
            k as u32,
            found.distances.as_mut_ptr(),
            found.ids.as_mut_ptr(),
            &options,
        )
    };
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    world.check_search(&queries.floats, |model, _, query| model.visited(query, &ask), &ask, &found);
}

pub(crate) fn update(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let ids = draw_known(world, draw);
    let rows = Typed::draw(world, draw, ids.len());
    let (n, dim, start) = (ids.len() as u64, world.model.dim as u32, rows.start());
    let status =
        unsafe { ivf_update_typed(world.index.0, ids.as_ptr(), start, rows.element, n, dim, null()) };
    updated(world, &ids, &rows.floats, status);
}

pub(crate) fn search_preassigned(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let (n, k) = (draw.count(40), draw.within(1, 30));
    let queries = Typed::draw(world, draw, n);
    let lists: Vec<i64> = (0..n).map(|_| draw.below(world.model.lists.len()) as i64).collect();
    let ask = Ask::default();
    let mut found = Found::room(n, k);
    let options = ivf_search_options { hits: found.hits.as_mut_ptr(), ..sized() };
    let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    let (start, element) = (queries.start(), queries.element);
    let (index, dim, n, k) = (world.index.0, world.model.dim as u32, n as u64, k as u32);
    ok(unsafe {
        let lists = lists.as_ptr();
        ivf_search_preassigned_typed(index, start, element, n, dim, k, lists, 1, distances, ids, &options)
    });
    world.check_search(&queries.floats, |_, q, _| Some(vec![lists[q] as usize]), &ask, &found);
}

pub(crate) fn range_search(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let n = draw.count(40);
    let queries = Typed::draw(world, draw, n);
    let radius = if world.model.exact { draw.below(60) as f32 } else { draw.unit() * 3.0 };
    let ask = Ask { nprobe: draw.pick(&[1, 2, 5, 1000]), ..Ask::default() };
    let options = ivf_search_options { nprobe: ask.nprobe as u32, ..sized() };
    let (index, start, element, dim) =
        (world.index.0, queries.start(), queries.element, world.model.dim as u32);
    let found = ranges(n, |result| unsafe {
        ivf_range_search_typed(index, start, element, n as u64, dim, radius, &options, result)
    });
    world.check_ranges(&queries.floats, radius, &ask, &found);
}

/// Queries and rows of types of their own.
pub(crate) fn knn(world: &mut World, draw: &mut Draw) {
    let (n, count, k) = (draw.count(20), draw.count(100), draw.within(1, 30));
    let (queries, rows) = (Typed::draw(world, draw, n), Typed::draw(world, draw, count));
    let (element, lists) = (Element::F32, vec![vec![]]);
    let mut model =
        Model { is_ivf: false, coded: false, points: 0, soar: 0.0, element, lists, ..world.model.clone() };
    for (id, row) in rows.floats.chunks(model.dim).enumerate() {
        let vector = model.stored(row);
        model.lists[0].push(Entry { id: id as i64, vector, second: None });
    }
    let mut found = Found::room(n, k);
    let options = ivf_search_options { hits: found.hits.as_mut_ptr(), ..sized() };
    ok(unsafe {
        ivf_knn_typed(
            world.context(draw).0,
            queries.start(),
            queries.element,
            n as u64,
            rows.start(),
            rows.element,
            count as u64,
            model.dim as u32,
            model.metric as i32,
            k as u32,
            found.distances.as_mut_ptr(),
            found.ids.as_mut_ptr(),
            &options,
        )
    });
    let own = std::mem::replace(&mut world.model, model);
    world.check_search(&queries.floats, |_, _, _| Some(vec![0]), &Ask::default(), &found);
    world.model = own;
}
