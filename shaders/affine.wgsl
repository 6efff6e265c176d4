// For visit.wgsl: vectors by codes that stand for `offset + scale * code` in each dimension, plus the centroid's value
// if they are of residuals. Queries are scaled, so that their products with the codes are what scores need, and what a
// score lacks is a number of the pair: see shift.wgsl. The CPU's twin is src/backend/affine.rs.

@group(0) @binding(5) var<storage, read> queries: array<f32>;
// [dim] scales, [dim] offsets, [lists][dim] centroids if codes are of residuals.
@group(0) @binding(8) var<storage, read> book: array<f32>;

// Dimension `d` of a tile's query of this number, or the last if there are fewer, as its list's codes see it.
fn query_value(tile: Tile, number: u32, place: u32, d: u32) -> f32 {
    let own = min(d, shape.dim - 1u);
    var value = queries[place + own];
    if (shape.residuals == 1u) {
        value -= book[(2u + tile.list) * shape.dim + own];
    }
    return value * book[own];
}

// The squared length of what a pair's query compares with codes.
fn norm_of(pair: u32, query: u32) -> f32 {
    return queries[shape.numbers + 2u * pair];
}

// Where scores of lanes with these biases start.
fn start_of(tile: Tile, number: u32, begin: vec4<f32>) -> vec4<f32> {
    return begin;
}

fn added(total: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return total + sum;
}

// Scores with what they lack.
fn completed(pair: u32, total: vec4<f32>, begin: vec4<f32>, lanes: u32) -> vec4<f32> {
    return total + vec4<f32>(queries[shape.numbers + 2u * pair + 1u]);
}
