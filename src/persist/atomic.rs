//! Saving so that a crash, a full disk or a cancel half-way leaves the old file as it was.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::replaced::{Replaced, shorten};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::progress::Control;

const BUFFER: usize = 1 << 18;

/// Bytes between two syncs, at least and at most: the last one has little left to do, so that a cancel need not wait
/// for it, and none takes much longer than [`SYNC_TIME`] on the disk that there is.
const SYNC: (usize, usize) = (1 << 20, 1 << 24);

/// What a sync should take.
const SYNC_TIME: Duration = Duration::from_millis(15);

/// Writes beside the target, syncs, renames. Errors of the writer given to `write` name `path`.
///
/// A symbolic link stays, what it points to is replaced. The file gets the permissions of any new file.
pub(super) fn replace(
    context: &Context,
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
    let written = fill(file.as_file_mut(), write).and_then(|()| control.check());
    if let Err(error) = written {
        discard(context, file);
        return Err(match error {
            Error::Io { source, .. } => fail("writing", source),
            other => other,
        });
    }
    let old = Replaced::hold(&target);
    file.persist(&target).map_err(|error| fail("renaming to", error.error))?;
    let synced = sync_dir(dir).map_err(|source| fail("syncing the directory of", source));
    old.release(context);
    synced
}

/// Writes a file and brings it to the disk.
fn fill(file: &mut fs::File, write: &mut dyn FnMut(&mut dyn Write) -> Result<()>) -> Result<()> {
    let fail = |source| Error::Io { action: "writing", path: PathBuf::new(), source };
    // Lists may be short: without a buffer each would be a system call.
    let mut out = BufWriter::with_capacity(BUFFER, Synced::new(file));
    let flushed = write(&mut out).and_then(|()| out.flush().map_err(fail));
    // Taken apart, not dropped: a buffer that is dropped would still write.
    drop(out.into_parts());
    flushed?;
    file.sync_all().map_err(fail)
}

/// Removes an unfinished file. Its name is gone at once; its space, for which file systems take their time (ext4 a fifth of a
/// second for 768 MB), is given back on a thread of the pool, so that a cancelled call need not wait for it.
fn discard(context: &Context, file: NamedTempFile) {
    let (file, name) = file.into_parts();
    if !cfg!(unix) {
        // An open file would keep its name.
        drop(file);
        return;
    }
    drop(name);
    shorten(context, file);
}

/// A file that is brought to the disk as it is written.
struct Synced<'a> {
    file: &'a mut fs::File,
    unsynced: usize,
    /// Bytes that are synced at a time.
    step: usize,
}

impl<'a> Synced<'a> {
    fn new(file: &'a mut fs::File) -> Self {
        Self { file, unsynced: 0, step: SYNC.0 }
    }

    /// Half as much at a time on a disk that takes long, twice as much on a fast one.
    fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        let start = Instant::now();
        self.file.sync_data()?;
        let took = start.elapsed();
        if took > SYNC_TIME {
            self.step = (self.step / 2).max(SYNC.0);
        } else if took < SYNC_TIME / 4 {
            self.step = (self.step * 2).min(SYNC.1);
        }
        Ok(())
    }
}

impl Write for Synced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= self.step {
            self.sync()?;
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
