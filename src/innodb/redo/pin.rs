//! The checkpoint of a log that was cloned last, while its server ran.
//!
//! The lock of [`FLUSH TABLES WITH READ LOCK`](https://mariadb.com/kb/en/flush/) stops the statements, and not InnoDB's own writing: pages
//! and checkpoints go on. Data files that were cloned before a checkpoint lack what that checkpoint takes for written. So a recovery has to begin at the
//! checkpoint that there was before the first clone: its blocks are read then, and put back into the clone of the log, which is
//! made last and still holds everything behind them, unless the ring was overwritten meanwhile. That is checked.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::checkpoint::{Checkpoint, names};
use super::error::RedoError;
use super::format::CHECKPOINTS;
use super::head::LogHead;

/// A clone from which a server recovers everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    /// From where it starts.
    pub checkpoint: Checkpoint,
    /// Up to where it recovers.
    pub end_lsn: u64,
    /// The checkpoint that the server made meanwhile, and that was taken out of the clone.
    pub taken_out: Option<Checkpoint>,
}

/// Sees to it that the clone of a log has the newest checkpoint of `before`, which was read of the log before the first data file was cloned, and holds
/// everything from there up to `until` at least: an LSN that was flushed before the first clone. An error says what happened; the clone is of no use then.
pub fn pin_checkpoint(before: &LogHead, clone: &File, until: u64) -> Result<Pinned, RedoError> {
    let now = LogHead::read(clone)?;
    if now.ring != before.ring || now.bytes[..CHECKPOINTS[0]] != before.bytes[..CHECKPOINTS[0]] {
        let text = "the server has replaced its redo log between the first clone and that of the log (innodb_log_file_size?)";
        return Err(RedoError::Other(text.into()));
    }
    let checkpoint = before.newest();
    if now.newest() < checkpoint {
        let text =
            format!("its checkpoint is at LSN {}, and it was at {} before", now.newest().lsn, checkpoint.lsn);
        return Err(RedoError::Other(text));
    }
    let mut found = before.mini_transactions(clone, checkpoint.lsn);
    let mut is_marked = false;
    while let Some(one) = found.advance()? {
        is_marked |= names(&checkpoint, one.lsn, one.checkpoint, before.is_encrypted);
    }
    let end = found.end()?;
    let must_reach = until.max(now.newest().end_lsn);
    if end.lsn < must_reach {
        let text = format!(
            "from its checkpoint at LSN {} the log can be read up to {} only, and not to {must_reach}: the server has written \
             over it since (its redo log is small for what it writes)",
            checkpoint.lsn, end.lsn
        );
        return Err(RedoError::Other(text));
    }
    if let Some(later) = end.later {
        return Err(RedoError::Gap { end: end.lsn, later });
    }
    if !is_marked {
        return Err(RedoError::Short { checkpoint: checkpoint.lsn, end: end.lsn });
    }
    let taken_out = (now.newest() > checkpoint).then(|| now.newest());
    if taken_out.is_some() {
        let (from, to) = (CHECKPOINTS[0], before.bytes.len());
        clone.write_all_at(&before.bytes[from..to], from as u64)?;
        if LogHead::read(clone)?.newest() != checkpoint {
            return Err(RedoError::Other("its checkpoint could not be put back".into()));
        }
    }
    Ok(Pinned { checkpoint, end_lsn: end.lsn, taken_out })
}

#[cfg(test)]
#[path = "pin_tests.rs"]
mod tests;
