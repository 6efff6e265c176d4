// For visit.wgsl: RaBitQ codes, the directions of residuals from the lists' centroids, by which products with the query's own
// residual are estimated. Codes of one bit that the CPU looks up are scored in whole numbers, the query rounded as its tables
// are. What else a score needs are numbers of the pair: see residual.wgsl. The CPU's twins are src/backend/rabitq.rs,
// src/kernel/tile.rs and src/kernel/lookup.rs.

@group(0) @binding(5) var<storage, read> queries: array<f32>;
// [lists][dim] centroids.
@group(0) @binding(8) var<storage, read> book: array<f32>;

fn number_of(pair: u32, number: u32) -> f32 {
    return queries[shape.numbers + 6u * pair + number];
}

// Dimension `d` of a tile's query of this number, or the last if there are fewer, as its list's codes see it.
fn query_value(tile: Tile, number: u32, place: u32, d: u32) -> f32 {
    let own = min(d, shape.dim - 1u);
    let value = queries[place + own] - book[tile.list * shape.dim + own];
    if (shape.whole == 1u) {
        return whole(value, number_of(pair_of(tile, number), 5u));
    }
    return value;
}

// Where sums of a tile's query of this number start; whole ones are kept as integers.
fn start_of(tile: Tile, number: u32, begin: vec4<f32>) -> vec4<f32> {
    let start = number_of(pair_of(tile, number), 2u);
    if (shape.whole == 1u) {
        return bitcast<vec4<f32>>(vec4<i32>(i32(start)));
    }
    return vec4<f32>(start);
}

fn added(total: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    if (shape.whole == 1u) {
        return bitcast<vec4<f32>>(bitcast<vec4<i32>>(total) + vec4<i32>(sum));
    }
    return total + sum;
}

// The squared length of a pair's residual.
fn norm_of(pair: u32, query: u32) -> f32 {
    return number_of(pair, 0u);
}

// Scores: a lane's bias and its own factor times its sum, and what they lack.
fn completed(pair: u32, total: vec4<f32>, begin: vec4<f32>, lanes: u32) -> vec4<f32> {
    // The factor lies behind the codes, a byte a column.
    let at = lanes + (shape.dim * shape.bits + 7u) / 8u * 8u;
    let factor = bitcast<vec4<f32>>(
        bytes(vectors[at])
            | (bytes(vectors[at + 8u]) << vec4<u32>(8u))
            | (bytes(vectors[at + 16u]) << vec4<u32>(16u))
            | (bytes(vectors[at + 24u]) << vec4<u32>(24u)),
    );
    let lacked = vec4<f32>(number_of(pair, 1u));
    if (shape.whole == 1u) {
        let products = all_apart(number_of(pair, 4u) * vec4<f32>(bitcast<vec4<i32>>(total)));
        return all_apart(factor * (products + number_of(pair, 3u))) + begin + lacked;
    }
    return fma(factor, total, begin) + lacked;
}
