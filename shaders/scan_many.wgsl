// Scores two blocks for up to 64 queries: product.wgsl for visit.wgsl.

const STAGED: u32 = 528u;

// In the end `staged` holds the least keys of [16 groups of four queries][ACROSS]: one more, against bank conflicts.
const LEAST_STRIDE: u32 = 17u;

var<private> own: Tile;

fn row_place(row: u32) -> u32 {
    return query_place(own, row);
}

fn row_value(row: u32, place: u32, d: u32) -> f32 {
    return query_value(own, row, place, d);
}

fn is_row(row: u32) -> bool {
    return row < own.pairs;
}

fn row_start(row: u32, begin: vec4<f32>) -> vec4<f32> {
    return start_of(own, row, begin);
}

fn vector_values(quad: u32, d: u32) -> vec4<f32> {
    if (d >= shape.dim) {
        return vec4<f32>();
    }
    // A thread without a block of its own reads the last one and writes nothing.
    return four((own.block + min(quad / 8u, own.blocks - 1u)) * shape.columns * 8u + quad % 8u, d);
}

// The least of two quads' keys of a query.
fn least_of(place: u32, query: u32) -> u32 {
    return min(staged[place][query % 4u], staged[place + 1u][query % 4u]);
}

fn score_tile(tile: Tile, thread: u32) {
    own = tile;
    let quad = thread % ACROSS;
    let block = min(quad / 8u, own.blocks - 1u);
    let begin = bias[(own.block + block) * 8u + quad % 8u];
    let all = scores(thread, shape.dim, bitcast<vec4<f32>>(begin));
    var low = vec4<u32>();
    var high = vec4<u32>();
    if (quad / 8u < own.blocks) {
        let found = findable(own, quad, begin);
        let biases = bitcast<vec4<f32>>(begin);
        let row = thread / ACROSS * 8u;
        low = vec4<u32>(
            write(own, row, quad, found, biases, all.s0),
            write(own, row + 1u, quad, found, biases, all.s1),
            write(own, row + 2u, quad, found, biases, all.s2),
            write(own, row + 3u, quad, found, biases, all.s3),
        );
        high = vec4<u32>(
            write(own, row + 4u, quad, found, biases, all.s4),
            write(own, row + 5u, quad, found, biases, all.s5),
            write(own, row + 6u, quad, found, biases, all.s6),
            write(own, row + 7u, quad, found, biases, all.s7),
        );
    }
    workgroupBarrier();
    let group = thread / ACROSS * 2u;
    staged[group * LEAST_STRIDE + quad] = low;
    staged[(group + 1u) * LEAST_STRIDE + quad] = high;
    workgroupBarrier();
    // From here on a thread has a query and a block.
    let query = thread % ROWS;
    let place = query / 4u * LEAST_STRIDE + thread / ROWS * 8u;
    write_least(own, query, thread / ROWS, vec4<u32>(
        least_of(place, query),
        least_of(place + 2u, query),
        least_of(place + 4u, query),
        least_of(place + 6u, query),
    ));
}
