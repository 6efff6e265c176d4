// The k smallest keys of each row. k and the rows' lengths have no limit.
//
// Two passes as a rule: of the threads' own least keys the k-th bounds the row's k-th key, and few others lie below it.
// Both look at the least key of each eight, where those are known, and few others. Where too many lie below it, or k is larger
// than that, four passes of a radix selection find the k-th key and one more collects.
//
// The set found depends on the keys alone, except which of several equal to the k-th are kept; the caller, who sees
// that key, knows when that matters. The CPU's twin is `select_nth_unstable` in src/backend/cpu.rs.

struct Shape {
    first: u32,
    count: u32,
    // Where in `keys` the least ones of each eight begin; 0 = they are not known.
    least: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> hits: array<Hit>;
@group(0) @binding(4) var<storage, read_write> summaries: array<Summary>;

// Keys below the bound that there is room for.
const ROOM: u32 = 512u;

var<workgroup> least: array<u32, THREADS>;
var<workgroup> below_bound: array<Hit, ROOM>;
var<workgroup> histogram: array<atomic<u32>, 256>;
// What a thread tells the others.
var<workgroup> told: u32;
var<workgroup> also_told: u32;
var<workgroup> total: atomic<u32>;
var<workgroup> equal: atomic<u32>;

// A key that at least k of `keys` from `begin` on do not exceed; the largest that there is, if that is not known.
fn bound_of(thread: u32, k: u32, begin: u32, count: u32) -> u32 {
    var four = vec4<u32>(NONE);
    for (var i = thread; i < count; i += THREADS) {
        four = min(four, keys[begin + i]);
    }
    let own = min(min(four.x, four.y), min(four.z, four.w));
    least[thread] = own;
    if (thread == 0u) {
        told = NONE - 1u;
        atomicStore(&total, 0u);
    }
    workgroupBarrier();
    var rank = 0u;
    for (var j = 0u; j < THREADS; j += 1u) {
        let other = least[j];
        rank += select(0u, 1u, other < own || (other == own && j < thread));
    }
    if (rank + 1u == k) {
        told = min(own, NONE - 1u);
    }
    return workgroupUniformLoad(&told);
}

fn keep_below(bound: u32, key: u32, at: u32) {
    if (key <= bound) {
        let place = atomicAdd(&total, 1u);
        if (place < ROOM) {
            below_bound[place] = Hit(key, at);
        }
    }
}

fn keep_four(bound: u32, four: vec4<u32>, at: u32) {
    keep_below(bound, four.x, at);
    keep_below(bound, four.y, at + 1u);
    keep_below(bound, four.z, at + 2u);
    keep_below(bound, four.w, at + 3u);
}

// Keeps the row's keys up to a bound.
fn keep_all_below(thread: u32, row: Row) {
    let bound = bound_of(thread, row.wanted, row.start / 4u, row.length / 4u);
    for (var i = thread; i < row.length / 4u; i += THREADS) {
        let four = keys[row.start / 4u + i];
        if (any(four <= vec4<u32>(bound))) {
            keep_four(bound, four, i * 4u);
        }
    }
}

// The same by the least of each eight.
fn keep_eights_below(thread: u32, row: Row) {
    let begin = shape.least + row.start / 32u;
    let bound = bound_of(thread, row.wanted, begin, row.length / 32u);
    for (var i = thread; i < row.length / 32u; i += THREADS) {
        let least = keys[begin + i];
        if (any(least <= vec4<u32>(bound))) {
            for (var eight = 0u; eight < 4u; eight += 1u) {
                if (least[eight] <= bound) {
                    let at = i * 8u + eight * 2u;
                    keep_four(bound, keys[row.start / 4u + at], at * 4u);
                    keep_four(bound, keys[row.start / 4u + at + 1u], at * 4u + 4u);
                }
            }
        }
    }
}

// Writes the k best of `count` hits, in order; the k-th key.
fn write_best(thread: u32, row: Row, count: u32) -> u32 {
    if (thread == 0u) {
        also_told = NONE;
    }
    workgroupBarrier();
    for (var i = thread; i < count; i += THREADS) {
        let own = below_bound[i];
        var rank = 0u;
        for (var j = 0u; j < count; j += 1u) {
            let other = below_bound[j];
            rank += select(0u, 1u, other.key < own.key || (other.key == own.key && other.at < own.at));
        }
        if (rank < row.wanted) {
            hits[row.place + rank] = own;
        }
        if (rank + 1u == row.wanted) {
            also_told = own.key;
        }
    }
    return workgroupUniformLoad(&also_told);
}

fn count_digit(key: u32, prefix: u32, mask: u32, shift: u32) {
    if ((key & mask) == prefix && key != NONE) {
        atomicAdd(&histogram[(key >> shift) & 0xffu], 1u);
    }
}

// The k-th key, and how many equal to it are among the k; NONE and 0 if there are fewer.
fn kth(thread: u32, row: Row) -> vec2<u32> {
    // Digits of the k-th key that are known, and how many keys with these digits are still wanted.
    var prefix = 0u;
    var mask = 0u;
    var wanted = row.wanted;
    for (var pass_number = 0u; pass_number < 4u; pass_number += 1u) {
        let shift = 24u - 8u * pass_number;
        for (var i = thread; i < 256u; i += THREADS) {
            atomicStore(&histogram[i], 0u);
        }
        workgroupBarrier();
        for (var i = thread; i < row.length / 4u; i += THREADS) {
            let four = keys[row.start / 4u + i];
            count_digit(four.x, prefix, mask, shift);
            count_digit(four.y, prefix, mask, shift);
            count_digit(four.z, prefix, mask, shift);
            count_digit(four.w, prefix, mask, shift);
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
            told = bin;
            also_told = sum;
        }
        let digit = workgroupUniformLoad(&told);
        let passed = workgroupUniformLoad(&also_told);
        if (digit == 256u) {
            // Fewer than k in all (only the first pass can tell): every key is below NONE.
            return vec2<u32>(NONE, 0u);
        }
        prefix |= digit << shift;
        mask |= 0xffu << shift;
        wanted -= passed;
    }
    return vec2<u32>(prefix, wanted);
}

fn collect(row: Row, wanted: u32, last: u32, key: u32, at: u32) {
    if (key < last) {
        hits[row.place + atomicAdd(&total, 1u)] = Hit(key, at);
    } else if (key == last && key != NONE) {
        let rank = atomicAdd(&equal, 1u);
        if (rank < wanted) {
            // Behind the smaller ones, of which there are k - wanted.
            hits[row.place + row.wanted - wanted + rank] = Hit(key, at);
        }
    }
}

@compute @workgroup_size(THREADS)
fn best(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (number >= shape.count) {
        return;
    }
    let row = rows[shape.first + number];
    if (row.wanted <= THREADS) {
        // Of fewer keys there are too few eights to tell much.
        if (shape.least > 0u && row.length >= 64u * THREADS) {
            keep_eights_below(thread, row);
        } else {
            keep_all_below(thread, row);
        }
        workgroupBarrier();
        if (thread == 0u) {
            told = atomicLoad(&total);
        }
        let count = workgroupUniformLoad(&told);
        if (count <= ROOM) {
            let bar = write_best(thread, row, count);
            if (thread == 0u) {
                summaries[shape.first + number] = Summary(min(count, row.wanted), bar);
            }
            return;
        }
    }
    let last = kth(thread, row);
    if (thread == 0u) {
        atomicStore(&total, 0u);
        atomicStore(&equal, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < row.length / 4u; i += THREADS) {
        let four = keys[row.start / 4u + i];
        collect(row, last.y, last.x, four.x, i * 4u);
        collect(row, last.y, last.x, four.y, i * 4u + 1u);
        collect(row, last.y, last.x, four.z, i * 4u + 2u);
        collect(row, last.y, last.x, four.w, i * 4u + 3u);
    }
    workgroupBarrier();
    if (thread == 0u) {
        let kept = atomicLoad(&total) + min(atomicLoad(&equal), last.y);
        summaries[shape.first + number] = Summary(kept | UNORDERED, last.x);
    }
}
