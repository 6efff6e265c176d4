// Four values of `vectors`, as they lie there and as float32: four bytes of a word.
alias Quad = u32;

fn widened(quad: Quad) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(quad) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu));
}
