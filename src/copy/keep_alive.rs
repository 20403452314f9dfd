//! Keeps `status.json` of a running copy young, so that `prune` and other copies leave its folder alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::error::stored_bytes;
use crate::catalog::{BackupReader, STATUS};
use crate::model::{BackupState, Manifest, Status, to_record};
use crate::storage::{Storage, StorageError};

/// How often it is written: far below the silence after which a run is taken for dead ([`crate::catalog::SILENCE`]).
const EVERY: Duration = Duration::from_secs(10);

/// A thread that tells how the copy gets on, until this is dropped.
pub(super) struct KeepAlive {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl KeepAlive {
    /// Writes the first status; a storage that does not take it would take nothing else.
    pub(super) fn start(
        source: &BackupReader,
        target: &Arc<dyn Storage>,
        copied: Arc<AtomicU64>,
    ) -> Result<Self, StorageError> {
        let (manifest, name) = (source.manifest().clone(), source.object(STATUS));
        write(target.as_ref(), &name, &manifest, 0)?;
        let target = Arc::clone(target);
        let (stop, stopped) = channel::<()>();
        let tell = move || {
            let mut is_told = false;
            while stopped.recv_timeout(every(target.as_ref())) == Err(RecvTimeoutError::Timeout) {
                let outcome = write(target.as_ref(), &name, &manifest, copied.load(Ordering::Relaxed));
                if let Err(error) = outcome
                    && !std::mem::replace(&mut is_told, true)
                {
                    log::warn!("{error}");
                }
            }
        };
        let thread = std::thread::Builder::new().name("status".into()).spawn(tell);
        let thread = thread.map_err(|cause| StorageError::new("keep", STATUS, cause))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.stop = None;
        // What it writes now would come behind what is written next.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where each time leaves an old version it is written as rarely as a donor does.
fn every(target: &dyn Storage) -> Duration {
    if target.keeps_versions() { Status::RARE } else { EVERY }
}

/// What a donor would say at the same point: the data is taken, and is being stored.
fn write(target: &dyn Storage, name: &str, manifest: &Manifest, copied: u64) -> Result<(), StorageError> {
    put(target, name, &status(target, manifest, copied))
}

/// The last word of a copy that has come to nothing.
pub(super) fn write_failed(
    target: &dyn Storage,
    source: &BackupReader,
    error: String,
) -> Result<(), StorageError> {
    let status =
        Status { state: BackupState::Failed, error: Some(error), ..status(target, source.manifest(), 0) };
    put(target, &source.object(STATUS), &status)
}

fn status(target: &dyn Storage, manifest: &Manifest, copied: u64) -> Status {
    Status {
        id: manifest.id.clone(),
        cluster: manifest.cluster.clone(),
        node: manifest.node.clone(),
        request: manifest.request.clone(),
        state: BackupState::Publishing,
        started: manifest.started,
        updated: Timestamp::now(),
        pid: std::process::id(),
        bytes_done: copied,
        bytes_total: Some(stored_bytes(manifest)),
        frozen_ms: Some(manifest.frozen_ms),
        gtid: manifest.gtid.clone(),
        error: None,
        beat_s: target.keeps_versions().then_some(Status::RARE.as_secs()),
    }
}

fn put(target: &dyn Storage, name: &str, status: &Status) -> Result<(), StorageError> {
    let bytes = to_record(status).map_err(|error| StorageError::new("write", name, error.into()))?;
    target.put(name, &bytes)
}
