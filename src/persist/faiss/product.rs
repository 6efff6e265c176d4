//! faiss's `ProductQuantizer`: u64 dimensions, parts and bits a part, and the words of all parts, zeros before training;
//! and the indexes of it. `IndexPQ` (`IxPq`) has its codes behind it, then i32 how they are searched, u8 and i32 what
//! that takes; `IndexIVFPQ` (`IwPQ`) has u8 whether codes are of residuals and u64 bytes of a code before it. Codes are
//! the same bytes there and here.

use super::bytes::Bytes;
use super::codes::name_of;
use super::cursor::Cursor;
use super::lists::{self, Place};
use super::read::{Header, Reader, fault, loaded};
use super::{Code, IVF_PRODUCT, PRODUCT};
use crate::codec::{Codec, Product};
use crate::error::{Error, Result};
use crate::persist::LoadedParts;

/// `IndexPQ`'s searches: by tables, the others by Hamming distances or tables of words with words.
const BY_TABLES: i32 = 0;

/// Reads the quantizer of an index of this code.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    code: Code,
    header: &Header,
    by_residual: bool,
    fast: bool,
) -> Result<Product> {
    let (columns, parts, bits) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let words: Vec<f32> = cursor.vector("product quantizer")?;
    let bits = match bits {
        4 => 4,
        8 => 8,
        other => {
            return Err(Error::Unsupported(format!(
                "faiss index of type {} with {other} bits a part is not supported; supported: 4 and 8: train it anew as PQ{parts}x4 or PQ{parts}",
                name_of(code)
            )));
        }
    };
    let parts = usize::try_from(parts).ok().filter(|&parts| parts > 0 && header.dim.is_multiple_of(parts));
    let (Some(parts), true) = (parts, columns == header.dim as u64) else {
        return Err(fault(format!(
            "product quantizer: expected {} dimensions and a number of parts that divides them, got {columns} and {parts:?}",
            header.dim
        )));
    };
    let codes = Product::new(header.dim, parts, bits, by_residual, fast);
    if header.dim.checked_mul(codes.count()) != Some(words.len()) {
        return Err(fault(format!(
            "product quantizer: expected {} words of {} dimensions, got {} values",
            codes.count(),
            header.dim,
            words.len()
        )));
    }
    if !header.trained {
        return Ok(codes);
    }
    if !words.iter().all(|value| value.is_finite()) {
        return Err(fault("product quantizer: expected finite words".into()));
    }
    Ok(codes.with_words(words, None))
}

/// What index strings call it, with how it is scanned.
pub(super) fn name(codes: &Product, scan: &str) -> String {
    format!("PQ{}{}{scan}", codes.parts, if codes.bits == 4 { "x4" } else { "" })
}

impl Reader<'_, '_> {
    pub(super) fn flat_product(&mut self) -> Result<LoadedParts> {
        let header = self.header()?;
        let codes = read(&mut self.cursor, PRODUCT, &header, false, false)?;
        let (each, bytes) = (codes.columns() as u64, self.cursor.u64()?);
        if header.count.checked_mul(each) != Some(bytes) || (bytes > 0 && !codes.is_trained()) {
            return Err(fault(format!(
                "product quantizer: expected {} codes of {each} bytes, got {bytes} bytes",
                header.count
            )));
        }
        let rows = self.cursor.skip("product quantizer: codes", bytes, 1)?;
        let search = self.cursor.i32()?;
        self.cursor.bool("encode_signs")?;
        self.cursor.i32()?;
        if search != BY_TABLES {
            return Err(Error::Unsupported(format!(
                "faiss index of type {} with search_type {search} is not supported; supported: 0, by tables: set search_type to IndexPQ.ST_PQ and write it again",
                name_of(PRODUCT)
            )));
        }
        let place = Place { len: self.fits(header.count, header.dim)?, rows, ids: None };
        let (name, codec) = (name(&codes, ""), Codec::Product(codes));
        let lists = lists::read(&mut self.transfer, &[place], &header, &codec, None, None)?;
        Ok(loaded(&header, name, None, codec, lists, 0))
    }

    /// The quantizer of an IVF index, and its name in index strings.
    pub(super) fn ivf_product(&mut self, header: &Header) -> Result<(Codec, String)> {
        let by_residual = self.cursor.bool("by_residual")?;
        let got = self.cursor.u64()?;
        let codes = read(&mut self.cursor, IVF_PRODUCT, header, by_residual, false)?;
        let each = codes.columns() as u64;
        if each != got {
            return Err(fault(format!("product quantizer: expected codes of {each} bytes, got {got}")));
        }
        let name = name(&codes, "");
        Ok((Codec::Product(codes), name))
    }
}

/// Appends the quantizer.
pub(super) fn write(codes: &Product, out: &mut Bytes) {
    out.size(codes.dim).size(codes.parts).size(codes.bits as usize);
    if codes.is_trained() {
        out.floats(codes.words());
    } else {
        out.floats(&vec![0.0; codes.dim * codes.count()]);
    }
}

/// Appends what an `IxPq` has between its header and `count` codes.
pub(super) fn write_flat(codes: &Product, count: usize, out: &mut Bytes) {
    write(codes, out);
    out.size(count * codes.columns());
}

/// What an `IxPq` has behind its codes, with faiss's own Hamming distance, for searches that it does not do.
pub(super) fn foot(codes: &Product) -> Bytes {
    let mut out = Bytes::default();
    let distance = codes.parts * codes.bits as usize + 1;
    out.int(BY_TABLES).bytes(&[0]).int(i32::try_from(distance).unwrap_or(i32::MAX));
    out
}

/// Appends what an `IwPQ` has between its direct map and its lists.
pub(super) fn write_ivf(codes: &Product, out: &mut Bytes) {
    out.bytes(&[u8::from(codes.by_residual)]).size(codes.columns());
    write(codes, out);
}
