// Rows of keys, a query's each, and what is found in them.

struct Row {
    // Both a multiple of 32.
    start: u32,
    length: u32,
    // How many of the smallest keys (select.wgsl), or the largest key (within.wgsl).
    wanted: u32,
    // Where its hits go.
    place: u32,
}

struct Hit {
    key: u32,
    // From the row's start.
    at: u32,
}

struct Summary {
    // With UNORDERED where they do not come best first, and any of those equal to the k-th may be kept.
    hits: u32,
    // The k-th key; NONE if all that there is was found.
    bar: u32,
}

const UNORDERED: u32 = 0x80000000u;
