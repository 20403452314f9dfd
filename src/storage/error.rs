//! One error for every storage: what was tried, on what, and what the storage said.

use std::io;

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

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}
