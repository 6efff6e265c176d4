//! Calls that carry the index elsewhere: files, memory, faiss.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::draw::Draw;
use crate::oracle::{Ask, Element, Metric, Model};
use crate::subject::{self, Found, Index, c_path, fails, ok, sized};
use crate::world::World;

fn load(world: &World, draw: &mut Draw, path: &std::path::Path, memory_map: bool) -> Index {
    let options = ivf_io_options {
        threads: draw.below(4) as u32,
        memory_map: memory_map.into(),
        skip_verify: u32::from(draw.chance(20)),
        ..sized::<ivf_io_options>()
    };
    let mut index = null_mut();
    ok(unsafe { ivf_load(world.context(draw).0, c_path(path).as_ptr(), &options, &mut index) });
    Index(index)
}

/// The index goes on as the one that is loaded. Few names: a file is often replaced that is mapped.
pub(crate) fn save_and_load(world: &mut World, draw: &mut Draw) {
    let path = world.files.path().join(draw.pick(&["a.ivf", "b.ivf", "\u{444}\u{430}\u{439}\u{43b}.ivf"]));
    subject::save(&world.index, &path);
    ok(unsafe { ivf_check(world.context(draw).0, c_path(&path).as_ptr(), null()) });
    let map = draw.chance(50);
    world.index = load(world, draw, &path, map);
}

pub(crate) fn serialize_and_deserialize(world: &mut World, draw: &mut Draw) {
    let bytes = subject::serialize(&world.index);
    let mut index = null_mut();
    let (data, size) = (bytes.as_ptr().cast(), bytes.len() as u64);
    ok(unsafe { ivf_deserialize(world.context(draw).0, data, size, &sized(), &mut index) });
    world.index = Index(index);
}

/// What a stream of the test gives and takes: a piece at a time, and more behind the index.
struct Stream {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

unsafe extern "C" fn write(data: *const c_void, size: u64, stream: *mut c_void) -> i32 {
    let stream = unsafe { &mut *stream.cast::<Stream>() };
    stream.bytes.extend(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size as usize) });
    0
}

unsafe extern "C" fn read(buffer: *mut c_void, size: u64, stream: *mut c_void) -> i64 {
    let stream = unsafe { &mut *stream.cast::<Stream>() };
    let count = stream.piece.min(size as usize).min(stream.bytes.len() - stream.at);
    unsafe { buffer.cast::<u8>().copy_from(stream.bytes[stream.at..].as_ptr(), count) };
    stream.at += count;
    count as i64
}

/// The index goes on as what comes out of a stream, of which it takes no byte too many.
pub(crate) fn stream(world: &mut World, draw: &mut Draw) {
    let mut stream = Stream { bytes: Vec::new(), at: 0, piece: draw.within(1, 5000) };
    let through = (&raw mut stream).cast();
    ok(unsafe { ivf_save_stream(world.index.0, Some(write), through, &sized()) });
    assert_eq!(stream.bytes, subject::serialize(&world.index));
    let size = stream.bytes.len();
    stream.bytes.extend([7; 40]);
    let mut index = null_mut();
    let through = (&raw mut stream).cast();
    ok(unsafe { ivf_load_stream(world.context(draw).0, Some(read), through, &sized(), &mut index) });
    assert_eq!(stream.at, size);
    world.index = Index(index);
}

/// What faiss would read finds the same; the index goes on as it was.
pub(crate) fn export_faiss(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let path = world.files.path().join("faiss.index");
    let status = unsafe { ivf_export_faiss(world.index.0, c_path(&path).as_ptr(), &sized()) };
    if status == IVF_E_UNSUPPORTED {
        let Model { element, duplicates, .. } = world.model;
        assert!(element != Element::F32 || duplicates || world.model.trains(), "{}", subject::last_error());
        return fails(status, IVF_E_UNSUPPORTED);
    }
    ok(status);
    let other = load(world, draw, &path, false);
    if world.model.trains() && world.model.metric == Metric::Cosine {
        // Rows are normalised in another place then: their codes may be others.
        return;
    }
    let (n, k) = (draw.within(1, 20), draw.within(1, 15));
    let rows = world.queries(draw, n);
    // faiss has no cosine: inner product of normalised vectors.
    let queries: Vec<f32> = rows.chunks(world.model.dim).flat_map(|row| world.model.prepared(row)).collect();
    let ask = Ask { nprobe: draw.within(1, 9), ..Ask::default() };
    let mut found = Found::room(n, k);
    let options = ivf_search_options { nprobe: ask.nprobe as u32, hits: found.hits.as_mut_ptr(), ..sized() };
    let (dim, distances, ids) =
        (world.model.dim as u32, found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    ok(unsafe { ivf_search(other.0, queries.as_ptr(), n as u64, dim, k as u32, distances, ids, &options) });
    let metric = if world.model.metric == Metric::Cosine { Metric::InnerProduct } else { world.model.metric };
    // Nor has it second lists.
    let model = Model { metric, soar: 0.0, ..world.model.clone() };
    let own = (std::mem::replace(&mut world.model, model), std::mem::replace(&mut world.index, other));
    world.check_search(&queries, |model, _, query| model.visited(query, &ask), &ask, &found);
    (world.model, world.index) = own;
}
