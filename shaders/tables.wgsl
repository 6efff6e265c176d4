// Scores the blocks of a tile by look-ups in tables of floats, which the CPU makes of queries: entries are added up part
// after part as the CPU adds them. There is no product that a device could fuse with a sum. For visit.wgsl; the CPU's twin
// is src/kernel/tables.rs.

// The tables of each query, [parts][2^bits]; from `shape.numbers` on of each query three numbers, the first its squared
// length; where codes are of residuals, from `shape.constants` on each pair's product of query and centroid.
@group(0) @binding(5) var<storage, read> queries: array<f32>;

fn norm_of(pair: u32, query: u32) -> f32 {
    return queries[shape.numbers + 3u * query];
}

// Scores with what they lack.
fn completed(pair: u32, total: vec4<f32>, begin: vec4<f32>, lanes: u32) -> vec4<f32> {
    if (shape.constants == 0u) {
        return begin + total;
    }
    return begin + total + queries[shape.constants + pair];
}

fn score_tile(tile: Tile, thread: u32) {
    let parts = shape.entries >> shape.bits;
    for (var block = thread / 8u; block < tile.blocks; block += THREADS / 8u) {
        let begin = bias[(tile.block + block) * 8u + thread % 8u];
        let base = (tile.block + block) * shape.columns * 8u + thread % 8u;
        let quad = block * 8u + thread % 8u;
        let found = findable(tile, quad, begin);
        for (var q = 0u; q < tile.pairs; q += 1u) {
            let first = pairs[tile.pair + q].query * shape.entries;
            var total = vec4<f32>();
            for (var part = 0u; part < parts; part += 1u) {
                let entries = vec4<u32>(first + (part << shape.bits)) + codes(base, part);
                total += vec4<f32>(queries[entries.x], queries[entries.y], queries[entries.z], queries[entries.w]);
            }
            write(tile, q, quad, found, bitcast<vec4<f32>>(begin), total);
        }
    }
}
