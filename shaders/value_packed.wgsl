// Four codes of `vectors`, of `shape.bits` each, packed code after code from the lowest bit of a vector's first byte on; a
// word is a byte of each of four vectors. The CPU's twin is src/kernel/bitpack.rs.
alias Quad = u32;

fn bytes(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
}

// Code `d` of four vectors; `base` is where their block begins, and which quad of it they are.
fn codes(base: u32, d: u32) -> vec4<u32> {
    let bit = d * shape.bits;
    let shift = bit % 8u;
    let place = base + bit / 8u * 8u;
    let low = bytes(vectors[place]) >> vec4<u32>(shift);
    // The rest of a code that its first byte does not hold; else what the mask takes away.
    let high = bytes(vectors[place + select(0u, 8u, shift + shape.bits > 8u)]) << vec4<u32>(8u - shift);
    return (low | high) & vec4<u32>((1u << shape.bits) - 1u);
}

// The same as float32.
fn four(base: u32, d: u32) -> vec4<f32> {
    return vec4<f32>(codes(base, d));
}
