// Numbers as the CPU rounds them, on any device: no product is fused with a sum, and quotients are exact.

// Adds up to this a number below 2^22 is rounded to a whole one.
const SHIFT: f32 = 12582912.0;

// The same number, with an integer on its way, which no compiler sees through: `shape.zero` is 0, and they cannot know.
fn apart(number: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(number) ^ shape.zero);
}

fn all_apart(numbers: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(numbers) ^ vec4<u32>(shape.zero));
}

// A factor in steps of which the inverse is given, as a whole number.
fn whole(factor: f32, inverse: f32) -> f32 {
    return apart(apart(factor * inverse) + SHIFT) - SHIFT;
}

// The quotient of two positive normal numbers, if it is one.
fn quotient(a: f32, b: f32) -> f32 {
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    let divisor = (y & 0x7fffffu) | 0x800000u;
    var rest = (x & 0x7fffffu) | 0x800000u;
    var exponent = 127u + (x >> 23u) - (y >> 23u);
    if (rest < divisor) {
        rest <<= 1u;
        exponent -= 1u;
    }
    // 24 bits and one to round by; what is left of the rest tells more.
    var bits = 0u;
    for (var i = 0u; i < 25u; i += 1u) {
        bits <<= 1u;
        if (rest >= divisor) {
            bits |= 1u;
            rest -= divisor;
        }
        rest <<= 1u;
    }
    let up = (bits & 1u) == 1u && (rest != 0u || (bits & 2u) == 2u);
    return bitcast<f32>((exponent << 23u) + (bits >> 1u) + select(0u, 1u, up) - 0x800000u);
}
