// Four values of `vectors`, as they lie there and as float32: four bytes of a word.
alias Quad = u32;

fn widened(quad: Quad) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(quad) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu));
}

// Dimension `d` of four vectors; `base` is where their block begins, and which quad of it they are.
fn four(base: u32, d: u32) -> vec4<f32> {
    return widened(vectors[base + d * 8u]);
}
