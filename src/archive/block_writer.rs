//! Cuts a stream into blocks, compresses them on several threads, writes them in order.
//!
//! ```text
//! write() fills a block ─> workers compress it ─> one thread digests, writes, notes it
//!         ^──────────────── empty blocks come back ────────────────┘
//! ```
//!
//! Memory is bounded by construction: there are `threads + 2` blocks and they only circulate. A block
//! brings the room for its compressed form with it, so the oldest one, for which the writing thread
//! waits, never waits for room that younger ones hold: there is no circle of waiting. A failed write ends
//! the writing thread; the next `write()` sees its channel closed and returns the error. Dropping the writer
//! waits for the threads, so that the sink is gone as well, and with it what it has to clean up; blocks that
//! nobody wants any more are not compressed.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::codec::Encoder;
use super::crossing::{Borders, Crossing, CrossingDigests};
use super::digest::Hashing;
use super::index::{IndexWriter, lock};
use crate::model::{BlockLine, Compression, IndexLine};
use crate::seal::{Recipient, SealedWriter};

/// Bytes of all blocks together; as much again is room for their compressed forms.
const IN_FLIGHT: usize = 12 << 20;

/// Bytes that are digested and written at once: what a processor still has at hand. In pieces of a few MiB the same takes Linux two to three times as long.
const SLICE: usize = 256 << 10;

/// How an archive is written.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Compression of the blocks.
    pub compression: Compression,
    /// Its level.
    pub level: i32,
    /// Compressing threads, at least 1.
    pub threads: usize,
}

impl WriterOptions {
    /// Bytes of tar stream in a block: 4 MiB for one thread, 2 MiB for up to four, less for more, so that memory
    /// stays bounded: a power of two.
    pub fn block_bytes(&self) -> usize {
        let share = IN_FLIGHT / pieces(self.threads);
        (1 << share.max(1).ilog2()).clamp(256 << 10, 4 << 20)
    }
}

/// Blocks in circulation: one for each thread, one that is being filled, one that is being written.
fn pieces(threads: usize) -> usize {
    threads.max(1).saturating_add(2)
}

/// What circulates: a piece of tar stream and its compressed form.
#[derive(Default)]
struct BlockPiece {
    raw: Vec<u8>,
    frame: Vec<u8>,
    /// Bytes of tar stream in the frame.
    taken: u64,
    crossing: Crossing,
    digests: CrossingDigests,
}

struct CompressJob {
    piece: BlockPiece,
    reply: Sender<io::Result<BlockPiece>>,
}

type Pending = Receiver<io::Result<BlockPiece>>;

/// The sink of the tar stream. Dropping it unfinished abandons the archive.
pub struct BlockWriter<W> {
    current: BlockPiece,
    borders: Borders,
    block_bytes: usize,
    raw_written: u64,
    empties: Receiver<BlockPiece>,
    jobs: Option<Sender<CompressJob>>,
    ordered: Option<Sender<Pending>>,
    workers: Vec<JoinHandle<()>>,
    writing: Option<JoinHandle<io::Result<Hashing<W>>>>,
    abandoned: Arc<AtomicBool>,
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    /// Starts the threads; blocks are noted in `index` as they are written to `sink`, sealed for the recipients if there
    /// are any.
    pub fn create<I>(
        sink: W,
        index: Arc<Mutex<IndexWriter<I>>>,
        options: WriterOptions,
        recipients: &[Recipient],
    ) -> io::Result<Self>
    where
        I: Write + Send + 'static,
    {
        let pieces = pieces(options.threads);
        let block_bytes = options.block_bytes();
        let (back, empties) = bounded(pieces);
        for _ in 1..pieces {
            let _ = back.send(BlockPiece::default());
        }
        let (jobs, job_queue) = unbounded();
        let (ordered, order) = unbounded();
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for number in 0..options.threads.max(1) {
            let encoder = Encoder::new(options.compression, options.level)?;
            let (queue, given_up) = (job_queue.clone(), Arc::clone(&abandoned));
            let body = move || compress_jobs(encoder, &queue, &given_up);
            workers.push(std::thread::Builder::new().name(format!("compress-{number}")).spawn(body)?);
        }
        let sink = SealedWriter::create(Hashing::new(sink), recipients)?;
        let writing = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_blocks(sink, &index, &order, &back))?;
        Ok(Self {
            current: BlockPiece::default(),
            borders: Borders::default(),
            block_bytes,
            raw_written: 0,
            empties,
            jobs: Some(jobs),
            ordered: Some(ordered),
            workers,
            writing: Some(writing),
            abandoned,
        })
    }

    /// Bytes of stream taken so far.
    pub fn raw_written(&self) -> u64 {
        self.raw_written
    }

    /// The data of a file comes, all of it as it is: what a block has of it gets a digest where the block does not have it all.
    pub(super) fn data_begins(&mut self) {
        self.borders.begin(self.current.raw.len());
    }

    /// That was all of it.
    pub(super) fn data_ends(&mut self) {
        self.borders.end(self.current.raw.len());
    }

    /// Waits until every block is written; the sink, the object's size and its SHA-256.
    pub fn finish(mut self) -> io::Result<(W, u64, String)> {
        if !self.current.raw.is_empty() {
            self.submit()?;
        }
        self.close().map(Hashing::finish)
    }

    fn submit(&mut self) -> io::Result<()> {
        let mut piece = std::mem::take(&mut self.current);
        piece.crossing = self.borders.cut(piece.raw.len());
        let (reply, pending) = bounded(1);
        let accepted = match (&self.jobs, &self.ordered) {
            (Some(jobs), Some(ordered)) => {
                jobs.send(CompressJob { piece, reply }).is_ok() && ordered.send(pending).is_ok()
            }
            _ => false,
        };
        if accepted && let Ok(empty) = self.empties.recv() {
            self.current = empty;
            return Ok(());
        }
        Err(match self.close() {
            Ok(_) => io::Error::other("the writing thread ended early"),
            Err(error) => error,
        })
    }
}

impl<W> BlockWriter<W> {
    /// Ends the threads and gives their outcome.
    fn close(&mut self) -> io::Result<Hashing<W>> {
        self.jobs = None;
        self.ordered = None;
        let outcome = self.writing.take().map(JoinHandle::join);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread panicked")),
            None => Err(io::Error::other("the archive has failed before")),
        }
    }
}

impl<W> Drop for BlockWriter<W> {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        let _ = self.close();
    }
}

impl<W: Write + Send + 'static> Write for BlockWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.jobs.is_none() {
            return Err(io::Error::other("the archive has failed before"));
        }
        let current = &mut self.current.raw;
        if current.capacity() < self.block_bytes {
            current.reserve_exact(self.block_bytes);
        }
        let taken = buffer.len().min(self.block_bytes - current.len());
        current.extend_from_slice(&buffer[..taken]);
        self.raw_written += taken as u64;
        if self.current.raw.len() == self.block_bytes {
            self.submit()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A worker: ends when no more jobs can come or the writing thread has ended.
fn compress_jobs(mut encoder: Encoder, queue: &Receiver<CompressJob>, given_up: &AtomicBool) {
    while let Ok(CompressJob { mut piece, reply }) = queue.recv() {
        if given_up.load(Ordering::Relaxed) {
            return;
        }
        piece.taken = piece.raw.len() as u64;
        // Before it is compressed: what is not compressed at all gives its bytes away.
        piece.digests = piece.crossing.digests(&piece.raw);
        let result = encoder.encode(&mut piece.raw, &mut piece.frame).map(|()| piece);
        if reply.send(result).is_err() {
            return;
        }
    }
}

fn write_blocks<W: Write, I: Write>(
    mut sink: SealedWriter<Hashing<W>>,
    index: &Mutex<IndexWriter<I>>,
    order: &Receiver<Pending>,
    back: &Sender<BlockPiece>,
) -> io::Result<Hashing<W>> {
    // Blocks have their places in the stream before it is sealed.
    let mut offset = 0;
    while let Ok(pending) = order.recv() {
        let mut piece =
            pending.recv().map_err(|_| io::Error::other("a compressing thread ended early"))??;
        let bytes = piece.frame.len() as u64;
        let CrossingDigests { head, tail } = piece.digests;
        let block = BlockLine { offset, bytes, raw: piece.taken, head, tail };
        offset += bytes;
        piece.frame.chunks(SLICE).try_for_each(|slice| sink.write_all(slice))?;
        lock(index)?.append(&IndexLine::Block(block))?;
        piece.raw.clear();
        // No block is filled any more once the last one is submitted.
        let _ = back.send(piece);
    }
    let mut sink = sink.finish()?;
    sink.flush()?;
    Ok(sink)
}
