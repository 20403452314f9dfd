//! One object on its way out of the bucket.
//!
//! A connection that breaks is made anew where it broke. The answer must be for the same object (its `ETag` and its
//! size): two versions are never mixed.
//!
//! Who reads on gets the whole object by one request. Who seeks wants little, so far as is known: what follows is asked
//! for in windows, which grow while they are read one behind the other.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, PutPayload};

use super::bucket::Bucket;
use super::fault::{Fault, FaultKind};
use super::retry::Attempts;
use crate::storage::StorageError;

/// What arrives in one piece.
type Chunk = <PutPayload as IntoIterator>::Item;
type Chunks = BoxStream<'static, object_store::Result<Chunk>>;

/// What is asked for at first where somebody has come by a seek: about one block of an archive.
const WINDOW: u64 = 2 << 20;
/// What it grows to.
const WIDEST: u64 = 64 << 20;

/// An object of which any part can be read.
pub(super) struct S3Reader {
    bucket: Arc<Bucket>,
    name: String,
    key: Path,
    /// None after a fault or a seek, until the object is asked for again.
    chunks: Option<Chunks>,
    chunk: Chunk,
    /// Where the next chunk begins: behind `chunk`.
    position: u64,
    /// Where the answer ends.
    end: u64,
    /// Bytes that are asked for next; none for all that follow.
    window: Option<u64>,
    size: u64,
    etag: Option<String>,
    /// The attempts since a byte last came.
    attempts: Attempts,
}

impl S3Reader {
    /// Asks for the object; one that is not there is known here.
    pub(super) fn open(bucket: Arc<Bucket>, name: &str) -> Result<Self, StorageError> {
        let key = bucket.key(name);
        let what = format!("cannot open '{}'", bucket.place(name));
        let mut attempts = Attempts::new(bucket.limits);
        let opened = bucket.wait(async {
            loop {
                match attempts.attempt(bucket.store.get_opts(&key, GetOptions::default())).await {
                    Ok(found) => return Ok(found),
                    Err(fault) => attempts.pause(&what, fault).await?,
                }
            }
        });
        let found = opened.map_err(|fault| bucket.failed("open", name, fault))?;
        attempts.progress();
        Ok(Self {
            name: name.to_owned(),
            key,
            size: found.meta.size,
            etag: found.meta.e_tag.clone(),
            end: found.meta.size,
            chunks: Some(found.into_stream()),
            chunk: Chunk::new(),
            position: 0,
            window: None,
            attempts,
            bucket,
        })
    }

    /// Blocks until the next bytes are there.
    fn next(&mut self) -> Result<(), Fault> {
        let bucket = Arc::clone(&self.bucket);
        // What the reader has done with the bytes before, or waited, is no time of the storage.
        self.attempts.progress();
        bucket.wait(async {
            let what = format!("reading of '{}' broke at byte {}", bucket.place(&self.name), self.position);
            loop {
                match self.next_once().await {
                    Ok(chunk) => {
                        self.position += chunk.len() as u64;
                        self.chunk = chunk;
                        self.attempts.progress();
                        return Ok(());
                    }
                    Err(fault) => {
                        self.chunks = None;
                        self.attempts.pause(&what, fault).await?;
                    }
                }
            }
        })
    }

    async fn next_once(&mut self) -> Result<Chunk, Fault> {
        let mut chunks = match self.chunks.take().filter(|_| self.position < self.end) {
            Some(chunks) => chunks,
            None => self.ask_again().await?,
        };
        let next = self.attempts.attempt(async {
            match chunks.next().await {
                Some(chunk) => chunk.map_err(Fault::from),
                None => Err(Fault::transient("the answer ended early")),
            }
        });
        let chunk = next.await?;
        self.chunks = Some(chunks);
        Ok(chunk)
    }

    /// The rest of the object, or a window of it, if it is still the same.
    async fn ask_again(&mut self) -> Result<Chunks, Fault> {
        self.end = self.window.map_or(self.size, |window| self.size.min(self.position + window));
        self.window = self.window.map(|window| (window * 2).min(WIDEST));
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.position..self.end)),
            if_match: self.etag.clone(),
            ..GetOptions::default()
        };
        let found = self.attempts.attempt(self.bucket.store.get_opts(&self.key, options)).await;
        let changed = || Fault::permanent("it was replaced while it was read");
        match found {
            Ok(found) if found.meta.size == self.size && found.meta.e_tag == self.etag => {
                Ok(found.into_stream())
            }
            Ok(_) => Err(changed()),
            Err(fault) if fault.kind == FaultKind::Condition => Err(changed()),
            Err(fault) => Err(fault),
        }
    }
}

impl Read for S3Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            if self.position >= self.size || buffer.is_empty() {
                return Ok(0);
            }
            self.next().map_err(|fault| self.bucket.io_failed("read", &self.name, fault))?;
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

impl Seek for S3Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let here = self.position - self.chunk.len() as u64;
        let there = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => here.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        let there = there.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if (here..=self.position).contains(&there) {
            let _ = self.chunk.split_to(usize::try_from(there - here).unwrap_or(0));
        } else {
            (self.chunks, self.chunk) = (None, Chunk::new());
            (self.position, self.window) = (there, Some(WINDOW));
        }
        Ok(there)
    }
}
