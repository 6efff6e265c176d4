// A value of `vectors` as float32: four bytes a word.
fn value(index: u32) -> f32 {
    return f32((vectors[index >> 2u] >> ((index & 3u) * 8u)) & 0xffu);
}
