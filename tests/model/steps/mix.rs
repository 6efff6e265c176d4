//! New vectors made of neighbours, by their definitions in float64: neighbours are those that a search finds.

use std::ptr::null;

use ivf::ffi::*;

use super::typed::Typed;
use crate::draw::Draw;
use crate::oracle::{Filter, Metric, Model};
use crate::subject::{FilterHandle, Found, fails, ok, sized};
use crate::world::World;

/// What is made of queries, `k` neighbours each.
struct Mix {
    k: u32,
    queries: Typed,
    options: ivf_search_options,
    /// What `options.filter` points at.
    _filter: Option<FilterHandle>,
}

fn draw_mix(world: &World, draw: &mut Draw) -> Mix {
    let n = draw.count(30);
    let filter = draw.chance(25).then(|| Filter::draw(draw, world.model.next_id % 100_000, 2));
    let filter = filter.as_ref().map(FilterHandle::new);
    let options = ivf_search_options {
        nprobe: draw.pick(&[0, 1, 3, 1000]),
        threads: draw.below(4) as u32,
        filter: filter.as_ref().map_or(null(), |handle| handle.0),
        ..sized()
    };
    let queries = Typed::of(world.queries(draw, n), draw);
    Mix { k: draw.within(1, 12) as u32, queries, options, _filter: filter }
}

impl Mix {
    /// Each query with the distances and the vectors of its neighbours, best first, and what the call made of it.
    fn each(&self, world: &World, out: &[f32], check: impl Fn(&[f32], &[f32], &[&[f32]], &[f32])) {
        let (dim, k) = (world.model.dim, self.k as usize);
        let n = out.len() / dim;
        let (mut found, mut vectors) = (Found::room(n, k), vec![0.0; n * k * dim]);
        let options = ivf_search_options { hits: found.hits.as_mut_ptr(), ..self.options };
        let (distances, ids, to) =
            (found.distances.as_mut_ptr(), found.ids.as_mut_ptr(), vectors.as_mut_ptr());
        let (index, x) = (world.index.0, self.queries.floats.as_ptr());
        ok(unsafe {
            let (n, dim) = (n as u64, dim as u32);
            ivf_search_and_reconstruct(index, x, n, dim, self.k, distances, ids, to, &options)
        });
        for (q, row) in out.chunks(dim).enumerate() {
            let hits = found.hits[q] as usize;
            let near: Vec<&[f32]> = vectors[q * k * dim..].chunks(dim).take(hits).collect();
            let query = &self.queries.floats[q * dim..(q + 1) * dim];
            check(query, &found.distances[q * k..q * k + hits], &near, row);
        }
    }
}

fn length(row: &[f64]) -> f64 {
    row.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The sum of the vectors, each times its weight.
fn weighted(vectors: &[&[f32]], weights: &[f64], dim: usize) -> Vec<f64> {
    let sum = |i| vectors.iter().zip(weights).map(|(vector, weight)| weight * f64::from(vector[i])).sum();
    (0..dim).map(sum).collect()
}

fn assert_near(got: &[f32], expected: &[f64]) {
    let scale = length(expected).max(1.0);
    let near = |(&got, expected): (&f32, &f64)| (f64::from(got) - expected).abs() <= 1e-5 * scale;
    assert!(got.iter().zip(expected).all(near), "{got:?}, not {expected:?}");
}

/// The mean of the query, which weighs 1, and its neighbours, which weigh similarity^alpha.
pub(crate) fn query_expansion(world: &mut World, draw: &mut Draw) {
    let mix = draw_mix(world, draw);
    let alpha = draw.pick(&[0.0f32, 0.5, 1.0, 3.0]);
    let Model { dim, metric, .. } = world.model;
    let mut out = vec![f32::NAN; mix.queries.floats.len()];
    let (n, columns, to) = ((out.len() / dim) as u64, dim as u32, out.as_mut_ptr());
    let (index, k, options) = (world.index.0, mix.k, &mix.options);
    let status = unsafe {
        match mix.queries.floats() {
            Some(x) => ivf_query_expansion(index, x, n, columns, k, alpha, to, options),
            None => {
                let (x, element) = (mix.queries.start(), mix.queries.element);
                ivf_query_expansion_typed(index, x, element, n, columns, k, alpha, to, options)
            }
        }
    };
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    mix.each(world, &out, |query, values, vectors, got| {
        let similarity = |&value: &f32| match metric {
            Metric::L2 => 1.0 / (1.0 + f64::from(value)),
            _ => f64::from(value).max(0.0),
        };
        let weights: Vec<f64> = values.iter().map(|v| similarity(v).powf(f64::from(alpha))).collect();
        let own = world.model.prepared(query);
        let sum = weighted(vectors, &weights, dim);
        let sum: Vec<f64> = sum.iter().zip(&own).map(|(sum, &own)| sum + f64::from(own)).collect();
        let divisor = if metric == Metric::L2 { 1.0 + weights.iter().sum::<f64>() } else { length(&sum) };
        assert!(got.iter().all(|v| v.is_finite()), "{got:?}");
        // Vectors that cancel out leave only their rounding.
        if metric == Metric::L2 || divisor > 1e-3 {
            assert_near(got, &sum.iter().map(|sum| sum / divisor).collect::<Vec<_>>());
        }
    });
}

/// ratio * (mean of the neighbours, which weigh 1 / distance^power) + (1 - ratio) * query.
pub(crate) fn blend(world: &mut World, draw: &mut Draw) {
    let mix = draw_mix(world, draw);
    let (power, ratio) = (draw.pick(&[0.0f32, 1.0, 2.0]), draw.pick(&[0.0f32, 0.25, 1.0]));
    let Model { dim, metric, .. } = world.model;
    let mut out = vec![f32::NAN; mix.queries.floats.len()];
    let (n, columns, to) = ((out.len() / dim) as u64, dim as u32, out.as_mut_ptr());
    let (index, k, options) = (world.index.0, mix.k, &mix.options);
    let status = unsafe {
        match mix.queries.floats() {
            Some(x) => ivf_blend(index, x, n, columns, k, power, ratio, to, options),
            None => {
                let (x, element) = (mix.queries.start(), mix.queries.element);
                ivf_blend_typed(index, x, element, n, columns, k, power, ratio, to, options)
            }
        }
    };
    if metric == Metric::InnerProduct {
        return fails(status, IVF_E_ARGUMENT);
    }
    if !world.trained() {
        return fails(status, IVF_E_NOT_TRAINED);
    }
    ok(status);
    mix.each(world, &out, |query, values, vectors, got| {
        let distance = |&value: &f32| match metric {
            Metric::L2 => f64::from(value),
            _ => (1.0 - f64::from(value)).max(0.0),
        };
        let distances: Vec<f64> = values.iter().map(distance).collect();
        let same = distances.contains(&0.0);
        let weight = |&d: &f64| match same {
            true => f64::from(u8::from(d == 0.0)),
            false => d.powf(-f64::from(power)),
        };
        let weights: Vec<f64> = distances.iter().map(weight).collect();
        let (sum, total) = (weighted(vectors, &weights, dim), weights.iter().sum::<f64>());
        let (ratio, query) = (f64::from(ratio), query.iter().map(|&v| f64::from(v)));
        let expected: Vec<f64> = match vectors {
            [] => query.collect(),
            _ => query.zip(&sum).map(|(own, sum)| ratio * sum / total + (1.0 - ratio) * own).collect(),
        };
        assert_near(got, &expected);
    });
}
