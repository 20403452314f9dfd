//! What is left to do on every way out, shared with the thread that ends the process when the main one hangs.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::error::{DonateError, abort_status};
use super::primary::PrimaryGate;
use crate::capture::{Abort, Login, Outlook, Unended, Watch};
use crate::job::{Metrics, Reporter};
use crate::model::BackupState;
use crate::sst::{ErrorLog, LockError, TransferLock};

/// The ways out of one run.
pub(super) struct WaysOut {
    /// No way out leads past it.
    pub(super) gate: PrimaryGate,
    reporter: OnceLock<Reporter>,
    metrics: OnceLock<Metrics>,
    /// Goes with the run, or with the last resort.
    lock: Mutex<Option<TransferLock>>,
}

impl WaysOut {
    /// With what is known at the very start.
    pub(super) fn new(login: Login, log: Option<ErrorLog>) -> Self {
        let gate = PrimaryGate::new(login, log);
        Self { gate, reporter: OnceLock::new(), metrics: OnceLock::new(), lock: Mutex::default() }
    }

    /// The reporter of this run, known to the last resort too.
    pub(super) fn report(&self, reporter: Reporter) -> &Reporter {
        self.reporter.get_or_init(|| reporter)
    }

    /// Where the numbers of this run go, known to the last resort too.
    pub(super) fn measure(&self, metrics: Metrics) -> &Metrics {
        self.metrics.get_or_init(|| metrics)
    }

    /// Waits until no other transfer of the data directory runs; from here to the end none begins.
    pub(super) fn one_at_a_time(&self, datadir: &Path, watch: &Watch) -> Result<(), DonateError> {
        let lock = TransferLock::acquire(datadir, &|| watch.aborted().is_some());
        let lock = lock.map_err(|error| match (error, watch.aborted()) {
            (LockError::GivenUp, Some(abort)) => abort.into(),
            (error, _) => DonateError::from(error),
        })?;
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        Ok(())
    }

    /// The end of a run whose main thread does not come to its own; `end` does not return.
    ///
    /// mysqld keeps the node a donor until this program is gone, and nothing else can end it: leaving
    /// temporary files is the smaller harm. Only the manifest can say now whether there is a backup.
    pub(super) fn without_the_main_thread(
        &self,
        abort: &Abort,
        unended: Unended,
        outlook: &Outlook,
        end: fn(u8),
    ) {
        let why = match unended {
            Unended::Blocked => "a disk or the repository hangs".to_owned(),
            Unended::After(time) => {
                format!("this program has not come to its end in the {} s since", time.as_secs())
            }
        };
        log::error!(
            "{abort}, and {why}: temporary files may be left, and there is a backup only if 'list' shows it"
        );
        if let Some(reporter) = self.reporter.get() {
            reporter.finish(BackupState::Failed, Some(abort.to_string()));
        }
        if let Some(metrics) = self.metrics.get() {
            metrics.record(abort_status(abort), self.reporter.get().and_then(Reporter::frozen_ms), None);
        }
        self.gate.wait(outlook);
        // The main thread may have come back meanwhile, and ends in good order.
        if !outlook.is_over() {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
            end(abort_status(abort));
        }
    }
}
