//! Rows of float16, bfloat16 and bytes, which count as the float32 that they stand for.

use std::ffi::c_void;
use std::ptr::null;

use ivf::ffi::*;

use crate::draw::Draw;
use crate::oracle::Ask;
use crate::subject::{Found, fails, ok, sized};
use crate::world::World;

/// Rows in a type of their own, and what they are as float32.
struct Typed {
    element: i32,
    halves: Vec<u16>,
    bytes: Vec<u8>,
    floats: Vec<f32>,
}

impl Typed {
    fn draw(world: &World, draw: &mut Draw, n: usize) -> Self {
        let element = draw.pick(&[IVF_ELEMENT_F16, IVF_ELEMENT_BF16, IVF_ELEMENT_U8]);
        let rows = world.rows(draw, n);
        let (mut halves, mut bytes) = (Vec::new(), Vec::new());
        let mut floats = Vec::new();
        for value in rows {
            match element {
                IVF_ELEMENT_F16 => {
                    let value = ivf::f16::from_f32(value);
                    halves.push(value.to_bits());
                    floats.push(value.to_f32());
                }
                IVF_ELEMENT_BF16 => {
                    let value = ivf::bf16::from_f32(value);
                    halves.push(value.to_bits());
                    floats.push(value.to_f32());
                }
                _ => {
                    let value = draw.below(9) as u8;
                    bytes.push(value);
                    floats.push(f32::from(value));
                }
            }
        }
        Self { element, halves, bytes, floats }
    }

    fn start(&self) -> *const c_void {
        match self.element {
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
