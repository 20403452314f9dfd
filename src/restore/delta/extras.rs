//! What a data directory holds and the backup does not. Files of a server go, as an empty directory would not have them; what is no
//! server's (an administrator's notes, error logs, other directories, mounts) stays, and is told.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::archive::{EXTERNAL_PREFIX, IDENTITY_MEMBER, SUMS_MEMBER};
use crate::capture::{FileClass, is_of_one_run, is_replication_state};
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, SystemError};
use crate::restore::replication::REPLICA_FILE;
use crate::restore::start_file::{HIDDEN_SUFFIX, own_names};

/// What file systems put there.
const OF_FILE_SYSTEMS: [&str; 3] = ["lost+found", ".snapshot", ".zfs"];
/// Directories of InnoDB's at the top.
const OF_INNODB: [&str; 2] = ["#innodb_temp", "#innodb_redo"];
/// Directories of our own.
const OURS: [&str; 2] = [EXTERNAL_PREFIX, HIDDEN_SUFFIX];
/// Files at the top whose names no rule has. What an interrupted DDL statement has noted would be carried out on other files.
const TOP_FILES: [&str; 8] = [
    IDENTITY_MEMBER,
    SUMS_MEMBER,
    REPLICA_FILE,
    "ddl_recovery-backup.log",
    "ddl_recovery.log",
    "ib_buffer_pool",
    "mariadb_upgrade_info",
    "mysql_upgrade_info",
];
/// What InnoDB's own files at the top begin with, and Aria's.
const SYSTEM: [&str; 5] = ["aria_log", "binlog-", "ib_", "ibdata", "undo"];
/// Endings of files that come and go with tables.
const BESIDE_TABLES: [&str; 3] = ["TMD", "cfg", "cfp"];

/// An entry that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extra {
    /// A file, link or socket.
    File(PathBuf),
    /// A directory, empty by then.
    Directory(PathBuf),
    /// A directory of our own, with all that is in it.
    Tree(PathBuf),
}

impl Extra {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory(path) | Self::Tree(path) => path,
        }
    }
}

/// What the backup has not.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// What is in a directory stands before it.
    pub(super) gone: Vec<Extra>,
    pub(super) left: Vec<PathBuf>,
}

/// What the walk goes by.
struct ExtrasWalk<'a> {
    target: &'a Path,
    device: u64,
    /// Files and links of the backup, and the names that a restore takes for itself.
    places: BTreeSet<PathBuf>,
    /// Directories of the backup, and those above its files.
    folders: BTreeSet<PathBuf>,
    found: Extras,
}

/// Looks through the data directory; `files` are the places of files and links, `folders` those of directories.
pub(super) fn find(
    places: &Destinations,
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
) -> Result<Extras, RestoreError> {
    let target = places.target();
    let data = fs::symlink_metadata(target).map_err(SystemError::of("look at", target))?;
    let mut walk =
        ExtrasWalk { target, device: data.dev(), places: files, folders, found: Extras::default() };
    let above: Vec<PathBuf> = walk
        .places
        .iter()
        .chain(&walk.folders)
        .flat_map(|path| path.ancestors().skip(1))
        .map(Path::to_path_buf)
        .collect();
    walk.folders.extend(above);
    walk.places.extend(places.start_file().into_iter().flat_map(own_names));
    walk.folder(target)?;
    Ok(walk.found)
}

/// Names and what they are, in order.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, Metadata)>, SystemError> {
    let failed = SystemError::of("list", folder);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        entries.push((entry.path(), entry.metadata().map_err(&failed)?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl ExtrasWalk<'_> {
    fn folder(&mut self, folder: &Path) -> Result<(), SystemError> {
        let entries = entries(folder)?;
        let names: Vec<String> = entries.iter().map(|(path, _)| name_of(path)).collect();
        let is_top = folder == self.target;
        for (path, data) in entries {
            let name = name_of(&path);
            if is_top && OF_FILE_SYSTEMS.contains(&name.as_str()) || self.places.contains(&path) {
                continue;
            }
            if !data.is_dir() {
                let goes = if is_top { is_top_file(&name, &names) } else { is_table_file(&path, &data) };
                if goes || self.folders.contains(&path) {
                    self.found.gone.push(Extra::File(path));
                } else {
                    self.found.left.push(path);
                }
            } else if self.folders.contains(&path) {
                self.folder(&path)?;
            } else if is_top && OURS.contains(&name.as_str()) {
                self.found.gone.push(Extra::Tree(path));
            } else if is_top
                && data.dev() == self.device
                && (OF_INNODB.contains(&name.as_str()) || is_database(&path))
            {
                self.database(path)?;
            } else {
                self.found.left.push(path);
            }
        }
        Ok(())
    }

    /// A database that the backup has not: it goes when nothing is left in it.
    fn database(&mut self, path: PathBuf) -> Result<(), SystemError> {
        let left = self.found.left.len();
        let is_innodbs = OF_INNODB.contains(&name_of(&path).as_str());
        for (inside, data) in entries(&path)? {
            if !data.is_dir() && (is_innodbs || is_table_file(&inside, &data)) {
                self.found.gone.push(Extra::File(inside));
            } else {
                self.found.left.push(inside);
            }
        }
        if self.found.left.len() == left {
            self.found.gone.push(Extra::Directory(path));
        }
        Ok(())
    }
}

/// The server takes every directory for a database. Only one that has what `CREATE DATABASE` or `CREATE TABLE` leaves is one for us, or one
/// in which there is nothing.
fn is_database(folder: &Path) -> bool {
    let Ok(names) = fs::read_dir(folder) else { return false };
    let names: Vec<PathBuf> = names.flatten().map(|entry| entry.path()).collect();
    let is_sign = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "frm")
            || path.file_name().is_some_and(|name| name == "db.opt")
    };
    names.is_empty() || names.iter().any(is_sign)
}

/// A file of a server in its data directory. Logs for people stay, as do the dumps of its memory.
fn is_top_file(name: &str, beside: &[String]) -> bool {
    let is_for_people =
        Path::new(name).extension().is_some_and(|ending| ending == "err") || name.starts_with("core");
    TOP_FILES.contains(&name)
        || is_of_one_run(name) && !is_for_people
        || FileClass::of(Path::new(name)).is_needed() && SYSTEM.iter().any(|start| name.starts_with(start))
        || is_replication_state(name)
        || is_numbered_log(name, beside)
}

/// A log of those that an index file beside it lists, or that file: `mysql-bin.000007`, `mysql-bin.000007.idx`, `mysql-bin.index`.
fn is_numbered_log(name: &str, beside: &[String]) -> bool {
    let is_number = |text: &str| text.len() >= 6 && text.bytes().all(|digit| digit.is_ascii_digit());
    let has_index = |base: &str| beside.iter().any(|other| other.strip_suffix(".index") == Some(base));
    let name = name.strip_suffix(".idx").unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(base, ending)| {
        has_index(base) && (is_number(ending) || ["index", "state"].contains(&ending))
    })
}

/// A file of a table, or what lies beside one.
fn is_table_file(path: &Path, data: &Metadata) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    !data.is_dir()
        && (FileClass::of(path).is_needed()
            || name_of(path).starts_with("#sql")
            || BESIDE_TABLES.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_server_go_and_those_of_people_stay() {
        let beside: Vec<String> = ["mysql-bin.index", "dump.000001"].map(str::to_owned).into();
        for (name, goes) in [
            ("ib_logfile1", true),
            ("undo003", true),
            ("ibdata2", true),
            ("aria_log.00000002", true),
            ("tc.log", true),
            ("ddl_recovery.log", true),
            ("galera.cache", true),
            ("grastate.dat", true),
            ("gvwstate.dat", true),
            ("n1.pid", true),
            ("multi-master.info", true),
            ("mysql-bin.000007", true),
            ("mysql-bin.000007.idx", true),
            ("mysql-bin.index", true),
            ("wsrep_sst_backup_replica.sql", true),
            ("dump.000001", false),
            ("host.err", false),
            ("slow.log", false),
            ("core.4711", false),
            ("export.CSV", false),
            ("notes.txt", false),
            (".bash_history", false),
            ("debian-10.11.flag", false),
        ] {
            assert_eq!(is_top_file(name, &beside), goes, "{name}");
        }
    }
}
