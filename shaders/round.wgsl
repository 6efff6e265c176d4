// What queries that meet a list of codes in whole numbers (rounded.wgsl) have besides sums, four numbers a pair: the
// squared length of what is compared with the codes, what every score lacks, what a step of rounding stands for, and
// one by that.
//
// Terms are rounded and added up as the CPU does, sixteen sums side by side. The CPU's twin is src/kernel/round.rs.

// The code about which those of each dimension lie, [dim].
@group(0) @binding(5) var<storage, read> centre: array<f32>;

const SUMS: u32 = 16u;
const MOST: f32 = 127.0;

// A thread's sums: of squares, of the constant, of products with the centroid; and its largest factor.
var<workgroup> staged: array<vec4<f32>, THREADS>;

fn make_numbers(own: Group, thread: u32) {
    let lane = thread % SUMS;
    let centroid = (2u + own.list) * shape.dim;
    for (var begin = 0u; begin < own.pairs; begin += THREADS / SUMS) {
        // A thread without a pair of its own has the last one and writes nothing.
        let pair = own.pair + min(begin + thread / SUMS, own.pairs - 1u);
        let row = pairs[pair].query * shape.dim;
        var sum = vec4<f32>();
        // Products are added up 32 side by side, so a thread has two sums of them.
        var other = 0.0;
        for (var d = lane; d < shape.dim; d += SUMS) {
            var value = queries[row + d];
            if (shape.residuals == 2u) {
                let product = apart(value * book[centroid + d]);
                if ((d & SUMS) == 0u) {
                    sum.z += product;
                } else {
                    other += product;
                }
            }
            if (shape.residuals == 1u) {
                value -= book[centroid + d];
            }
            sum.x += apart(value * value);
            sum.y += apart(value * book[shape.dim + d]);
            sum.w = max(sum.w, abs(value * book[d]));
        }
        sum.z += other;
        workgroupBarrier();
        staged[thread] = sum;
        workgroupBarrier();
        var largest = 0.0;
        for (var i = 0u; i < SUMS; i += 1u) {
            largest = max(largest, staged[thread - lane + i].w);
        }
        var step = 0.0;
        var inverse = 0.0;
        if (largest > 1e-30) {
            step = quotient(largest, MOST);
            inverse = quotient(MOST, largest);
        }
        for (var d = lane; d < shape.dim; d += SUMS) {
            var value = queries[row + d];
            if (shape.residuals == 1u) {
                value -= book[centroid + d];
            }
            let factor = value * book[d];
            let rest = factor - apart(step * whole(factor, inverse));
            sum.y += apart(rest * centre[d]);
        }
        workgroupBarrier();
        staged[thread] = sum;
        workgroupBarrier();
        if (lane == 0u && begin + thread / SUMS < own.pairs) {
            var norm = 0.0;
            var constant = 0.0;
            for (var i = 0u; i < SUMS; i += 1u) {
                norm += staged[thread + i].x;
                constant += staged[thread + i].y;
            }
            if (shape.residuals == 2u) {
                constant += product_of(thread);
            }
            let place = shape.numbers + 4u * pair;
            queries[place] = select(0.0, norm, shape.squared == 1u);
            queries[place + 1u] = constant;
            queries[place + 2u] = step;
            queries[place + 3u] = inverse;
        }
    }
}

// The sums of products from `first` on, added up by halves.
fn product_of(first: u32) -> f32 {
    var sums: array<f32, 8>;
    for (var i = 0u; i < 8u; i += 1u) {
        sums[i] = staged[first + i].z + staged[first + 8u + i].z;
    }
    for (var width = 4u; width > 0u; width /= 2u) {
        for (var i = 0u; i < width; i += 1u) {
            sums[i] += sums[i + width];
        }
    }
    return sums[0];
}
