// What shift.wgsl, round.wgsl and residual.wgsl share: pairs of queries and lists of codes, which have numbers of their own
// besides scores. Each of them has `make_numbers`, a workgroup's work.

struct Shape {
    dim: u32,
    // 1 = keys are squared distances.
    squared: u32,
    // As in visit.wgsl.
    residuals: u32,
    // The first group of the dispatch, and how many there are.
    first: u32,
    count: u32,
    // Where the pairs' numbers begin in `queries`.
    numbers: u32,
    // 0.
    zero: u32,
    // Of residual.wgsl, as floats: what code 0 stands for, the sign apart, and the largest sum of four values in steps.
    centre: u32,
    most: u32,
}

// Pairs of one list, 16 at most.
struct Group {
    list: u32,
    pair: u32,
    pairs: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> groups: array<Group>;
@group(0) @binding(2) var<storage, read> pairs: array<Pair>;
@group(0) @binding(3) var<storage, read_write> queries: array<f32>;
// As the kernel has it that scans these codes.
@group(0) @binding(4) var<storage, read> book: array<f32>;

@compute @workgroup_size(THREADS)
fn numbers(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(workgroup);
    if (number < shape.count) {
        make_numbers(groups[shape.first + number], thread);
    }
}
