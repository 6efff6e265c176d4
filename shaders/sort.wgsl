// Where the pairs and the tiles of each list begin, and how many tiles there are: one workgroup; see plan.wgsl.

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> map: array<Entry>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> starts: array<Start>;
@group(0) @binding(4) var<storage, read_write> tiles: array<Tile>;
// Workgroups of the dispatches for tiles of many queries and of few.
@group(0) @binding(5) var<storage, read_write> dispatches: array<u32>;

var<workgroup> sums: array<vec3<u32>, THREADS>;

// How many pairs and tiles a list has.
fn needs(list: u32) -> vec3<u32> {
    let pairs = counts[list];
    if (pairs == 0u) {
        return vec3<u32>();
    }
    let many = in_many(pairs);
    let rows = vec2<u32>(ceiling(many, MANY_PAIRS), ceiling(pairs - many, FEW_PAIRS));
    let entry = map[list];
    var tiles_of = vec2<u32>();
    for (var extent = 0u; extent < entry.z; extent += 1u) {
        let blocks = map[shape.lists + entry.y + extent].y;
        tiles_of += rows * vec2<u32>(ceiling(blocks, MANY_BLOCKS), ceiling(blocks, FEW_BLOCKS));
    }
    return vec3<u32>(pairs, tiles_of);
}

// Dispatches `count` workgroups, and as many more as the last row has room for, which find tiles of nothing.
fn dispatch(thread: u32, at: u32, first: u32, count: u32) {
    let x = min(count, MOST_GROUPS);
    let y = ceiling(count, MOST_GROUPS);
    for (var tile = count + thread; tile < x * y; tile += THREADS) {
        tiles[first + tile] = Tile();
    }
    if (thread == 0u) {
        dispatches[at] = x;
        dispatches[at + 1u] = y;
        dispatches[at + 2u] = 1u;
    }
}

@compute @workgroup_size(THREADS)
fn sort(@builtin(local_invocation_index) thread: u32) {
    var before = vec3<u32>();
    for (var begin = 0u; begin < shape.lists; begin += THREADS) {
        let list = begin + thread;
        var own = vec3<u32>();
        if (list < shape.lists) {
            own = needs(list);
        }
        workgroupBarrier();
        sums[thread] = own;
        workgroupBarrier();
        for (var step = 1u; step < THREADS; step *= 2u) {
            var other = vec3<u32>();
            if (thread >= step) {
                other = sums[thread - step];
            }
            workgroupBarrier();
            sums[thread] += other;
            workgroupBarrier();
        }
        if (list < shape.lists) {
            let start = before + sums[thread] - own;
            starts[list] = Start(start.x, start.y, start.z);
        }
        before += sums[THREADS - 1u];
    }
    dispatch(thread, 0u, 0u, before.y);
    dispatch(thread, 3u, shape.few, before.z);
}
