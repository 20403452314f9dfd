//! Which file of a server is its redo log, and how it begins.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::FileList;
use crate::innodb::redo::{LogHead, RedoError};
use crate::regular_file;

/// A checkpoint may be written in the moment in which its block is read.
const TRIES: usize = 20;
/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(5);

/// Its number in the list, and where it is; the text says why there is none that is understood.
pub(super) fn the_log(list: &FileList, datadir: &Path) -> Result<(usize, PathBuf), String> {
    let mut logs = list.entries.iter().enumerate().filter(|(_, entry)| entry.is_redo_log());
    match (logs.next(), logs.next()) {
        (Some((number, entry)), None) => Ok((number, entry.belongs(datadir))),
        (None, _) => Err("the server has no redo log that is known here".into()),
        (Some(_), Some(_)) => Err("its redo log has several files: MariaDB 10.8 and later have one".into()),
    }
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
