// What all kernels share: the size of a workgroup, and keys: integers in the order of distances, smaller is better.

override THREADS: u32 = 128u;

// The key of a lane that holds nothing to find. No score gives it: it would be a NaN.
const NONE: u32 = 0xffffffffu;

// A float's bits as an integer of the same order.
fn ordered(number: f32) -> u32 {
    let bits = bitcast<u32>(number);
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
