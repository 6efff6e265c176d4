// For visit.wgsl: the codes of affine.wgsl in whole numbers, the factors of queries rounded to 8 bits. Products of up to
// 256 dimensions add up exactly in floats, those of all in integers. What else a score needs are numbers of the pair: see
// round.wgsl. The CPU's twins are src/backend/rounded.rs and src/kernel/dot.rs.

@group(0) @binding(5) var<storage, read> queries: array<f32>;
// As in affine.wgsl.
@group(0) @binding(8) var<storage, read> book: array<f32>;

// Dimension `d` of a tile's query of this number, or the last if there are fewer, as its list's codes see it.
fn query_value(tile: Tile, number: u32, place: u32, d: u32) -> f32 {
    let own = min(d, shape.dim - 1u);
    var value = queries[place + own];
    if (shape.residuals == 1u) {
        value -= book[(2u + tile.list) * shape.dim + own];
    }
    return whole(value * book[own], queries[shape.numbers + 4u * pair_of(tile, number) + 3u]);
}

// Sums are kept as integers: nothing at first.
fn start_of(tile: Tile, number: u32, begin: vec4<f32>) -> vec4<f32> {
    return vec4<f32>();
}

fn added(total: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<i32>>(total) + vec4<i32>(sum));
}

// The squared length of what a pair's query compares with codes.
fn norm_of(pair: u32, query: u32) -> f32 {
    return queries[shape.numbers + 4u * pair];
}

// Scores with what they lack.
fn completed(pair: u32, total: vec4<f32>, begin: vec4<f32>, lanes: u32) -> vec4<f32> {
    let place = shape.numbers + 4u * pair;
    let products = queries[place + 2u] * vec4<f32>(bitcast<vec4<i32>>(total));
    return all_apart(products) + begin + queries[place + 1u];
}
