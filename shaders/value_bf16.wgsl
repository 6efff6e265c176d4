// A value of `vectors` as float32: two bfloat16 a word, each the upper half of a float32.
fn value(index: u32) -> f32 {
    return bitcast<f32>((vectors[index >> 1u] >> ((index & 1u) * 16u)) << 16u);
}
