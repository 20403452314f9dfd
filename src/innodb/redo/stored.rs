//! The live part of a log, read back from an archive.

use std::io;

use super::format::HEAD_BYTES;
use super::head::LogHead;
use super::live::{LiveLog, MOST_LIVE};
use super::log_bytes::LogBytes;

/// What lies behind the end as well: enough to see that it is one.
const MARGIN: u64 = 8192;

/// Takes the content of a redo log as it passes by, and keeps what a server would read of it. Memory: a few MiB at most.
pub struct StoredLog {
    size: u64,
    checkpoint_lsn: u64,
    /// Where the log is to end.
    end_lsn: u64,
    position: u64,
    head: Vec<u8>,
    /// What is wanted behind the head, by its place.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl StoredLog {
    /// Of so many bytes, with these LSNs of its checkpoint and of its end.
    pub fn new(size: u64, checkpoint_lsn: u64, end_lsn: u64) -> Self {
        Self { size, checkpoint_lsn, end_lsn, position: 0, head: Vec::new(), pieces: Vec::new() }
    }

    /// The next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.head.len() < HEAD_BYTES {
            let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
            self.head.extend_from_slice(head);
            self.position += head.len() as u64;
            bytes = rest;
            if self.head.len() == HEAD_BYTES {
                self.want();
            }
        }
        let end = self.position + bytes.len() as u64;
        for (place, piece) in &mut self.pieces {
            let (from, to) = (self.position.max(*place), end.min(*place + piece.len() as u64));
            if from < to {
                let at = |place: u64, origin: u64| usize::try_from(place - origin).unwrap_or(0);
                piece[at(from, *place)..at(to, *place)]
                    .copy_from_slice(&bytes[at(from, self.position)..at(to, self.position)]);
            }
        }
        self.position = end;
    }

    /// Where the log lies, by its head.
    fn want(&mut self) {
        let Ok(head) = LogHead::parse(self.head.clone(), self.size) else { return };
        let ring = head.ring;
        let wanted = self.end_lsn.saturating_sub(self.checkpoint_lsn).min(MOST_LIVE) + MARGIN;
        let wanted = wanted.min(ring.capacity);
        let first = wanted.min(ring.until_end(self.checkpoint_lsn));
        for (place, length) in
            [(ring.offset(self.checkpoint_lsn), first), (HEAD_BYTES as u64, wanted - first)]
        {
            self.pieces.push((place, vec![0; usize::try_from(length).unwrap_or(0)]));
        }
    }

    /// What is wrong with it, in words.
    pub fn finish(self) -> Result<(), String> {
        let live = LiveLog::read(&self)
            .map_err(|error| format!("it is no redo log that a server starts from: {error}"))?;
        let found = (live.checkpoint().lsn, live.end_lsn());
        if found == (self.checkpoint_lsn, self.end_lsn) {
            return Ok(());
        }
        Err(format!(
            "its log goes from LSN {} to {}, and the index says from {} to {}",
            found.0, found.1, self.checkpoint_lsn, self.end_lsn
        ))
    }
}

impl LogBytes for StoredLog {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        for (place, piece) in
            std::iter::once((&0, &self.head)).chain(self.pieces.iter().map(|(at, piece)| (at, piece)))
        {
            let (from, to) = (offset.max(*place), end.min(*place + piece.len() as u64));
            if from < to {
                let at = |place: u64, origin: u64| usize::try_from(place - origin).unwrap_or(0);
                buffer[at(from, offset)..at(to, offset)]
                    .copy_from_slice(&piece[at(from, *place)..at(to, *place)]);
            }
        }
        Ok(())
    }
}
