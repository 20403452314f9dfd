//! A hold on the backup for as long as its archive is needed once more, behind the first change: if `prune` took it then, the directory
//! would be neither what it was nor what it is to be.

use std::path::Path;

use jiff::Timestamp;

use crate::catalog::{BackupReader, CatalogError, HoldState};
use crate::lease;
use crate::model::Hold;
use crate::restore::error::RestoreError;

/// A hold that this restore has set, or one before it into the same directory that was interrupted.
pub(super) struct HoldMeanwhile<'a> {
    source: &'a BackupReader,
}

impl<'a> HoldMeanwhile<'a> {
    /// Holds the backup. Nothing where somebody holds it already, or where it cannot be held, which is told; an error where it is removed at
    /// this moment.
    pub(super) fn set(source: &'a BackupReader, target: &Path) -> Result<Option<Self>, RestoreError> {
        let by = format!("'restore --delta' on {}", lease::host());
        let note = Some(format!("it is read into '{}'", target.display()));
        match source.held() {
            None => {}
            Some(HoldState::By(before)) if (&before.by, &before.note) == (&by, &note) => {
                return Ok(Some(Self { source }));
            }
            Some(_) => return Ok(None),
        }
        match source.hold(&Hold { held: Timestamp::now(), by, note }) {
            Ok(()) => Ok(Some(Self { source })),
            Err(error @ CatalogError::NotFound(_)) => Err(RestoreError::Refused(format!(
                "{error} any more: it was removed at this moment; nothing was changed"
            ))),
            Err(error) => {
                log::warn!(
                    "{error}; so the backup is not held while it is read: see that no 'prune' removes it"
                );
                Ok(None)
            }
        }
    }

    /// Takes the hold back. Where the restore has ended half-way it stays: the same command needs the backup again.
    pub(super) fn release(self) {
        if let Err(error) = self.source.release() {
            log::warn!("{error}; 'release {}' ends its hold", self.source.manifest().id);
        }
    }
}
