//! faiss's index files: `IndexFlat` (`IxF2`, `IxFI`, `IxFl`), `IndexIVFFlat` (`IwFl`; the old `IvFl` and
//! `IvFL` are read too), `IndexScalarQuantizer` (`IxSQ`), `IndexIVFScalarQuantizer` (`IwSq`), `IndexPQ` (`IxPq`)
//! and `IndexIVFPQ` (`IwPQ`), `IndexPQFastScan` (`IPfs`) and `IndexIVFPQFastScan` (`IwPf`), any of them behind transforms (`IxPT`), with a refinement (`IxRF`) around that and within an id map (`IxM2`, `IxMp`). The layout is that of faiss's
//! `impl/index_write.cpp` and `impl/index_read.cpp`.
//!
//! An object opens with a four-letter code; numbers are little-endian and packed; a vector is a u64 count and
//! its values. What faiss does not store is chosen so: the next id is the largest one plus 1, and ids may
//! repeat if they do. Cosine is not known to faiss: its vectors, which are normalised, are written as inner
//! product, and come back as inner product.

mod bytes;
mod codes;
mod cursor;
mod fast;
mod inverted;
mod lists;
mod product;
mod read;
mod refine;
mod scalar;
mod transforms;
mod write;

pub(super) use read::read;
pub(super) use transforms::{decode_transforms, encode_transforms};
pub(super) use write::{check_writable, write};

/// An object's four-letter code.
type Code = [u8; 4];

const FLAT_L2: Code = *b"IxF2";
const FLAT_IP: Code = *b"IxFI";
const FLAT: Code = *b"IxFl";
const IVF_FLAT: Code = *b"IwFl";
const SCALAR: Code = *b"IxSQ";
const IVF_SCALAR: Code = *b"IwSq";
const PRODUCT: Code = *b"IxPq";
const IVF_PRODUCT: Code = *b"IwPQ";
const FAST: Code = *b"IPfs";
const IVF_FAST: Code = *b"IwPf";
/// Before inverted lists were objects: ids and vectors follow list by list, vectors as floats.
const IVF_FLAT_OLD: Code = *b"IvFl";
/// The same, vectors as bytes.
const IVF_FLAT_OLD_BYTES: Code = *b"IvFL";
/// Transforms, then an index.
const PRE_TRANSFORM: Code = *b"IxPT";
const ID_MAP: Code = *b"IxMp";
const ID_MAP_2: Code = *b"IxM2";
/// An index, then the rows that the best are compared again with.
const REFINE: Code = *b"IxRF";
const ARRAY_LISTS: Code = *b"ilar";
const BLOCK_LISTS: Code = *b"ilbl";
const NO_LISTS: Code = *b"il00";
const FULL_SIZES: Code = *b"full";
const SPARSE_SIZES: Code = *b"sprs";

/// Two numbers that were once sizes and are not read.
const UNUSED: [u8; 16] = [0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0];

/// The code that a file begins with, if it is one of faiss's.
pub(super) fn recognise(start: &[u8]) -> Option<Code> {
    let code: Code = start.get(..4)?.try_into().ok()?;
    codes::name(code).map(|_| code)
}
