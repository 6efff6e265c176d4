//! Indexes through streams: written front to back, and gathered in memory before they are read.

use std::io::{BufWriter, ErrorKind, Read, Write};

use super::format::{self, MAGIC};
use super::source::Source;
use super::{Parts, faiss, write};
use crate::error::{Error, Result};
use crate::progress::Control;

/// Bytes that a stream is asked for at once, at most.
const PIECE: usize = 1 << 20;

/// Writes our format. Once the stream has failed it is not written to again.
pub(super) fn save(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    control.check()?;
    // Lists may be short: without a buffer each would be a call of its own.
    let mut out = BufWriter::with_capacity(PIECE, out);
    let written = write::write(parts, &mut out, control).and_then(|()| {
        out.flush().map_err(|source| Error::Io { action: "writing", path: "the stream".into(), source })
    });
    // Taken apart, not dropped: a buffer that is dropped would still write what a failure has left in it.
    let _ = out.into_parts();
    written.map_err(|error| match error {
        Error::Io { action, source, .. } => Error::Io { action, path: "the stream".into(), source },
        other => other,
    })
}

/// The bytes of one index. Of ours as many as its header says, and the stream stays behind them; of faiss's all
/// that come, since its files do not tell their length; of anything else the start, which is enough to refuse it.
///
/// Memory grows with what has come, so that a header that lies cannot make us allocate.
pub(super) fn gather(input: &mut dyn Read, control: &Control<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    take(input, MAGIC.len() as u64, &mut bytes, control)?;
    if bytes == MAGIC {
        take(input, format::HEADER as u64, &mut bytes, control)?;
        if bytes.len() == format::HEADER {
            take(input, format::declared_length(&Source::Bytes(&bytes))?, &mut bytes, control)?;
        }
    } else if faiss::recognise(&bytes).is_some() {
        take(input, u64::MAX, &mut bytes, control)?;
    }
    Ok(bytes)
}

/// Appends to `bytes` until there are `wanted`, or the stream ends.
fn take(input: &mut dyn Read, wanted: u64, bytes: &mut Vec<u8>, control: &Control<'_>) -> Result<()> {
    let mut filled = bytes.len();
    while (filled as u64) < wanted {
        control.check()?;
        if filled == bytes.len() {
            // Twice as much each time, but no more than is wanted.
            let left = usize::try_from(wanted - filled as u64).unwrap_or(usize::MAX);
            let more = left.min(filled.max(PIECE));
            bytes.try_reserve_exact(more).map_err(|_| Error::Memory {
                what: "loading an index from a stream",
                bytes: filled as u64 + more as u64,
            })?;
            bytes.resize(filled + more, 0);
        }
        let end = bytes.len().min(filled + PIECE);
        match input.read(&mut bytes[filled..end]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Io { action: "reading", path: "the stream".into(), source }),
        }
    }
    bytes.truncate(filled);
    Ok(())
}
