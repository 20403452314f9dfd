//! The first 12,288 bytes: header, and two checkpoint blocks.

use super::checkpoint::{Checkpoint, names};
use super::error::RedoError;
use super::format::{CHECKPOINTS, COVERED, ENCRYPTED, GRAIN, HEAD_BYTES, PLAIN, be32, be64};
use super::log_bytes::LogBytes;
use super::mini_transactions::MiniTransactions;
use super::ring::Ring;

/// The head of a log that is understood, and its newest checkpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct LogHead {
    /// As it was read.
    pub(super) bytes: Vec<u8>,
    pub(super) ring: Ring,
    /// Each mini-transaction has a nonce, and what its records say cannot be read.
    pub(super) is_encrypted: bool,
    newest: Checkpoint,
}

impl LogHead {
    /// Reads and checks it.
    pub fn read(log: &dyn LogBytes) -> Result<Self, RedoError> {
        let size = log.size()?;
        if size < HEAD_BYTES as u64 {
            return Err(RedoError::Head("its length"));
        }
        let mut bytes = vec![0; HEAD_BYTES];
        log.read_at(&mut bytes, 0)?;
        Self::parse(bytes, size)
    }

    pub(super) fn parse(bytes: Vec<u8>, size: u64) -> Result<Self, RedoError> {
        if size <= HEAD_BYTES as u64 + GRAIN || !size.is_multiple_of(GRAIN) {
            return Err(RedoError::Head("its length"));
        }
        let is_encrypted = match be32(&bytes, 0) {
            PLAIN => false,
            ENCRYPTED => true,
            other => return Err(RedoError::Format(other)),
        };
        if crc32c::crc32c(&bytes[..COVERED]) != be32(&bytes, COVERED) {
            return Err(RedoError::Head("its checksum is wrong"));
        }
        let first_lsn = be64(&bytes, 8);
        if be32(&bytes, 4) != 0 || first_lsn < HEAD_BYTES as u64 {
            return Err(RedoError::Head("its first LSN"));
        }
        let found = CHECKPOINTS.iter().filter_map(|at| Checkpoint::parse(&bytes[*at..], first_lsn));
        let newest = found.max().ok_or(RedoError::NoCheckpoint)?;
        let ring = Ring { first_lsn, capacity: size - HEAD_BYTES as u64 };
        Ok(Self { bytes, ring, is_encrypted, newest })
    }

    /// Whether it is encrypted, so that nobody reads from its records which pages they change.
    pub fn names_no_pages(&self) -> bool {
        self.is_encrypted
    }

    /// From which a server would start.
    pub fn newest(&self) -> Checkpoint {
        self.newest
    }

    /// Where the log ends that is read from its newest checkpoint on, with the record that belongs to that checkpoint in between.
    pub fn end_lsn(&self, log: &dyn LogBytes) -> Result<u64, RedoError> {
        let mut found = self.mini_transactions(log, self.newest.lsn);
        let mut is_marked = false;
        while let Some(one) = found.advance()? {
            is_marked |= names(&self.newest, one.lsn, one.checkpoint, self.is_encrypted);
        }
        let end = found.end()?;
        match end.later {
            Some(later) => Err(RedoError::Gap { end: end.lsn, later }),
            None if is_marked => Ok(end.lsn),
            None => Err(RedoError::Short { checkpoint: self.newest.lsn, end: end.lsn }),
        }
    }

    /// The mini-transactions of the log from this LSN on, at which one must begin; none further than one round.
    pub fn mini_transactions<'a>(&self, log: &'a dyn LogBytes, from: u64) -> MiniTransactions<'a> {
        MiniTransactions::new(log, self.ring, self.is_encrypted, from)
    }
}
