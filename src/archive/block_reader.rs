//! Reads the blocks of an archive, decompresses them on several threads, gives them in order.
//!
//! Damage stays inside its block: a block that cannot be read is delivered as [`BlockDamage`] and
//! the stream goes on behind it, because the index says how long it was. What cannot be read at all is damage where the options say so.

use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, bounded};

use super::block::{BlockDamage, DecodeJob, DecodedBlock, ObjectDigest, PlannedBlock, ReadPlan, STRETCH};
use super::block_fetch::{BlockWay, one_by_one, several_at_once};
use super::border_check::BorderCheck;
use super::codec::decode;
use super::object_stream::{IsDamage, ObjectStream};
use crate::model::Compression;
use crate::seal::Identities;

/// Bytes of all blocks that are decompressed at once, but for two: where they are large, fewer threads work.
const IN_FLIGHT: u64 = 32 << 20;

/// How the object is read.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Compression of the blocks.
    pub compression: Compression,
    /// Decompressing threads, at least 1.
    pub threads: usize,
    /// The keys for an archive that is encrypted, none for one that is not.
    pub keys: Option<Arc<Identities>>,
    /// What each block that is read is compared with, besides.
    pub borders: Option<Arc<BorderCheck>>,
    /// Which failures of a read are damage of the block that is read, and do not end the reading.
    pub is_damage: IsDamage,
}

/// The decompressed blocks of an object, in order. At most `threads + 2` are held at once, and `IN_FLIGHT` bytes beside two; where several are
/// fetched at once, `2 * STRETCH` for each that is.
pub struct BlockReader {
    ordered: Option<Receiver<Receiver<DecodedBlock>>>,
    feeding: Option<JoinHandle<io::Result<Option<ObjectDigest>>>>,
    workers: Vec<JoinHandle<()>>,
}

impl BlockReader {
    /// Starts reading what is planned out of `object`, which stands at its first byte.
    pub fn open(
        object: impl Read + Seek + Send + 'static,
        plan: ReadPlan,
        options: &ReaderOptions,
    ) -> io::Result<Self> {
        Self::open_all(vec![object], plan, options)
    }

    /// The same of an object that was opened several times, of which different parts are read at once; as a whole it is read by the first alone.
    pub fn open_all(
        objects: Vec<impl Read + Seek + Send + 'static>,
        plan: ReadPlan,
        options: &ReaderOptions,
    ) -> io::Result<Self> {
        let ReaderOptions { compression, threads, .. } = *options;
        let largest = plan.blocks.iter().map(|planned| planned.block.raw).max().unwrap_or(0);
        let affordable = usize::try_from(IN_FLIGHT / largest.max(1)).unwrap_or(usize::MAX);
        let threads = threads.min(affordable).max(1);
        let (jobs, queue) = bounded::<DecodeJob>(threads);
        let fetchers = objects.len().min(plan.fetchers());
        let places = if fetchers > 1 { (fetchers * STRETCH).min(affordable).max(threads) } else { threads };
        let (order, ordered) = bounded(places);
        let mut workers = Vec::new();
        for number in 0..threads {
            let queue = queue.clone();
            let name = format!("decompress-{number}");
            let borders = options.borders.clone();
            let decode = move || decode_jobs(compression, borders.as_deref(), &queue);
            workers.push(std::thread::Builder::new().name(name).spawn(decode)?);
        }
        let way = BlockWay { jobs, order };
        let streams = objects.into_iter().take(fetchers);
        let mut streams: Vec<_> = streams
            .map(|object| ObjectStream::new(object, options.keys.clone(), options.is_damage))
            .collect();
        let fetch = move || match streams.pop() {
            Some(stream) if streams.is_empty() => one_by_one(stream, &plan, &way),
            Some(stream) => {
                streams.push(stream);
                several_at_once(streams, &plan, &way)
            }
            None => Err(io::Error::other("no object to read")),
        };
        let feeding = std::thread::Builder::new().name("fetch".into()).spawn(fetch)?;
        Ok(Self { ordered: Some(ordered), feeding: Some(feeding), workers })
    }

    /// The next block; none at the end, or when the storage failed (see [`Self::close`]).
    pub fn next_block(&mut self) -> Option<DecodedBlock> {
        let pending = self.ordered.as_ref()?.recv().ok()?;
        pending.recv().ok()
    }

    /// Waits for the threads after the last block; the storage's error where there was one, else the digest of the
    /// object, unless parts of it were passed over.
    pub fn close(&mut self) -> io::Result<Option<ObjectDigest>> {
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

fn decode_jobs(compression: Compression, borders: Option<&BorderCheck>, queue: &Receiver<DecodeJob>) {
    while let Ok(DecodeJob { planned, frame, reply }) = queue.recv() {
        let PlannedBlock { number, block, .. } = planned;
        let bytes = frame.and_then(|frame| {
            let raw = usize::try_from(block.raw).unwrap_or(usize::MAX);
            decode(compression, &frame, raw).map_err(|error| BlockDamage {
                block: number,
                offset: block.offset,
                reason: format!("its {compression} data is damaged ({error})"),
                unread_at: None,
            })
        });
        if let (Ok(bytes), Some(borders)) = (&bytes, borders) {
            borders.block(number, bytes);
        }
        // A reader that has gone does not wait for it.
        let _ = reply.send(DecodedBlock { planned, bytes });
    }
}
