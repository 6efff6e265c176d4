//! The section `CODE`, see [the format](super).

use crate::codec::{Codec, Product, RaBitQ, Scalar};
use crate::error::{Error, Result};

const BY_RESIDUAL: u32 = 1;
const RABITQ: u32 = 2;
const PRODUCTS: u32 = 4;
const PRODUCT: u32 = 8;
const FAST: u32 = 16;
const LOST: u32 = 32;

/// The section's bytes; none for plain values.
pub(super) fn encode(codec: &Codec) -> Vec<u8> {
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let (head, values) = match codec {
        Codec::Plain(_) => return Vec::new(),
        Codec::Scalar(scalar) => {
            ([scalar.bits, flag(scalar.by_residual, BY_RESIDUAL)], scalar.ranges().into())
        }
        Codec::Product(codes) => {
            let flags = PRODUCT | flag(codes.by_residual, BY_RESIDUAL) | flag(codes.fast, FAST);
            let flags = flags | flag(codes.lost.is_some(), LOST);
            let head = [codes.bits, flags, u32::try_from(codes.parts).unwrap_or(u32::MAX)];
            let lost = codes.lost.as_slice();
            return [
                bytemuck::cast_slice(&head),
                bytemuck::cast_slice(lost),
                bytemuck::cast_slice(codes.words()),
            ]
            .concat();
        }
        Codec::RaBitQ(codes) => {
            let flags = RABITQ | flag(codes.by_list, BY_RESIDUAL) | flag(codes.products, PRODUCTS);
            ([codes.bits, flags], [codes.mean(), &[]])
        }
    };
    let values = values.map(bytemuck::cast_slice);
    [bytemuck::cast_slice(&head), values[0], values[1]].concat()
}

/// The codec of a section's bytes, for `dim` dimensions.
pub(super) fn decode(bytes: &[u8], dim: usize) -> Result<Codec> {
    let fail = |text: String| Error::corrupt(format!("section CODE: {text}"));
    let Some((head, ranges)) = bytes.split_at_checked(8) else {
        return Err(fail(format!("expected at least 8 bytes, got {}", bytes.len())));
    };
    let head: [u32; 2] = bytemuck::pod_read_unaligned(head);
    if let [bits @ 1..=8, flags] = head
        && flags & !(BY_RESIDUAL | PRODUCTS) == RABITQ
    {
        let codes = RaBitQ::new(dim, bits, flags & PRODUCTS != 0, flags & BY_RESIDUAL != 0);
        return mean(codes, ranges).map(Codec::RaBitQ).map_err(fail);
    }
    if let [bits @ (4 | 8), flags] = head
        && flags & !(BY_RESIDUAL | FAST | LOST) == PRODUCT
    {
        return product(dim, bits, flags, ranges).map(Codec::Product).map_err(fail);
    }
    let bits = match head {
        [4, 0 | BY_RESIDUAL] => 4,
        [6, 0 | BY_RESIDUAL] => 6,
        [8, 0 | BY_RESIDUAL] => 8,
        [bits, flags] => {
            return Err(fail(format!("expected 4, 6 or 8 bits and known flags, got {bits} and {flags:#x}")));
        }
    };
    let scalar = Scalar::new(bits, head[1] & BY_RESIDUAL != 0);
    if ranges.is_empty() {
        return Ok(Codec::Scalar(scalar));
    }
    if Some(ranges.len()) != dim.checked_mul(8) {
        return Err(fail(format!(
            "expected 8 bytes or 8 more for each of {dim} dimensions, got {}",
            bytes.len()
        )));
    }
    let (minimum, range) = ranges.split_at(4 * dim);
    let (minimum, range) = (bytemuck::pod_collect_to_vec(minimum), bytemuck::pod_collect_to_vec(range));
    Scalar::check_ranges(dim, &minimum, &range)?;
    Ok(Codec::Scalar(scalar.with_ranges(minimum, range)))
}

/// A product quantizer: the number of its parts, then what its words lose, if the flags say so, then these, or none.
fn product(dim: usize, bits: u32, flags: u32, bytes: &[u8]) -> std::result::Result<Product, String> {
    let Some((parts, words)) = bytes.split_first_chunk() else {
        return Err(format!("expected at least 12 bytes, got {}", 8 + bytes.len()));
    };
    let parts = u32::from_le_bytes(*parts) as usize;
    if parts == 0 || !dim.is_multiple_of(parts) {
        return Err(format!("expected a number of parts that divides {dim} dimensions, got {parts}"));
    }
    let codes = Product::new(dim, parts, bits, flags & BY_RESIDUAL != 0, flags & FAST != 0);
    let (lost, words) = match words.split_first_chunk().filter(|_| flags & LOST != 0) {
        None => (None, words),
        Some((lost, words)) => (Some(f32::from_le_bytes(*lost)), words),
    };
    if lost.is_some_and(|lost| !(0.0..=1.0).contains(&lost)) {
        return Err(format!("expected words that lose a share of 0 to 1, got {lost:?}"));
    }
    if words.is_empty() {
        return Ok(codes);
    }
    let expected = (4 * dim).checked_mul(codes.count());
    if Some(words.len()) != expected {
        return Err(format!("expected 12 bytes, or {expected:?} more for words, got {}", 8 + bytes.len()));
    }
    let words: Vec<f32> = bytemuck::pod_collect_to_vec(words);
    if words.iter().all(|value| value.is_finite()) {
        Ok(codes.with_words(words, lost))
    } else {
        Err("expected finite words".into())
    }
}

/// The codes with the mean that is held in `bytes`, or none.
fn mean(codes: RaBitQ, bytes: &[u8]) -> std::result::Result<RaBitQ, String> {
    if bytes.is_empty() {
        return Ok(codes);
    }
    let expected = if codes.by_list { 0 } else { 4 * codes.dim };
    if bytes.len() != expected {
        return Err(format!("expected 8 bytes, or a mean of {expected} more, got {}", 8 + bytes.len()));
    }
    let mean: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    if mean.iter().all(|value| value.is_finite()) {
        Ok(codes.with_mean(mean))
    } else {
        Err("expected a finite mean".into())
    }
}
