//! The file that a save replaces: its space, for which file systems take their time when its last name goes (ext4 0.2 s
//! for 768 MB), is given back in slices on the context's pool, so that the call need not wait for it.
//!
//! Whoever else has the file open, or mapped, or under another name, keeps it whole: only what nobody can see is shortened.

use std::fs::File;
use std::path::Path;

use crate::context::Context;

/// Bytes that are given back at a time; smaller files are gone at once.
const SLICE: u64 = 1 << 24;

/// A file that is about to lose its name, held open.
pub(super) struct Replaced(Option<File>);

impl Replaced {
    /// Holds the file at this path, if there is one that is worth it.
    pub(super) fn hold(path: &Path) -> Self {
        let large = path.metadata().is_ok_and(|file| file.len() > SLICE);
        Self(large.then(|| open(path)).flatten())
    }

    /// Gives its space back, now that another file has its name.
    pub(super) fn release(self, context: &Context) {
        if let Some(file) = self.0.filter(is_ours_alone) {
            shorten(context, file);
        }
    }
}

/// Cuts a file to nothing, slice after slice, while the calling thread goes on.
pub(super) fn shorten(context: &Context, file: File) {
    let mut length = file.metadata().map_or(0, |metadata| metadata.len());
    context.later(move || {
        length = length.saturating_sub(SLICE);
        length > 0 && file.set_len(length).is_ok()
    });
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;

    // Not to wait for a process that has a lease on it.
    std::fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).ok()
}

/// Whether a file has no name any more, and nobody else has it open or mapped.
#[cfg(target_os = "linux")]
fn is_ours_alone(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    // The system grants a write lease only on a file that is open nowhere else; what has no name nobody opens later.
    let lease = |kind: libc::c_int| {
        // SAFETY: the descriptor is open, and the call touches no memory.
        #[expect(unsafe_code, reason = "the standard library has no leases")]
        let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
        answer == 0
    };
    file.metadata().is_ok_and(|file| file.nlink() == 0) && lease(libc::F_WRLCK) && lease(libc::F_UNLCK)
}

/// Elsewhere a file cannot be told to be nobody else's.
#[cfg(not(target_os = "linux"))]
fn open(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn is_ours_alone(_: &File) -> bool {
    false
}
