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

/// The first object of a backup that is not there in its size. Each is asked for by its name: they were just written, and lists
/// may lag behind.
pub fn misses_by_name(
    storage: &dyn Storage,
    cluster: &str,
    manifest: &Manifest,
) -> Result<Option<ObjectDamage>, StorageError> {
    for StoredObject { name, bytes, .. } in manifest.objects().into_iter().rev() {
        if let Some(what) = unlisted(storage, &super::object_name(cluster, &manifest.id, name), bytes)? {
            return Ok(Some(ObjectDamage { object: name.to_owned(), what }));
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalStorage;

    /// A manifest whose archive has 9 bytes and whose index has 5.
    fn manifest() -> Manifest {
        let document = serde_json::json!({
            "format": 1, "id": "20261120T113452Z_n1", "cluster": "c", "node": "n1", "method": "freeze",
            "started": "2026-11-20T11:34:52Z", "frozen_at": "2026-11-20T11:34:52Z", "finished": "2026-11-20T11:34:53Z",
            "flush_ms": 1, "frozen_ms": 2,
            "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": 417, "domain_id": 0}, "mariadb_gtid": {},
            "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
            "archive": {"name": "backup.tar", "bytes": 9, "sha256": "", "compression": "none"},
            "index": {"name": "index.json.zst", "bytes": 5, "sha256": ""},
            "damaged_pages": 0, "tool": {"version": "0.1.0"}
        });
        Manifest::parse(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_was_just_written_is_looked_for_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(root.path());
        let manifest = manifest();
        let folder = format!("c/{}", manifest.id);
        storage.claim(&folder).unwrap();
        let found = || {
            let damage = misses_by_name(&storage, "c", &manifest).unwrap();
            damage.map(|damage| format!("{}: {}", damage.object, damage.what))
        };
        let put = |name: &str, bytes: &[u8]| storage.put(&format!("{folder}/{name}"), bytes).unwrap();
        assert_eq!(found().as_deref(), Some("backup.tar: it is missing"));
        put("backup.tar", b"123456789");
        put("index.json.zst", b"1234");
        assert_eq!(found().as_deref(), Some("index.json.zst: it has 4 bytes, the manifest says 5"));
        put("index.json.zst", b"12345");
        assert_eq!(found(), None);
        put("backup.tar", b"12345678");
        assert_eq!(found().as_deref(), Some("backup.tar: it has 8 bytes, the manifest says 9"));
    }
}
