//! faiss's inverted lists: where the codes and ids of each lie in the file.

use super::codes::unsupported;
use super::fast::blocks_of;
use super::lists::Place;
use super::read::{Header, Reader, fault};
use super::{ARRAY_LISTS, BLOCK_LISTS, Code, FULL_SIZES, IVF_FLAT_OLD, NO_LISTS, SPARSE_SIZES};
use crate::error::{Error, Result};

impl Reader<'_, '_> {
    /// Which faiss needs to find a vector by its id, and we do not.
    pub(super) fn direct_map(&mut self) -> Result<()> {
        let kind = self.cursor.u8()?;
        if kind > 2 {
            return Err(fault(format!("direct map: expected a type from 0 to 2, got {kind}")));
        }
        let count = self.cursor.u64()?;
        self.cursor.skip("direct map", count, 8)?;
        if kind == 2 {
            let count = self.cursor.u64()?;
            self.cursor.skip("direct map", count, 16)?;
        }
        Ok(())
    }

    pub(super) fn array_lists(
        &mut self,
        header: &Header,
        nlist: u64,
        each: usize,
        trained: bool,
    ) -> Result<Vec<Place>> {
        match self.cursor.code()? {
            ARRAY_LISTS => {}
            NO_LISTS => return Err(without_lists()),
            other => return Err(unsupported("inverted lists", other, "ilar (in the file)")),
        }
        let (lists, code_size) = (self.cursor.u64()?, self.cursor.u64()?);
        if lists != nlist || code_size != each as u64 {
            return Err(fault(format!(
                "lists: expected {nlist} with {each} bytes a vector, got {lists} with {code_size}"
            )));
        }
        let sizes = self.sizes(nlist, trained)?;
        let mut places = Vec::with_capacity(sizes.len());
        for size in sizes {
            let rows = self.cursor.skip("list: vectors", size, code_size)?;
            let ids = self.cursor.skip("list: ids", size, 8)?;
            places.push(Place { len: self.fits(size, header.dim)?, rows, ids: Some(ids) });
        }
        Ok(places)
    }

    /// Lists of codes that are interleaved in blocks of `block` vectors: of each all ids, then all blocks.
    pub(super) fn block_lists(
        &mut self,
        header: &Header,
        nlist: u64,
        each: usize,
        block: usize,
        trained: bool,
    ) -> Result<Vec<Place>> {
        match self.cursor.code()? {
            BLOCK_LISTS => {}
            NO_LISTS => return Err(without_lists()),
            other => return Err(unsupported("inverted lists", other, "ilbl (in the file)")),
        }
        let (lists, _) = (self.cursor.u64()?, self.cursor.u64()?);
        let (vectors, bytes) = (self.cursor.u64()?, self.cursor.u64()?);
        if (lists, vectors, Some(bytes)) != (nlist, block as u64, blocks_of(1, block, each)) {
            return Err(fault(format!(
                "lists: expected {nlist} in blocks of {block} codes of {each} bytes, got {lists} in blocks of {vectors} in {bytes} bytes"
            )));
        }
        // At least two counts for each list, so that their number is borne out by the file.
        let start = self.cursor.at;
        self.cursor.skip("lists", nlist, 16)?;
        self.cursor.at = start;
        let mut places = Vec::new();
        for _ in 0..nlist {
            let len = self.cursor.u64()?;
            let ids = self.cursor.skip("list: ids", len, 8)?;
            let (bytes, expected) = (self.cursor.u64()?, blocks_of(len, block, each));
            if expected != Some(bytes) || (!trained && len > 0) {
                return Err(fault(format!(
                    "list: expected {len} codes of {each} bytes in blocks of {block}, got {bytes} bytes"
                )));
            }
            let rows = self.cursor.skip("list: codes", bytes, 1)?;
            places.push(Place { len: self.fits(len, header.dim)?, rows, ids: Some(ids) });
        }
        Ok(if trained { places } else { Vec::new() })
    }

    /// The lists' sizes; without centroids there may be no vectors, and the number of lists, which then
    /// nothing in the file bears out, must not make us allocate.
    fn sizes(&mut self, nlist: u64, trained: bool) -> Result<Vec<u64>> {
        match self.cursor.code()? {
            FULL_SIZES => {
                let sizes: Vec<u64> = self.cursor.vector("list sizes")?;
                if sizes.len() as u64 != nlist || (!trained && sizes.iter().any(|&size| size > 0)) {
                    return Err(fault(format!("list sizes: expected {nlist}, got {}", sizes.len())));
                }
                Ok(if trained { sizes } else { Vec::new() })
            }
            SPARSE_SIZES => {
                let pairs: Vec<u64> = self.cursor.vector("list sizes")?;
                let mut sizes = vec![0; if trained { to_usize(nlist)? } else { 0 }];
                for pair in pairs.chunks(2) {
                    let slot = pair.first().and_then(|&list| sizes.get_mut(usize::try_from(list).ok()?));
                    match (slot, pair.get(1)) {
                        (Some(slot), Some(&size)) => *slot = size,
                        _ => {
                            return Err(fault(format!(
                                "list sizes: expected pairs of a list below {nlist} and a size"
                            )));
                        }
                    }
                }
                Ok(sizes)
            }
            other => {
                Err(fault(format!("list sizes: expected `full` or `sprs`, got `{}`", other.escape_ascii())))
            }
        }
    }

    /// Lists as they were before they were objects: all ids, the direct map, all vectors.
    pub(super) fn old_lists(
        &mut self,
        code: Code,
        header: &Header,
        nlist: u64,
        trained: bool,
    ) -> Result<Vec<Place>> {
        // At least a count for each list, so that their number is borne out by the file.
        let start = self.cursor.at;
        self.cursor.skip("lists", nlist, 8)?;
        self.cursor.at = start;
        let mut places = Vec::new();
        for _ in 0..nlist {
            let len = self.cursor.u64()?;
            let ids = self.cursor.skip("list: ids", len, 8)?;
            places.push(Place { len: self.fits(len, header.dim)?, rows: 0, ids: Some(ids) });
        }
        self.direct_map()?;
        let each = if code == IVF_FLAT_OLD { 4 } else { 1 };
        for place in &mut places {
            let count = self.cursor.u64()?;
            if count.checked_mul(each) != (place.len as u64).checked_mul(header.dim as u64 * 4) {
                return Err(fault(format!(
                    "list: expected {} vectors of {} values, got {} bytes",
                    place.len,
                    header.dim,
                    count.saturating_mul(each)
                )));
            }
            place.rows = self.cursor.skip("list: vectors", count, each)?;
        }
        if !trained && places.iter().any(|place| place.len > 0) {
            return Err(fault("lists: vectors in an index that is not trained".into()));
        }
        Ok(if trained { places } else { Vec::new() })
    }
}

fn without_lists() -> Error {
    Error::Unsupported("faiss index saved without its lists (`il00`)".into())
}

fn to_usize(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| fault(format!("{value} lists fit in no memory")))
}
