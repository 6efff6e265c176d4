// A value of `vectors` as float32: it is one.
fn value(index: u32) -> f32 {
    return bitcast<f32>(vectors[index]);
}
