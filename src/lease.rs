//! Leases: an object in the repository that names the process which does what only one may do at a time in a cluster.
//!
//! It is an object `<kind>.<cluster>.<word>` beside the clusters' folders: no folder has to be made for it, which root
//! would own and the donor could not write to. While its owner lives it grows by a byte every few seconds, so that whoever
//! can list the repository can tell whether the owner is alive: by the own clock, or at once, by the storage's clock, which
//! has dated an own lease as well. Where each growth leaves an old version of it (a bucket with versions), it grows every few
//! minutes only, and its name says so: `<kind>.<cluster>.<word>-rare`.
//!
//! Whoever puts a lease looks for others only then: of two that do this at once at least one sees the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Status, random_word};
use crate::storage::{Storage, StorageError};

/// What the names of those end with that grow rarely.
const RARE: &str = "-rare";
/// How long the removal of one is waited for.
const REMOVED: Duration = Duration::from_secs(5);
/// What the names of objects begin with that ask the storage for its time ([`storage_time`]).
const TIMING: &str = "timing";
/// Longest description of an owner that is shown, in characters.
const SHOWN: usize = 120;

/// What a lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// Asking for a backup and following it.
    Asking,
    /// Standing still as a donor, from shortly before the freeze to its end.
    Freezing,
}

impl LeaseKind {
    /// What the objects' names begin with. Neither a cluster's folder nor a temporary file.
    fn prefix(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Freezing => "freezing",
        }
    }
}

/// A lease that is held. Dropping it takes it back.
pub struct Lease {
    name: String,
    /// Its end has the thread that shows life take the lease back.
    life: Option<Sender<()>>,
    /// That thread has done so.
    over: Receiver<()>,
}

impl Lease {
    /// Says that this process is about to do it, and goes on saying so. `cluster` is the folder of a cluster, `owner` what
    /// others are to read of whoever does it ([`holder`]).
    pub fn take(
        storage: &Arc<dyn Storage>,
        kind: LeaseKind,
        cluster: &str,
        owner: &str,
        beat: Duration,
    ) -> Result<Self, StorageError> {
        let prefix = kind.prefix();
        let word = |end: &str| format!("{prefix}.{cluster}.{}{end}", random_word());
        let mut text = format!("{owner} pid {} ", std::process::id());
        let knows = storage.keeps_versions();
        let mut name = word(if knows { RARE } else { "" });
        storage.put(&name, text.as_bytes())?;
        let mut beat = beat;
        if storage.keeps_versions() {
            beat = Status::RARE;
            if !knows {
                // Known by the first one that was stored. There is no moment without any.
                let plain = std::mem::replace(&mut name, word(RARE));
                let is_put = storage.put(&name, text.as_bytes());
                take_away(storage.as_ref(), &plain);
                is_put?;
            }
        }
        let (life, death) = channel::<()>();
        let (storage, owned) = (Arc::clone(storage), name.clone());
        // One thread writes and removes it, so that nothing is written behind the removal.
        let over = in_a_thread(move || {
            while death.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                text.push('.');
                if let Err(error) = storage.put(&owned, text.as_bytes()) {
                    log::debug!("{error}");
                }
            }
            take_away(storage.as_ref(), &owned);
        });
        Ok(Self { name, life: Some(life), over })
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.life.take());
        await_removal(&self.over, &self.name);
    }
}

/// The end of what it starts.
fn in_a_thread(work: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (done, end) = channel();
    std::thread::spawn(move || {
        work();
        // Nobody may wait for it any more.
        let _ = done.send(());
    });
    end
}

/// Waits for the removal of a lease, and not for a repository that does not answer: whoever holds a lease has more to end than it.
fn await_removal(removed: &Receiver<()>, name: &str) {
    if removed.recv_timeout(REMOVED) == Err(RecvTimeoutError::Timeout) {
        log::warn!(
            "'{name}' is not taken back within {} s: the repository does not answer; nobody minds it when it has been silent for a minute",
            REMOVED.as_secs()
        );
    }
}

/// Removes a lease. A key that may write and not remove leaves it empty: that is the sign of one that is over.
pub fn take_away(storage: &dyn Storage, name: &str) {
    let Err(error) = storage.remove(name) else { return };
    match storage.put(name, b"") {
        Ok(()) => log::debug!("{error}; it is left empty"),
        Err(_) => log::warn!("{error}; nobody minds it when it has been silent for a minute"),
    }
}

/// Removes the lease of a process that is known to have died. The name comes from a file: what is no lease is left alone.
pub fn take_away_dead(storage: &Arc<dyn Storage>, name: &str) {
    if !name.contains('/') && cluster_of(name).is_some() {
        let (storage, owned) = (Arc::clone(storage), name.to_owned());
        await_removal(&in_a_thread(move || take_away(storage.as_ref(), &owned)), name);
    }
}

/// The leases of others, and since when each has not grown.
#[derive(Debug, Default)]
pub struct Others(HashMap<String, (u64, Instant)>);

impl Others {
    /// Whose leases there are now, but for `own`. One that has been silent for `silence` is dead and is taken away: whoever
    /// holds it in truth has been stopped for so long that what it stands for is in nobody's hands. An empty one is over.
    pub fn look(
        &mut self,
        storage: &dyn Storage,
        kind: LeaseKind,
        cluster: &str,
        own: Option<&str>,
        silence: Duration,
    ) -> Result<Vec<String>, StorageError> {
        let mut alive = Vec::new();
        let objects = storage.objects("")?;
        // The own one has just been written: that is the time of the storage.
        let now = objects.iter().find(|object| own == Some(&object.name)).and_then(|object| object.modified);
        for object in objects {
            let is_over = object.bytes == 0;
            if is_over || !is_of(&object.name, kind, cluster) || own == Some(&object.name) {
                continue;
            }
            let (bytes, since) =
                self.0.entry(object.name.clone()).or_insert_with(|| (object.bytes, Instant::now()));
            if *bytes != object.bytes {
                (*bytes, *since) = (object.bytes, Instant::now());
            }
            let is_rare = object.name.ends_with(RARE);
            let silence = if is_rare { silence.max(Status::RARE * 5 / 2) } else { silence };
            let long_ago = now.zip(object.modified).map(|(now, written)| now.duration_since(written));
            let is_old =
                long_ago.is_some_and(|age| SignedDuration::try_from(silence).is_ok_and(|limit| age > limit));
            if since.elapsed() < silence && !is_old {
                alive.push(object.name);
            } else {
                log::warn!("'{}' has been silent for {} s: taken away", object.name, silence.as_secs());
                take_away(storage, &object.name);
            }
        }
        Ok(alive)
    }
}

/// Who holds a lease, in a few words.
pub fn holder(storage: &dyn Storage, name: &str) -> String {
    let text = storage.read_small(name, 1 << 16).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let told = text.trim_end_matches('.').trim().chars().filter(|c| !c.is_control()).take(SHOWN);
    let told: String = told.collect();
    if told.is_empty() { "somebody".into() } else { told }
}

/// Whether an object is a lease for this cluster: the word at its end has no dot, the cluster may have some.
fn is_of(name: &str, kind: LeaseKind, cluster: &str) -> bool {
    let inner =
        name.rsplit_once('.').and_then(|(front, _)| front.strip_prefix(kind.prefix())?.strip_prefix('.'));
    inner == Some(cluster)
}

/// The folder of the cluster that an object is a lease for, of whatever kind, or asks for the time; none where it is neither.
pub fn cluster_of(name: &str) -> Option<&str> {
    let (front, word) = name.rsplit_once('.')?;
    let kinds = [LeaseKind::Asking.prefix(), LeaseKind::Freezing.prefix(), TIMING].into_iter();
    let of = kinds.filter_map(|kind| front.strip_prefix(kind)?.strip_prefix('.'));
    of.into_iter().find(|cluster| !cluster.is_empty() && !word.is_empty())
}

/// The time by the clock of the storage, which dates a small object for that; nothing where it dates none. `cluster` is a cluster's
/// folder: what a program that was killed leaves of this is a sign of one that has died.
pub fn storage_time(storage: &dyn Storage, cluster: &str) -> Result<Option<Timestamp>, StorageError> {
    let name = format!("{}.{cluster}.{}", TIMING, random_word());
    storage.put(&name, b".")?;
    let listed = storage.objects("");
    take_away(storage, &name);
    Ok(listed?.into_iter().find(|object| object.name == name).and_then(|object| object.modified))
}

/// The machine's own name for itself.
pub fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "a machine without a name".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
