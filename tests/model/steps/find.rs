//! Calls that look for something and change nothing.

use std::ptr::null;

use ivf::ffi::*;

use super::typed::Typed;
use crate::draw::Draw;
use crate::oracle::{Ask, Element, Entry, Filter, Model};
use crate::subject::{self, FilterHandle, Found, fails, ok, sized};
use crate::world::World;

/// How to search: options that the library gets, and the same for the model.
pub(super) struct Drawn {
    pub(super) options: ivf_search_options,
    pub(super) ask: Ask,
    /// What `options.filter` points at.
    pub(super) _filter: Option<FilterHandle>,
}

pub(super) fn draw_options(world: &World, draw: &mut Draw) -> Drawn {
    let count = world.model.count();
    let filter = draw.chance(35).then(|| Filter::draw(draw, world.model.next_id % 100_000, 3));
    let handle = filter.as_ref().map(FilterHandle::new);
    let ask = Ask {
        given: false,
        nprobe: draw.pick(&[0, 1, 2, 3, 7, 1000]),
        max_codes: if draw.chance(25) { draw.within(1, count + 10) } else { 0 },
        list_max: if draw.chance(8) { draw.within(1, 60) } else { 0 },
        codes: if draw.chance(8) { draw.within(1, count + 10) } else { 0 },
        share: 0.0,
        scale: if draw.chance(15) { draw.pick(&[0.05, 0.3, 1.0, 20.0]) } else { 0.0 },
        factor: 0.0,
        filter,
    };
    let share = if ask.codes == 0 && draw.chance(8) { draw.pick(&[0.1, 0.25, 0.5, 1.0]) } else { 0.0 };
    let ask = Ask { share, ..ask };
    let ask = if world.model.ordered || world.model.soar > 0.0 {
        Ask { nprobe: ask.nprobe, scale: ask.scale, filter: ask.filter, ..Ask::default() }
    } else {
        ask
    };
    let options =
        ivf_search_options { threads: draw.below(4) as u32, ..subject::options(&ask, handle.as_ref()) };
    Drawn { options, ask, _filter: handle }
}

/// For both: all candidates, by the bounds of their codes or one by one.
pub(super) fn draw_factor(world: &World, draw: &mut Draw) -> (f32, f32) {
    let factor = if world.model.proven && draw.chance(30) { f32::INFINITY } else { 0.0 };
    (factor, factor)
}

pub(super) fn draw_k(world: &World, draw: &mut Draw) -> usize {
    match draw.below(10) {
        0..=5 => draw.within(1, 12),
        6 | 7 => draw.within(13, 40),
        8 => draw.within(41, 120),
        _ => world.model.count() + draw.within(1, 5),
    }
}

pub(crate) fn search(world: &mut World, draw: &mut Draw) {
    let (n, k) = (draw.count(250), draw_k(world, draw));
    let queries = world.queries(draw, n);
    let Drawn { mut options, mut ask, _filter } = draw_options(world, draw);
    (options.k_factor, ask.factor) = draw_factor(world, draw);
    let mut found = Found::room(n, k);
    options.hits = found.hits.as_mut_ptr();
    let (dim, distances, ids) =
        (world.model.dim as u32, found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
    let status = unsafe {
        ivf_search(world.index.0, queries.as_ptr(), n as u64, dim, k as u32, distances, ids, &options)
    };
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    world.check_search(&queries, |model, _, query| model.visited(query, &ask), &ask, &found);
}

pub(crate) fn search_preassigned(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let (n, k, columns) = (draw.count(60), draw_k(world, draw), draw.within(1, 6));
    let queries = world.queries(draw, n);
    let nlist = world.model.lists.len();
    // Each list once a query, in any order, with gaps.
    let mut lists = Vec::new();
    for _ in 0..n {
        let first = draw.below(nlist);
        let row = (0..columns).map(|i| if i < nlist { ((first + i) % nlist) as i64 } else { -1 });
        lists.extend(row.map(|list| if draw.chance(15) { -1 } else { list }));
    }
    let Drawn { mut options, mut ask, _filter } = draw_options(world, draw);
    (options.nprobe, ask.nprobe, ask.given) = (0, 0, true);
    (options.probe_scale, ask.scale) = (0.0, 0.0);
    (options.k_factor, ask.factor) = draw_factor(world, draw);
    let mut found = Found::room(n, k);
    options.hits = found.hits.as_mut_ptr();
    ok(unsafe {
        ivf_search_preassigned(
            world.index.0,
            queries.as_ptr(),
            n as u64,
            world.model.dim as u32,
            k as u32,
            lists.as_ptr(),
            columns as u32,
            found.distances.as_mut_ptr(),
            found.ids.as_mut_ptr(),
            &options,
        )
    });
    let given = |_: &Model, q: usize, _: &[f32]| {
        let row = &lists[q * columns..(q + 1) * columns];
        Some(row.iter().filter_map(|&list| usize::try_from(list).ok()).collect())
    };
    world.check_search(&queries, given, &ask, &found);
}

/// Every vector within a radius that some vector often has exactly.
pub(crate) fn range_search(world: &mut World, draw: &mut Draw) {
    if !world.trained() {
        return;
    }
    let n = draw.count(60);
    let queries = world.queries(draw, n);
    let mut radius = if world.model.exact { draw.below(60) as f32 } else { draw.unit() * 3.0 };
    if let Some(entry) = world.model.entries().next()
        && n > 0
        && draw.chance(60)
    {
        let query = world.model.prepared(&queries[..world.model.dim]);
        radius = world.model.value(world.model.key(&query, &entry.vector)) as f32;
    }
    let Drawn { options, ask, _filter } = draw_options(world, draw);
    let found = subject::range_search(&world.index, &queries, world.model.dim, radius, &options);
    world.check_ranges(&queries, radius, &ask, &found);
}

/// Data against data, with a model of its own.
pub(crate) fn knn(world: &mut World, draw: &mut Draw) {
    let (n, count, k) = (draw.count(40), draw.count(200), draw.within(1, 60));
    let (queries, rows) = (world.queries(draw, n), world.rows(draw, count));
    let (element, lists) = (Element::F32, vec![vec![]]);
    let mut model =
        Model { is_ivf: false, coded: false, points: 0, soar: 0.0, element, lists, ..world.model.clone() };
    for (id, row) in rows.chunks(model.dim).enumerate() {
        let vector = model.stored(row);
        model.lists[0].push(Entry { id: id as i64, vector, second: None });
    }
    let filter = draw.chance(30).then(|| Filter::draw(draw, count as i64, 1));
    let handle = filter.as_ref().map(FilterHandle::new);
    let ask = Ask { filter, ..Ask::default() };
    let mut found = Found::room(n, k);
    let options = ivf_search_options {
        threads: draw.below(4) as u32,
        hits: found.hits.as_mut_ptr(),
        filter: handle.as_ref().map_or(null(), |handle| handle.0),
        ..sized()
    };
    ok(unsafe {
        ivf_knn(
            world.context(draw).0,
            queries.as_ptr(),
            n as u64,
            rows.as_ptr(),
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
    world.check_search(&queries, |_, _, _| Some(vec![0]), &ask, &found);
    world.model = own;
}

/// The same centroids whatever the number of threads, and every point with its nearest one.
pub(crate) fn kmeans(world: &mut World, draw: &mut Draw) {
    let (n, dim) = (draw.within(1, 200), world.model.dim);
    let k = draw.within(1, n.min(20));
    let x = Typed::of(world.rows(draw, n), draw);
    let seed = draw.bits();
    let run = |threads: u32| {
        let (mut centroids, mut labels) = (vec![f32::NAN; k * dim], vec![-1i64; n]);
        let options = ivf_kmeans_options {
            threads,
            seed,
            labels: labels.as_mut_ptr(),
            ..sized::<ivf_kmeans_options>()
        };
        let (context, to) = (world.contexts[0].0, centroids.as_mut_ptr());
        let (n, columns, k) = (n as u64, dim as u32, k as u32);
        ok(unsafe {
            match x.floats() {
                Some(x) => ivf_kmeans(context, x, n, columns, k, to, &options),
                None => ivf_kmeans_typed(context, x.start(), x.element, n, columns, k, to, &options),
            }
        });
        (centroids, labels)
    };
    let (centroids, labels) = run(1);
    assert_eq!((&centroids, &labels), (&run(3).0, &run(2).1));
    let distance = |row: &[f32], centroid: usize| -> f64 {
        let pairs = row.iter().zip(&centroids[centroid * dim..][..dim]);
        pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    };
    for (row, &label) in x.floats.chunks(dim).zip(&labels) {
        let own = distance(row, usize::try_from(label).expect("a label"));
        let best = (0..k).map(|centroid| distance(row, centroid)).fold(f64::INFINITY, f64::min);
        assert!(own <= best * (1.0 + 3e-5) + 1e-9, "{own} is not the nearest, {best} is");
    }
}
