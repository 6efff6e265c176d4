//! The header of a NumPy file (numpy.lib.format, versions 1 to 3).

use std::io::Read;

use crate::element::Element;
use crate::error::{Error, Result};

/// What the header says.
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) rows: u64,
    pub(super) dim: u64,
    /// Where the values begin.
    pub(super) start: u64,
}

/// Longest header that is read; NumPy's own limit is 10,000.
const LONGEST: usize = 1 << 16;

/// Reads the header of a file that begins with NumPy's magic.
pub(super) fn read(file: &mut impl Read) -> Result<Header> {
    let short = |_| Error::corrupt(".npy: expected a header, but the file ends in it");
    let mut head = [0u8; 8];
    file.read_exact(&mut head).map_err(short)?;
    let (len, before) = match head[6] {
        1 => {
            let mut len = [0u8; 2];
            file.read_exact(&mut len).map_err(short)?;
            (usize::from(u16::from_le_bytes(len)), 10)
        }
        2 | 3 => {
            let mut len = [0u8; 4];
            file.read_exact(&mut len).map_err(short)?;
            (u32::from_le_bytes(len) as usize, 12)
        }
        got => return Err(Error::Format(format!(".npy: expected version 1, 2 or 3, got {got}"))),
    };
    if len > LONGEST {
        return Err(Error::Format(format!(".npy: expected a header of at most {LONGEST} bytes, got {len}")));
    }
    let mut text = vec![0u8; len];
    file.read_exact(&mut text).map_err(short)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let element = match quoted(field(&text, "descr")?) {
        Some("<f4") => Element::F32,
        Some("<f2") => Element::F16,
        Some("|u1" | "<u1") => Element::U8,
        got => {
            return Err(Error::Format(format!(
                ".npy: expected '<f4', '<f2' or '|u1' (little-endian float32, float16, or uint8), got {}",
                got.unwrap_or("a structure")
            )));
        }
    };
    if !field(&text, "fortran_order")?.starts_with("False") {
        return Err(Error::Format(
            ".npy: expected rows one after another (C order), got Fortran order".into(),
        ));
    }
    let shape = field(&text, "shape")?;
    let shape = shape.strip_prefix('(').and_then(|rest| rest.split(')').next()).unwrap_or_default();
    let sizes: Vec<Option<u64>> = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().ok())
        .collect();
    match sizes[..] {
        [Some(rows), Some(dim)] => Ok(Header { element, rows, dim, start: before + len as u64 }),
        _ => Err(Error::Format(format!(".npy: expected two dimensions, got the shape ({shape})"))),
    }
}

/// What follows `'name':` in the dictionary.
fn field<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    text.split_once(&format!("'{name}'"))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| Error::Format(format!(".npy: expected {name:?} in the header")))
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'').and_then(|rest| rest.split('\'').next())
}
