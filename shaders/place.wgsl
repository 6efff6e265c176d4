// Where in its row the keys of each list go that a query visits, and how many visit each list. A workgroup a query, a thread
// a list; see plan.wgsl.

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> hits: array<Hit>;
@group(0) @binding(2) var<storage, read> summaries: array<Summary>;
@group(0) @binding(3) var<storage, read> map: array<Entry>;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> visits: array<Visit>;
@group(0) @binding(6) var<storage, read_write> rows: array<Row>;

// Lanes of the lists up to each.
var<workgroup> lanes: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn place(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let query = group_number(group);
    if (query >= shape.queries) {
        return;
    }
    let found = summaries[query].hits;
    // An unordered query is the CPU's: it visits nothing here.
    let visited = select(min(found, shape.probes), 0u, found >= UNORDERED);
    var list = 0u;
    var own = 0u;
    if (thread < visited) {
        // Centroids are in one list: a hit's place in the row is the number of both.
        list = hits[query * shape.found + thread].at;
        own = ceiling(map[list].x, 32u) * 32u;
    }
    lanes[thread] = own;
    workgroupBarrier();
    for (var step = 1u; step < THREADS; step *= 2u) {
        var before = 0u;
        if (thread >= step) {
            before = lanes[thread - step];
        }
        workgroupBarrier();
        lanes[thread] += before;
        workgroupBarrier();
    }
    if (thread < shape.probes) {
        var visit = Visit(NONE, 0u, 0u);
        if (own > 0u) {
            visit = Visit(list, atomicAdd(&counts[list], 1u), query * shape.stride + lanes[thread] - own);
        }
        visits[query * shape.probes + thread] = visit;
    }
    if (thread == 0u) {
        rows[query] = Row(query * shape.stride, lanes[THREADS - 1u], shape.wanted, query * shape.wanted);
    }
}
