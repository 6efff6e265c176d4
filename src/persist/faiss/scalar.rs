//! faiss's `ScalarQuantizer`: i32 type, i32 how ranges are found, f32 its argument, u64 dimensions, u64 bytes of a code,
//! and the ranges. Codes are the same bytes there and here.

use super::bytes::Bytes;
use super::cursor::Cursor;
use crate::codec::{Codec, Scalar};
use crate::element::Element;
use crate::error::{Error, Result};

/// Ranges from the least to the greatest value.
const MIN_MAX: i32 = 0;

/// A quantizer's type, and what holds for all its dimensions alike.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain(Element),
    /// Bits; whether all dimensions have one range.
    Scalar(u8, bool),
}

/// faiss's `QuantizerType`.
const KINDS: [(i32, Kind); 8] = [
    (0, Kind::Scalar(8, false)),
    (1, Kind::Scalar(4, false)),
    (2, Kind::Scalar(8, true)),
    (3, Kind::Scalar(4, true)),
    (4, Kind::Plain(Element::F16)),
    (5, Kind::Plain(Element::U8)),
    (6, Kind::Scalar(6, false)),
    (7, Kind::Plain(Element::Bf16)),
];

/// Bytes of a vector's code.
pub(super) fn code_size(codec: &Codec, dim: usize) -> usize {
    codec.columns(dim) * codec.element().size()
}

/// The codec, as if its codes were not of residuals, and its name in index strings.
pub(super) fn read(cursor: &mut Cursor<'_>, dim: usize) -> Result<(Codec, &'static str)> {
    let number = cursor.i32()?;
    cursor.i32()?;
    cursor.f32()?;
    let (columns, size) = (cursor.u64()?, cursor.u64()?);
    let ranges: Vec<f32> = cursor.vector("scalar quantizer")?;
    let Some(&(_, kind)) = KINDS.iter().find(|(known, _)| *known == number) else {
        return Err(Error::Unsupported(format!(
            "faiss scalar quantizer of type {number} is not supported; supported: 0 to 7 (8, 6 and 4 bits, fp16, bf16, 8bit_direct)"
        )));
    };
    let (codec, name) = match kind {
        Kind::Plain(Element::F16) => (Codec::Plain(Element::F16), "SQfp16"),
        Kind::Plain(Element::Bf16) => (Codec::Plain(Element::Bf16), "SQbf16"),
        Kind::Plain(element) => (Codec::Plain(element), "SQ8_direct"),
        Kind::Scalar(bits, uniform) => {
            let name = match bits {
                4 => "SQ4",
                6 => "SQ6",
                _ => "SQ8",
            };
            (Codec::Scalar(scalar(bits, uniform, &ranges, dim)?), name)
        }
    };
    let expected = code_size(&codec, dim) as u64;
    if (columns, size) != (dim as u64, expected) {
        return Err(Error::corrupt(format!(
            "faiss index: scalar quantizer: expected {dim} dimensions in {expected} bytes, got {columns} in {size}"
        )));
    }
    Ok((codec, name))
}

fn scalar(bits: u8, uniform: bool, ranges: &[f32], dim: usize) -> Result<Scalar> {
    let scalar = Scalar::new(bits, false);
    let (minimum, range) = match *ranges {
        [] => return Ok(scalar),
        [minimum, range] if uniform => (vec![minimum; dim], vec![range; dim]),
        _ if !uniform && Some(ranges.len()) == dim.checked_mul(2) => {
            let (minimum, range) = ranges.split_at(dim);
            (minimum.to_vec(), range.to_vec())
        }
        _ => {
            return Err(Error::corrupt(format!(
                "faiss index: scalar quantizer: expected a range for {} dimensions, got {} values",
                if uniform { 1 } else { dim },
                ranges.len()
            )));
        }
    };
    Scalar::check_ranges(dim, &minimum, &range)?;
    Ok(scalar.with_ranges(minimum, range))
}

/// Appends the quantizer of `codec`, which is not float32.
pub(super) fn write(codec: &Codec, dim: usize, out: &mut Bytes) {
    let (number, ranges) = match codec {
        Codec::Plain(Element::F16) => (4, Vec::new()),
        Codec::Plain(Element::Bf16) => (7, Vec::new()),
        Codec::Plain(_) => (5, Vec::new()),
        Codec::Scalar(scalar) => {
            let number = match scalar.bits {
                4 => 1,
                6 => 6,
                _ => 0,
            };
            let (minimum, range) = scalar.ranges();
            (number, [minimum, range].concat())
        }
        Codec::Product(_) | Codec::RaBitQ(_) => unreachable!("invariant: check_writable"),
    };
    out.int(number).int(MIN_MAX).bytes(&0f32.to_le_bytes());
    out.size(dim).size(code_size(codec, dim)).floats(&ranges);
}

/// Whether a codec's codes are of residuals.
pub(super) fn by_residual(codec: &Codec) -> bool {
    matches!(codec, Codec::Scalar(scalar) if scalar.by_residual)
}
