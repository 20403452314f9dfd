//! Reads the blocks of an archive, decompresses them on several threads, gives them in order.
//!
//! Damage stays inside its block: a block that cannot be read is delivered as [`BlockDamage`] and
//! the stream goes on behind it, because the index says how long it was.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest, Sha256};

use super::codec::decode;
use super::digest::hex;
use crate::model::{Block, Compression};

/// Why a block has no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDamage {
    /// Number of the block, from 0.
    pub block: usize,
    /// Where it starts in the archive object, bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for BlockDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {} at byte {} of the archive: {}", self.block, self.offset, self.reason)
    }
}

impl std::error::Error for BlockDamage {}

/// One block of tar stream.
#[derive(Debug)]
pub struct DecodedBlock {
    /// Its place and lengths.
    pub block: Block,
    /// Its bytes.
    pub bytes: Result<Vec<u8>, BlockDamage>,
}

/// What the whole object turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDigest {
    /// Bytes read until its end.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

struct Job {
    number: usize,
    block: Block,
    frame: Result<Vec<u8>, BlockDamage>,
    reply: Sender<DecodedBlock>,
}

/// The decompressed blocks of an object, in order. At most `threads + 2` are held at once.
pub struct BlockReader {
    ordered: Option<Receiver<Receiver<DecodedBlock>>>,
    feeding: Option<JoinHandle<io::Result<ObjectDigest>>>,
    workers: Vec<JoinHandle<()>>,
}

impl BlockReader {
    /// Starts reading `source`, which is the archive object from its first byte.
    pub fn open(
        source: impl Read + Send + 'static,
        blocks: Arc<[Block]>,
        compression: Compression,
        threads: usize,
    ) -> io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, queue) = bounded::<Job>(threads);
        let (order, ordered) = bounded(threads);
        let mut workers = Vec::new();
        for number in 0..threads {
            let queue = queue.clone();
            let name = format!("decompress-{number}");
            workers.push(
                std::thread::Builder::new().name(name).spawn(move || decode_jobs(compression, &queue))?,
            );
        }
        let feeding = std::thread::Builder::new()
            .name("fetch".into())
            .spawn(move || feed(source, &blocks, &jobs, &order))?;
        Ok(Self { ordered: Some(ordered), feeding: Some(feeding), workers })
    }

    /// The next block; none at the end, or when the storage failed (see [`Self::close`]).
    pub fn next_block(&mut self) -> Option<DecodedBlock> {
        let pending = self.ordered.as_ref()?.recv().ok()?;
        pending.recv().ok()
    }

    /// Waits for the threads after the last block; the storage's error where there was one.
    pub fn close(&mut self) -> io::Result<ObjectDigest> {
        self.ordered = None;
        let outcome = self.feeding.take().map(JoinHandle::join);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the reading thread panicked")),
            None => Err(io::Error::other("the archive has failed before")),
        }
    }
}

/// Reads frame after frame; past the end of the object every block is damaged.
fn feed(
    mut source: impl Read,
    blocks: &[Block],
    jobs: &Sender<Job>,
    order: &Sender<Receiver<DecodedBlock>>,
) -> io::Result<ObjectDigest> {
    let mut sha = Sha256::new();
    let mut bytes = 0u64;
    for (number, block) in blocks.iter().enumerate() {
        let mut frame = Vec::new();
        (&mut source).take(block.bytes).read_to_end(&mut frame)?;
        sha.update(&frame);
        bytes += frame.len() as u64;
        let frame = if frame.len() as u64 == block.bytes {
            Ok(frame)
        } else {
            Err(BlockDamage {
                block: number,
                offset: block.offset,
                reason: format!("the archive ends at byte {bytes}"),
            })
        };
        let (reply, pending) = bounded(1);
        // The reader may have stopped listening; that is no error of the storage.
        if order.send(pending).is_err() || jobs.send(Job { number, block: *block, frame, reply }).is_err() {
            break;
        }
    }
    let mut rest = vec![0; 64 << 10];
    loop {
        match source.read(&mut rest) {
            Ok(0) => break,
            Ok(count) => {
                sha.update(&rest[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ObjectDigest { bytes, sha256: hex(&sha.finalize()) })
}

fn decode_jobs(compression: Compression, queue: &Receiver<Job>) {
    while let Ok(Job { number, block, frame, reply }) = queue.recv() {
        let bytes = frame.and_then(|frame| {
            let raw = usize::try_from(block.raw).unwrap_or(usize::MAX);
            decode(compression, &frame, raw).map_err(|error| BlockDamage {
                block: number,
                offset: block.offset,
                reason: format!("its {compression} data is damaged ({error})"),
            })
        });
        // Nobody waits for it when the reader has gone.
        let _ = reply.send(DecodedBlock { block, bytes });
    }
}
