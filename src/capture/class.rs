//! What a file is to the server: whether it must stand still under the freeze, and whether a backup is one without it.
//!
//! Under the freeze InnoDB, Aria and the tables of all engines stand still, and so does the binary log. What may move:
//! the redo log, to which temporary tables of InnoDB write (per-record checksums end a recovery cleanly), and
//! the CSV tables to which the server logs.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::innodb::is_numbered_undo;

/// Extensions of the files of tables, of definitions and of link files, and of the binary logs that InnoDB keeps.
const TABLE: [&str; 21] = [
    "ARM", "ARZ", "CSM", "CSV", "MAD", "MAI", "MRG", "MYD", "MYI", "TRG", "TRN", "frm", "ibd", "ibu", "isl",
    "mrn", "opt", "par", "sdi", "ibz", "ibb",
];

/// What a file is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileClass {
    /// Data that stands still while the server is frozen; without it the backup is none.
    Data,
    /// Data that may change under the freeze without harm: the redo log, and tables to which the server logs.
    Moving,
    /// A log: it changes at any time.
    Log,
    /// Anything else.
    Other,
}

impl FileClass {
    /// By the name of the file and of the folder around it.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to_tables = ["general_log.", "slow_log."];
        if is_redo_log(path) {
            return Self::Moving;
        }
        let folder = || path.parent().and_then(Path::file_name);
        if to_tables.iter().any(|start| name.starts_with(start))
            && folder().is_some_and(|folder| folder == "mysql")
        {
            return Self::Moving;
        }
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if TABLE.contains(&extension) || is_system(&name) || name.contains(".mrn.") {
            Self::Data
        } else if is_log(&name) {
            Self::Log
        } else {
            Self::Other
        }
    }

    /// A backup without it would be none.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::Data | Self::Moving)
    }
}

/// A file of InnoDB's redo log, by its name and the folder around it.
pub(super) fn is_redo_log(path: &Path) -> bool {
    // It is asked of every file, several times under the freeze.
    let mut parts = path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    name.starts_with(b"ib_logfile") || is_archived_redo(name) || parts.next() == Some(&b"#innodb_redo"[..])
}

/// `aria_log.<number>`.
pub(super) fn is_aria_log(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"aria_log."))
}

/// `ib_<LSN>.log`, 16 hexadecimal digits: the files of a redo log that is kept (`innodb_log_archive`, MariaDB 13).
pub(super) fn is_archived_redo(name: &[u8]) -> bool {
    let lsn = name.strip_prefix(b"ib_").and_then(|rest| rest.strip_suffix(b".log"));
    lsn.is_some_and(|lsn| lsn.len() == 16 && lsn.iter().all(u8::is_ascii_hexdigit))
}

/// The number in `binlog-<number>.ibb`: a binary log that InnoDB keeps (`binlog_storage_engine=innodb`, MariaDB 12.3).
pub fn innodb_binlog(name: &str) -> Option<u64> {
    let number = name.strip_prefix("binlog-")?.strip_suffix(".ibb")?;
    if is_log_number(number) { number.parse().ok() } else { None }
}

/// InnoDB's and Aria's own files by their default names; others are known by their variables.
fn is_system(name: &str) -> bool {
    is_numbered_undo(name) || name.starts_with("ibdata") || name.starts_with("aria_log")
}

/// `x.log`, `x.err`, and what rotation makes of them: `x.log.1`, `x.log-20261120.gz`.
fn is_log(name: &str) -> bool {
    [".log", ".err"].iter().any(|end| {
        name.find(end)
            .is_some_and(|at| name[at + end.len()..].chars().next().is_none_or(|c| ".-_".contains(c)))
    })
}

/// What follows the dot in the name of a log.
pub(super) fn is_log_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_by_their_names() {
        use FileClass::{Data, Log, Moving, Other};
        for (path, class) in [
            ("ibdata1", Data),
            ("undo001", Data),
            ("undo_002", Data),
            ("aria_log_control", Data),
            ("aria_log.00000001", Data),
            ("db/t.ibd", Data),
            ("db/#sql-ib12.ibd", Data),
            ("db/t.isl", Data),
            ("db/t.MYI", Data),
            ("db/t.frm", Data),
            ("db/db.opt", Data),
            ("db.mrn", Data),
            ("db.mrn.0000100", Data),
            ("mysql/general_logs.MAD", Data),
            ("db/general_log.CSV", Data),
            ("ib_logfile0", Moving),
            ("ib_0000000000003000.log", Moving),
            ("ib_00000000000030.log", Log),
            ("binlog-000007.ibb", Data),
            ("#innodb_redo/#ib_redo7", Moving),
            ("mysql/general_log.CSV", Moving),
            ("mysql/slow_log.CSM", Moving),
            ("server_audit.log", Log),
            ("server_audit.log.3", Log),
            ("host.err-20261120", Log),
            ("db/notes.sql", Other),
            ("ib_buffer_pool", Other),
            ("db/out.txt", Other),
            ("catalogue.logic", Other),
            ("undoing", Other),
        ] {
            assert_eq!(FileClass::of(Path::new(path)), class, "{path}");
        }
    }
}
