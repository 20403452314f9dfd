//! The archive of a backup, opened for the members that are wanted.

use super::error::RestoreError;
use crate::archive::{BlockReader, Index, ReadPlan, StreamReader};
use crate::catalog::{BackupReadError, BackupReader};

/// Parts of an archive that are fetched at once where each request takes a round trip.
const FETCHERS: usize = 4;

/// Reads only the blocks of `plan`.
pub(super) fn open_stream(
    source: &BackupReader,
    index: &Index,
    plan: ReadPlan,
    threads: usize,
) -> Result<StreamReader, RestoreError> {
    let count = source.at_once().min(FETCHERS).min(plan.fetchers()).max(1);
    let archive = || source.open_archive().map_err(BackupReadError::from);
    let archives = (0..count).map(|_| archive()).collect::<Result<Vec<_>, _>>()?;
    let options = source.reader_options(index, threads)?;
    let blocks = BlockReader::open_all(archives, plan, &options)
        .map_err(|error| RestoreError::Refused(format!("cannot start reading the archive: {error}")))?;
    Ok(StreamReader::new(blocks))
}
