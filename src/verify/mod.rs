//! Reads a whole backup back: sizes, SHA-256, tar structure, InnoDB page checksums.
//!
//! Damage does not end the reading: every damaged file is named, with the place of the damage where
//! one is known. The index says where each member lies, so a block that cannot be read costs the
//! files in it and nothing behind it.

mod members;
mod object;
mod program_members;

use std::io;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use crate::archive::{BlockReader, GRASTATE_MEMBER, IDENTITY_MEMBER, Index, SUMS_MEMBER, StreamReader};
use crate::catalog::{BackupReadError, BackupReader};
use crate::storage::StorageError;
use members::Check;

/// Bytes looked at between two looks at the interruption.
const CHUNK: usize = 256 << 10;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// The object or the member of the archive.
    pub file: String,
    /// What is wrong, and where.
    pub what: String,
}

/// What the whole backup turned out to be.
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
    fn add(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Defect { file: file.into(), what: what.into() });
    }

    fn has(&self, file: &str) -> bool {
        self.findings.iter().any(|finding| finding.file == file)
    }
}

/// Why nothing can be said.
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

/// Compares the stored objects with the manifest, and does not look into them: that needs no key. `progress` is told the
/// position in the object being read.
pub fn verify_stored(
    source: &BackupReader,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<VerifyReport, VerifyError> {
    let mut report = VerifyReport::default();
    for damage in source.check_sizes()? {
        report.add(damage.object, damage.what);
    }
    object::check_stored(source, &mut report, progress, interrupted)?;
    Ok(report)
}

/// Reads everything. `progress` is told the position in the tar stream.
pub fn verify(
    source: &BackupReader,
    threads: usize,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<VerifyReport, VerifyError> {
    let mut report = VerifyReport::default();
    for damage in source.check_sizes()? {
        report.add(damage.object, damage.what);
    }
    let index = match source.read_index() {
        Ok(index) => index,
        Err(BackupReadError::Damaged { damage, .. }) => {
            if !report.has(&damage.object) {
                report.add(damage.object, damage.what);
            }
            object::check_alone(source, &mut report, interrupted)?;
            return Ok(report);
        }
        Err(error) => return Err(error.into()),
    };
    for damage in source.compare(&index) {
        report.add(damage.object, damage.what);
    }
    let archive = match source.open_archive() {
        // Already among the findings.
        Err(error) if error.is_not_found() => return Ok(report),
        archive => archive?,
    };
    let options = source.reader_options(&index, threads)?;
    let blocks = BlockReader::open(archive, index.plan(), &options);
    let mut stream = StreamReader::new(blocks.map_err(VerifyError::Start)?);
    let mut check = Check::new(&mut report, source, &index, interrupted);
    for member in &index.members {
        progress(member.header_offset);
        check.member(&mut stream, member)?;
    }
    check.end();
    let all_intact = check.all_intact();
    check_completeness(&index, &mut report);
    object::check_end(stream, &index, source, all_intact, &mut report)?;
    Ok(report)
}

/// An index that is whole but names no grastate.dat is not that of a backup.
fn check_completeness(index: &Index, report: &mut VerifyReport) {
    for name in [IDENTITY_MEMBER, GRASTATE_MEMBER, SUMS_MEMBER] {
        if !index.members.iter().any(|member| member.path.as_bytes() == name.as_bytes()) {
            report.add(name, "the archive does not hold it");
        }
    }
}
