//! The binary logs of a backup.
//!
//! The newest one carries the GTID state: `flush tables` has rotated to it, and its first event lists
//! the last GTID of every domain. A server that starts on it knows where its history stands, and may want some before it
//! ([`recovery`]). The index is written anew, because it must name only the logs that are there (MariaDB `sql/log.cc`,
//! `MYSQL_BIN_LOG::open`, reads the last name).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::binlog_checkpoint::{Recovery, recovery};
use super::layout::{BinlogFiles, ServerLayout};
use super::rules::numbered;
use crate::regular_file;

/// More bytes than an index of logs has.
const LARGEST: u64 = 16 << 20;

/// Of an encrypted log it cannot be read from where on a server recovers. Under the lock the engines have flushed: older are only logs that were
/// rotated since, and so written to since.
const OF_LATE: Duration = Duration::from_secs(60);

/// Logs, oldest first, and the text of an index that names them alone.
pub(super) struct WantedLogs {
    pub(super) logs: Vec<PathBuf>,
    pub(super) index: Vec<u8>,
}

/// The newest log with those that a server wants beside it which starts on it; none where there is no log yet. `is_crashed` if it recovers then.
pub(super) fn newest(
    files: &BinlogFiles,
    layout: &ServerLayout,
    is_crashed: bool,
) -> io::Result<Option<WantedLogs>> {
    let text = match regular_file::read(&files.index, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let named = named(&text, files);
    let Some((_, newest)) = named.last().filter(|(_, path)| numbered(&files.base, path)) else {
        return Ok(None);
    };
    let from = first_needed(&named, newest, is_crashed);
    Ok(Some(WantedLogs::of(&named[from..], layout)))
}

/// The number of the log in the index from which on a server reads that recovers.
fn first_needed(named: &[(&[u8], PathBuf)], newest: &Path, is_crashed: bool) -> usize {
    let last = named.len() - 1;
    match recovery(newest) {
        Ok(Recovery::From(name)) => {
            let is_it = |(_, path): &(&[u8], PathBuf)| path.file_name() == Some(&name);
            named.iter().rposition(is_it).unwrap_or(last)
        }
        Ok(Recovery::Unknown) if is_crashed => {
            let written = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
            let oldest = written(&named[last].1).and_then(|newest| newest.checked_sub(OF_LATE));
            let is_late = |(_, path): &&(&[u8], PathBuf)| written(path) >= oldest;
            last - named[..last].iter().rev().take_while(is_late).count()
        }
        // One that is not there, or cannot be read, is told when it is listed.
        Ok(Recovery::Itself | Recovery::Unknown) | Err(_) => last,
    }
}

/// All logs that the index names and that are there: they may be purged meanwhile.
pub(super) fn all(files: &BinlogFiles, layout: &ServerLayout) -> io::Result<WantedLogs> {
    let text = regular_file::read(&files.index, LARGEST)?;
    let mut named = named(&text, files);
    let last = named.len().saturating_sub(1);
    let mut number = 0..;
    named.retain(|(_, path)| number.next() == Some(last) || path.exists());
    Ok(WantedLogs::of(&named, layout))
}

impl WantedLogs {
    fn of(named: &[(&[u8], PathBuf)], layout: &ServerLayout) -> Self {
        Self {
            logs: named.iter().map(|(_, path)| path.clone()).collect(),
            index: named.iter().flat_map(|(line, _)| one_spelling(line, layout)).collect(),
        }
    }
}

/// The lines of an index, and which files they name.
fn named<'a>(text: &'a [u8], files: &BinlogFiles) -> Vec<(&'a [u8], PathBuf)> {
    let directory = files.base.parent().unwrap_or(Path::new("/"));
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .filter_map(|line| Some((line, directory.join(Path::new(OsStr::from_bytes(line)).file_name()?))))
        .collect()
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::super::binlog_checkpoint::{checkpoint_at, log_of};
    use super::*;

    /// Logs 1 to 4, of which the newest has these events.
    fn index_of(events: &[(u8, &[u8])], is_crashed: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("b.index"), "./b.000001\n./b.000002\n./b.000003\n./b.000004\n").unwrap();
        fs::write(at("b.000004"), log_of(events)).unwrap();
        for (name, seconds) in [("b.000001", 3600), ("b.000002", 30), ("b.000003", 10)] {
            let written = SystemTime::now() - Duration::from_secs(seconds);
            File::create(at(name)).unwrap().set_modified(written).unwrap();
        }
        let files = BinlogFiles { base: at("b"), index: at("b.index") };
        let layout = ServerLayout::bare(folder.path().to_path_buf());
        let found = newest(&files, &layout, is_crashed).unwrap().unwrap();
        let index = String::from_utf8(found.index).unwrap();
        let logs: Vec<PathBuf> = index.lines().map(|line| at(line.trim_start_matches("./"))).collect();
        assert_eq!(found.logs, logs);
        index
    }

    #[test]
    fn the_newest_log_comes_with_those_that_a_server_recovers_from() {
        let (third, fourth, unknown) =
            (checkpoint_at("b.000003"), checkpoint_at("b.000004"), checkpoint_at("b.000009"));
        assert_eq!(index_of(&[(161, &third)], false), "./b.000003\n./b.000004\n");
        assert_eq!(index_of(&[(161, &third), (161, &fourth)], true), "./b.000004\n");
        assert_eq!(index_of(&[(161, &unknown)], true), "./b.000004\n");
        let encrypted: [(u8, &[u8]); 2] = [(15, b"format"), (164, b"key")];
        assert_eq!(index_of(&encrypted, true), "./b.000002\n./b.000003\n./b.000004\n");
        assert_eq!(index_of(&encrypted, false), "./b.000004\n");
    }
}
