//! One error for every storage: what was tried, on what, and what the storage said.

use std::io;

use nix::errno::Errno;
use thiserror::Error;

/// A storage that did not do what it was asked.
#[derive(Debug, Error)]
#[error("cannot {action} '{object}': {cause}")]
pub struct StorageError {
    action: &'static str,
    object: String,
    #[source]
    cause: io::Error,
    is_uncertain: bool,
}

impl StorageError {
    /// `action` completes "cannot …".
    pub fn new(action: &'static str, object: impl Into<String>, cause: io::Error) -> Self {
        Self { action, object: object.into(), cause, is_uncertain: false }
    }

    /// The same where what was asked for may have been done all the same, or may still be done.
    #[must_use]
    pub fn uncertain(self) -> Self {
        Self { is_uncertain: true, ..self }
    }

    /// Whether it may have been done all the same: the answer was lost, or was none.
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    /// It is not allowed.
    pub fn is_denied(&self) -> bool {
        self.cause.kind() == io::ErrorKind::PermissionDenied
    }

    /// The object or folder is not there.
    pub fn is_not_found(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }

    /// What stands in the place of a folder is none: a symbolic link, or a file.
    pub fn is_no_folder(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotADirectory
    }

    /// Whether it speaks of the disk; see [`is_unreadable`].
    pub fn is_of_medium(&self) -> bool {
        is_unreadable(&self.cause)
    }

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

/// Whether the system says that a disk does not give back what it holds: EIO is said of a bad sector, and by file systems that have digests
/// (ZFS, btrfs) of what does not fit them; EUCLEAN and EBADMSG (EFSCORRUPTED and EFSBADCRC in `fs/xfs/xfs_linux.h` and `fs/ext4/ext4.h`) of
/// structures of their own. A server or a mount that is not there says something else (ESTALE, ENOTCONN, ETIMEDOUT, ENOENT), but for
/// NFS that is mounted `soft`, which says EIO as well: so nothing is concluded where the storage gives nothing else either.
pub fn is_unreadable(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EIO | Errno::EUCLEAN | Errno::EBADMSG))
}
