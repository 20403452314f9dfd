//! What a server that starts needs of its log.

use std::ops::Range;

use super::checkpoint::{Checkpoint, names};
use super::error::RedoError;
use super::format::{GRAIN, HEAD_BYTES};
use super::head::LogHead;
use super::log_bytes::LogBytes;

/// Most bytes behind the checkpoint that are worth it: a server that stands still has a few KiB.
pub(super) const MOST_LIVE: u64 = 4 << 20;
/// How often a log is read anew that is written to while it is read.
const TRIES: u32 = 3;

/// Head, checkpoints, and everything from the newest checkpoint to the end of the log; held in memory, so that what was
/// checked is what is stored, whatever the server writes behind it meanwhile.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveLog {
    head: LogHead,
    end_lsn: u64,
    /// From the checkpoint to the end.
    bytes: Vec<u8>,
}

impl LiveLog {
    /// Reads and checks it: the head, and each mini-transaction from the checkpoint on, among which the record must be that belongs to
    /// the checkpoint. The log ends where the server that starts on it would end, and nothing of this round may lie close behind.
    pub fn read(log: &dyn LogBytes) -> Result<Self, RedoError> {
        let mut outcome = Self::read_once(log);
        for _ in 1..TRIES {
            match outcome {
                // Written to between two reads: `CREATE TEMPORARY TABLE` does, under a freeze too.
                Err(RedoError::Gap { .. } | RedoError::Short { .. }) => outcome = Self::read_once(log),
                _ => break,
            }
        }
        outcome
    }

    fn read_once(log: &dyn LogBytes) -> Result<Self, RedoError> {
        let head = LogHead::read(log)?;
        let checkpoint = head.newest();
        let most = MOST_LIVE.min((head.ring.capacity / 2).saturating_sub(2 * GRAIN));
        let mut bytes = Vec::new();
        let mut is_marked = false;
        let mut found = head.mini_transactions(log, checkpoint.lsn);
        while let Some(one) = found.advance()? {
            is_marked |= names(&checkpoint, one.lsn, one.checkpoint, head.is_encrypted);
            bytes.extend_from_slice(one.bytes);
            if bytes.len() as u64 > most {
                return Err(RedoError::Long(most));
            }
        }
        let end = found.end()?;
        if let Some(later) = end.later {
            return Err(RedoError::Gap { end: end.lsn, later });
        }
        if !is_marked {
            return Err(RedoError::Short { checkpoint: checkpoint.lsn, end: end.lsn });
        }
        Ok(Self { head, end_lsn: end.lsn, bytes })
    }

    /// From where a server would start.
    pub fn checkpoint(&self) -> Checkpoint {
        self.head.newest()
    }

    /// Where the log ends.
    pub fn end_lsn(&self) -> u64 {
        self.end_lsn
    }

    /// What is stored, in whole blocks of 4,096 bytes by their places in the file: the head, and what lies from the checkpoint to the end,
    /// which is in two pieces where the ring begins anew. In front of the checkpoint and behind the end the blocks are zeros: there a server
    /// finds no mini-transaction, which ends its recovery.
    pub fn pieces(&self) -> Vec<(Range<u64>, Vec<u8>)> {
        let (ring, lsn) = (self.head.ring, self.checkpoint().lsn);
        let first = self.bytes.len().min(usize::try_from(ring.until_end(lsn)).unwrap_or(usize::MAX));
        let mut pieces = vec![(0..HEAD_BYTES as u64, self.head.bytes.clone())];
        let (before, behind) = self.bytes.split_at(first);
        pieces.push(in_blocks(ring.offset(lsn), before));
        if !behind.is_empty() {
            pieces.insert(1, in_blocks(HEAD_BYTES as u64, behind));
        }
        pieces
    }
}

fn in_blocks(offset: u64, bytes: &[u8]) -> (Range<u64>, Vec<u8>) {
    let begin = offset / GRAIN * GRAIN;
    let end = (offset + bytes.len() as u64).next_multiple_of(GRAIN);
    let mut blocks = vec![0; usize::try_from(end - begin).unwrap_or(0)];
    let place = usize::try_from(offset - begin).unwrap_or(0);
    blocks[place..place + bytes.len()].copy_from_slice(bytes);
    (begin..end, blocks)
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
