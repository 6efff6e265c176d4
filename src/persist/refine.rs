//! The section `RFIN`, see [the format](super).

use super::code;
use crate::codec::Codec;
use crate::element::Element;
use crate::error::{Error, Result};

/// What rows may be held in, by number.
const ELEMENTS: [Element; 4] = [Element::F32, Element::F16, Element::Bf16, Element::U8];

/// The section's bytes, for rows of so many columns.
pub(super) fn encode(codec: &Codec, columns: usize) -> Result<Vec<u8>> {
    let columns = u32::try_from(columns).map_err(|_| {
        Error::argument(format!("columns: expected at most {} to save, got {columns}", u32::MAX))
    })?;
    let element = (0u32..).zip(ELEMENTS).find(|&(_, element)| element == codec.element());
    let element = element.expect("invariant: every element type has a number").0;
    Ok([bytemuck::cast_slice(&[columns, element]), &code::encode(codec)[..]].concat())
}

/// The codec of kept rows, and their columns.
pub(super) fn decode(bytes: &[u8]) -> Result<(Codec, usize)> {
    let fail = |text: String| Error::corrupt(format!("section RFIN: {text}"));
    let Some((head, code)) = bytes.split_at_checked(8) else {
        return Err(fail(format!("expected at least 8 bytes, got {}", bytes.len())));
    };
    let [columns, element]: [u32; 2] = bytemuck::pod_read_unaligned(head);
    let Some(&element) = ELEMENTS.get(element as usize).filter(|_| columns > 0) else {
        return Err(fail(format!(
            "expected columns and an element type from 0 to 3, got {columns} and {element}"
        )));
    };
    let columns = columns as usize;
    if code.is_empty() {
        return Ok((Codec::Plain(element), columns));
    }
    match code::decode(code, columns)? {
        codec @ Codec::Scalar(_) if element == Element::U8 => Ok((codec, columns)),
        _ => Err(fail("expected scalar codes in bytes, got others".to_owned())),
    }
}
