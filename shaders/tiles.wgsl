// Tiles and pairs, as the kernels read them that scan lists: src/backend/gpu/rounds.rs makes them, or tile.wgsl.

// Some blocks of one list, and queries that visit them.
struct Tile {
    // In the segment.
    block: u32,
    blocks: u32,
    // The list's slot at which the tile begins.
    slot: u32,
    // Slots beyond are not looked at.
    slots: u32,
    // Of `passing`.
    word: u32,
    pair: u32,
    pairs: u32,
    list: u32,
}

struct Pair {
    query: u32,
    // Where the key of the list's slot 0 is, or would be.
    place: u32,
}
