//! The rights of a key in a bucket, tried with one object: put, read back, removed.

use http::HeaderMap;
use jiff::Timestamp;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::S3Storage;
use super::bucket::Bucket;
use super::fault::{Fault, FaultKind};
use super::retry::{Attempts, retry};
use crate::storage::{Storage, StorageError};

/// A hidden name beside the clusters' folders; the same each time, so that a bucket that removes nothing has one of it.
const NAME: &str = ".check";
/// Where nothing can be removed for good, one that was put so long ago (seconds) is as good as a new one.
const RECENT: i64 = 24 * 3600;

/// What the key may do. An error is the server's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRights {
    /// Whether the repository could be listed.
    pub listed: Result<(), String>,
    /// Whether the object could be put.
    pub put: Result<(), String>,
    /// Whether it could be read back, and was the same.
    pub read: Result<(), String>,
    /// Whether it could be removed.
    pub removed: Result<(), String>,
    /// What is overwritten or removed stays as an old version.
    pub versioned: bool,
    /// Until when the bucket's object lock keeps it, as its headers say.
    pub locked: Option<String>,
}

impl S3Storage {
    /// Tries one object. Where nothing can be removed for good it is not put anew within a day.
    pub fn try_object(&self) -> Result<KeyRights, StorageError> {
        let bucket = &self.bucket;
        let listed = or_unreachable(self.probe())?;
        let key = bucket.key(NAME);
        let at_hand = bucket.wait(head(bucket, key.as_ref())).ok().filter(is_recent);
        if let Some(headers) = at_hand {
            let removed = Err("it was put by an earlier check, and is locked".into());
            return Ok(KeyRights {
                listed,
                put: Ok(()),
                read: Ok(()),
                removed,
                versioned: true,
                locked: lock_of(&headers),
            });
        }
        let token = super::token();
        let put = || bucket.store.put(&key, PutPayload::from(token.clone()));
        let put = bucket.wait(retry(bucket.limits, "cannot put an object", put));
        let version = match &put {
            Ok(stored) => stored.version.clone().filter(|version| version != "null"),
            Err(_) => None,
        };
        let put = or_unreachable(put.map(drop).map_err(|fault| bucket.failed("write", NAME, fault)))?;
        if put.is_err() {
            let untried = || Err("it was not tried".to_owned());
            return Ok(KeyRights {
                listed,
                put,
                read: untried(),
                removed: untried(),
                versioned: false,
                locked: None,
            });
        }
        let read = or_unreachable(self.read_small(NAME, 1024))?.and_then(|found| {
            if found == token.as_bytes() { Ok(()) } else { Err("other bytes came back than were put".into()) }
        });
        let locked = bucket.wait(head(bucket, key.as_ref())).ok().and_then(|headers| lock_of(&headers));
        let remove = |version: Option<&str>| {
            let once = || bucket.requests.delete(&bucket.store, key.as_ref(), version);
            match bucket.wait(retry(bucket.limits, "cannot remove an object", once)) {
                Err(fault) if fault.kind == FaultKind::NotFound => Ok(Ok(())),
                removed => or_unreachable(removed.map_err(|fault| bucket.failed("remove", NAME, fault))),
            }
        };
        // For good, so that nothing stays; else as a donor takes back what it has stored.
        let mut removed = remove(version.as_deref())?;
        if removed.is_err() && version.is_some() && locked.is_none() {
            removed = remove(None)?;
        }
        Ok(KeyRights { listed, put, read, removed, versioned: version.is_some(), locked })
    }
}

/// A refusal by the server is a result of the trial; a server that does not answer is an error.
fn or_unreachable<T>(outcome: Result<T, StorageError>) -> Result<Result<T, String>, StorageError> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_denied() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

async fn head(bucket: &Bucket, key: &str) -> Result<HeaderMap, Fault> {
    let mut attempts = Attempts::new(bucket.limits);
    attempts.attempt(bucket.requests.head(&bucket.store, key)).await
}

/// It is locked, and young.
fn is_recent(headers: &HeaderMap) -> bool {
    let written = headers.get("last-modified").and_then(|value| value.to_str().ok());
    let written = written.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    lock_of(headers).is_some()
        && written
            .is_some_and(|at| (Timestamp::now().as_second() - at.timestamp().as_second()).abs() < RECENT)
}

/// Until when it is locked, and how.
fn lock_of(headers: &HeaderMap) -> Option<String> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let until = value("x-amz-object-lock-retain-until-date")?;
    Some(format!("until {until} ({})", value("x-amz-object-lock-mode").unwrap_or("locked")))
}
