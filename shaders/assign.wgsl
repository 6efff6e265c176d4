// The nearest centroid of each row: product.wgsl over all centroids, 64 rows a workgroup, with the best kept as it
// goes, so that no matrix of distances is ever written.
//
// Or over some of them: the near ones of the label that the rows of a workgroup have.
//
// The best is the lowest key, of equal ones the lowest slot, whatever the order of threads. The CPU's twin
// is src/backend/assign.rs.

struct Shape {
    dim: u32,
    // Rows of this dispatch; they are `places[first..]` of `rows`, or `rows[first..]` if `direct` is 1.
    count: u32,
    first: u32,
    direct: u32,
    // The centroids: blocks of the segment, and the slot of the first of them.
    block: u32,
    blocks: u32,
    slot: u32,
    // 1 = the first centroids that these rows meet.
    fresh: u32,
    // Tiles, each of a workgroup that meets near centroids; 0 = all are met.
    near: u32,
}

// Rows of the dispatch that have a label.
struct Tile {
    first: u32,
    last: u32,
    label: u32,
}

struct Best {
    key: u32,
    slot: u32,
    // The key of the best of all others.
    second: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> bests: array<Best>;
@group(0) @binding(6) var<storage, read> tiles: array<Tile>;
// Of each label 32 centroids, ascending.
@group(0) @binding(7) var<storage, read> near: array<vec4<u32>>;

const EMPTY_LANE: u32 = 0xff800000u;
// In the end `staged` holds [ROWS][ACROSS] bests.
const STAGED: u32 = 1024u;

// The rows of this workgroup begin and end here, the pair of blocks that it looks at, and where in `near` are its centroids.
var<private> first: u32;
var<private> last: u32;
var<private> tile: u32;
var<private> candidates: u32;

// Where a row's values begin, or the last one's if there are fewer.
fn row_place(number: u32) -> u32 {
    var place = shape.first + min(first + number, last - 1u);
    if (shape.direct == 0u) {
        place = places[place];
    }
    return place * shape.dim;
}

fn row_value(number: u32, place: u32, d: u32) -> f32 {
    return rows[place + min(d, shape.dim - 1u)];
}

fn is_row(number: u32) -> bool {
    return first + number < last;
}

fn row_start(row: u32, begin: vec4<f32>) -> vec4<f32> {
    return begin;
}

// One of four words.
fn word(words: vec4<u32>, slot: u32) -> u32 {
    return words[slot % 4u];
}

// Where four lanes of a block begin that has `columns` in each lane, from the slot of the first.
fn four(slot: u32, columns: u32, column: u32) -> u32 {
    return ((shape.block + slot / 32u) * columns + column) * 8u + slot % 32u / 4u;
}

// A value of each of these four centroids.
fn values_of(c: vec4<u32>, d: u32) -> vec4<u32> {
    return vec4<u32>(
        word(vectors[four(c.x, shape.dim, d)], c.x),
        word(vectors[four(c.y, shape.dim, d)], c.y),
        word(vectors[four(c.z, shape.dim, d)], c.z),
        word(vectors[four(c.w, shape.dim, d)], c.w),
    );
}

// Where the scores of these four centroids start.
fn starts_of(c: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(
        word(bias[four(c.x, 1u, 0u)], c.x),
        word(bias[four(c.y, 1u, 0u)], c.y),
        word(bias[four(c.z, 1u, 0u)], c.z),
        word(bias[four(c.w, 1u, 0u)], c.w),
    );
}

fn vector_values(quad: u32, d: u32) -> vec4<f32> {
    if (shape.near > 0u) {
        if (quad >= 8u || d >= shape.dim) {
            return vec4<f32>();
        }
        return bitcast<vec4<f32>>(values_of(near[candidates + quad], d));
    }
    let block = tile + quad / 8u;
    if (block >= shape.blocks || d >= shape.dim) {
        return vec4<f32>();
    }
    return bitcast<vec4<f32>>(vectors[((shape.block + block) * shape.dim + d) * 8u + quad % 8u]);
}

fn added(total: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return total + sum;
}

// The better of both, and what is left over.
fn merge(a: vec3<u32>, b: vec3<u32>) -> vec3<u32> {
    if (b.x < a.x || (b.x == a.x && b.y < a.y)) {
        return vec3<u32>(b.x, b.y, min(b.z, a.x));
    }
    return vec3<u32>(a.x, a.y, min(a.z, b.x));
}

fn key_of(score: f32, empty: bool) -> u32 {
    return select(min(ordered(-score), NONE - 1u), NONE, empty);
}

fn consider(best: vec3<u32>, scores: vec4<f32>, empty: vec4<bool>, slots: vec4<u32>) -> vec3<u32> {
    var now = merge(best, vec3<u32>(key_of(scores.x, empty.x), slots.x, NONE));
    now = merge(now, vec3<u32>(key_of(scores.y, empty.y), slots.y, NONE));
    now = merge(now, vec3<u32>(key_of(scores.z, empty.z), slots.z, NONE));
    return merge(now, vec3<u32>(key_of(scores.w, empty.w), slots.w, NONE));
}

@compute @workgroup_size(THREADS)
fn assign(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (shape.near > 0u) {
        if (number >= shape.near) {
            return;
        }
        let tile = tiles[number];
        first = tile.first;
        last = tile.last;
        candidates = tile.label * 8u;
    } else {
        first = number * ROWS;
        last = min(first + ROWS, shape.count);
    }
    if (first >= last) {
        return;
    }
    let across = thread % ACROSS;
    let down = thread / ACROSS;
    let nothing = vec3<u32>(NONE, NONE, NONE);
    var best0 = nothing;
    var best1 = nothing;
    var best2 = nothing;
    var best3 = nothing;
    var best4 = nothing;
    var best5 = nothing;
    var best6 = nothing;
    var best7 = nothing;
    for (tile = 0u; tile < shape.blocks; tile += 2u) {
        let block = min(tile + across / 8u, shape.blocks - 1u);
        var slots = vec4<u32>(shape.slot + block * 32u + across % 8u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        var begin = bias[(shape.block + block) * 8u + across % 8u];
        if (shape.near > 0u) {
            slots = near[candidates + across % 8u];
            begin = starts_of(slots);
        }
        let all = scores(thread, shape.dim, bitcast<vec4<f32>>(begin));
        if (tile + across / 8u < shape.blocks) {
            let empty = begin == vec4<u32>(EMPTY_LANE);
            best0 = consider(best0, all.s0, empty, slots);
            best1 = consider(best1, all.s1, empty, slots);
            best2 = consider(best2, all.s2, empty, slots);
            best3 = consider(best3, all.s3, empty, slots);
            best4 = consider(best4, all.s4, empty, slots);
            best5 = consider(best5, all.s5, empty, slots);
            best6 = consider(best6, all.s6, empty, slots);
            best7 = consider(best7, all.s7, empty, slots);
        }
    }
    workgroupBarrier();
    let place = down * 8u * ACROSS + across;
    staged[place] = vec4<u32>(best0, 0u);
    staged[place + ACROSS] = vec4<u32>(best1, 0u);
    staged[place + 2u * ACROSS] = vec4<u32>(best2, 0u);
    staged[place + 3u * ACROSS] = vec4<u32>(best3, 0u);
    staged[place + 4u * ACROSS] = vec4<u32>(best4, 0u);
    staged[place + 5u * ACROSS] = vec4<u32>(best5, 0u);
    staged[place + 6u * ACROSS] = vec4<u32>(best6, 0u);
    staged[place + 7u * ACROSS] = vec4<u32>(best7, 0u);
    workgroupBarrier();
    for (var i = thread; i < ROWS; i += THREADS) {
        let row = first + i;
        if (row < last) {
            var best = nothing;
            if (shape.fresh == 0u) {
                let before = bests[row];
                best = vec3<u32>(before.key, before.slot, before.second);
            }
            for (var j = 0u; j < ACROSS; j += 1u) {
                best = merge(best, staged[i * ACROSS + j].xyz);
            }
            bests[row] = Best(best.x, best.y, best.z);
        }
    }
}
