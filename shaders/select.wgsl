// The k smallest keys of each row, by radix selection: four passes find the k-th key, one more collects. k and the
// rows' lengths have no limit.
//
// The set found depends on the keys alone, except which of several equal to the k-th are kept; the caller, who sees
// that key, knows when that matters. The CPU's twin is `select_nth_unstable` in src/backend/cpu.rs.

struct Shape {
    first: u32,
    count: u32,
}

struct Row {
    start: u32,
    length: u32,
    k: u32,
    // Where its hits go.
    place: u32,
}

struct Hit {
    key: u32,
    // From the row's start.
    at: u32,
}

struct Summary {
    hits: u32,
    // The k-th key; NONE if all that there is was found.
    bar: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> hits: array<Hit>;
@group(0) @binding(4) var<storage, read_write> summaries: array<Summary>;

override THREADS: u32 = 128u;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> digit: u32;
var<workgroup> below: u32;
var<workgroup> less: atomic<u32>;
var<workgroup> equal: atomic<u32>;

@compute @workgroup_size(THREADS)
fn best(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    if (number >= shape.count) {
        return;
    }
    let row = rows[shape.first + number];
    // Digits of the k-th key that are known, and how many keys with these digits are still wanted.
    var prefix = 0u;
    var mask = 0u;
    var wanted = row.k;
    for (var pass_number = 0u; pass_number < 4u; pass_number += 1u) {
        let shift = 24u - 8u * pass_number;
        for (var i = thread; i < 256u; i += THREADS) {
            atomicStore(&histogram[i], 0u);
        }
        workgroupBarrier();
        for (var i = thread; i < row.length; i += THREADS) {
            let key = keys[row.start + i];
            if ((key & mask) == prefix && key != NONE) {
                atomicAdd(&histogram[(key >> shift) & 0xffu], 1u);
            }
        }
        workgroupBarrier();
        if (thread == 0u) {
            var sum = 0u;
            var bin = 0u;
            for (; bin < 256u; bin += 1u) {
                let count = atomicLoad(&histogram[bin]);
                if (sum + count >= wanted) {
                    break;
                }
                sum += count;
            }
            digit = bin;
            below = sum;
        }
        let chosen = workgroupUniformLoad(&digit);
        let passed = workgroupUniformLoad(&below);
        if (chosen == 256u) {
            // Fewer than k in all (only the first pass can tell): every key is below NONE.
            prefix = NONE;
            wanted = 0u;
            break;
        }
        prefix |= chosen << shift;
        mask |= 0xffu << shift;
        wanted -= passed;
    }
    if (thread == 0u) {
        atomicStore(&less, 0u);
        atomicStore(&equal, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < row.length; i += THREADS) {
        let key = keys[row.start + i];
        if (key < prefix) {
            hits[row.place + atomicAdd(&less, 1u)] = Hit(key, i);
        } else if (key == prefix && key != NONE) {
            let rank = atomicAdd(&equal, 1u);
            if (rank < wanted) {
                // Behind the smaller ones, of which there are k - wanted.
                hits[row.place + row.k - wanted + rank] = Hit(key, i);
            }
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        let kept = atomicLoad(&less) + min(atomicLoad(&equal), wanted);
        summaries[shape.first + number] = Summary(kept, prefix);
    }
}
