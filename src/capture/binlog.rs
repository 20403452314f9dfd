//! The binary logs of a backup.
//!
//! The newest one carries the GTID state: `flush tables` has rotated to it, and its first event lists
//! the last GTID of every domain. A server that starts on it knows where its history stands. The index
//! is written anew, because it must name only the logs that are there (MariaDB `sql/log.cc`,
//! `MYSQL_BIN_LOG::open`, reads the last name).

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::layout::{BinlogFiles, ServerLayout};
use super::rules::numbered;
use crate::regular_file;

/// More bytes than an index of logs has.
const LARGEST: u64 = 16 << 20;

/// The newest log and the text of an index that names it alone; none where there is no log yet.
pub(super) fn newest(
    files: &BinlogFiles,
    layout: &ServerLayout,
) -> std::io::Result<Option<(PathBuf, Vec<u8>)>> {
    let text = match regular_file::read(&files.index, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let Some(line) = lines.rfind(|line| !line.is_empty()) else { return Ok(None) };
    let directory = files.base.parent().unwrap_or(Path::new("/"));
    let Some(name) = Path::new(OsStr::from_bytes(line)).file_name() else { return Ok(None) };
    let path = directory.join(name);
    Ok(numbered(&files.base, &path).then(|| (path, one_spelling(line, layout))))
}

/// The index as it is, of all logs.
pub(super) fn whole_index(files: &BinlogFiles, layout: &ServerLayout) -> std::io::Result<Vec<u8>> {
    let text = regular_file::read(&files.index, LARGEST)?;
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Ok(lines.flat_map(|line| one_spelling(line, layout)).collect())
}

/// An absolute path that leads into the data directory by another name (a link) names it as the backup does: a restore
/// elsewhere turns that into the new one, where the other name would go on to lead into the old one.
fn one_spelling(line: &[u8], layout: &ServerLayout) -> Vec<u8> {
    let path = Path::new(OsStr::from_bytes(line));
    let found =
        path.is_absolute().then(|| layout.entry(path)).filter(|found| found.starts_with(&layout.datadir));
    let mut text = found.map_or_else(|| line.to_vec(), |found| found.into_os_string().into_vec());
    text.push(b'\n');
    text
}
