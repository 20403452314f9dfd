//! `status.json`: written by a thread of its own, so that a repository that is slow or hangs prolongs neither
//! the freeze nor the run.
//!
//! A person who follows a backup wants to see it grow, so it is written every other second. Where the storage keeps what is
//! overwritten (a bucket with versions, or with object lock, where nothing of it can be removed), that would leave 1,800 old
//! ones an hour: there each new state is told, and a sign of life every few minutes, and the status says so itself, so that nobody
//! takes the silence between for death ([`Status::patience`]).

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Job;
use crate::capture::CaptureListener;
use crate::catalog::{STATUS, object_name};
use crate::model::{BackupState, Status, WsrepGtid, to_record};
use crate::output::millis;
use crate::storage::{Storage, StorageError};

/// How often the bytes are told while nothing else changes.
const EVERY: Duration = Duration::from_millis(1500);
/// How long the end of the run waits for its last word to be stored.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the writing thread is told.
enum Order {
    /// Something is new.
    Write,
    /// The same, and nothing comes after it; the answer says that it is stored.
    WriteLast(Sender<()>),
}

/// Tells the repository where the backup stands.
pub struct Reporter {
    status: Arc<Mutex<Status>>,
    frozen_since: Arc<OnceLock<Instant>>,
    orders: Sender<Order>,
}

impl Reporter {
    /// Writes the first status; `bytes_done` counts what is read.
    pub fn start(job: &Job, bytes_done: impl Fn() -> u64 + Send + 'static) -> Self {
        let status = Arc::new(Mutex::new(Status {
            id: job.destination.id.clone(),
            cluster: job.label().cluster.clone(),
            node: job.label().node.clone(),
            request: job.label().request.clone(),
            state: BackupState::Starting,
            started: job.label().started,
            updated: job.label().started,
            pid: std::process::id(),
            bytes_done: 0,
            bytes_total: None,
            frozen_ms: None,
            gtid: None,
            error: None,
            beat_s: None,
        }));
        let (orders, received) = channel();
        let frozen_since = Arc::new(OnceLock::new());
        let writer = StatusWriter {
            status: Arc::clone(&status),
            frozen_since: Arc::clone(&frozen_since),
            // A status that cannot be stored is no reason to give up a backup: this storage is not watched.
            storage: Arc::clone(&job.repository),
            name: object_name(&job.destination.folder, &job.destination.id, STATUS),
            bytes_done: Box::new(bytes_done),
            complaint: String::new(),
        };
        // No thread waits for this one without a limit: where the repository hangs, it hangs alone.
        if let Err(error) =
            std::thread::Builder::new().name("status".into()).spawn(move || writer.obey(&received))
        {
            log::warn!("no status will be written: {error}");
        }
        let reporter = Self { status, frozen_since, orders };
        reporter.change(|_| {});
        reporter
    }

    /// A new state.
    pub fn state(&self, state: BackupState) {
        self.change(|status| status.state = state);
    }

    /// The server stands still here; it was asked to at that moment.
    pub fn frozen(&self, gtid: Option<&WsrepGtid>, asked: Instant) {
        let _ = self.frozen_since.set(asked);
        self.change(|status| {
            status.gtid = gtid.cloned();
            status.state = BackupState::Copying;
        });
    }

    /// The server runs again; it was frozen for so long.
    pub fn thawed(&self, frozen: Duration) {
        self.change(|status| {
            status.frozen_ms = Some(millis(frozen));
            status.state = BackupState::Thawed;
        });
    }

    /// How long the server has been frozen; after the last word, as `status.json` has it.
    pub fn frozen_ms(&self) -> Option<u64> {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match status.state {
            BackupState::Copying => self.frozen_since.get().map(|since| millis(since.elapsed())),
            _ => status.frozen_ms,
        }
    }

    /// The last word, which waits a little until it is stored. Later ones are not heard.
    pub fn finish(&self, state: BackupState, error: Option<String>) {
        self.set(|status| (status.state, status.error) = (state, error));
        let (stored, is_stored) = channel();
        if self.orders.send(Order::WriteLast(stored)).is_ok()
            && is_stored.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Timeout)
        {
            log::warn!(
                "status.json does not say how this run ended: the repository does not take it within {} s",
                FAREWELL.as_secs()
            );
        }
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.set(change);
        // Where the thread is gone it has said why.
        let _ = self.orders.send(Order::Write);
    }

    fn set(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl CaptureListener for Reporter {
    fn total(&self, bytes: u64) {
        self.change(|status| status.bytes_total = Some(bytes));
    }

    fn reads(&self, bytes: u64) {
        self.total(bytes);
        self.state(BackupState::Thawed);
    }

    fn ahead(&self, bytes: u64) {
        self.total(bytes);
        self.state(BackupState::Ahead);
    }
}

/// The writing thread.
struct StatusWriter {
    status: Arc<Mutex<Status>>,
    frozen_since: Arc<OnceLock<Instant>>,
    storage: Arc<dyn Storage>,
    name: String,
    bytes_done: Box<dyn Fn() -> u64 + Send>,
    /// What went wrong last: a repository that is full is not told of every other second.
    complaint: String,
}

impl StatusWriter {
    fn obey(mut self, orders: &Receiver<Order>) {
        loop {
            let mut order = orders.recv_timeout(self.every());
            // Changes that have come while the last one was stored are one.
            while matches!(order, Ok(Order::Write))
                && let Ok(next) = orders.try_recv()
            {
                order = Ok(next);
            }
            if matches!(order, Err(RecvTimeoutError::Disconnected)) {
                return;
            }
            if let Err(error) = self.write() {
                let error = error.to_string();
                if error != self.complaint {
                    log::warn!("{error}");
                    self.complaint = error;
                }
            }
            if let Ok(Order::WriteLast(stored)) = order {
                let _ = stored.send(());
                return;
            }
        }
    }

    /// What was claimed has shown whether the storage keeps old versions.
    fn every(&self) -> Duration {
        if self.storage.keeps_versions() { Status::RARE } else { EVERY }
    }

    fn write(&self) -> Result<(), StorageError> {
        let status = {
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.bytes_done = (self.bytes_done)();
            if status.state == BackupState::Copying {
                status.frozen_ms = self.frozen_since.get().map(|since| millis(since.elapsed()));
            }
            status.updated = Timestamp::now();
            status.beat_s = self.storage.keeps_versions().then_some(Status::RARE.as_secs());
            status.clone()
        };
        let bytes =
            to_record(&status).map_err(|error| StorageError::new("write", &self.name, error.into()))?;
        self.storage.put(&self.name, &bytes)
    }
}
