// What queries that meet a list of RaBitQ codes (estimate.wgsl) have besides sums, six numbers a pair: the squared length of
// the residual, what every score lacks, where sums start, and where sums are whole numbers, what they count from, what a step
// of rounding stands for, and one by that.
//
// Terms are rounded and added up as the CPU does, sixteen sums side by side. The CPU's twins are `residual` and `subsets` in
// src/kernel/lookup.rs.

const SUMS: u32 = 16u;

// A thread's sums: of squares, of products with the centroid, of values; and the widest of its fours.
var<workgroup> staged: array<vec4<f32>, THREADS>;
// The same of values in whole steps: of their sizes, and of those of negative ones.
var<workgroup> steps: array<vec2<f32>, THREADS>;

fn value_at(row: u32, centroid: u32, d: u32) -> f32 {
    return queries[row + d] - book[centroid + d];
}

fn size_at(row: u32, centroid: u32, d: u32) -> f32 {
    if (d >= shape.dim) {
        return 0.0;
    }
    return abs(value_at(row, centroid, d));
}

// The largest sum of the sizes of four values, of every sixteenth four: added up by pairs as far as there are sixteen.
fn widest_of(row: u32, centroid: u32, lane: u32) -> f32 {
    var widest = 0.0;
    for (var d = 4u * lane; d < shape.dim; d += 4u * SUMS) {
        let one = size_at(row, centroid, d);
        let two = size_at(row, centroid, d + 1u);
        let three = size_at(row, centroid, d + 2u);
        let four = size_at(row, centroid, d + 3u);
        let sum = select(((one + two) + three) + four, (one + two) + (three + four), d < shape.dim / 16u * 16u);
        widest = max(widest, sum);
    }
    return widest;
}

fn make_numbers(own: Group, thread: u32) {
    let lane = thread % SUMS;
    let centroid = own.list * shape.dim;
    let most = bitcast<f32>(shape.most);
    for (var begin = 0u; begin < own.pairs; begin += THREADS / SUMS) {
        // A thread without a pair of its own has the last one and writes nothing.
        let pair = own.pair + min(begin + thread / SUMS, own.pairs - 1u);
        let row = pairs[pair].query * shape.dim;
        var sum = vec4<f32>();
        for (var d = lane; d < shape.dim; d += SUMS) {
            let value = value_at(row, centroid, d);
            sum.x += apart(value * value);
            sum.y += apart(queries[row + d] * book[centroid + d]);
            sum.z += value;
        }
        sum.w = widest_of(row, centroid, lane);
        workgroupBarrier();
        staged[thread] = sum;
        workgroupBarrier();
        var widest = 0.0;
        for (var i = 0u; i < SUMS; i += 1u) {
            widest = max(widest, staged[thread - lane + i].w);
        }
        var step = 0.0;
        var inverse = 0.0;
        if (most > 0.0 && widest > 1e-30) {
            step = quotient(widest, most);
            inverse = quotient(most, widest);
        }
        var sizes = vec2<f32>();
        for (var d = lane; d < shape.dim; d += SUMS) {
            let value = whole(value_at(row, centroid, d), inverse);
            sizes += vec2<f32>(abs(value), max(-value, 0.0));
        }
        steps[thread] = sizes;
        workgroupBarrier();
        if (lane == 0u && begin + thread / SUMS < own.pairs) {
            var total = vec3<f32>();
            var rounded = vec2<f32>();
            for (var i = 0u; i < SUMS; i += 1u) {
                total += staged[thread + i].xyz;
                rounded += steps[thread + i];
            }
            let place = shape.numbers + 6u * pair;
            queries[place] = select(0.0, total.x, shape.squared == 1u);
            queries[place + 1u] = select(total.y, 0.0, shape.squared == 1u);
            queries[place + 2u] = select(-bitcast<f32>(shape.centre) * total.z, rounded.y, most > 0.0);
            queries[place + 3u] = -0.5 * rounded.x * step;
            queries[place + 4u] = step;
            queries[place + 5u] = inverse;
        }
    }
}
