//! A read-only map of an index file, which lists borrow from.

use std::sync::Arc;

use super::source::Source;
use crate::error::{Error, Result};
use crate::lists::Region;

struct Map(memmap2::Mmap);

impl Region for Map {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Maps all of a file.
pub(super) fn map(source: &Source<'_>) -> Result<Arc<dyn Region>> {
    let Source::File { file, path, .. } = source else {
        return Err(Error::argument("memory_map: expected a file to map, got an index in memory"));
    };
    // SAFETY: the map is read-only and its bytes are read as plain numbers, for which any value is valid.
    // What no check of ours can rule out is that somebody writes into the file or cuts it while it is
    // mapped; the documentation of `LoadOptions::memory_map` forbids that, and `save` never does it.
    #[expect(unsafe_code, reason = "a memory map cannot be had otherwise")]
    let map = unsafe { memmap2::Mmap::map(file) };
    let map = map.map_err(|source| Error::Io { action: "mapping", path: path.to_path_buf(), source })?;
    Ok(Arc::new(Map(map)))
}
