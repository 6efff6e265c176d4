// Four values of `vectors`, as they lie there and as float32: they are.
alias Quad = vec4<u32>;

fn widened(quad: Quad) -> vec4<f32> {
    return bitcast<vec4<f32>>(quad);
}
