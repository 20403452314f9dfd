//! One bucket, as its readers and writers share it: the client, its runtime, and how a call waits.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryFutureExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions};
use tokio::runtime::Runtime;

use super::fault::Fault;
use super::http::Connector;
use super::request::Requests;
use super::retry::{Attempts, RetryLimits, retry};
use crate::storage::StorageError;

/// A bucket and its client.
pub(super) struct Bucket {
    pub(super) store: AmazonS3,
    pub(super) requests: Requests,
    pub(super) connector: Connector,
    /// It has told that the key may not read, and the claim of a folder is not looked for any more.
    pub(super) reads_nothing: AtomicBool,
    /// It has said that it does not list uploads.
    pub(super) lists_no_uploads: AtomicBool,
    /// Taken out when it is dropped: that must not wait for requests that hang.
    pub(super) runtime: Option<Runtime>,
    pub(super) limits: RetryLimits,
    pub(super) max_parts: u64,
    /// `s3://bucket/prefix`, for people.
    pub(super) location: String,
    pub(super) prefix: String,
}

impl Bucket {
    pub(super) fn key(&self, name: &str) -> Path {
        self.prefix.split('/').chain(name.split('/')).filter(|part| !part.is_empty()).collect()
    }

    /// Blocks until `work` is done, for which there is a key.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.wait_for_work_alone(async {
            self.have_key().await?;
            work.await
        })
    }

    /// The same within the limits of `work`: a key that has to be fetched is fetched within them, too.
    pub(super) fn wait_for_work_alone<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Fault::permanent("the storage is closed")),
        }
    }

    /// Has the key fetched, where a service gives it and it is not there or has expired.
    async fn have_key(&self) -> Result<(), Fault> {
        let mut attempts = Attempts::new(self.limits);
        loop {
            let key = self.store.credentials().get_credential().map_err(Fault::of_credentials);
            match attempts.attempt(key).await {
                Ok(_) => return Ok(()),
                Err(fault) => attempts.pause("cannot use the bucket", fault).await?,
            }
        }
    }

    /// Blocks until `work` has succeeded, or failed for good.
    pub(super) fn run<T, F>(
        &self,
        action: &'static str,
        name: &str,
        limits: RetryLimits,
        work: impl FnMut() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let what = format!("cannot {action} '{}'", self.place(name));
        self.wait(retry(limits, &what, work)).map_err(|fault| self.failed(action, name, fault))
    }

    /// Puts the mark of a folder, unless there is one.
    pub(super) async fn claim(&self, key: &Path, token: &str) -> Result<(), Fault> {
        let mut attempts = Attempts::new(self.limits);
        let mut mode = PutMode::Create;
        loop {
            let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
            let put = self.store.put_opts(key, token.to_owned().into(), options).map_ok(|_| ());
            match attempts.attempt(put).await {
                Err(fault) if fault.status == Some(501) && mode == PutMode::Create => {
                    mode = PutMode::Overwrite;
                }
                Err(fault) => attempts.pause("cannot create a folder", fault).await?,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Where an object is, for people.
    pub(super) fn place(&self, name: &str) -> String {
        if name.is_empty() { self.location.clone() } else { format!("{}/{name}", self.location) }
    }

    pub(super) fn failed(&self, action: &'static str, name: &str, fault: Fault) -> StorageError {
        let is_uncertain = fault.maybe_done;
        let error = StorageError::new(action, self.place(name), fault.into_io());
        if is_uncertain { error.uncertain() } else { error }
    }

    /// Says once that the key may not read: what is stored is not looked at then.
    pub(super) fn cannot_read(&self, error: &StorageError) {
        if !self.reads_nothing.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{error}; the key may put objects and not read them: a backup is stored all the same, unseen, and what needs \
                 to read (list, verify, prune, metrics of all backups) needs another key"
            );
        }
    }

    /// The same inside an `io::Error`, for those who read and write.
    pub(super) fn io_failed(&self, action: &'static str, name: &str, fault: Fault) -> io::Error {
        let error = self.failed(action, name, fault);
        io::Error::new(error.cause().kind(), error)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
