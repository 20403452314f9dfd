//! What lies beside a manifest and speaks for or against its backup: whether the objects that it names are there, what
//! `verify` and `drill` have found, and when the storage says that it was written.

use jiff::Timestamp;

use super::{
    DRILL, Drilled, HOLD, HoldState, MANIFEST, VERIFY, Verified, read_drilled, read_hold, read_verified,
};
use crate::model::{BackupId, Manifest, StoredObject};
use crate::storage::{FolderList, ObjectInfo, Storage, StorageError};

/// Files from before this program was written, 2020, have times that an unpacking or an image has made up.
const EARLIEST: Timestamp = Timestamp::constant(1_577_836_800, 0);

/// An object of a backup that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDamage {
    /// The object beside the manifest, the manifest, or a member of the archive.
    pub object: String,
    /// What is wrong with it, in words that follow its name.
    pub what: String,
}

/// What the storage says of one backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When its manifest was written, by the clock of the storage. That of a copy is from when it was copied.
    pub written: Option<Timestamp>,
    /// What the last verification has found.
    pub verified: Option<Verified>,
    /// What the last drill came to.
    pub drilled: Option<Drilled>,
    /// Whether `prune` is to leave it alone.
    pub held: Option<HoldState>,
    /// The first object that is not there in the size that the manifest says.
    pub damage: Option<ObjectDamage>,
    /// Why that is not known.
    pub unknown: Option<String>,
}

impl Evidence {
    /// Looks. What cannot be seen is a part of the answer: one backup hides no other.
    pub fn look(storage: &dyn Storage, cluster: &str, id: &BackupId, manifest: Option<&Manifest>) -> Self {
        let listed = storage.objects(&format!("{cluster}/{id}"));
        Self::of_listed(storage, cluster, id, manifest, &listed)
    }

    /// The same, where its folder was listed already.
    pub fn of_listed(
        storage: &dyn Storage,
        cluster: &str,
        id: &BackupId,
        manifest: Option<&Manifest>,
        listed: &FolderList,
    ) -> Self {
        let objects = match listed {
            Ok(objects) => objects,
            Err(error) => {
                return Self {
                    verified: read_verified(storage, cluster, id),
                    drilled: read_drilled(storage, cluster, id),
                    held: read_hold(storage, cluster, id),
                    unknown: Some(error.to_string()),
                    ..Self::default()
                };
            }
        };
        let listed = |name: &str| objects.iter().find(|object| object.name == name);
        let written = listed(MANIFEST).and_then(|object| object.modified).filter(|at| *at >= EARLIEST);
        let verified = listed(VERIFY).and_then(|_| read_verified(storage, cluster, id));
        let drilled = listed(DRILL).and_then(|_| read_drilled(storage, cluster, id));
        let held = listed(HOLD).and_then(|_| read_hold(storage, cluster, id));
        let (damage, unknown) = match manifest.map(|manifest| amiss(storage, cluster, manifest, objects)) {
            None => (None, None),
            Some(Ok(damage)) => (damage.into_iter().next(), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        Self { written, verified, drilled, held, damage, unknown }
    }
}

/// Whether the objects that a manifest names are there in the sizes that the manifest says. Where the list cannot be had, for something else in the
/// folder perhaps, each is asked for by its name.
pub fn check_sizes(
    storage: &dyn Storage,
    cluster: &str,
    manifest: &Manifest,
) -> Result<Vec<ObjectDamage>, StorageError> {
    let objects = storage.objects(&format!("{cluster}/{}", manifest.id)).unwrap_or_default();
    amiss(storage, cluster, manifest, &objects)
}

fn amiss(
    storage: &dyn Storage,
    cluster: &str,
    manifest: &Manifest,
    objects: &[ObjectInfo],
) -> Result<Vec<ObjectDamage>, StorageError> {
    let mut damage = Vec::new();
    for StoredObject { name, bytes, .. } in manifest.objects().into_iter().rev() {
        let what = match objects.iter().find(|object| object.name == name) {
            None => unlisted(storage, &super::object_name(cluster, &manifest.id, name), bytes)?,
            Some(found) => other_size(found.bytes, bytes),
        };
        damage.extend(what.map(|what| ObjectDamage { object: name.to_owned(), what }));
    }
    Ok(damage)
}

fn other_size(found: u64, wanted: u64) -> Option<String> {
    (found != wanted).then(|| format!("it has {found} bytes, the manifest says {wanted}"))
}

/// An object that is not listed is missing when the storage says so to who asks for it: lists may lag behind, and what
/// cannot be opened now is another matter.
fn unlisted(storage: &dyn Storage, name: &str, bytes: u64) -> Result<Option<String>, StorageError> {
    match storage.size(name) {
        Err(error) if error.is_not_found() => Ok(Some("it is missing".into())),
        Err(error) => Err(error),
        Ok(None) => Ok(Some("it is not a file".into())),
        Ok(Some(found)) => Ok(other_size(found, bytes)),
    }
}
