// Scores two blocks for up to 64 queries: product.wgsl for visit.wgsl.

const STAGED: u32 = 528u;

var<private> own: Tile;

fn row_place(row: u32) -> u32 {
    return query_place(own, row);
}

fn row_value(row: u32, place: u32, d: u32) -> f32 {
    return query_value(own, row, place, d);
}

fn row_start(row: u32, begin: vec4<f32>) -> vec4<f32> {
    return start_of(own, row, begin);
}

fn vector_values(quad: u32, d: u32) -> vec4<f32> {
    if (quad / 8u >= own.blocks || d >= shape.dim) {
        return vec4<f32>();
    }
    return four((own.block + quad / 8u) * shape.columns * 8u + quad % 8u, d);
}

fn score_tile(tile: Tile, thread: u32) {
    own = tile;
    let quad = thread % ACROSS;
    let block = min(quad / 8u, own.blocks - 1u);
    let begin = bias[(own.block + block) * 8u + quad % 8u];
    let all = scores(thread, shape.dim, bitcast<vec4<f32>>(begin));
    if (quad / 8u < own.blocks) {
        let found = findable(own, quad, begin);
        let row = thread / ACROSS * 8u;
        write(own, row, quad, found, bitcast<vec4<f32>>(begin), all.s0);
        write(own, row + 1u, quad, found, bitcast<vec4<f32>>(begin), all.s1);
        write(own, row + 2u, quad, found, bitcast<vec4<f32>>(begin), all.s2);
        write(own, row + 3u, quad, found, bitcast<vec4<f32>>(begin), all.s3);
        write(own, row + 4u, quad, found, bitcast<vec4<f32>>(begin), all.s4);
        write(own, row + 5u, quad, found, bitcast<vec4<f32>>(begin), all.s5);
        write(own, row + 6u, quad, found, bitcast<vec4<f32>>(begin), all.s6);
        write(own, row + 7u, quad, found, bitcast<vec4<f32>>(begin), all.s7);
    }
}
