//! The binary logs of a backup.
//!
//! The newest one carries the GTID state: `flush tables` has rotated to it, and its first event lists
//! the last GTID of every domain. A server that starts on it knows where its history stands. The index
//! is written anew, because it must name only the logs that are there (MariaDB `sql/log.cc`,
//! `MYSQL_BIN_LOG::open`, reads the last name).

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::BinlogFiles;
use super::rules::numbered;

/// The newest log and the text of an index that names it alone; none where there is no log yet.
pub(super) fn newest(files: &BinlogFiles) -> std::io::Result<Option<(PathBuf, Vec<u8>)>> {
    let text = match fs::read_to_string(&files.index) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) else { return Ok(None) };
    let directory = files.base.parent().unwrap_or(Path::new("/"));
    let Some(name) = Path::new(line.trim()).file_name() else { return Ok(None) };
    let path = directory.join(name);
    Ok(numbered(&files.base, &path).then(|| (path, format!("{}\n", line.trim()).into_bytes())))
}
