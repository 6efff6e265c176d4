// Scores the blocks of a tile for up to 16 queries by look-ups: codes of four bits choose bytes of tables, which add up to
// whole numbers below 2^16. For visit.wgsl; the CPU's twin is src/kernel/lookup.rs.
//
// Entries of 16 queries lie side by side, so that one read and a few additions look up a code for all of them.

// The tables of each query, [columns][2][16] bytes; from `shape.numbers` on of each query the squared length, what its sums
// count from, and what 1 of them stands for; where codes are of residuals, from `shape.constants` on each pair's product of
// query and centroid.
@group(0) @binding(5) var<storage, read> queries: array<u32>;

const COLUMNS: u32 = 16u;
// Every second byte of a word: sums of them fit in 16 bits.
const EVERY_SECOND: vec4<u32> = vec4<u32>(0xff00ffu);

// [COLUMNS][2][16] entries, of 16 queries each.
var<workgroup> staged: array<vec4<u32>, 512>;

// What the sums of a lane are: those of queries 0, 2, 4, ... and of 1, 3, 5, ..., two in a word.
struct Sums {
    even: vec4<u32>,
    odd: vec4<u32>,
}

// A word of the tables of four queries, byte by byte.
fn across(tile: Tile, number: u32, word: u32) -> vec4<u32> {
    let a = table_word(tile, number, word);
    let b = table_word(tile, number + 1u, word);
    let c = table_word(tile, number + 2u, word);
    let d = table_word(tile, number + 3u, word);
    let shifts = vec4<u32>(0u, 8u, 16u, 24u);
    let byte = vec4<u32>(0xffu);
    return ((vec4<u32>(a) >> shifts) & byte)
        | (((vec4<u32>(b) >> shifts) & byte) << vec4<u32>(8u))
        | (((vec4<u32>(c) >> shifts) & byte) << vec4<u32>(16u))
        | (((vec4<u32>(d) >> shifts) & byte) << vec4<u32>(24u));
}

fn table_word(tile: Tile, number: u32, word: u32) -> u32 {
    if (number >= tile.pairs || word >= shape.entries) {
        return 0u;
    }
    return queries[pairs[tile.pair + number].query * shape.entries + word];
}

// The sums of a lane with those of a byte of its codes.
fn looked_up(sums: Sums, column: u32, byte: u32) -> Sums {
    let low = staged[column * 32u + (byte & 15u)];
    let high = staged[column * 32u + 16u + ((byte >> 4u) & 15u)];
    return Sums(
        sums.even + (low & EVERY_SECOND) + (high & EVERY_SECOND),
        sums.odd + ((low >> vec4<u32>(8u)) & EVERY_SECOND) + ((high >> vec4<u32>(8u)) & EVERY_SECOND),
    );
}

// The sum of the query of this number.
fn sum_of(sums: Sums, number: u32) -> f32 {
    let word = select(sums.even[number / 4u], sums.odd[number / 4u], (number & 1u) == 1u);
    return f32(select(word & 0xffffu, word >> 16u, (number & 2u) == 2u));
}

fn norm_of(pair: u32, query: u32) -> f32 {
    return bitcast<f32>(queries[shape.numbers + 3u * query]);
}

// Scores: what sums stand for, and where they start.
fn completed(pair: u32, total: vec4<f32>, begin: vec4<f32>, lanes: u32) -> vec4<f32> {
    let place = shape.numbers + 3u * pairs[pair].query;
    let base = bitcast<f32>(queries[place + 1u]);
    let products = bitcast<f32>(queries[place + 2u]) * total;
    let lookups = all_apart(products) + base + begin;
    if (shape.constants == 0u) {
        return lookups;
    }
    return lookups + bitcast<f32>(queries[shape.constants + pair]);
}

fn score_tile(tile: Tile, thread: u32) {
    for (var at = 0u; at < tile.blocks; at += THREADS / 8u) {
        // A thread without a block of its own reads the last one and writes nothing.
        let own = at + thread / 8u;
        let block = min(own, tile.blocks - 1u);
        let begin = bias[(tile.block + block) * 8u + thread % 8u];
        let base = (tile.block + block) * shape.columns * 8u + thread % 8u;
        let nothing = Sums(vec4<u32>(), vec4<u32>());
        var sums0 = nothing;
        var sums1 = nothing;
        var sums2 = nothing;
        var sums3 = nothing;
        for (var start = 0u; start < shape.columns; start += COLUMNS) {
            workgroupBarrier();
            for (var i = thread; i < COLUMNS * 8u; i += THREADS) {
                let word = start * 8u + i;
                let a = across(tile, 0u, word);
                let b = across(tile, 4u, word);
                let c = across(tile, 8u, word);
                let d = across(tile, 12u, word);
                staged[i * 4u] = vec4<u32>(a.x, b.x, c.x, d.x);
                staged[i * 4u + 1u] = vec4<u32>(a.y, b.y, c.y, d.y);
                staged[i * 4u + 2u] = vec4<u32>(a.z, b.z, c.z, d.z);
                staged[i * 4u + 3u] = vec4<u32>(a.w, b.w, c.w, d.w);
            }
            workgroupBarrier();
            let count = min(COLUMNS, shape.columns - start);
            for (var column = 0u; column < count; column += 1u) {
                let four = vectors[base + (start + column) * 8u];
                sums0 = looked_up(sums0, column, four);
                sums1 = looked_up(sums1, column, four >> 8u);
                sums2 = looked_up(sums2, column, four >> 16u);
                sums3 = looked_up(sums3, column, four >> 24u);
            }
        }
        if (own < tile.blocks) {
            let quad = own * 8u + thread % 8u;
            let found = findable(tile, quad, begin);
            for (var q = 0u; q < tile.pairs; q += 1u) {
                let all = vec4<f32>(sum_of(sums0, q), sum_of(sums1, q), sum_of(sums2, q), sum_of(sums3, q));
                write(tile, q, quad, found, bitcast<vec4<f32>>(begin), all);
            }
        }
    }
}
