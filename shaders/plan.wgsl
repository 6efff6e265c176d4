// What place.wgsl, sort.wgsl and tile.wgsl share: which lists each query of a round visits is known to the device alone, and
// they make of it what src/backend/gpu/rounds.rs, their twin on the CPU, makes of a job's lists: pairs sorted by list, and
// tiles of these. In which order a list's pairs come threads decide; no key depends on it.

struct Shape {
    queries: u32,
    // Lists of a query, and hits of the coarse step: some more.
    probes: u32,
    found: u32,
    // Lanes of a query's row: as many as its lists have at most.
    stride: u32,
    lists: u32,
    // Of each row so many are wanted.
    wanted: u32,
    // Where tiles of few queries begin; those of many are before them.
    few: u32,
}

// For each list how many slots it has, its first extent and how many it has; then each extent: its first block in the
// segment, how many blocks it has, and the first of these in the list.
struct Entry {
    x: u32,
    y: u32,
    z: u32,
}

// A query's visit of a list.
struct Visit {
    list: u32,
    // Among the list's pairs.
    rank: u32,
    place: u32,
}

// Of a list: its first pair, its first tile of many queries and its first of few.
struct Start {
    pair: u32,
    many: u32,
    few: u32,
}

// From so many queries on a tile of many is faster: `MANY` in rounds.rs.
const MANY: u32 = 20u;
// Most queries and blocks of a tile of many, and of one of few: `Shape::size` in round.rs.
const MANY_PAIRS: u32 = 64u;
const MANY_BLOCKS: u32 = 2u;
const FEW_PAIRS: u32 = 8u;
const FEW_BLOCKS: u32 = 16u;

fn ceiling(count: u32, size: u32) -> u32 {
    return (count + size - 1u) / size;
}

// Of so many pairs of a list, those that are in tiles of many.
fn in_many(pairs: u32) -> u32 {
    let rest = pairs % MANY_PAIRS;
    return select(pairs - rest, pairs, rest >= MANY);
}
