//! What a data directory holds and the backup does not. Files of a server go, as an empty directory would not have them; what is no
//! server's (an administrator's notes, error logs, other directories, mounts) stays, and is told.
//!
//! Nothing goes because it looks like a server's file: at the top by names that a server gives (`server_files`), in the directory of a
//! database by the endings of tables, deeper nothing at all.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::elsewhere;
use super::mounts::MountPoints;
use super::server_files::{ServerFiles, is_engine_file};
use crate::archive::{APPLY_MEMBER, EXTERNAL_PREFIX, FILES_PREFIX, PAGES_PREFIX, SYSTEM_PREFIX};
use crate::capture::FileClass;
use crate::model::Origin;
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, SystemError};
use crate::restore::start_file::{HIDDEN_SUFFIX, own_names};

/// What file systems put there.
const OF_FILE_SYSTEMS: [&str; 3] = ["lost+found", ".snapshot", ".zfs"];
/// Directories of InnoDB's at the top, and what the names of their files begin with.
const OF_INNODB: [(&str, &str); 2] = [("#innodb_temp", "temp_"), ("#innodb_redo", "#ib_redo")];
/// Endings of files that come and go with tables.
const BESIDE_TABLES: [&str; 3] = ["TMD", "cfg", "cfp"];

/// An entry that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extra {
    /// A file, link or socket.
    File(PathBuf),
    /// The same in the place of a directory that is needed: it goes first.
    InTheWay(PathBuf),
    /// A directory in which nothing is but these files.
    Database(PathBuf, Vec<PathBuf>),
    /// A directory of our own, with all that is in it.
    Tree(PathBuf),
}

impl Extra {
    /// All that goes with it.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let (path, files) = match self {
            Self::File(path) | Self::InTheWay(path) | Self::Tree(path) => (path, &[][..]),
            Self::Database(path, files) => (path, &files[..]),
        };
        files.iter().chain([path])
    }
}

/// What the backup has not.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) gone: Vec<Extra>,
    pub(super) left: Vec<PathBuf>,
}

/// What the walk goes by.
struct ExtrasWalk<'a> {
    target: &'a Path,
    device: u64,
    mounts: &'a MountPoints,
    names: &'a ServerFiles,
    /// Files and links of the backup, and the names that a restore takes for itself.
    places: BTreeSet<PathBuf>,
    /// Directories of the backup, and those above its files.
    folders: BTreeSet<PathBuf>,
    found: Extras,
}

/// Looks through the data directory; `files` are the places of files and links, `folders` those of directories.
pub(super) fn find(
    places: &Destinations,
    names: &ServerFiles,
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
) -> Result<Extras, RestoreError> {
    let target = places.target();
    let data = fs::symlink_metadata(target).map_err(SystemError::of("look at", target))?;
    let mounts = MountPoints::read()?;
    let mut walk = ExtrasWalk {
        target,
        device: data.dev(),
        mounts: &mounts,
        names,
        places: files,
        folders,
        found: Extras::default(),
    };
    let above: Vec<PathBuf> = walk
        .places
        .iter()
        .chain(&walk.folders)
        .flat_map(|path| path.ancestors().skip(1))
        .map(Path::to_path_buf)
        .collect();
    walk.folders.extend(above);
    walk.places.extend(places.start_file().into_iter().flat_map(own_names));
    walk.top()?;
    let mut found = walk.found;
    let of_the_backup = walk.places;
    let behind = elsewhere::behind(target, found.gone.iter().flat_map(Extra::paths));
    found.left.extend(behind.into_iter().filter(|path| !of_the_backup.contains(path)));
    Ok(found)
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
    fn top(&mut self) -> Result<(), SystemError> {
        // An index of logs goes behind its logs, which are known by it.
        let (mut files, mut indexes) = (Vec::new(), Vec::new());
        for (path, data) in entries(self.target)? {
            let name = name_of(&path);
            if OF_FILE_SYSTEMS.contains(&name.as_str()) || self.places.contains(&path) {
                continue;
            }
            if data.is_dir() && self.folders.contains(&path) {
                // Also where it is a mount: the backup goes there.
                self.known_folder(&path, true)?;
            } else if self.is_mount(&path, &data) {
                self.found.left.push(path);
            } else if data.is_dir() {
                self.folder_at_the_top(path, &name)?;
            } else if self.folders.contains(&path) {
                self.found.gone.push(Extra::InTheWay(path));
            } else if self.names.has(&name) {
                let is_index = path.extension().is_some_and(|ending| ending == "index");
                let list = if is_index { &mut indexes } else { &mut files };
                list.push(Extra::File(path));
            } else {
                self.found.left.push(path);
            }
        }
        self.found.gone.extend(files);
        self.found.gone.extend(indexes);
        Ok(())
    }

    fn is_mount(&self, path: &Path, data: &Metadata) -> bool {
        data.dev() != self.device && data.is_dir() || self.mounts.has(path)
    }

    fn folder_at_the_top(&mut self, path: PathBuf, name: &str) -> Result<(), SystemError> {
        let innodb = OF_INNODB.iter().find(|(folder, _)| name.trim_end_matches(HIDDEN_SUFFIX) == *folder);
        if name == EXTERNAL_PREFIX || name == HIDDEN_SUFFIX {
            let list = if self.is_ours(&path)? { &mut self.found.gone } else { return self.leave(path) };
            list.push(Extra::Tree(path));
            return Ok(());
        }
        if let Some((_, start)) = innodb {
            return self.database(path, |file| name_of(file).starts_with(start));
        }
        // One that a restore has begun to remove has our ending, and perhaps no definition any more.
        if name.ends_with(HIDDEN_SUFFIX) || is_name_of_database(name) && is_database(&path) {
            return self.database(path, is_table_file);
        }
        self.leave(path)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends the looking at an entry")]
    fn leave(&mut self, path: PathBuf) -> Result<(), SystemError> {
        self.found.left.push(path);
        Ok(())
    }

    /// A directory that the backup has: tables go where it is a database, and nothing that is deeper.
    fn known_folder(&mut self, folder: &Path, is_at_the_top: bool) -> Result<(), SystemError> {
        let is_sign = |path: &PathBuf| path.parent() == Some(folder) && is_definition(path);
        let is_database = is_at_the_top && (is_database(folder) || self.places.iter().any(is_sign));
        let is_engines = |path: &PathBuf| path.parent() == Some(folder) && is_engine_file(&name_of(path));
        let is_engines = self.places.iter().any(is_engines);
        let mut gone = Vec::new();
        for (path, data) in entries(folder)? {
            if self.places.contains(&path) {
                continue;
            }
            let is_folder = self.folders.contains(&path);
            if data.is_dir() && is_folder {
                self.known_folder(&path, false)?;
            } else if data.is_dir() || self.is_mount(&path, &data) {
                self.found.left.push(path);
            } else if is_folder {
                self.found.gone.push(Extra::InTheWay(path));
            } else if is_database && is_table_file(&path) || is_engines && is_engine_file(&name_of(&path)) {
                gone.push(path);
            } else {
                self.found.left.push(path);
            }
        }
        gone.sort_by_key(|path| is_definition(path));
        self.found.gone.extend(gone.into_iter().map(Extra::File));
        Ok(())
    }

    /// A directory that the backup has not: it goes when nothing is left in it.
    fn database(&mut self, path: PathBuf, goes: impl Fn(&Path) -> bool) -> Result<(), SystemError> {
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for (inside, data) in entries(&path)? {
            let is_own = !data.is_dir() && !self.is_mount(&inside, &data) && goes(&inside);
            if is_own { gone.push(inside) } else { left.push(inside) }
        }
        // By its definitions it is known to be a database where this is interrupted.
        gone.sort_by_key(|path| is_definition(path));
        if left.is_empty() {
            self.found.gone.push(Extra::Database(path, gone));
            return Ok(());
        }
        self.found.gone.extend(gone.into_iter().map(Extra::File));
        self.found.left.extend(left);
        Ok(())
    }

    /// Whether all that is there has a name that our archives give, and nothing is mounted there.
    fn is_ours(&self, folder: &Path) -> Result<bool, SystemError> {
        if self.mounts.are_in(folder) {
            return Ok(false);
        }
        if name_of(folder) == HIDDEN_SUFFIX {
            return Ok(true);
        }
        let of_archives: BTreeSet<String> = [APPLY_MEMBER, FILES_PREFIX, PAGES_PREFIX, SYSTEM_PREFIX]
            .map(|path| name_of(Path::new(path)))
            .into_iter()
            .chain(Origin::VARIABLES.map(str::to_owned))
            .collect();
        Ok(entries(folder)?.iter().all(|(path, _)| of_archives.contains(&name_of(path))))
    }
}

/// What `CREATE DATABASE` and `CREATE TABLE` leave.
fn is_definition(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "frm")
        || path.file_name().is_some_and(|name| name == "db.opt")
}

/// Whether the server can have made a directory of this name: it writes all other characters as `@` and a code (MariaDB manual, "Identifier to File Name
/// Mapping"). A copy that somebody has made of a database before a repair (`shop.bak`) is no database of the server's.
fn is_name_of_database(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'@')
}

/// The server takes every directory for a database. Only one that has a definition is one for us.
fn is_database(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|names| names.flatten().any(|entry| is_definition(&entry.path())))
}

/// A file of a table, or what lies beside one. Rows that somebody has written out as CSV have no definition beside them.
fn is_table_file(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    if ending == "CSV" && path.with_extension("frm").symlink_metadata().is_err() {
        return false;
    }
    // Its name does not matter here, as it does at the top.
    FileClass::of(&Path::new("t").with_extension(&ending)).is_needed()
        || BESIDE_TABLES.contains(&ending.as_str())
        || name_of(path).starts_with("#sql")
}
