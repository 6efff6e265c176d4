//! The section `CODE`, see [the format](super).

use crate::codec::{Codec, Scalar};
use crate::error::{Error, Result};

const BY_RESIDUAL: u32 = 1;

/// The section's bytes; none for plain values.
pub(super) fn encode(codec: &Codec) -> Vec<u8> {
    let Codec::Scalar(scalar) = codec else { return Vec::new() };
    let flags = if scalar.by_residual { BY_RESIDUAL } else { 0 };
    let (minimum, range) = scalar.ranges();
    let head: [u32; 2] = [scalar.bits, flags];
    [bytemuck::cast_slice(&head), bytemuck::cast_slice(minimum), bytemuck::cast_slice(range)].concat()
}

/// The codec of a section's bytes, for `dim` dimensions.
pub(super) fn decode(bytes: &[u8], dim: usize) -> Result<Codec> {
    let fail = |text: String| Error::corrupt(format!("section CODE: {text}"));
    let Some((head, ranges)) = bytes.split_at_checked(8) else {
        return Err(fail(format!("expected at least 8 bytes, got {}", bytes.len())));
    };
    let head: [u32; 2] = bytemuck::pod_read_unaligned(head);
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
