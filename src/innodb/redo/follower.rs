//! Follows the redo log of a server that runs, and collects the pages that change.
//!
//! ```text
//! begin (the newest checkpoint) ── advance, advance, … ──> finish (the log has stopped) ──> PageSet
//! ```
//!
//! Every page that differs between a copy that began after [`RedoFollower::begin`] and the files of the same server when it stands still is in the set: what was written
//! to a file after the checkpoint comes from a mini-transaction behind it, and a page is written only when its log is on the disk.
//! Outside are the doublewrite buffer (pages 64 to 191 of tablespace 0), which is never logged, and whole new files.
//!
//! **Not overtaken.** The log is a ring, and its server may write over what was not read yet. No single read can tell: what is newer by an even
//! number of rounds looks as if it belonged there, only that the follower's LSNs are too small from there on. [`RedoFollower::finish`] can: by the
//! follower's own count the log that has stopped must end where it ends when it is read from its newest checkpoint.
//!
//! **Not led astray.** mysqld appends by one `write` at a time, and leaves behind the end, in the rest of the last block, what its memory held: at times whole
//! mini-transactions of an earlier place (`log_t::write_buf`). Who reads while a `write` is half done may see a new mini-transaction and then such an old one, with a
//! checksum that is right, in place of the next new one; who believed it would go on from a place where none begins, or miss what was written there. That can
//! only be in the block in which the log ended before that `write`; all others hold a former round, which another bit tells. So of each look only what
//! lies a block and more before the end that the look before it has found is settled (nobody writes there any more); the rest is read again. Pages that an
//! old mini-transaction names are too many, and do no harm.

use std::fs::File;

use super::error::RedoError;
use super::head::LogHead;
use super::page_set::PageSet;

/// Looks at a log that has stopped: temporary tables may write to it a moment longer.
const TRIES: usize = 3;
/// Looks at a log that is written to: a checkpoint may come in the middle of one.
const LIVE_TRIES: usize = 10;
/// Largest block in which the server writes its log, bytes (`log_t::write_size`).
const BLOCK: u64 = 4096;
/// Changes between two looks at what they take in memory.
const LOOK: u64 = 1 << 16;

/// Where it is, and what it has found.
pub struct RedoFollower {
    log: File,
    head: LogHead,
    /// All before it is known for certain; a mini-transaction begins here.
    settled: u64,
    /// Behind the last mini-transaction that was seen.
    lsn: u64,
    set: PageSet,
    /// Bytes that the set may take.
    most: u64,
}

impl RedoFollower {
    /// From the newest checkpoint on: to be called before the first file is copied. Of an encrypted log the numbers of the pages cannot be read
    /// (10.11.19: what should be numbers is noise).
    pub fn begin(log: File) -> Result<Self, RedoError> {
        let head = LogHead::read(&log)?;
        if head.is_encrypted {
            return Err(RedoError::Encrypted);
        }
        let lsn = head.newest().lsn;
        Ok(Self { log, head, settled: lsn, lsn, set: PageSet::default(), most: u64::MAX })
    }

    /// The same; its set of pages takes so many bytes at most, or an error says that it would take more.
    #[must_use]
    pub fn within(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// Reads what is there by now; how many bytes of the log that were. To be called often enough that the server does not write a whole round
    /// meanwhile, and best long before it has written half a one.
    pub fn advance(&mut self) -> Result<u64, RedoError> {
        let mut found = self.head.mini_transactions(&self.log, self.settled);
        let (before, mut unseen) = (self.lsn, 0);
        let mut end = self.settled;
        while let Some(one) = found.advance()? {
            for change in one.changes() {
                self.set.add(&change?);
                unseen += 1;
            }
            end = one.lsn + one.bytes.len() as u64;
            if end + BLOCK <= before {
                self.settled = end;
            }
            if unseen >= LOOK {
                self.has_room()?;
                unseen = 0;
            }
        }
        self.lsn = end;
        if unseen > 0 {
            self.has_room()?;
        }
        Ok(end.saturating_sub(before))
    }

    fn has_room(&self) -> Result<(), RedoError> {
        let (pages, taken) = self.found();
        if taken <= self.most {
            return Ok(());
        }
        let text = format!(
            "the {pages} pages that it names take {} KiB of memory, and {} are the limit",
            taken >> 10,
            self.most >> 10
        );
        Err(RedoError::Other(text))
    }

    /// What it has found.
    pub fn set(&self) -> &PageSet {
        &self.set
    }

    /// Up to which LSN it has come.
    pub fn lsn(&self) -> u64 {
        self.lsn
    }

    /// How many pages it has found, and what they take in memory, bytes.
    pub fn found(&self) -> (u64, u64) {
        (self.set.len(), self.set.bytes())
    }

    /// Reads what is there by now of a log that is still written to, and sees to it that nothing was missed up to there: one that was overtaken is behind what the log
    /// itself says of its end. It is followed on, whatever comes of it.
    pub fn confirm(&mut self, log: &File) -> Result<(), RedoError> {
        let mut outcome = Ok(());
        for _ in 0..LIVE_TRIES {
            // The end first: what is written between the two looks is ahead of it.
            let end = self.end_of(log);
            self.advance()?;
            outcome = end.and_then(|end| if self.lsn >= end { Ok(()) } else { Err(self.behind(end)) });
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// What it has found, where it is not followed any more.
    pub fn into_set(self) -> PageSet {
        self.set
    }

    /// Where the log says that it ends.
    fn end_of(&self, log: &File) -> Result<u64, RedoError> {
        let now = LogHead::read(log)?;
        if now.ring != self.head.ring {
            let text = "the server has replaced its redo log meanwhile (innodb_log_file_size?)";
            return Err(RedoError::Other(text.into()));
        }
        now.end_lsn(log)
    }

    fn behind(&self, end: u64) -> RedoError {
        RedoError::Other(format!(
            "it could be followed up to LSN {}, and it ends at {end}: the server has written a round of it faster than it was \
             read, or part of it is damaged",
            self.lsn
        ))
    }

    /// Reads to the end of a log that has stopped, and sees to it that nothing was missed. `log` is the file that has its name now: a server may
    /// have replaced it.
    pub fn finish(self, log: &File) -> Result<PageSet, RedoError> {
        self.finish_at(&mut |follower| follower.end_of(log))
    }

    /// `end` reads where the log ends. What is written between the two looks is no reason not to believe the log: it is looked at again.
    fn finish_at(
        mut self,
        end: &mut dyn FnMut(&Self) -> Result<u64, RedoError>,
    ) -> Result<PageSet, RedoError> {
        let mut found = 0;
        for _ in 0..TRIES {
            self.advance()?;
            found = end(&self)?;
            if self.lsn >= found {
                break;
            }
        }
        if self.lsn == found { Ok(self.set) } else { Err(self.behind(found)) }
    }
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
