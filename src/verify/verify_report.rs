//! What a verification finds, and why it may find nothing.

use std::io;

use serde::Serialize;

use crate::archive::ENDS;
use crate::catalog::BackupReadError;
use crate::storage::StorageError;

/// Bytes looked at between two looks at the interruption.
pub(super) const CHUNK: usize = 256 << 10;

/// A damaged object or member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// The object or the member of the archive.
    pub file: String,
    /// What is wrong, and where.
    pub what: String,
}

impl Defect {
    /// What is to blame, in words that are the same for every file that it has cost: the block, or the place at which the archive ends,
    /// whichever block it is that is not there.
    pub fn cause(&self) -> &str {
        let end = self.what.rfind(ENDS).filter(|_| self.what.starts_with("block "));
        end.map_or(&self.what, |end| &self.what[end..])
    }
}

/// The findings of a verification, and how much was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Nothing if all is well.
    pub findings: Vec<Defect>,
    /// What helps an administrator to make the best of the findings.
    pub notes: Vec<String>,
    /// Files whose content was read and compared.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// InnoDB pages whose checksum was computed.
    pub pages_checked: u64,
    /// InnoDB pages that cannot be checked without the server (encrypted ones, for example).
    pub pages_skipped: u64,
}

impl VerifyReport {
    pub(super) fn add(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Defect { file: file.into(), what: what.into() });
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.findings.iter().any(|finding| finding.file == file)
    }
}

/// Why a verification has no result.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The storage failed.
    #[error(transparent)]
    Source(#[from] BackupReadError),
    /// The threads that read could not be started.
    #[error("cannot start reading: {0}")]
    Start(io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted: not everything was read, so nothing is known about the rest")]
    Interrupted,
}

impl VerifyError {
    /// Whether it can come from a backup that is removed meanwhile ([`BackupReader::is_removed`]).
    pub fn may_be_removal(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}

impl From<StorageError> for VerifyError {
    fn from(error: StorageError) -> Self {
        Self::Source(error.into())
    }
}
