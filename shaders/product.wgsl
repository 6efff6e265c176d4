// The scores of 64 rows and 64 vectors, of which a thread holds 8 rows by 4 vectors.
//
// Products are added as the CPU's fused kernels add them: by fused multiply-adds within 256 dimensions, whose sums are
// added one after another to where the score starts. The kernel has `row_value`, `is_row` (whether there is such a row or
// one behind it: what is computed of others is of no use), `row_start` (where a row's scores start, for biases),
// `vector_values` (zero beyond the last dimension), `added` (a total and one more sum) and the constant STAGED, the room
// that it needs in `staged`. The CPU's twin is src/kernel/tile.rs.

const ROWS: u32 = 64u;
// Threads side by side, of 4 vectors each.
const ACROSS: u32 = 16u;
const SUM: u32 = 256u;
const CHUNK: u32 = 16u;
// All dimensions are one sum: no totals are kept beside it, which leaves a thread more registers.
override NARROW: bool = false;
// Groups of four rows that are staged of a dimension: one more than there are, against bank conflicts.
const ROW_STRIDE: u32 = 17u;
const VECTORS: u32 = 272u;

// [CHUNK][ROW_STRIDE] groups of four rows, then [CHUNK][ACROSS] of four vectors.
var<workgroup> staged: array<vec4<u32>, STAGED>;

struct Scores {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
    s4: vec4<f32>,
    s5: vec4<f32>,
    s6: vec4<f32>,
    s7: vec4<f32>,
}

fn places_of(row: u32) -> vec4<u32> {
    return vec4<u32>(row_place(row), row_place(row + 1u), row_place(row + 2u), row_place(row + 3u));
}

fn row_values(places: vec4<u32>, row: u32, d: u32) -> vec4<f32> {
    return vec4<f32>(
        row_value(row, places.x, d),
        row_value(row + 1u, places.y, d),
        row_value(row + 2u, places.z, d),
        row_value(row + 3u, places.w, d),
    );
}

fn scores(thread: u32, dim: u32, start: vec4<f32>) -> Scores {
    let across = thread % ACROSS;
    let down = thread / ACROSS;
    // What a thread stages: a dimension of two groups of rows, and two dimensions of four vectors.
    let column = thread % CHUNK;
    let group = thread / CHUNK;
    let low_places = places_of(group * 4u);
    let high_places = places_of(32u + group * 4u);
    var t = Scores(
        row_start(down * 8u + 0u, start),
        row_start(down * 8u + 1u, start),
        row_start(down * 8u + 2u, start),
        row_start(down * 8u + 3u, start),
        row_start(down * 8u + 4u, start),
        row_start(down * 8u + 5u, start),
        row_start(down * 8u + 6u, start),
        row_start(down * 8u + 7u, start),
    );
    let last = select(dim, 1u, NARROW);
    for (var sum = 0u; sum < last; sum += SUM) {
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var s2 = vec4<f32>();
        var s3 = vec4<f32>();
        var s4 = vec4<f32>();
        var s5 = vec4<f32>();
        var s6 = vec4<f32>();
        var s7 = vec4<f32>();
        let end = min(sum + SUM, dim);
        for (var at = sum; at < end; at += CHUNK) {
            let low_rows = row_values(low_places, group * 4u, at + column);
            let high_rows = row_values(high_places, 32u + group * 4u, at + column);
            let first_vectors = vector_values(across, at + down);
            let second_vectors = vector_values(across, at + 8u + down);
            workgroupBarrier();
            staged[column * ROW_STRIDE + group] = bitcast<vec4<u32>>(low_rows);
            staged[column * ROW_STRIDE + 8u + group] = bitcast<vec4<u32>>(high_rows);
            staged[VECTORS + thread] = bitcast<vec4<u32>>(first_vectors);
            staged[VECTORS + 128u + thread] = bitcast<vec4<u32>>(second_vectors);
            workgroupBarrier();
            if (is_row(down * 8u)) {
                for (var d = 0u; d < CHUNK; d += 1u) {
                    let low = bitcast<vec4<f32>>(staged[d * ROW_STRIDE + down * 2u]);
                    let high = bitcast<vec4<f32>>(staged[d * ROW_STRIDE + down * 2u + 1u]);
                    let v = bitcast<vec4<f32>>(staged[VECTORS + d * ACROSS + across]);
                    s0 = fma(vec4<f32>(low.x), v, s0);
                    s1 = fma(vec4<f32>(low.y), v, s1);
                    s2 = fma(vec4<f32>(low.z), v, s2);
                    s3 = fma(vec4<f32>(low.w), v, s3);
                    s4 = fma(vec4<f32>(high.x), v, s4);
                    s5 = fma(vec4<f32>(high.y), v, s5);
                    s6 = fma(vec4<f32>(high.z), v, s6);
                    s7 = fma(vec4<f32>(high.w), v, s7);
                }
            }
        }
        t = Scores(
            added(t.s0, s0),
            added(t.s1, s1),
            added(t.s2, s2),
            added(t.s3, s3),
            added(t.s4, s4),
            added(t.s5, s5),
            added(t.s6, s6),
            added(t.s7, s7),
        );
    }
    return t;
}
