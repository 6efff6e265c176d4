// Scores blocks of 32 vectors for the queries that visit their list, and writes a key for every lane.
//
// A thread is a lane, a workgroup a tile: some blocks of one list and up to eight queries, staged a chunk of
// dimensions at a time. No float leaves in an order that threads decide, so the keys are the same on every run.
// `value` is one of value_*.wgsl. The CPU's twin is src/kernel/scalar.rs.

struct Shape {
    dim: u32,
    // 1 = a key is a squared distance, 0 = minus a similarity.
    squared: u32,
    // 1 = a bit in `passing` for each lane says whether it may be found.
    filtered: u32,
    // The dispatch's tiles, and where they begin.
    first: u32,
    count: u32,
}

struct Tile {
    // In the segment.
    block: u32,
    blocks: u32,
    // The list's slot at which the tile begins.
    slot: u32,
    // Of `passing`.
    word: u32,
    pair: u32,
    pairs: u32,
}

struct Pair {
    query: u32,
    // Where the key of the list's slot 0 is, or would be.
    place: u32,
    // Slots beyond are not looked at.
    slots: u32,
    // The query's squared length, if a key is a squared distance.
    norm: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> vectors: array<u32>;
@group(0) @binding(2) var<storage, read> bias: array<u32>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> pairs: array<Pair>;
@group(0) @binding(5) var<storage, read> queries: array<f32>;
@group(0) @binding(6) var<storage, read> passing: array<u32>;
@group(0) @binding(7) var<storage, read_write> keys: array<u32>;

override THREADS: u32 = 128u;
const CHUNK: u32 = 64u;
const EMPTY_LANE: u32 = 0xff800000u;

// [CHUNK][8 queries].
var<workgroup> staged: array<vec4<f32>, 128>;

fn query_value(tile: Tile, number: u32, d: u32) -> f32 {
    if (number >= tile.pairs || d >= shape.dim) {
        return 0.0;
    }
    return queries[pairs[tile.pair + number].query * shape.dim + d];
}

fn write(pair: Pair, slot: u32, found: bool, start: f32, product: f32) {
    var key = NONE;
    if (found && slot < pair.slots) {
        let score = start + product;
        if (shape.squared == 1u) {
            key = ordered(pair.norm - 2.0 * score);
        } else {
            key = ordered(-score);
        }
        key = min(key, NONE - 1u);
    }
    keys[pair.place + slot] = key;
}

@compute @workgroup_size(THREADS)
fn scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    if (number >= shape.count) {
        return;
    }
    let tile = tiles[shape.first + number];
    let lane = thread % 32u;
    for (var at = 0u; at < tile.blocks; at += THREADS / 32u) {
        // A thread without a block of its own reads the last one and writes nothing.
        let own = at + thread / 32u;
        let block = min(own, tile.blocks - 1u);
        let base = (tile.block + block) * 32u * shape.dim + lane;
        var low = vec4<f32>();
        var high = vec4<f32>();
        for (var start_d = 0u; start_d < shape.dim; start_d += CHUNK) {
            workgroupBarrier();
            for (var i = thread; i < CHUNK * 2u; i += THREADS) {
                let d = start_d + (i >> 1u);
                let q = (i & 1u) * 4u;
                staged[i] = vec4<f32>(
                    query_value(tile, q, d),
                    query_value(tile, q + 1u, d),
                    query_value(tile, q + 2u, d),
                    query_value(tile, q + 3u, d),
                );
            }
            workgroupBarrier();
            var part_low = vec4<f32>();
            var part_high = vec4<f32>();
            let count = min(CHUNK, shape.dim - start_d);
            for (var d = 0u; d < count; d += 1u) {
                let v = value(base + (start_d + d) * 32u);
                part_low += v * staged[d * 2u];
                part_high += v * staged[d * 2u + 1u];
            }
            low += part_low;
            high += part_high;
        }
        if (own < tile.blocks) {
            let start = bias[(tile.block + block) * 32u + lane];
            let passes = shape.filtered == 0u || ((passing[tile.word + block] >> lane) & 1u) == 1u;
            let found = start != EMPTY_LANE && passes;
            let slot = tile.slot + block * 32u + lane;
            for (var q = 0u; q < tile.pairs; q += 1u) {
                var product = low[q & 3u];
                if (q >= 4u) {
                    product = high[q & 3u];
                }
                write(pairs[tile.pair + q], slot, found, bitcast<f32>(start), product);
            }
        }
    }
}
