// Four values of `vectors`, as they lie there and as float32: two bfloat16 a word, each the upper half of a float32.
alias Quad = vec2<u32>;

fn widened(quad: Quad) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(quad.x << 16u, quad.x & 0xffff0000u, quad.y << 16u, quad.y & 0xffff0000u));
}

// Dimension `d` of four vectors; `base` is where their block begins, and which quad of it they are.
fn four(base: u32, d: u32) -> vec4<f32> {
    return widened(vectors[base + d * 8u]);
}
