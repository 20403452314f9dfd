//! A word in the repository that somebody is about to ask for a backup, or has asked and follows it.
//!
//! It is an object `asking.<cluster>.<word>` beside the clusters' folders: no folder has to be made for it, which root
//! would own and the donor could not write to. While its owner lives it grows by a byte every few seconds, so that whoever
//! can list the repository can tell, by the own clock, whether the owner is alive. Where each growth leaves an old version
//! of it (a bucket with versions), it grows every few minutes only, and its name says so: `asking.<cluster>.<word>-rare`.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::request::random_word;
use crate::model::Status;
use crate::storage::{Storage, StorageError};

/// What the objects' names begin with. Neither a cluster's folder nor a temporary file.
const PREFIX: &str = "asking";
/// What the names of those end with that grow rarely.
const RARE: &str = "-rare";

/// A lease that is held. Dropping it takes it back.
pub(super) struct Lease {
    storage: Arc<dyn Storage>,
    name: String,
    is_over: Arc<Mutex<bool>>,
    /// Its end ends the thread that shows life.
    _life: Sender<()>,
}

impl Lease {
    /// Says that this process wants to ask, and goes on saying it. `cluster` is the folder of a cluster.
    pub(super) fn take(
        storage: &Arc<dyn Storage>,
        cluster: &str,
        beat: Duration,
    ) -> Result<Self, StorageError> {
        let mut name = format!("{PREFIX}.{cluster}.{}", random_word());
        let mut text = format!("{} pid {} ", host(), std::process::id());
        storage.put(&name, text.as_bytes())?;
        let mut beat = beat;
        if storage.keeps_versions() {
            // Known by the first one that was stored. There is no moment without any.
            let plain = std::mem::replace(&mut name, format!("{PREFIX}.{cluster}.{}{RARE}", random_word()));
            let is_put = storage.put(&name, text.as_bytes());
            storage.remove(&plain)?;
            is_put?;
            beat = Status::RARE;
        }
        let is_over = Arc::new(Mutex::new(false));
        let (life, death) = channel::<()>();
        let lease = Self { storage: Arc::clone(storage), name, is_over, _life: life };
        let (storage, name, is_over) =
            (Arc::clone(&lease.storage), lease.name.clone(), Arc::clone(&lease.is_over));
        std::thread::spawn(move || {
            while death.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                // Held while it is written, so that nothing is written behind the removal.
                let over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
                if *over {
                    return;
                }
                text.push('.');
                if let Err(error) = storage.put(&name, text.as_bytes()) {
                    log::debug!("{error}");
                }
            }
        });
        Ok(lease)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *over = true;
        if let Err(error) = self.storage.remove(&self.name) {
            log::warn!("{error}; another node will take it away when it has been silent for a minute");
        }
    }
}

/// The leases of others, and since when each has not grown.
#[derive(Debug, Default)]
pub(super) struct Others(HashMap<String, (u64, Instant)>);

impl Others {
    /// Who is asking now, but for `own`. One that has been silent for `silence` is dead and is taken away: whoever holds
    /// it in truth has been stopped for so long that the request is in nobody's hands.
    pub(super) fn look(
        &mut self,
        storage: &dyn Storage,
        cluster: &str,
        own: Option<&str>,
        silence: Duration,
    ) -> Result<Vec<String>, StorageError> {
        let mut alive = Vec::new();
        for object in storage.objects("")? {
            if !is_of(&object.name, cluster) || own == Some(&object.name) {
                continue;
            }
            let (bytes, since) =
                self.0.entry(object.name.clone()).or_insert_with(|| (object.bytes, Instant::now()));
            if *bytes != object.bytes {
                (*bytes, *since) = (object.bytes, Instant::now());
            }
            let is_rare = object.name.ends_with(RARE);
            let silence = if is_rare { silence.max(Status::RARE * 5 / 2) } else { silence };
            if since.elapsed() < silence {
                alive.push(object.name);
            } else {
                log::warn!("'{}' has been silent for {} s: taken away", object.name, silence.as_secs());
                storage.remove(&object.name)?;
            }
        }
        Ok(alive)
    }
}

/// Who holds a lease, in a few words.
pub(super) fn holder(storage: &dyn Storage, name: &str) -> String {
    let text = storage.read_small(name, 1 << 16).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let told = text.trim_end_matches('.').trim();
    if told.is_empty() { "somebody".into() } else { told.to_owned() }
}

/// Whether an object is a lease for this cluster: the word at its end has no dot, the cluster may have some.
fn is_of(name: &str, cluster: &str) -> bool {
    let inner = name.rsplit_once('.').and_then(|(front, _)| front.strip_prefix(PREFIX)?.strip_prefix('.'));
    inner == Some(cluster)
}

fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "a machine without a name".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{LocalStorage, ObjectInfo, ObjectReader, ObjectWriter};

    #[test]
    fn a_lease_belongs_to_one_cluster() {
        assert!(is_of("asking.a.b.012345", "a.b"));
        for name in ["asking.a.b.012345", "asking.a", "asking", "other.a.012345"] {
            assert!(!is_of(name, "a"), "{name}");
        }
    }

    /// A directory that says of itself that it keeps old versions.
    struct Keeping(LocalStorage);

    impl Storage for Keeping {
        fn location(&self) -> String {
            self.0.location()
        }

        fn probe(&self) -> Result<(), StorageError> {
            self.0.probe()
        }

        fn claim(&self, folder: &str) -> Result<bool, StorageError> {
            self.0.claim(folder)
        }

        fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
            self.0.folders(folder)
        }

        fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
            self.0.objects(folder)
        }

        fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
            self.0.open(name)
        }

        fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
            self.0.create(name)
        }

        fn remove(&self, name: &str) -> Result<(), StorageError> {
            self.0.remove(name)
        }

        fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
            self.0.free_bytes()
        }

        fn keeps_versions(&self) -> bool {
            true
        }
    }

    #[test]
    fn where_old_versions_are_kept_it_grows_rarely_and_is_taken_for_alive_between() {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(Keeping(LocalStorage::new(folder.path())));
        let (beat, silence) = (Duration::from_millis(20), Duration::from_millis(100));
        let lease = Lease::take(&storage, "c", beat).unwrap();
        let there = storage.objects("").unwrap();
        assert_eq!(there.len(), 1);
        assert!(there[0].name == lease.name() && is_of(lease.name(), "c"), "{there:?}");
        let mut others = Others::default();
        assert_eq!(others.look(storage.as_ref(), "c", None, silence).unwrap(), [lease.name()]);
        std::thread::sleep(3 * silence);
        assert_eq!(storage.objects("").unwrap(), there, "it has grown");
        assert_eq!(others.look(storage.as_ref(), "c", None, silence).unwrap(), [lease.name()]);
        drop(lease);
        assert!(storage.objects("").unwrap().is_empty());
    }

    #[test]
    fn it_is_seen_alive_and_gone_and_a_dead_one_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path()));
        let (beat, silence) = (Duration::from_millis(20), Duration::from_millis(400));
        let lease = Lease::take(&storage, "c", beat).unwrap();
        let mut others = Others::default();
        let start = Instant::now();
        while start.elapsed() < 2 * silence {
            let seen = others.look(storage.as_ref(), "c", None, silence).unwrap();
            assert_eq!(seen, [lease.name()]);
            std::thread::sleep(beat);
        }
        assert!(others.look(storage.as_ref(), "c", Some(lease.name()), silence).unwrap().is_empty());
        assert!(others.look(storage.as_ref(), "other", None, silence).unwrap().is_empty());
        let said = holder(storage.as_ref(), lease.name());
        assert!(said.contains(&format!("pid {}", std::process::id())) && !said.contains(".."), "{said}");
        drop(lease);
        assert!(storage.objects("").unwrap().is_empty());

        storage.put("asking.c.dead00", b"db1 pid 7 ").unwrap();
        let mut others = Others::default();
        assert_eq!(others.look(storage.as_ref(), "c", None, silence).unwrap(), ["asking.c.dead00"]);
        std::thread::sleep(silence);
        assert!(others.look(storage.as_ref(), "c", None, silence).unwrap().is_empty());
        assert!(storage.objects("").unwrap().is_empty());
    }
}
