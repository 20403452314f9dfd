//! The folder of the copy: whose it is, what makes a backup of it, and how it goes again.

use std::sync::Arc;

use jiff::Timestamp;

use super::error::{CopyError, stored_bytes};
use super::keep_alive;
use crate::catalog::{
    BackupReader, MANIFEST, ObjectDamage, SILENCE, STATUS, VERIFY, Verified, check_sizes, read_status,
    read_verified,
};
use crate::model::{BackupState, Manifest, VerifyOutcome};
use crate::storage::{Storage, StorageError};

/// Bytes beside archive and index: manifest, status, and what a file system needs for them.
const SMALL_THINGS: u64 = 1 << 20;

/// The folder of a copy before the copy begins.
pub(super) struct CopyFolder<'a> {
    source: &'a BackupReader,
    target: &'a Arc<dyn Storage>,
}

impl<'a> CopyFolder<'a> {
    pub(super) fn new(source: &'a BackupReader, target: &'a Arc<dyn Storage>) -> Self {
        Self { source, target }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.source.cluster(), self.source.manifest().id)
    }

    /// Whether this backup is there already, whole as far as sizes and the last `verify` there tell. Another one by its name is an error.
    pub(super) fn has(&self, manifest: &[u8]) -> Result<bool, CopyError> {
        let there = match self.target.read_small(&self.source.object(MANIFEST), BackupReader::SMALL) {
            Ok(there) => there,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(CopyError::Target(error)),
        };
        let (id, place) = (self.source.manifest().id.clone(), self.target.location());
        if there != manifest {
            return Err(CopyError::Other { id, place, what: difference(self.source.manifest(), &there) });
        }
        match self.misses().map_err(CopyError::Target)? {
            // `prune` removes the manifest first.
            Some(_) if self.has_gone() => Err(CopyError::RemovedThere { id, place }),
            Some(damage) => Err(CopyError::DamagedThere { id, place, damage }),
            None => match self.found_damaged() {
                Some(damage) => Err(CopyError::DamagedThere { id, place, damage }),
                None => Ok(true),
            },
        }
    }

    /// What the last `verify` of the copy has found, where that is damage.
    fn found_damaged(&self) -> Option<ObjectDamage> {
        let (cluster, id) = (self.source.cluster(), &self.source.manifest().id);
        let Verified::By(found) = read_verified(self.target.as_ref(), cluster, id)? else { return None };
        (found.outcome == VerifyOutcome::Damaged)
            .then(|| ObjectDamage { object: VERIFY.to_owned(), what: found.damage() })
    }

    /// Whether its manifest, which was there, is not there any more.
    fn has_gone(&self) -> bool {
        let manifest = self.target.read_small(&self.source.object(MANIFEST), BackupReader::SMALL);
        manifest.is_err_and(|error| error.is_not_found())
    }

    /// The error for a copy that is not there any more.
    fn vanished(&self, what: impl Into<String>) -> CopyError {
        let (id, place) = (self.source.manifest().id.clone(), self.target.location());
        CopyError::Vanished { id, place, what: what.into() }
    }

    /// The first object that is not there in the size that the manifest says.
    fn misses(&self) -> Result<Option<ObjectDamage>, StorageError> {
        let damage = check_sizes(self.target.as_ref(), self.source.cluster(), self.source.manifest())?;
        Ok(damage.into_iter().next())
    }

    /// Refuses what cannot fit, as far as the storage tells.
    pub(super) fn has_room(&self) -> Result<(), CopyError> {
        let needed = stored_bytes(self.source.manifest()).saturating_add(SMALL_THINGS);
        match self.target.free_bytes().map_err(CopyError::Target)? {
            Some(free) if free < needed => {
                let (id, place) = (self.source.manifest().id.clone(), self.target.location());
                Err(CopyError::NoRoom { id, place, needed, free })
            }
            _ => Ok(()),
        }
    }

    /// Makes the folder, or takes over what a copy that was killed has left.
    pub(super) fn take(self, now: Timestamp) -> Result<Made<'a>, CopyError> {
        let name = self.name();
        let is_new = self.target.claim(&name).map_err(CopyError::Target)?;
        if !is_new {
            self.nobody_is_at_work(&name, now)?;
        }
        Ok(Made { folder: self, is_new, has_objects: false, is_kept: false, why: None })
    }

    /// Refuses a folder in which another program may be at work.
    fn nobody_is_at_work(&self, name: &str, now: Timestamp) -> Result<(), CopyError> {
        let (cluster, id) = (self.source.cluster(), &self.source.manifest().id);
        let status = read_status(self.target.as_ref(), cluster, id);
        if status
            .as_ref()
            .is_some_and(|status| matches!(status.state, BackupState::Failed | BackupState::Done))
        {
            return Ok(());
        }
        let written = self.target.last_written(name).map_err(CopyError::Target)?;
        let usual = SILENCE.unsigned_abs();
        let silence = status.as_ref().map_or(usual, |status| status.patience(usual));
        let Some(last) = status.map(|status| status.updated).max(written) else { return Ok(()) };
        // A clock that is behind is no silence.
        let ago = now.duration_since(last);
        if ago.is_positive() && ago.unsigned_abs() > silence {
            return Ok(());
        }
        Err(CopyError::Busy { id: id.clone(), place: self.target.location(), ago: ago.as_secs() })
    }
}

/// A folder that this copy works on. Somebody else may work on it as well: another copy that takes this one for dead
/// since it was stopped for a minute, or that has taken over the same left-over at the same moment. Both write the same
/// bytes. So an object that has got its name is never removed again, whatever comes of this copy: the other one, or its
/// manifest, may rely on it. Where nothing has got its name, dropping this removes the folder.
pub(super) struct Made<'a> {
    folder: CopyFolder<'a>,
    is_new: bool,
    has_objects: bool,
    is_kept: bool,
    why: Option<String>,
}

impl Made<'_> {
    /// From now on there are objects.
    pub(super) fn begin_objects(&mut self) {
        self.has_objects = true;
    }

    /// Why nothing has come of it, for whoever finds what is left.
    pub(super) fn fail(&mut self, why: &CopyError) {
        self.why = Some(why.to_string());
    }

    /// Lets the manifest appear, and looks once more at what it speaks of.
    pub(super) fn publish(&mut self, manifest: &[u8]) -> Result<(), CopyError> {
        let CopyFolder { source, target } = self.folder;
        target.put(&source.object(MANIFEST), manifest).map_err(CopyError::Target)?;
        let ObjectDamage { object, what } = match self.folder.misses() {
            Ok(None) => return Ok(()),
            Ok(Some(damage)) => damage,
            // All of it has been taken, and the manifest too.
            Err(error) => {
                log::warn!("{error}; so nobody has looked whether the copy is still there");
                return Ok(());
            }
        };
        // Another program has removed it meanwhile: the rest is no backup.
        target.remove(&source.object(MANIFEST)).map_err(CopyError::Target)?;
        Err(self.folder.vanished(format!("{object}: {what}")))
    }

    /// The copy is a backup now, unless another program has removed it meanwhile. What is still to be said of it is no reason to take it back.
    pub(super) fn keep(mut self) -> Result<(), CopyError> {
        self.is_kept = true;
        let CopyFolder { source, target } = self.folder;
        let name = source.object(STATUS);
        let told = match source.status_bytes() {
            Some(status) => target.put(&name, &status),
            None => target.remove(&name),
        };
        if self.folder.has_gone() {
            // Where folders are only a part of names, the status has made this one anew.
            target.remove(&name).map_err(CopyError::Target)?;
            return Err(self.folder.vanished(format!("{MANIFEST}: it is missing")));
        }
        if let Err(error) = told {
            log::warn!("{error}; the copy is complete all the same");
        }
        Ok(())
    }

    /// Removes the folder where nothing is in it but the status; else the status says that no program is at work any more.
    fn take_back(&self) -> Result<(), StorageError> {
        let CopyFolder { source, target } = self.folder;
        if self.is_new && !self.has_objects {
            target.remove(&source.object(STATUS))?;
            return match target.remove_folder(&self.folder.name()) {
                // Something that is not ours is in it.
                Err(error) if error.cause().kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
                outcome => outcome,
            };
        }
        match target.read_small(&source.object(MANIFEST), BackupReader::SMALL) {
            // Another copy has made a backup of it, and its status says so.
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => {
                let why = self.why.clone().unwrap_or_else(|| "the copy was not completed".into());
                keep_alive::write_failed(target.as_ref(), source, why)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = self.take_back()
        {
            log::warn!("{error}; 'prune' of that repository sweeps what is left when it is a day old");
        }
    }
}

/// In what another manifest differs, in words.
fn difference(here: &Manifest, there: &[u8]) -> String {
    let there = match Manifest::parse(there) {
        Ok(there) => there,
        Err(error) => return format!("its manifest cannot be used: {error}"),
    };
    let pairs = [
        ("id", here.id.to_string(), there.id.to_string()),
        ("cluster", here.cluster.clone(), there.cluster.clone()),
        ("position", here.position(), there.position()),
        ("archive's SHA-256", here.archive.sha256.clone(), there.archive.sha256.clone()),
        ("index's SHA-256", here.index.sha256.clone(), there.index.sha256.clone()),
    ];
    let first = pairs.into_iter().find(|(_, here, there)| here != there);
    first.map_or_else(
        || "its manifest has other bytes".to_owned(),
        |(what, here, there)| format!("its {what} is {there}, not {here}"),
    )
}
