//! Saving so that a crash, a full disk or a cancel half-way leaves the old file as it was.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::Control;

const BUFFER: usize = 1 << 18;

/// Bytes between two syncs: the last one has little left to do, so that a cancel need not wait for it.
const SYNC: usize = 1 << 24;

/// Writes beside the target, syncs, renames. Errors of the writer given to `write` name `path`.
///
/// A symbolic link stays, what it points to is replaced. The file gets the permissions of any new file.
pub(super) fn replace(
    path: &Path,
    control: &Control<'_>,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    control.check()?;
    let fail = |action, source| Error::Io { action, path: path.to_owned(), source };
    let target = target_of(path).map_err(|source| fail("saving to", source))?;
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ivf-").suffix(".tmp");
    // The umask takes its bits from this, as from any file that is created; tempfile's own default is 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(|source| fail("saving to", source))?;
    // Lists may be short: without a buffer each would be a system call.
    let mut out = BufWriter::with_capacity(BUFFER, Synced { file: file.as_file_mut(), unsynced: 0 });
    write(&mut out).map_err(|error| match error {
        Error::Io { source, .. } => fail("writing", source),
        other => other,
    })?;
    out.flush().map_err(|source| fail("writing", source))?;
    drop(out);
    file.as_file().sync_all().map_err(|source| fail("writing", source))?;
    control.check()?;
    file.persist(&target).map_err(|error| fail("renaming to", error.error))?;
    sync_dir(dir).map_err(|source| fail("syncing the directory of", source))
}

/// A file that is brought to the disk as it is written.
struct Synced<'a> {
    file: &'a mut fs::File,
    unsynced: usize,
}

impl Write for Synced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file that is to be replaced: `path`, or what it links to.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            if path.is_symlink() {
                fs::canonicalize(path)
            } else {
                Ok(path.to_owned())
            }
        }
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it exists and is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
    }
}

/// Makes the rename itself survive a power cut. A directory that may be written to but not opened, and a
/// file system that cannot sync one, are no failure: the file is in place.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let Ok(dir) = fs::File::open(dir) else { return Ok(()) };
    match dir.sync_all() {
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}
