//! `status.json`: written by a thread of its own, so that a slow repository never prolongs the freeze.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::{DonateError, Run};
use crate::catalog::{STATUS, object_name};
use crate::model::{State, Status, WsrepGtid};
use crate::storage::Storage;

/// How often the bytes are told while nothing else changes.
const EVERY: Duration = Duration::from_secs(2);

/// Tells the repository where the backup stands.
pub(super) struct Reporter {
    status: Arc<Mutex<Status>>,
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    storage: Arc<dyn Storage>,
    name: String,
}

impl Reporter {
    /// Writes the first status; `bytes_done` counts what is read.
    pub(super) fn start(run: &Run, bytes_done: impl Fn() -> u64 + Send + 'static) -> Self {
        let status = Arc::new(Mutex::new(Status {
            id: run.id.clone(),
            cluster: run.layout.cluster.clone(),
            node: run.layout.node.clone(),
            request: run.request.request.clone(),
            state: State::Starting,
            started: run.started,
            updated: run.started,
            pid: std::process::id(),
            bytes_done: 0,
            bytes_total: None,
            gtid: None,
            error: None,
        }));
        let name = object_name(&run.cluster, &run.id, STATUS);
        let (wake, woken) = channel();
        let (shared, storage, object) = (Arc::clone(&status), Arc::clone(&run.storage), name.clone());
        let thread = std::thread::Builder::new()
            .name("status".into())
            .spawn(move || write_changes(&woken, &shared, &bytes_done, storage.as_ref(), &object))
            .inspect_err(|error| log::warn!("no status will be written: {error}"))
            .ok();
        let reporter = Self { status, wake: Some(wake), thread, storage: Arc::clone(&run.storage), name };
        reporter.change(|_| {});
        reporter
    }

    /// A new state.
    pub(super) fn state(&self, state: State) {
        self.change(|status| status.state = state);
    }

    /// How much there is to read.
    pub(super) fn total(&self, bytes: u64) {
        self.change(|status| status.bytes_total = Some(bytes));
    }

    /// The server stands still here.
    pub(super) fn frozen(&self, gtid: &WsrepGtid) {
        self.change(|status| {
            status.gtid = Some(gtid.clone());
            status.state = State::Copying;
        });
    }

    /// The last word: a failure stays with its reason, a success leaves the manifest alone to speak.
    pub(super) fn finish(mut self, error: Option<&DonateError>) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let outcome = match error {
            None => self.storage.remove(&self.name),
            Some(error) => {
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                status.state = State::Failed;
                status.error = Some(error.to_string());
                write(&mut status, self.storage.as_ref(), &self.name)
            }
        };
        if let Err(error) = outcome {
            log::warn!("{error}");
        }
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(wake) = &self.wake {
            let _ = wake.send(());
        }
    }
}

/// Ends when the reporter hangs up; the count of bytes is brought up to date before.
fn write_changes(
    woken: &Receiver<()>,
    status: &Mutex<Status>,
    bytes_done: &dyn Fn() -> u64,
    storage: &dyn Storage,
    name: &str,
) {
    loop {
        let goes_on = !matches!(woken.recv_timeout(EVERY), Err(RecvTimeoutError::Disconnected));
        while woken.try_recv().is_ok() {}
        let mut copy = {
            let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
            status.bytes_done = bytes_done();
            status.clone()
        };
        if !goes_on {
            return;
        }
        if let Err(error) = write(&mut copy, storage, name) {
            log::warn!("{error}");
        }
    }
}

fn write(status: &mut Status, storage: &dyn Storage, name: &str) -> Result<(), crate::storage::StorageError> {
    status.updated = Timestamp::now();
    let mut bytes = serde_json::to_vec_pretty(status)
        .map_err(|error| crate::storage::StorageError::new("write", name, error.into()))?;
    bytes.push(b'\n');
    storage.put(name, &bytes)
}
