// Four values of `vectors`, as they lie there and as float32: two float16 a word. Widened by hand, so that small ones
// are not flushed to zero on any driver.
alias Quad = vec2<u32>;

fn widened(quad: Quad) -> vec4<f32> {
    let halves = vec4<u32>(quad.x & 0xffffu, quad.x >> 16u, quad.y & 0xffffu, quad.y >> 16u);
    let magnitudes = halves & vec4<u32>(0x7fffu);
    // Below 2^-14 a half is a multiple of 2^-24; from there on its exponent is 112 less than float32's.
    let small = vec4<f32>(magnitudes) * 5.9604644775390625e-8;
    let large = bitcast<vec4<f32>>((magnitudes << vec4<u32>(13u)) + vec4<u32>(0x38000000u));
    let sizes = select(large, small, magnitudes < vec4<u32>(0x400u));
    return select(sizes, -sizes, (halves & vec4<u32>(0x8000u)) != vec4<u32>(0u));
}

// Dimension `d` of four vectors; `base` is where their block begins, and which quad of it they are.
fn four(base: u32, d: u32) -> vec4<f32> {
    return widened(vectors[base + d * 8u]);
}
