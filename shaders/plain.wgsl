// For visit.wgsl: vectors as they are, and queries too.

@group(0) @binding(5) var<storage, read> queries: array<f32>;

// Dimension `d` of a tile's query of this number, or the last if there are fewer.
fn query_value(tile: Tile, number: u32, place: u32, d: u32) -> f32 {
    return queries[place + min(d, shape.dim - 1u)];
}

// The squared length of the query of a pair.
fn norm_of(pair: u32, query: u32) -> f32 {
    if (shape.squared == 0u) {
        return 0.0;
    }
    return queries[shape.numbers + query];
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
    return total;
}
