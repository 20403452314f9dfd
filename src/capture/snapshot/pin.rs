//! The redo log of a server that writes on while its files are cloned.
//!
//! Under a lock by SQL no statement writes, and InnoDB does: pages, and checkpoints. The clones are those of a crashed server, and recover from
//! the log, which is cloned last. It has to begin at the checkpoint that there was before the first clone ([`pin_checkpoint`]).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::objection::shown;
use super::super::redo_file::{head, the_steady_log};
use super::clones::Clones;
use crate::innodb::redo::{LogHead, RedoError, pin_checkpoint};

/// The log as it was before the first clone.
pub(super) struct Pin {
    number: usize,
    path: PathBuf,
    head: LogHead,
    redo_end: u64,
}

impl Pin {
    /// Reads its head. `redo_end` is an LSN up to which it is on the disk.
    pub(super) fn before(list: &FileList, datadir: &Path, redo_end: u64) -> Result<Self, CaptureError> {
        let (number, path) = the_steady_log(list, datadir).map_err(refused)?;
        let (_, head) = head(&path).map_err(|error| refused(format!("'{}': {error}", shown(&path))))?;
        Ok(Self { number, path, head, redo_end })
    }

    /// Sees to it that its clone begins there, and holds everything since.
    pub(super) fn after(&self, clones: &Clones) -> Result<(), CaptureError> {
        let failed = |error: RedoError| refused(format!("'{}': {error}", shown(&self.path)));
        let clone = clones.file(self.number).ok_or_else(|| refused("the redo log was not cloned".into()))?;
        let pinned = pin_checkpoint(&self.head, &clone, self.redo_end).map_err(failed)?;
        if let Some(later) = pinned.taken_out {
            log::info!(
                "the server has made a checkpoint at LSN {} meanwhile: the clone of its redo log begins at the one before, {}",
                later.lsn,
                pinned.checkpoint.lsn
            );
        }
        Ok(())
    }
}

/// Where the redo log of a snapshot has to end, LSNs.
#[derive(Debug, Clone, Copy)]
pub(super) struct RedoSpan {
    /// It was on the disk up to here when the server stood still; none where its files need no recovery.
    pub(super) at_least: Option<u64>,
    /// It went so far when the server was let run; none where it was not asked.
    pub(super) at_most: Option<u64>,
}

/// Sees to it that the log in a snapshot, which `open` opens, is that of the moment in which the server stood still: it holds everything up to the beginning of that, and nothing beyond its end.
/// Nothing is pinned: data and log are of one moment, as after a loss of power, and for its newest checkpoint every page had been written. A log that
/// is not understood is nothing against files that need no recovery.
pub(super) fn is_of_the_moment(
    list: &FileList,
    datadir: &Path,
    span: RedoSpan,
    open: impl FnOnce(usize) -> io::Result<Arc<File>>,
) -> Result<(), CaptureError> {
    let (number, path) = match (the_steady_log(list, datadir), span.at_least) {
        (Ok(found), _) => found,
        (Err(_), None) => return Ok(()),
        (Err(why), Some(_)) => return Err(refused(why)),
    };
    let failed = |why: String| {
        refused(format!(
            "'{}': {why}: the snapshot is not of the moment in which the server stood still",
            shown(&path)
        ))
    };
    let file = open(number).map_err(|error| failed(error.to_string()))?;
    let found = LogHead::read(&*file).and_then(|head| match span.at_least {
        Some(least) => Ok(pin_checkpoint(&head, &file, least)?.end_lsn),
        None => head.end_lsn(&*file),
    });
    match (found, span) {
        (Ok(end), RedoSpan { at_most: Some(most), .. }) if end > most => Err(failed(format!(
            "in the snapshot it goes up to LSN {end}, and went up to {most} when the server was let run again"
        ))),
        (Err(error), RedoSpan { at_least: Some(_), .. }) => Err(failed(error.to_string())),
        (Err(error), _) => {
            log::info!("whether the snapshot is later than it may be is not told by its redo log: {error}");
            Ok(())
        }
        (Ok(_), _) => Ok(()),
    }
}

/// Why the redo log of this server is none that could be pinned.
pub(super) fn objection(list: &FileList, datadir: &Path) -> Option<String> {
    let (_, path) = match the_steady_log(list, datadir) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    head(&path).err().map(|error| format!("its redo log '{}' cannot be used: {error}", shown(&path)))
}

fn refused(why: String) -> CaptureError {
    CaptureError::Clone(io::Error::other(why))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::super::files::testing::files_named;
    use super::*;
    use crate::innodb::redo::written_log;

    #[test]
    fn a_snapshot_is_of_the_moment_where_its_redo_log_ends_within_it() {
        let (log, end) = written_log();
        let judge = |content: &[u8], at_least, at_most| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            let span = RedoSpan { at_least, at_most };
            let list = files_named(&["ibdata1", "ib_logfile0"]);
            let open = |number| {
                assert_eq!(number, 1);
                Ok(Arc::new(file))
            };
            is_of_the_moment(&list, Path::new("/d"), span, open).map_err(|error| error.to_string())
        };
        for at_least in [Some(end), Some(end - 100), None] {
            assert_eq!(judge(&log, at_least, Some(end)), Ok(()), "{at_least:?}");
            assert_eq!(judge(&log, at_least, None), Ok(()), "{at_least:?}");
            let later = judge(&log, at_least, Some(end - 1)).unwrap_err();
            assert!(
                later.contains("when the server was let run again") && later.contains("not of the moment"),
                "{later}"
            );
        }
        let earlier = judge(&log, Some(end + 1), Some(end + 1)).unwrap_err();
        assert!(earlier.contains("not of the moment"), "{earlier}");
        // Before MariaDB 10.8.
        assert_eq!(judge(b"PHYS", None, Some(1)), Ok(()));
        assert!(judge(b"PHYS", Some(1), None).is_err());
    }
}
