//! Which file of a server is its redo log, and how it begins.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::Entry;
use super::files::FileList;
use crate::innodb::redo::{LogHead, RedoError};
use crate::regular_file;

/// A checkpoint may be written in the moment in which its block is read.
const TRIES: usize = 20;
/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(5);

/// Written beside the log while the server changes its size (`innodb_log_file_size`), and renamed over it at the end (server: `log_t::resize_start`). Until
/// then the other one is the log.
const RESIZED: &[u8] = b"ib_logfile101";

/// Its number in the list, and where it is; the text says why there is none that is understood.
pub(super) fn the_log(list: &FileList, datadir: &Path) -> Result<(usize, PathBuf), String> {
    let mut logs =
        list.entries.iter().enumerate().filter(|(_, entry)| entry.is_redo_log() && !is_resized(entry));
    match (logs.next(), logs.next()) {
        (Some((number, entry)), None) => Ok((number, entry.belongs(datadir))),
        (None, _) => Err("the server has no redo log that is known here".into()),
        (Some(_), Some(_)) => Err("its redo log has several files: MariaDB 10.8 and later have one".into()),
    }
}

/// The same, of a server that does not change its size.
pub(super) fn the_steady_log(list: &FileList, datadir: &Path) -> Result<(usize, PathBuf), String> {
    if list.entries.iter().any(is_resized) {
        return Err(
            "the server is changing the size of its redo log (innodb_log_file_size): try again when it has"
                .into(),
        );
    }
    the_log(list, datadir)
}

fn is_resized(entry: &Entry) -> bool {
    entry.path.file_name().as_bytes() == RESIZED
}

/// The log, and its head.
pub(super) fn head(path: &Path) -> Result<(File, LogHead), RedoError> {
    let file = regular_file::open(path)?;
    let mut tries = 0;
    loop {
        match LogHead::read(&file) {
            Err(RedoError::Format(why)) => return Err(RedoError::Format(why)),
            Err(error) if tries >= TRIES => return Err(error),
            Err(_) => tries += 1,
            Ok(head) => return Ok((file, head)),
        }
        std::thread::sleep(BETWEEN);
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::testing::files_named;
    use super::*;

    #[test]
    fn a_log_whose_size_is_being_changed_is_the_log_until_that_has_ended() {
        let datadir = Path::new("/d");
        let log = |names: &[&str]| the_log(&files_named(names), datadir).map(|(number, _)| number);
        assert_eq!(log(&["ibdata1", "ib_logfile0"]), Ok(1));
        assert_eq!(log(&["ib_logfile101", "ib_logfile0"]), Ok(1));
        assert!(log(&["ib_logfile101"]).is_err_and(|why| why.contains("no redo log")));
        assert!(log(&["ib_logfile0", "ib_logfile1"]).is_err_and(|why| why.contains("several files")));
        assert!(the_steady_log(&files_named(&["ib_logfile0"]), datadir).is_ok());
        let resized = the_steady_log(&files_named(&["ib_logfile101", "ib_logfile0"]), datadir);
        assert!(resized.is_err_and(|why| why.contains("changing the size")));
    }
}
