// Four values of `vectors`, as they lie there and as float32: they are.
alias Quad = vec4<u32>;

fn widened(quad: Quad) -> vec4<f32> {
    return bitcast<vec4<f32>>(quad);
}

// Dimension `d` of four vectors; `base` is where their block begins, and which quad of it they are.
fn four(base: u32, d: u32) -> vec4<f32> {
    return widened(vectors[base + d * 8u]);
}
