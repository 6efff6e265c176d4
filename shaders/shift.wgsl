// What queries that meet a list of codes (affine.wgsl) have besides scores, two numbers a pair: the squared length of
// what is compared with the codes, and what every score lacks.
//
// Terms are made by other threads than those that add them, so that no compiler fuses a product with a sum: the CPU
// rounds both. It adds up eight sums side by side, and then those. The CPU's twin is src/backend/affine.rs.

const PAIRS: u32 = 16u;
const SUMS: u32 = 8u;
const CHUNK: u32 = 32u;

// [PAIRS][CHUNK] terms of both numbers, in the end [PAIRS][SUMS] sums.
var<workgroup> staged: array<vec2<f32>, 512>;

fn terms(list: u32, query: u32, d: u32) -> vec2<f32> {
    let value = queries[query * shape.dim + d];
    let offset = book[shape.dim + d];
    if (shape.residuals == 2u) {
        return vec2<f32>(0.0, value * (book[(2u + list) * shape.dim + d] + offset));
    }
    var compared = value;
    if (shape.residuals == 1u) {
        compared -= book[(2u + list) * shape.dim + d];
    }
    return vec2<f32>(select(0.0, compared * compared, shape.squared == 1u), compared * offset);
}

fn make_numbers(own: Group, thread: u32) {
    var sum = vec2<f32>();
    for (var start = 0u; start < shape.dim; start += CHUNK) {
        workgroupBarrier();
        for (var i = thread; i < PAIRS * CHUNK; i += THREADS) {
            let d = start + i % CHUNK;
            if (i / CHUNK < own.pairs && d < shape.dim) {
                staged[i] = terms(own.list, pairs[own.pair + i / CHUNK].query, d);
            }
        }
        workgroupBarrier();
        if (thread < PAIRS * SUMS) {
            for (var at = thread % SUMS; at < min(CHUNK, shape.dim - start); at += SUMS) {
                sum += staged[thread / SUMS * CHUNK + at];
            }
        }
    }
    workgroupBarrier();
    if (thread < PAIRS * SUMS) {
        staged[thread] = sum;
    }
    workgroupBarrier();
    if (thread < own.pairs) {
        var total = vec2<f32>();
        for (var i = 0u; i < SUMS; i += 1u) {
            total += staged[thread * SUMS + i];
        }
        let place = shape.numbers + 2u * (own.pair + thread);
        queries[place] = total.x;
        queries[place + 1u] = total.y;
    }
}
