// The sums of rows by label, a thread for each label and dimension, bit by bit what src/kmeans/means.rs computes: four rows
// at a time in float32, and their sums in float64.
//
// There is no float64 here, floats are not everywhere added in the order that is written, and GPUs flush small ones. So
// all is done in whole numbers: a number is the bits of a float64, the low word first. Neither infinities nor numbers
// too small for float32 come up, and the sign of a zero is of no account.

struct Shape {
    dim: u32,
    // Labels of the dispatch.
    labels: u32,
    // Where the first label's rows begin in what `starts` counts.
    base: u32,
    // Which fours of each label's rows are added.
    first: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
// The rows of all labels, label after label.
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec2<u32>>;

// All but the sign.
const SIZE: u32 = 0x7fffffffu;
const SIGN: u32 = 0x80000000u;

// A value of a row.
fn value(number: u32, d: u32) -> vec2<u32> {
    let bits = rows[places[number] * shape.dim + d];
    var digits = bits & 0x7fffffu;
    var exponent = (bits >> 23u) & 0xffu;
    if (exponent == 0u) {
        if (digits == 0u) {
            return vec2<u32>();
        }
        let lead = countLeadingZeros(digits) - 8u;
        digits = (digits << lead) & 0x7fffffu;
        exponent = 1u - lead;
    }
    return vec2<u32>(digits << 29u, (bits & SIGN) | ((exponent + 896u) << 20u) | (digits >> 3u));
}

// A number's digits, three bits up.
fn digits_of(number: vec2<u32>) -> vec2<u32> {
    let high = (number.y & 0xfffffu) | 0x100000u;
    return vec2<u32>(number.x << 3u, (high << 3u) | (number.x >> 29u));
}

// Digits shifted down; whatever falls off sets the last bit.
fn down(digits: vec2<u32>, by: u32) -> vec2<u32> {
    var now = digits;
    var left = by;
    var lost = 0u;
    if (left >= 32u) {
        lost = now.x;
        now = vec2<u32>(now.y, 0u);
        left -= 32u;
    }
    if (left >= 32u) {
        return vec2<u32>(1u, 0u);
    }
    if (left > 0u) {
        lost |= now.x << (32u - left);
        now = vec2<u32>((now.x >> left) | (now.y << (32u - left)), now.y >> left);
    }
    return vec2<u32>(now.x | u32(lost != 0u), now.y);
}

fn add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let sizes = vec2<u32>(a.y, b.y) & vec2<u32>(SIZE);
    let swap = sizes.y > sizes.x || (sizes.y == sizes.x && b.x > a.x);
    let x = select(a, b, swap);
    let y = select(b, a, swap);
    if (min(sizes.x, sizes.y) == 0u) {
        return x;
    }
    var exponent = (x.y >> 20u) & 0x7ffu;
    let large = digits_of(x);
    let small = down(digits_of(y), exponent - ((y.y >> 20u) & 0x7ffu));
    var low = large.x + small.x;
    var high = large.y + small.y + u32(low < large.x);
    if ((x.y ^ y.y) > SIZE) {
        low = large.x - small.x;
        high = large.y - small.y - u32(low > large.x);
        if ((low | high) == 0u) {
            return vec2<u32>();
        }
    }
    // The first digit goes four bits above where it belongs.
    var up = countLeadingZeros(high) - 7u;
    if (high == 0u) {
        up = countLeadingZeros(low) + 25u;
    }
    exponent -= up;
    if (up >= 32u) {
        high = low;
        low = 0u;
        up -= 32u;
    }
    if (up > 0u) {
        high = (high << up) | (low >> (32u - up));
        low <<= up;
    }
    // To the nearest, of two as near to the even one.
    let rounded = low + 7u + ((low >> 4u) & 1u);
    high += u32(rounded < low);
    return vec2<u32>((rounded >> 4u) | (high << 28u), (x.y & SIGN) | ((exponent << 20u) + (high >> 4u)));
}

// The same rounded to float32.
fn add32(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let sum = add(a, b);
    let low = sum.x + 0xfffffffu + ((sum.x >> 29u) & 1u);
    return vec2<u32>(low & 0xe0000000u, sum.y + u32(low < sum.x));
}

@compute @workgroup_size(THREADS)
fn sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = group_number(group) * THREADS + thread;
    let label = place / shape.dim;
    if (label >= shape.labels) {
        return;
    }
    let d = place % shape.dim;
    let begin = starts[label] - shape.base;
    let end = starts[label + 1u] - shape.base;
    let fours = (end - begin) / 4u;
    var total = vec2<u32>();
    if (shape.first > 0u) {
        total = sums[place];
    } else {
        for (var row = begin + 4u * fours; row < end; row += 1u) {
            total = add(total, value(row, d));
        }
    }
    let last = min(shape.first + shape.count, fours);
    for (var four = shape.first; four < last; four += 1u) {
        let row = begin + 4u * four;
        let low = add32(value(row, d), value(row + 1u, d));
        let high = add32(value(row + 2u, d), value(row + 3u, d));
        total = add(total, add32(low, high));
    }
    sums[place] = total;
}
