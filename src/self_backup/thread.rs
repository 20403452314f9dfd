//! The thread that takes the backup, and what whoever has started it hears of it.
//!
//! Where that thread hangs in a disk or a repository, the watch says so in its place, and nobody waits for it: the server comes back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::error::SelfBackupError;
use super::locked::LateRelease;
use super::order::BackupOrder;
use super::taking::{Prepared, SelfMade};
use crate::capture::{Abort, Outlook, Unended, Watch};
use crate::sst::Mysqld;

/// What happens.
pub enum Step {
    /// All that can be known beforehand is known; the method.
    Ready(&'static str),
    /// Nothing is read from the server any more.
    Captured,
    /// There is a backup, or there is none.
    Ended(Result<SelfMade, SelfBackupError>),
}

/// A backup that is being taken. Dropping it before it was begun ends it.
pub struct RunningBackup {
    steps: Receiver<Step>,
    go: Sender<()>,
    give_up: Box<dyn Fn(Abort) + Send>,
    bytes: Box<dyn Fn() -> u64 + Send>,
}

impl RunningBackup {
    /// Starts the thread, which looks at the server first.
    pub fn start(order: BackupOrder) -> Result<Self, SelfBackupError> {
        let (tell, steps) = channel();
        let (go, begin) = channel();
        let (handles, handle) = channel();
        let run = move || {
            let outcome = watched(order, &tell, &begin, &handles);
            // Nobody listens where it was not waited for.
            let _ = tell.send(Step::Ended(outcome));
        };
        std::thread::Builder::new()
            .name("backup".into())
            .spawn(run)
            .map_err(|cause| SelfBackupError::System("cannot start a thread", cause))?;
        match handle.recv() {
            Ok((give_up, bytes)) => Ok(Self { steps, go, give_up, bytes }),
            Err(_) => Err(match steps.recv() {
                Ok(Step::Ended(Err(error))) => error,
                _ => SelfBackupError::Died,
            }),
        }
    }

    /// The next step, where it comes within that time.
    pub fn next(&self, wait: Duration) -> Option<Step> {
        match self.steps.recv_timeout(wait) {
            Ok(step) => Some(step),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Step::Ended(Err(SelfBackupError::Died))),
        }
    }

    /// The server has stepped aside.
    pub fn begin(&self) {
        // Where nobody waits for that, the end says why.
        let _ = self.go.send(());
    }

    /// It is not to go on, unless all is read already.
    pub fn give_up(&self, why: String) {
        (self.give_up)(Abort::GivenUp(why));
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        (self.bytes)()
    }
}

/// What the other side gives up by, and counts by.
type Handles = (Box<dyn Fn(Abort) + Send>, Box<dyn Fn() -> u64 + Send>);

fn watched(
    order: BackupOrder,
    tell: &Sender<Step>,
    begin: &Receiver<()>,
    handles: &Sender<Handles>,
) -> Result<SelfMade, SelfBackupError> {
    let metrics = Arc::clone(&order.metrics);
    let mysqld = order.pid_file.as_deref().and_then(Mysqld::written_in);
    let (hangs, of_hang) = (tell.clone(), Arc::clone(&metrics));
    let last_resort = move |abort: &Abort, _: Unended, _: &Outlook| {
        let error = SelfBackupError::Hangs(abort.clone());
        of_hang.record(error.failure().exit_status, None, None);
        let _ = hangs.send(Step::Ended(Err(error)));
    };
    let release = Arc::new(LateRelease::default());
    let watch = Watch::of_command(Arc::<LateRelease>::clone(&release), mysqld, last_resort)
        .map_err(|cause| SelfBackupError::System("cannot watch signals", cause))?;
    let _ = handles.send((Box::new(watch.give_up()), Box::new(watch.counter())));
    let prepared = Prepared::look(order)?;
    let _ = tell.send(Step::Ready(prepared.method()));
    begin.recv().map_err(|_| SelfBackupError::NotBegun)?;
    prepared.take(&watch, &metrics, &release, &|| {
        let _ = tell.send(Step::Captured);
    })
}
