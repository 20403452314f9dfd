//! Cuts a stream into blocks, compresses them on several threads, writes them in order.
//!
//! ```text
//! write() fills a buffer ─> workers compress ─> one thread digests, writes, notes the block
//!         ^── empty buffers come back ──┘  ^── output buffers come back ──┘
//! ```
//!
//! Memory is bounded by construction: there are `threads + 2` buffers of each kind and they only
//! circulate. A failed write ends the writing thread; the next `write()` sees its channel closed
//! and returns the error. Dropping the writer waits for the threads, so that the sink is gone as well,
//! and with it what it has to clean up; blocks that nobody wants any more are not compressed.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::codec::Encoder;
use super::digest::Hashing;
use super::index::{IndexWriter, lock};
use crate::model::{Block, Compression, IndexLine};

/// Bytes of tar stream that may be in flight, in all input buffers together, beside two spare ones.
const IN_FLIGHT: usize = 8 << 20;

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
    /// Bytes of tar stream in a block: 4 MiB on few cores, less on many, so that memory stays bounded.
    pub fn block_bytes(&self) -> usize {
        (IN_FLIGHT / self.threads.max(1)).next_power_of_two().clamp(256 << 10, 4 << 20)
    }
}

struct Job {
    raw: Vec<u8>,
    reply: Sender<io::Result<(Vec<u8>, u64)>>,
}

type Pending = Receiver<io::Result<(Vec<u8>, u64)>>;

/// The sink of the tar stream. Dropping it unfinished abandons the archive.
pub struct BlockWriter<W> {
    current: Vec<u8>,
    block_bytes: usize,
    raw_written: u64,
    empties: Receiver<Vec<u8>>,
    jobs: Option<Sender<Job>>,
    ordered: Option<Sender<Pending>>,
    workers: Vec<JoinHandle<()>>,
    writing: Option<JoinHandle<io::Result<Hashing<W>>>>,
    abandoned: Arc<AtomicBool>,
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    /// Starts the threads; blocks are noted in `index` as they are written to `sink`.
    pub fn create<I>(sink: W, index: Arc<Mutex<IndexWriter<I>>>, options: WriterOptions) -> io::Result<Self>
    where
        I: Write + Send + 'static,
    {
        let buffers = options.threads.max(1) + 2;
        let block_bytes = options.block_bytes();
        let (empties_in, empties) = bounded(buffers);
        let (outputs_in, outputs) = bounded(buffers);
        for _ in 0..buffers {
            let _ = empties_in.send(Vec::new());
            let _ = outputs_in.send(Vec::new());
        }
        let (jobs, job_queue) = unbounded();
        let (ordered, order) = unbounded();
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for number in 0..options.threads.max(1) {
            let encoder = Encoder::new(options.compression, options.level)?;
            let (queue, back, outputs) = (job_queue.clone(), empties_in.clone(), outputs.clone());
            let given_up = Arc::clone(&abandoned);
            let body = move || compress_jobs(encoder, &queue, &back, &outputs, &given_up);
            workers.push(std::thread::Builder::new().name(format!("compress-{number}")).spawn(body)?);
        }
        let writing = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_blocks(sink, &index, &order, &outputs_in))?;
        let current = empties.recv().unwrap_or_default();
        Ok(Self {
            current,
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

    /// Waits until every block is written; the sink, the object's size and its SHA-256.
    pub fn finish(mut self) -> io::Result<(W, u64, String)> {
        if !self.current.is_empty() {
            self.submit()?;
        }
        self.close().map(Hashing::finish)
    }

    fn submit(&mut self) -> io::Result<()> {
        let raw = std::mem::take(&mut self.current);
        let (reply, pending) = bounded(1);
        let accepted = match (&self.jobs, &self.ordered) {
            (Some(jobs), Some(ordered)) => {
                jobs.send(Job { raw, reply }).is_ok() && ordered.send(pending).is_ok()
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
        if self.current.capacity() < self.block_bytes {
            self.current.reserve_exact(self.block_bytes);
        }
        let taken = buffer.len().min(self.block_bytes - self.current.len());
        self.current.extend_from_slice(&buffer[..taken]);
        self.raw_written += taken as u64;
        if self.current.len() == self.block_bytes {
            self.submit()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A worker: ends when no more jobs can come or nobody writes them any more.
fn compress_jobs(
    mut encoder: Encoder,
    queue: &Receiver<Job>,
    back: &Sender<Vec<u8>>,
    outputs: &Receiver<Vec<u8>>,
    given_up: &AtomicBool,
) {
    while let Ok(Job { mut raw, reply }) = queue.recv() {
        if given_up.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut out) = outputs.recv() else { return };
        let result = encoder.encode(&raw, &mut out).map(|()| (out, raw.len() as u64));
        raw.clear();
        let _ = back.send(raw);
        if reply.send(result).is_err() {
            return;
        }
    }
}

fn write_blocks<W: Write, I: Write>(
    sink: W,
    index: &Mutex<IndexWriter<I>>,
    order: &Receiver<Pending>,
    outputs: &Sender<Vec<u8>>,
) -> io::Result<Hashing<W>> {
    let mut sink = Hashing::new(sink);
    while let Ok(pending) = order.recv() {
        let (frame, raw) =
            pending.recv().map_err(|_| io::Error::other("a compressing thread ended early"))??;
        let block = Block { offset: sink.bytes(), bytes: frame.len() as u64, raw };
        sink.write_all(&frame)?;
        lock(index)?.append(&IndexLine::Block(block))?;
        let _ = outputs.send(frame);
    }
    sink.flush()?;
    Ok(sink)
}
