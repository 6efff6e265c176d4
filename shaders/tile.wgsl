// Makes the tiles of each list that is visited, a workgroup a list, and the pairs, a thread a visit; see plan.wgsl.

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> map: array<Entry>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<Start>;
@group(0) @binding(4) var<storage, read> visits: array<Visit>;
@group(0) @binding(5) var<storage, read_write> tiles: array<Tile>;
@group(0) @binding(6) var<storage, read_write> pairs: array<Pair>;

// Makes the tiles of an extent for a list's pairs `pair..end`, by so many pairs and blocks, from tile `first` on; how many
// those are.
fn tile_extent(thread: u32, list: u32, extent: Entry, pair: u32, end: u32, size: vec2<u32>, first: u32) -> u32 {
    let across = ceiling(extent.y, size.y);
    let count = ceiling(end - pair, size.x) * across;
    for (var number = thread; number < count; number += THREADS) {
        let own = pair + number / across * size.x;
        let block = number % across * size.y;
        tiles[first + number] = Tile(
            extent.x + block,
            min(size.y, extent.y - block),
            (extent.z + block) * 32u,
            map[list].x,
            0u,
            starts[list].pair + own,
            min(size.x, end - own),
            list,
        );
    }
    return count;
}

fn tile_list(thread: u32, list: u32) {
    let count = counts[list];
    if (count == 0u) {
        return;
    }
    let middle = in_many(count);
    let entry = map[list];
    var many = starts[list].many;
    var few = shape.few + starts[list].few;
    for (var number = 0u; number < entry.z; number += 1u) {
        let extent = map[shape.lists + entry.y + number];
        many += tile_extent(thread, list, extent, 0u, middle, vec2<u32>(MANY_PAIRS, MANY_BLOCKS), many);
        few += tile_extent(thread, list, extent, middle, count, vec2<u32>(FEW_PAIRS, FEW_BLOCKS), few);
    }
}

@compute @workgroup_size(THREADS)
fn tile(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group);
    if (number < shape.lists) {
        tile_list(thread, number);
        return;
    }
    let own = (number - shape.lists) * THREADS + thread;
    if (own < shape.queries * shape.probes) {
        let visit = visits[own];
        if (visit.list != NONE) {
            pairs[starts[visit.list].pair + visit.rank] = Pair(own / shape.probes, visit.place);
        }
    }
}
