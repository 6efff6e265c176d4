// A value of `vectors` as float32: two float16 a word. Widened by hand, so that small ones are not flushed to zero
// on any driver.
fn value(index: u32) -> f32 {
    let half = (vectors[index >> 1u] >> ((index & 1u) * 16u)) & 0xffffu;
    let magnitude = half & 0x7fffu;
    // Below 2^-14 a half is a multiple of 2^-24; from there on its exponent is 112 less than float32's.
    let small = f32(magnitude) * 5.9604644775390625e-8;
    let large = bitcast<f32>((magnitude << 13u) + 0x38000000u);
    let size = select(large, small, magnitude < 0x400u);
    return select(size, -size, (half & 0x8000u) != 0u);
}
