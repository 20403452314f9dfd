//! The archive of a backup, opened for the members that are wanted.

use super::error::RestoreError;
use crate::archive::{BlockReader, Index, ReadPlan, StreamReader};
use crate::catalog::{BackupReadError, BackupReader};

/// Reads only the blocks of `plan`.
pub(super) fn open_stream(
    source: &BackupReader,
    index: &Index,
    plan: ReadPlan,
    threads: usize,
) -> Result<StreamReader, RestoreError> {
    let archive = source.open_archive().map_err(BackupReadError::from)?;
    let options = source.reader_options(index, threads)?;
    let blocks = BlockReader::open(archive, plan, &options)
        .map_err(|error| RestoreError::Refused(format!("cannot start reading the archive: {error}")))?;
    Ok(StreamReader::new(blocks))
}
