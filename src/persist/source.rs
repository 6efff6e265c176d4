//! Where an index is read from: a file or memory, by position, from any thread.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes at known positions.
pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    File { file: File, path: &'a Path, len: u64 },
}

impl<'a> Source<'a> {
    /// Opens a regular file.
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let fail = |source| Error::Io { action: "opening", path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        Ok(Self::File { file, path, len: metadata.len() })
    }

    /// The number of bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Reads up to eight bytes from the start.
    pub(super) fn read_start<'b>(&self, start: &'b mut [u8; 8]) -> Result<&'b [u8]> {
        let len = usize::try_from(self.len()).unwrap_or(usize::MAX).min(start.len());
        self.read(0, &mut start[..len])?;
        Ok(&start[..len])
    }

    /// Fills `out` from `offset`.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let outside = || {
            Error::corrupt(format!(
                "truncated: expected {} bytes at {offset}, got a file of {}",
                out.len(),
                self.len()
            ))
        };
        let end =
            offset.checked_add(out.len() as u64).filter(|&end| end <= self.len()).ok_or_else(outside)?;
        match self {
            Self::Bytes(bytes) => {
                let fits = "invariant: within the slice";
                let range = usize::try_from(offset).expect(fits)..usize::try_from(end).expect(fits);
                out.copy_from_slice(&bytes[range]);
                Ok(())
            }
            Self::File { file, path, .. } => read_exact_at(file, offset, out).map_err(|source| {
                if source.kind() == io::ErrorKind::UnexpectedEof {
                    return Error::corrupt("truncated: the file became shorter while it was read");
                }
                Error::Io { action: "reading", path: path.to_path_buf(), source }
            }),
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                out = &mut out[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
