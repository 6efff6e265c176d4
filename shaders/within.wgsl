// The keys of each row that do not exceed the one wanted: `count` counts them, `gather` writes where they are, once
// the caller knows how much room each row needs.

struct Shape {
    first: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
// `count`: the number of each row's hits. `gather`: the hits, each counted from its row's start, in no order.
@group(0) @binding(3) var<storage, read_write> found: array<u32>;

var<workgroup> total: atomic<u32>;

@compute @workgroup_size(THREADS)
fn count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (number >= shape.count) {
        return;
    }
    let row = rows[shape.first + number];
    if (thread == 0u) {
        atomicStore(&total, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < row.length; i += THREADS) {
        let key = keys[row.start + i];
        if (key <= row.wanted && key != NONE) {
            atomicAdd(&total, 1u);
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        found[shape.first + number] = atomicLoad(&total);
    }
}

@compute @workgroup_size(THREADS)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (number >= shape.count) {
        return;
    }
    let row = rows[shape.first + number];
    if (thread == 0u) {
        atomicStore(&total, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < row.length; i += THREADS) {
        let key = keys[row.start + i];
        if (key <= row.wanted && key != NONE) {
            found[row.place + atomicAdd(&total, 1u)] = i;
        }
    }
}
