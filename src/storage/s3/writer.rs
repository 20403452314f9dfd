//! One object on its way into the bucket.
//!
//! Bytes are gathered into a part; a full part is sent while the next one is gathered, a few at once. An object that
//! ends within its first part needs no upload in parts: one PUT makes it, or replaces an older one, in one step.
//!
//! **Memory** is the part being gathered and those on their way: 8 MiB parts, two at once, are 24 MiB: three of them
//! would take a donor with its blocks above 96 MiB. Larger ones travel alone: then it is twice the size of a part. Parts are larger than 8 MiB only
//! where the data could need more than 10,000 of them (`s3-max-parts`): from about 60 GiB of data on, 135 MiB for
//! each TiB. The room of a part that has arrived is filled again: allocated anew, parts of this size leave gaps in
//! the heap, up to 20 MiB of them in a backup of 3 GB.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::bucket::Bucket;
use super::fault::{Fault, FaultKind};
use super::parts::Parts;
use super::retry::{Attempts, RetryLimits, retry};
use crate::storage::{ObjectWriter, StorageError};

/// Bytes of parts that are on their way at once, at least one part.
const IN_FLIGHT: u64 = 16 << 20;
/// How long an upload that is given up is tried to be taken back: a process that has to end has 10 s for all of it.
const ABORT: RetryLimits = RetryLimits {
    total: Duration::from_secs(4),
    attempt: Duration::from_secs(3),
    moving: Duration::from_secs(1),
};
/// How long parts on their way may take to arrive before that.
const ARRIVE: Duration = Duration::from_secs(3);

type Sending = JoinHandle<Result<PartId, Fault>>;

/// The bytes of a part; its room comes back when the last request that sends it is gone.
struct PartBuffer {
    bytes: Vec<u8>,
    back: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for PartBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PartBuffer {
    fn drop(&mut self) {
        let mut room = std::mem::take(&mut self.bytes);
        room.clear();
        // The writer may be gone.
        let _ = self.back.send(room);
    }
}

/// An object that becomes visible at its commit.
pub(super) struct S3Writer {
    bucket: Arc<Bucket>,
    name: String,
    key: Arc<Path>,
    law: Parts,
    /// The part being gathered.
    part: Vec<u8>,
    /// Room of parts that have arrived, and the way on which it comes back.
    rooms: Receiver<Vec<u8>>,
    back: Sender<Vec<u8>>,
    /// Bytes before it.
    sent: u64,
    /// None while it may still be a single PUT, and once it is complete.
    upload: Option<Arc<MultipartId>>,
    sending: VecDeque<Sending>,
    stored: Vec<PartId>,
}

impl S3Writer {
    /// Nothing is sent before the first part is full.
    pub(super) fn new(bucket: Arc<Bucket>, name: &str, law: Parts) -> Self {
        let key = Arc::new(bucket.key(name));
        let (back, rooms) = channel();
        Self {
            bucket,
            name: name.to_owned(),
            key,
            law,
            part: Vec::new(),
            rooms,
            back,
            sent: 0,
            upload: None,
            sending: VecDeque::new(),
            stored: Vec::new(),
        }
    }

    /// Bytes of the part being gathered when it is full.
    fn full(&self) -> Result<usize, Fault> {
        let number = (self.stored.len() + self.sending.len()) as u64;
        let size = self.law.size(number).and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| {
            Fault::permanent(format!(
                "{} GiB are stored, and the server takes no further part (s3-max-parts)",
                self.sent >> 30
            ))
        })
    }

    fn take(&mut self, buffer: &[u8]) -> Result<usize, Fault> {
        let mut full = self.full()?;
        // Not before there is more to come: what ends here may still be a single PUT.
        if self.part.len() == full {
            self.send()?;
            full = self.full()?;
        }
        if self.part.capacity() < full {
            self.part = self.room(full);
        }
        let taken = buffer.len().min(full - self.part.len());
        self.part.extend_from_slice(&buffer[..taken]);
        Ok(taken)
    }

    /// Sends the part that is gathered, when there is room on the way.
    fn send(&mut self) -> Result<(), Fault> {
        let upload = self.begin()?;
        let bytes = self.part.len();
        let room = usize::try_from(IN_FLIGHT / (bytes as u64).max(1)).unwrap_or(1).clamp(1, 2);
        while self.sending.len() >= room {
            self.arrived()?;
        }
        let number = self.stored.len() + self.sending.len();
        let payload = self.payload();
        self.sent += bytes as u64;
        let (bucket, key) = (Arc::clone(&self.bucket), Arc::clone(&self.key));
        let what = format!("cannot write part {} of '{}'", number + 1, bucket.place(&self.name));
        let limits = bucket.limits.for_bytes(bytes);
        let work = async move {
            retry(limits, &what, || bucket.store.put_part(&key, &upload, number, payload.clone())).await
        };
        let Some(runtime) = &self.bucket.runtime else {
            return Err(Fault::permanent("the storage is closed"));
        };
        self.sending.push_back(runtime.spawn(work));
        Ok(())
    }

    /// Room for a part. What is left of smaller parts is given up: grown, more of it would be held than is in use.
    fn room(&self, full: usize) -> Vec<u8> {
        let known = self.rooms.try_iter().find(|room| room.capacity() >= full);
        known.unwrap_or_else(|| Vec::with_capacity(full))
    }

    /// The part that is gathered, to be sent.
    fn payload(&mut self) -> PutPayload {
        let part = PartBuffer { bytes: std::mem::take(&mut self.part), back: self.back.clone() };
        PutPayload::from(Bytes::from_owner(part))
    }

    /// The upload, which begins with its first part.
    fn begin(&mut self) -> Result<Arc<MultipartId>, Fault> {
        if let Some(upload) = &self.upload {
            return Ok(Arc::clone(upload));
        }
        let bucket = &self.bucket;
        let what = format!("cannot begin to write '{}'", bucket.place(&self.name));
        let begun = retry(bucket.limits, &what, || bucket.store.create_multipart(&self.key));
        let upload = Arc::new(bucket.wait(begun)?);
        self.upload = Some(Arc::clone(&upload));
        Ok(upload)
    }

    /// Waits for the oldest part on its way.
    fn arrived(&mut self) -> Result<(), Fault> {
        let Some(oldest) = self.sending.pop_front() else {
            return Ok(());
        };
        let part = self.bucket.wait(async {
            oldest.await.map_err(|error| Fault::permanent(format!("a request was lost: {error}")))?
        })?;
        self.stored.push(part);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let Some(upload) = self.upload.clone() else {
            return self.put_at_once();
        };
        self.send()?;
        while !self.sending.is_empty() {
            self.arrived()?;
        }
        self.bucket.wait(self.complete(&upload))?;
        self.upload = None;
        Ok(())
    }

    fn put_at_once(&mut self) -> Result<(), Fault> {
        let limits = self.bucket.limits.for_bytes(self.part.len());
        let payload = self.payload();
        let what = format!("cannot write '{}'", self.bucket.place(&self.name));
        let put = retry(limits, &what, || self.bucket.store.put(&self.key, payload.clone()));
        self.bucket.wait(put).map(|_| ())
    }

    /// Makes an object of the parts. Where the answer to a completion is lost, a second one finds no upload any more:
    /// then the object tells by its size whether the first one has succeeded.
    async fn complete(&self, upload: &MultipartId) -> Result<(), Fault> {
        let bucket = &self.bucket;
        let what = format!("cannot complete '{}'", bucket.place(&self.name));
        let mut attempts = Attempts::new(bucket.limits.in_one());
        loop {
            let parts = self.stored.clone();
            match attempts.attempt(bucket.store.complete_multipart(&self.key, upload, parts)).await {
                Ok(_) => return Ok(()),
                Err(fault) if fault.kind != FaultKind::Transient && attempts.failed() > 0 => {
                    let head = retry(bucket.limits, &what, || bucket.store.head(&self.key));
                    return match head.await {
                        Ok(found) if found.size == self.sent => Ok(()),
                        _ => Err(fault),
                    };
                }
                Err(fault) => attempts.pause(&what, fault).await?,
            }
        }
    }
}

impl Write for S3Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.take(buffer).map_err(|fault| self.bucket.io_failed("write", &self.name, fault))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for S3Writer {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.finish().map_err(|fault| self.bucket.failed("write", &self.name, fault))
    }
}

/// Waits until no part is on its way any more: one that arrives behind the abort would stay. Parts that take too long
/// are cut off, which the server may hear of late; false if there were any, and the upload is to be aborted twice
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>).
async fn arrive(sending: VecDeque<Sending>) -> bool {
    let end = Instant::now() + ARRIVE;
    let mut all_arrived = true;
    for mut part in sending {
        if timeout_at(end, &mut part).await.is_err() {
            part.abort();
            let _ = part.await;
            all_arrived = false;
        }
    }
    all_arrived
}

impl Drop for S3Writer {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let sending = std::mem::take(&mut self.sending);
        let bucket = &self.bucket;
        let what = format!("cannot take back the unfinished '{}'", bucket.place(&self.name));
        let aborted = bucket.wait_for_work_alone(async {
            let all_arrived = arrive(sending).await;
            let aborted = retry(ABORT, &what, || bucket.store.abort_multipart(&self.key, &upload)).await;
            if !all_arrived && aborted.is_ok() {
                tokio::time::sleep(ABORT.attempt / 10).await;
                let again = bucket.store.abort_multipart(&self.key, &upload);
                let _ = timeout(ABORT.attempt / 3, again).await;
            }
            aborted
        });
        match aborted {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::NotFound => {}
            Err(fault) => log::warn!(
                "{what}: {fault}; its parts stay until 'prune' finds them a day old, or a lifecycle rule of the bucket \
                 removes unfinished uploads"
            ),
        }
    }
}
