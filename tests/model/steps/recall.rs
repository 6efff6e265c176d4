//! Recall on demand: the curve against a naive count, and searches that ask for what was measured.

use std::ptr::null;

use ivf::ffi::*;

use super::typed::Typed;
use crate::draw::Draw;
use crate::oracle::{Ask, Curve, Filter, Metric, Model};
use crate::subject::{FilterHandle, Found, fails, last_error, ok, options, sized};
use crate::world::World;

/// Which vectors a query should have found.
enum Truth {
    /// The true ones, by distance.
    Own,
    /// `[n, k]` ids, -1 for none.
    Ids(Vec<i64>),
}

/// Measures a curve. Where arithmetic is exact each of its points is counted again.
pub(crate) fn tune(world: &mut World, draw: &mut Draw) {
    let (n, count) = (draw.count(30), world.model.count());
    let k = draw.within(1, 12);
    let recall = draw.pick(&[0.25, 0.5, 0.875, 1.0, 1.0]);
    let queries = Typed::of(world.queries(draw, n), draw);
    let truth = match draw.chance(25) {
        true => Truth::Ids((0..n * k).map(|_| if draw.chance(20) { -1 } else { world.id(draw) }).collect()),
        false => Truth::Own,
    };
    let given = match &truth {
        Truth::Own => null(),
        Truth::Ids(ids) => ids.as_ptr(),
    };
    let how = ivf_tune_options { threads: draw.below(4) as u32, truth: given, ..sized() };
    let mut result = sized::<ivf_tune_result>();
    let (index, rows, dim, most) = (world.index.0, n as u64, world.model.dim as u32, k as u32);
    let status = unsafe {
        match queries.floats() {
            Some(x) => ivf_tune(index, x, rows, dim, most, recall, &how, &mut result),
            None => {
                let (x, element) = (queries.start(), queries.element);
                ivf_tune_typed(index, x, element, rows, dim, most, recall, &how, &mut result)
            }
        }
    };
    let tunable = world.model.is_ivf || world.model.refined;
    match () {
        () if !world.trained() => return fails(status, IVF_E_NOT_TRAINED),
        () if n == 0 => return fails(status, IVF_E_ARGUMENT),
        () if !tunable || count == 0 => return fails(status, IVF_E_STATE),
        () if k > count => return fails(status, IVF_E_ARGUMENT),
        () => {}
    }
    // Ids that are not there, or candidates that codes hide, may keep any search from this recall.
    if status == IVF_E_STATE && (!given.is_null() || world.model.refined) {
        return assert!(last_error().contains("measured to reach"), "{}", last_error());
    }
    ok(status);
    let ivf_tune_result { nprobe, probe_scale, k_factor, points, .. } = result;
    let columns = read(world, points as usize);
    let chosen = (nprobe as usize, probe_scale, k_factor);
    assert!(result.recall >= recall && columns.iter().any(|point| point.recall == result.recall));
    if world.model.exact && !world.model.trains() {
        for point in &columns {
            check_point(world, &queries.floats, k, &truth, point);
        }
    }
    let (queries, recall) = (n, recall as f32);
    world.model.curve = Some(Curve { k, queries, points, count, changed: 0, recall, chosen });
}

/// One way to search, and the recall that it had.
struct Point {
    nprobe: u64,
    recall: f64,
    probe_scale: f32,
    k_factor: f32,
}

/// The curve of an index.
fn read(world: &World, points: usize) -> Vec<Point> {
    let (mut nprobe, mut recall, mut low, mut cost) =
        (vec![0; points], vec![0.0; points], vec![0.0; points], vec![0.0; points]);
    let (mut scale, mut factor) = (vec![f32::NAN; points], vec![f32::NAN; points]);
    let (index, capacity) = (world.index.0, points as u64);
    unsafe {
        let mut info = sized::<ivf_curve_info>();
        let (nprobe, recall) = (nprobe.as_mut_ptr(), recall.as_mut_ptr());
        ok(ivf_tune_curve(index, &mut info, nprobe, recall, low.as_mut_ptr(), cost.as_mut_ptr(), capacity));
        assert_eq!(info.points, capacity);
        ok(ivf_tune_curve_probe_scale(index, scale.as_mut_ptr(), capacity));
        ok(ivf_tune_curve_k_factor(index, factor.as_mut_ptr(), capacity));
    }
    assert!(nprobe.is_sorted() && cost.iter().all(|cost| *cost >= 0.0));
    let within = |(low, recall): (&f64, &f64)| 0.0 <= *low && low <= recall && *recall <= 1.0;
    assert!(low.iter().zip(&recall).all(within), "{low:?} {recall:?}");
    (0..points)
        .map(|i| Point { nprobe: nprobe[i], recall: recall[i], probe_scale: scale[i], k_factor: factor[i] })
        .collect()
}

fn check_point(world: &World, queries: &[f32], k: usize, truth: &Truth, point: &Point) {
    let model = &world.model;
    // All candidates are compared again in such worlds, unless the point says how many.
    if model.refined {
        return;
    }
    assert_eq!(point.k_factor, 0.0);
    let ask = Ask { nprobe: point.nprobe as usize, scale: point.probe_scale, ..Ask::default() };
    let mut sum = 0.0;
    for (q, query) in queries.chunks(model.dim).enumerate() {
        let query = model.prepared(query);
        let Some(lists) = model.visited(&query, &ask) else { return };
        let found = model.candidates(&query, &lists, &Ask::default());
        let found = &found[..k.min(found.len())];
        sum += match truth {
            Truth::Own => {
                let all: Vec<usize> = (0..model.lists.len()).collect();
                let bar = model.candidates(&query, &all, &Ask::default())[k - 1].0;
                found.iter().filter(|(key, _)| *key <= bar).count() as f64 / k as f64
            }
            Truth::Ids(ids) => {
                let mut wanted: Vec<i64> =
                    ids[q * k..(q + 1) * k].iter().copied().filter(|&id| id >= 0).collect();
                let all = wanted.len();
                for (_, entry) in found {
                    if let Some(at) = wanted.iter().position(|&id| id == entry.id) {
                        wanted.swap_remove(at);
                    }
                }
                if all == 0 { 1.0 } else { (all - wanted.len()) as f64 / all as f64 }
            }
        };
    }
    let expected = sum / (queries.len() / model.dim) as f64;
    assert!(
        (point.recall - expected).abs() < 1e-9,
        "{} lists: {}, not {expected}",
        point.nprobe,
        point.recall
    );
}

/// Asking for the recall that was tuned for is asking for the way that was chosen.
pub(crate) fn search_for_recall(world: &mut World, draw: &mut Draw) {
    let n = draw.count(40);
    let more = usize::from(draw.chance(10));
    let k = world.model.curve.map_or(1, |curve| draw.within(1, curve.k + more));
    let queries = world.queries(draw, n);
    let filter = draw.chance(20).then(|| Filter::draw(draw, world.model.next_id % 100_000, 1));
    let handle = filter.as_ref().map(FilterHandle::new);
    let target_recall = world.model.curve.map_or(0.5, |curve| curve.recall);
    let run = |how: &ivf_search_options| {
        let mut found = Found::room(n, k);
        let how = ivf_search_options { hits: found.hits.as_mut_ptr(), ..*how };
        let (distances, ids) = (found.distances.as_mut_ptr(), found.ids.as_mut_ptr());
        let (x, dim) = (queries.as_ptr(), world.model.dim as u32);
        let status = unsafe { ivf_search(world.index.0, x, n as u64, dim, k as u32, distances, ids, &how) };
        (status, found)
    };
    let of = |ask: &Ask| ivf_search_options { threads: draw_threads(n), ..options(ask, handle.as_ref()) };
    let (status, found) = run(&ivf_search_options { target_recall, ..of(&Ask::default()) });
    let Model { is_ivf, refined, curve, .. } = world.model;
    let count = world.model.count();
    match curve {
        _ if !world.trained() => return fails(status, IVF_E_NOT_TRAINED),
        // There is nothing to choose.
        _ if count == 0 || !(is_ivf || refined) => return ok(status),
        None => return fails(status, IVF_E_STATE),
        Some(curve) if curve.is_stale() || k.min(count) > curve.k => return fails(status, IVF_E_STATE),
        Some(_) => ok(status),
    }
    let curve = curve.expect("as matched");
    let (nprobe, scale, factor) = curve.chosen;
    // As many candidates as for the k that was measured.
    let factor = (f64::from(factor) * curve.k as f64 / k.min(count) as f64) as f32;
    let ask = Ask { nprobe, scale, factor, filter: filter.clone(), ..Ask::default() };
    let (status, expected) = run(&of(&ask));
    ok(status);
    assert_eq!(found.ids, expected.ids);
    assert_eq!((found.distances, found.hits), (expected.distances, expected.hits));
    let whole = world.model.metric != Metric::Cosine && target_recall == 1.0;
    assert!(!whole || nprobe == world.model.lists.len());
}

/// Any number, by what is at hand.
fn draw_threads(n: usize) -> u32 {
    (n % 4) as u32
}
