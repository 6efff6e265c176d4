// Scores the blocks of a tile for up to eight queries, each of which a thread holds for four vectors.
//
// Products are added as the CPU's fused kernels add them: by fused multiply-adds within 256 dimensions, whose sums are
// added one after another to the vector's bias. `four` is of one of value_*.wgsl, `query_value` of plain.wgsl,
// affine.wgsl, rounded.wgsl or estimate.wgsl. The CPU's twin is src/kernel/tile.rs.

const CHUNK: u32 = 64u;
const SUM: u32 = 256u;

// [CHUNK][8 queries].
var<workgroup> staged: array<vec4<f32>, 128>;

// [16 blocks][8 quads][8 queries] least keys, with room between blocks against bank conflicts.
const BLOCK_STRIDE: u32 = 18u;
var<workgroup> leasts: array<vec4<u32>, 288>;

// The least of two quads' keys of a query.
fn least_of(place: u32, query: u32) -> u32 {
    return min(leasts[place + query / 4u][query % 4u], leasts[place + 2u + query / 4u][query % 4u]);
}

fn score_tile(tile: Tile, thread: u32) {
    // What a thread stages: a dimension of four queries.
    let q = (thread & 1u) * 4u;
    let place0 = query_place(tile, q);
    let place1 = query_place(tile, q + 1u);
    let place2 = query_place(tile, q + 2u);
    let place3 = query_place(tile, q + 3u);
    for (var at = 0u; at < tile.blocks; at += THREADS / 8u) {
        // A thread without a block of its own reads the last one and writes nothing.
        let own = at + thread / 8u;
        let block = min(own, tile.blocks - 1u);
        let begin = bias[(tile.block + block) * 8u + thread % 8u];
        let base = (tile.block + block) * shape.columns * 8u + thread % 8u;
        let biases = bitcast<vec4<f32>>(begin);
        var t0 = start_of(tile, 0u, biases);
        var t1 = start_of(tile, 1u, biases);
        var t2 = start_of(tile, 2u, biases);
        var t3 = start_of(tile, 3u, biases);
        var t4 = start_of(tile, 4u, biases);
        var t5 = start_of(tile, 5u, biases);
        var t6 = start_of(tile, 6u, biases);
        var t7 = start_of(tile, 7u, biases);
        for (var sum = 0u; sum < shape.dim; sum += SUM) {
            var s0 = vec4<f32>();
            var s1 = vec4<f32>();
            var s2 = vec4<f32>();
            var s3 = vec4<f32>();
            var s4 = vec4<f32>();
            var s5 = vec4<f32>();
            var s6 = vec4<f32>();
            var s7 = vec4<f32>();
            let end = min(sum + SUM, shape.dim);
            for (var start = sum; start < end; start += CHUNK) {
                workgroupBarrier();
                let staged_d = start + (thread >> 1u);
                staged[thread] = vec4<f32>(
                    query_value(tile, q, place0, staged_d),
                    query_value(tile, q + 1u, place1, staged_d),
                    query_value(tile, q + 2u, place2, staged_d),
                    query_value(tile, q + 3u, place3, staged_d),
                );
                workgroupBarrier();
                let count = min(CHUNK, end - start);
                for (var d = 0u; d < count; d += 1u) {
                    let v = four(base, start + d);
                    let low = staged[d * 2u];
                    let high = staged[d * 2u + 1u];
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
            t0 = added(t0, s0);
            t1 = added(t1, s1);
            t2 = added(t2, s2);
            t3 = added(t3, s3);
            t4 = added(t4, s4);
            t5 = added(t5, s5);
            t6 = added(t6, s6);
            t7 = added(t7, s7);
        }
        let place = thread / 8u * BLOCK_STRIDE;
        if (own < tile.blocks) {
            let quad = own * 8u + thread % 8u;
            let found = findable(tile, quad, begin);
            leasts[place + thread % 8u * 2u] = vec4<u32>(
                write(tile, 0u, quad, found, biases, t0),
                write(tile, 1u, quad, found, biases, t1),
                write(tile, 2u, quad, found, biases, t2),
                write(tile, 3u, quad, found, biases, t3),
            );
            leasts[place + thread % 8u * 2u + 1u] = vec4<u32>(
                write(tile, 4u, quad, found, biases, t4),
                write(tile, 5u, quad, found, biases, t5),
                write(tile, 6u, quad, found, biases, t6),
                write(tile, 7u, quad, found, biases, t7),
            );
        }
        workgroupBarrier();
        // From here on a thread has a block and a query.
        let query = thread % 8u;
        write_least(tile, query, own, vec4<u32>(
            least_of(place, query),
            least_of(place + 4u, query),
            least_of(place + 8u, query),
            least_of(place + 12u, query),
        ));
    }
}
