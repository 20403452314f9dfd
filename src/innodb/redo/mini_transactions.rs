//! The mini-transactions of a log, one after the other.

use std::io;

use super::changes::Changes;
use super::error::RedoError;
use super::log_bytes::LogBytes;
use super::mini_transaction::{Parsed, parse};
use super::record::LONGEST;
use super::ring::Ring;

/// Bytes read at once.
const CHUNK: u64 = 64 << 10;
/// How far behind the end of the log it is looked for another mini-transaction of the same round: one that is there shows that the end
/// is a damaged place.
const LOOK_BEHIND: usize = 64 << 10;
/// Longest mini-transaction that is found there.
const LOOK_LONGEST: usize = 16 << 10;

/// A mini-transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiniTransaction<'w> {
    /// Its first byte.
    pub lsn: u64,
    /// As it stands in the log, checksum and all.
    pub bytes: &'w [u8],
    /// The LSN that its record `FILE_CHECKPOINT` names, if it has one; of no meaning where the log is encrypted.
    pub checkpoint: Option<u64>,
}

impl<'w> MiniTransaction<'w> {
    /// What it changes, in a log that is not encrypted.
    pub fn changes(&self) -> Changes<'w> {
        Changes::of(self.bytes, self.lsn)
    }
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The first byte that is no mini-transaction's.
    pub lsn: u64,
    /// A mini-transaction that lies a little further on: the log is damaged at [`LogEnd::lsn`], or written to while it is read.
    pub later: Option<u64>,
}

/// Reads them; memory is bounded by the longest one.
pub struct MiniTransactions<'a> {
    log: &'a dyn LogBytes,
    ring: Ring,
    is_encrypted: bool,
    window: Vec<u8>,
    /// Bytes of the window that are done with.
    done: usize,
    /// LSN of the window's first byte.
    lsn: u64,
    /// What lies a round behind the beginning is the beginning.
    limit: u64,
}

impl<'a> MiniTransactions<'a> {
    pub(super) fn new(log: &'a dyn LogBytes, ring: Ring, is_encrypted: bool, from: u64) -> Self {
        let limit = from.saturating_add(ring.capacity);
        Self { log, ring, is_encrypted, window: Vec::new(), done: 0, lsn: from, limit }
    }

    /// The next one; none at the end.
    pub fn advance(&mut self) -> io::Result<Option<MiniTransaction<'_>>> {
        loop {
            let lsn = self.lsn + self.done as u64;
            match parse(&self.window[self.done..], lsn, self.ring, self.is_encrypted) {
                Parsed::Whole { bytes, checkpoint } => {
                    let begin = self.done;
                    self.done += bytes;
                    return Ok(Some(MiniTransaction {
                        lsn,
                        bytes: &self.window[begin..self.done],
                        checkpoint,
                    }));
                }
                Parsed::More if self.window.len() - self.done <= LONGEST && self.read_on()? => {}
                Parsed::More | Parsed::Nothing => return Ok(None),
            }
        }
    }

    /// Behind the last one.
    pub fn end(mut self) -> Result<LogEnd, RedoError> {
        let lsn = self.lsn + self.done as u64;
        while self.window.len() - self.done < LOOK_BEHIND + LOOK_LONGEST && self.read_on()? {}
        let behind = &self.window[self.done..];
        let is_one = |at: &usize| {
            let bytes = &behind[*at..behind.len().min(at + LOOK_LONGEST)];
            matches!(parse(bytes, lsn + *at as u64, self.ring, self.is_encrypted), Parsed::Whole { .. })
        };
        // A server puts a zero behind the last one, and leaves in the rest of that block whatever was in its memory
        // (`log_t::write_buf`): whole mini-transactions that were written elsewhere, as was seen.
        let is_closed = behind.first().is_none_or(|first| *first <= 1);
        let later = (1..behind.len().min(LOOK_BEHIND)).filter(|_| !is_closed).find(is_one);
        Ok(LogEnd { lsn, later: later.map(|at| lsn + at as u64) })
    }

    /// False where the round is over.
    fn read_on(&mut self) -> io::Result<bool> {
        self.window.drain(..self.done);
        self.lsn += std::mem::take(&mut self.done) as u64;
        let from = self.lsn + self.window.len() as u64;
        let wanted = CHUNK.min(self.ring.until_end(from)).min(self.limit.saturating_sub(from));
        let filled = self.window.len();
        self.window.resize(filled + usize::try_from(wanted).unwrap_or(0), 0);
        self.log.read_at(&mut self.window[filled..], self.ring.offset(from))?;
        Ok(wanted > 0)
    }
}
