// What all kernels share: the size of a workgroup, the number of each, and keys: integers in the order of distances, smaller
// is better.

override THREADS: u32 = 128u;

// A dispatch of more workgroups than this has rows of so many: see `dispatch_groups` in src/backend/gpu/encode.rs.
override MOST_GROUPS: u32 = 65535u;

// DX12 does not tell how many there are where a buffer says how many to dispatch.
fn group_number(group: vec3<u32>) -> u32 {
    return group.y * MOST_GROUPS + group.x;
}

// The key of a lane that holds nothing to find. No score gives it: it would be a NaN.
const NONE: u32 = 0xffffffffu;

// A float's bits as an integer of the same order.
fn ordered(number: f32) -> u32 {
    let bits = bitcast<u32>(number);
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
