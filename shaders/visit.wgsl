// What scan.wgsl, scan_many.wgsl, lookup.wgsl and tables.wgsl share: queries that visit blocks of 32 vectors, four vectors
// at a time, and the keys that they write, one for every lane. Each of them has `score_tile`, a workgroup's work.
//
// No float leaves in an order that threads decide, so the keys are the same on every run.

struct Shape {
    dim: u32,
    // 1 = a key is a squared distance, 0 = minus a similarity.
    squared: u32,
    // 1 = a bit in `passing` for each lane says whether it may be found.
    filtered: u32,
    // The dispatch's tiles, and where they begin.
    first: u32,
    count: u32,
    // Where in `queries` the numbers begin of which keys are made besides scores.
    numbers: u32,
    // Elements of a vector in its list.
    columns: u32,
    // Codes are of residuals: 0 = no, 1 = a query's own residual is compared with them, 2 = the query is.
    residuals: u32,
    // Bits of a code.
    bits: u32,
    // 0.
    zero: u32,
    // 1 = RaBitQ codes whose sums are whole numbers.
    whole: u32,
    // Where the pairs' numbers begin in `queries` that lookup.wgsl and tables.wgsl add to their scores; 0 = there are none.
    constants: u32,
    // Words of a query's tables: floats, or four entries of one byte.
    entries: u32,
    // Where in `keys` the least ones of each eight lanes begin, of a block four.
    least: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> vectors: array<Quad>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> pairs: array<Pair>;
@group(0) @binding(6) var<storage, read> passing: array<u32>;
@group(0) @binding(7) var<storage, read_write> keys: array<vec4<u32>>;

// The bias of a lane that holds nothing.
const EMPTY_LANE: u32 = 0xff800000u;

// Which of a tile's four lanes from `quad * 4` on may be found.
fn findable(tile: Tile, quad: u32, begin: vec4<u32>) -> vec4<bool> {
    let slots = vec4<u32>(tile.slot + quad * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    var found = (begin != vec4<u32>(EMPTY_LANE)) & (slots < vec4<u32>(tile.slots));
    if (shape.filtered == 1u) {
        let bits = vec4<u32>(passing[tile.word + quad / 8u]) >> (vec4<u32>(quad % 8u * 4u) + vec4<u32>(0u, 1u, 2u, 3u));
        found = found & ((bits & vec4<u32>(1u)) == vec4<u32>(1u));
    }
    return found;
}

// The pair of a tile's query of this number, of which there may be fewer: then the last.
fn pair_of(tile: Tile, number: u32) -> u32 {
    return tile.pair + min(number, tile.pairs - 1u);
}

// Where the values of a tile's query of this number begin.
fn query_place(tile: Tile, number: u32) -> u32 {
    return pairs[pair_of(tile, number)].query * shape.dim;
}

fn key_of(norm: f32, score: f32) -> u32 {
    return min(ordered(select(-score, norm - 2.0 * score, shape.squared == 1u)), NONE - 1u);
}

// Writes the keys of a tile's four lanes from `quad * 4` on, whose biases are `begin`, for its query of this number; the
// least of them.
fn write(tile: Tile, number: u32, quad: u32, found: vec4<bool>, begin: vec4<f32>, scores: vec4<f32>) -> u32 {
    if (number >= tile.pairs) {
        return NONE;
    }
    let pair = pairs[tile.pair + number];
    let norm = norm_of(tile.pair + number, pair.query);
    let lanes = (tile.block + quad / 8u) * shape.columns * 8u + quad % 8u;
    let all = completed(tile.pair + number, scores, begin, lanes);
    let written = vec4<u32>(
        key_of(norm, all.x),
        key_of(norm, all.y),
        key_of(norm, all.z),
        key_of(norm, all.w),
    );
    let kept = select(vec4<u32>(NONE), written, found);
    keys[(pair.place + tile.slot) / 4u + quad] = kept;
    return min(min(kept.x, kept.y), min(kept.z, kept.w));
}

// Writes the least keys of a tile's block, eight lanes by eight, for its query of this number.
fn write_least(tile: Tile, number: u32, block: u32, least: vec4<u32>) {
    if (number < tile.pairs && block < tile.blocks) {
        keys[shape.least + (pairs[tile.pair + number].place + tile.slot) / 32u + block] = least;
    }
}

@compute @workgroup_size(THREADS)
fn visit(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (number < shape.count) {
        let tile = tiles[shape.first + number];
        // One of nothing: see sort.wgsl.
        if (tile.pairs > 0u) {
            score_tile(tile, thread);
        }
    }
}
