//! Lists the files of a server: the data directory, what its links and `.isl` files point to, and the
//! directories of variables elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::binlog;
use super::files::{Entry, EntryKind, FileList};
use super::layout::ServerLayout;
use super::place::Place;
use super::rules::{Verdict, judge, numbered};
use crate::config::BinlogChoice;
use crate::model::ArchivePath;

/// Why the files could not be listed or copied.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// A directory or link of the server.
    #[error("cannot read '{path}': {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// MyRocks.
    #[error(
        "'{0}' holds MyRocks tables, which a state transfer does not freeze: their copy would be torn. Back them up \
         with mariadb-backup, or set allow-rocksdb to leave them out knowingly"
    )]
    Rocksdb(PathBuf),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] crate::archive::ArchiveError),
    /// From outside.
    #[error(transparent)]
    Aborted(#[from] crate::sst::Abort),
}

/// Lists everything that belongs to the backup.
pub fn list_files(
    layout: &ServerLayout,
    binlogs: BinlogChoice,
    allow_rocksdb: bool,
) -> Result<FileList, CaptureError> {
    let mut walk = Walk {
        layout,
        binlogs,
        allow_rocksdb,
        list: FileList::default(),
        directories: Vec::new(),
        files: Vec::new(),
        walked: BTreeSet::new(),
        listed: BTreeSet::new(),
    };
    walk.directory(&layout.datadir, None)?;
    for external in &layout.externals {
        let many = layout.externals.iter().filter(|other| other.variable == external.variable).count() > 1;
        let place = Place::new(external.variable, &external.root, many);
        walk.add_root(&place)?;
        for file in &external.files {
            walk.entry(file, Some(&place))?;
        }
    }
    walk.binlogs()?;
    walk.links()?;
    let system: BTreeSet<&PathBuf> = layout.system_tablespaces.iter().collect();
    for entry in &mut walk.list.entries {
        entry.system_tablespace = system.contains(&entry.disk(&layout.datadir));
    }
    Ok(walk.list)
}

struct Walk<'a> {
    layout: &'a ServerLayout,
    binlogs: BinlogChoice,
    allow_rocksdb: bool,
    list: FileList,
    /// Directories that links point to, still to be walked.
    directories: Vec<Place>,
    /// Files that links point to, still to be listed.
    files: Vec<(Place, PathBuf)>,
    /// Directories outside the data directory whose whole content is listed.
    walked: BTreeSet<PathBuf>,
    /// What is listed outside the data directory: files by where they really are, directories by their
    /// member path. Several links may lead to one file, and it must be stored once.
    listed: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    /// The entries of a directory, by name.
    fn directory(&mut self, directory: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let fail = |cause| CaptureError::Read { path: directory.to_path_buf(), cause };
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(fail)? {
            paths.push(entry.map_err(fail)?.path());
        }
        paths.sort();
        paths.iter().try_for_each(|path| self.entry(path, place))
    }

    fn entry(&mut self, path: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            // Log files come and go in a frozen server too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(CaptureError::Read { path: path.to_path_buf(), cause }),
        };
        let root = place.map_or(self.layout.datadir.as_path(), |place| place.root.as_path());
        let relative = path.strip_prefix(root).unwrap_or(path);
        // Elsewhere only the general rules hold: the special names are those of the data directory.
        let judged = if place.is_some() { Path::new("x").join(relative) } else { relative.to_path_buf() };
        match judge(self.layout, self.binlogs, path, &judged, metadata.is_dir()) {
            Verdict::Leave => return Ok(()),
            Verdict::Rocksdb if self.allow_rocksdb => {
                self.list
                    .warnings
                    .push(format!("'{}' is left out: MyRocks tables are not in this backup", path.display()));
                return Ok(());
            }
            Verdict::Rocksdb => return Err(CaptureError::Rocksdb(path.to_path_buf())),
            Verdict::Take => {}
        }
        if metadata.is_dir() {
            self.push(path, place, EntryKind::Directory);
            self.directory(path, place)
        } else if metadata.is_symlink() {
            self.link(path, place)
        } else if metadata.is_file() {
            if path.extension().is_some_and(|extension| extension == "isl") {
                self.isl(path);
            }
            self.push(path, place, EntryKind::File(metadata.len()));
            Ok(())
        } else {
            // Sockets, pipes and devices are not data.
            Ok(())
        }
    }

    /// What a link points to outside the data directory is stored as well, and the link names that place without
    /// further links on the way, so that a restore can move both. One that stays inside is made relative: with the old
    /// absolute path it would lead from a restored data directory into the one of the donor.
    fn link(&mut self, path: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let target =
            fs::read_link(path).map_err(|cause| CaptureError::Read { path: path.to_path_buf(), cause })?;
        let Ok(resolved) = fs::canonicalize(path) else {
            let text = format!("'{}' points to '{}', which is not there", path.display(), target.display());
            self.list.warnings.push(text);
            self.push(path, place, EntryKind::Symlink(target.into()));
            return Ok(());
        };
        if let Ok(inside) = resolved.strip_prefix(&self.layout.datadir) {
            let text = match path.parent().and_then(|parent| parent.strip_prefix(&self.layout.datadir).ok()) {
                Some(folder) if target.is_absolute() => {
                    let up: PathBuf = folder.components().map(|_| "..").collect();
                    up.join(inside)
                }
                _ => target,
            };
            self.push(path, place, EntryKind::Symlink(text.into()));
            return Ok(());
        }
        self.push(path, place, EntryKind::Symlink(resolved.clone().into()));
        if resolved.is_dir() {
            self.directories.push(Place::new("symlink", &resolved, true));
        } else if let Some(parent) = resolved.parent() {
            self.files.push((Place::new("symlink", parent, true), resolved.clone()));
        }
        Ok(())
    }

    /// An InnoDB link file: its text is the path of a tablespace (`DATA DIRECTORY`). The part of the
    /// path that both share, `<database>/<table>.ibd`, lies below the directory of the clause.
    fn isl(&mut self, path: &Path) {
        let Ok(text) = fs::read(path) else { return };
        let target = PathBuf::from(std::ffi::OsStr::from_bytes(text.trim_ascii()));
        let target = self.layout.entry(target);
        if target.starts_with(&self.layout.datadir) {
            return;
        }
        if !target.is_file() {
            self.list.warnings.push(format!(
                "'{}' names '{}', which is not there",
                path.display(),
                target.display()
            ));
            return;
        }
        let database = path.parent().and_then(Path::file_name);
        let above = target.parent().filter(|parent| parent.file_name() == database).and_then(Path::parent);
        let root = above.or_else(|| target.parent()).unwrap_or(Path::new("/"));
        self.files.push((Place::new("data_directory", root, true), target.clone()));
    }

    /// Follows the links, which may lead to further ones. Whole directories first: a file in one of them
    /// is listed with it, and a single file must not stand for the directory it lies in.
    fn links(&mut self) -> Result<(), CaptureError> {
        loop {
            if let Some(place) = self.directories.pop() {
                if self.walked.insert(place.root.clone()) {
                    self.add_root(&place)?;
                    self.directory(&place.root, Some(&place))?;
                }
            } else if let Some((place, file)) = self.files.pop() {
                self.linked_file(&place, &file)?;
            } else {
                return Ok(());
            }
        }
    }

    fn linked_file(&mut self, place: &Place, file: &Path) -> Result<(), CaptureError> {
        if self.is_listed(file) {
            return Ok(());
        }
        let mut above: Vec<&Path> =
            file.ancestors().skip(1).take_while(|path| path.starts_with(&place.root)).collect();
        above.reverse();
        for directory in above {
            self.push(directory, Some(place), EntryKind::Directory);
        }
        self.entry(file, Some(place))
    }

    /// Where a file outside the data directory really is.
    fn real(file: &Path) -> PathBuf {
        match (file.parent().map(fs::canonicalize), file.file_name()) {
            // The name itself may be a link, which is an entry of its own.
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => file.to_path_buf(),
        }
    }

    fn is_listed(&self, file: &Path) -> bool {
        self.listed.contains(&Self::real(file))
    }

    fn add_root(&mut self, place: &Place) -> Result<(), CaptureError> {
        fs::read_dir(&place.root).map_err(|cause| CaptureError::Read { path: place.root.clone(), cause })?;
        self.push(&place.root.clone(), Some(place), EntryKind::Directory);
        Ok(())
    }

    fn binlogs(&mut self) -> Result<(), CaptureError> {
        let Some(files) = &self.layout.binlog else { return Ok(()) };
        let place = self.place_of("log_bin", &files.base);
        // The index may be kept elsewhere.
        let together = files.index.parent() == files.base.parent();
        let index_place = if together { place.clone() } else { self.place_of("log_bin_index", &files.index) };
        let fail = |cause| CaptureError::Read { path: files.index.clone(), cause };
        let (logs, index) = match self.binlogs {
            BinlogChoice::None => return Ok(()),
            BinlogChoice::Newest => match binlog::newest(files, self.layout).map_err(fail)? {
                Some((newest, index)) => (vec![newest], index),
                None => return Ok(()),
            },
            BinlogChoice::All => {
                let index = binlog::whole_index(files, self.layout).map_err(fail)?;
                // Those in the data directory are listed with everything else there.
                let logs =
                    place.as_ref().map_or_else(Vec::new, |place| numbered_in(&place.root, &files.base));
                (logs, index)
            }
        };
        let second = index_place.as_ref().filter(|_| !together);
        for place in place.iter().chain(second) {
            self.add_root(place)?;
        }
        for log in logs {
            if let Ok(metadata) = fs::metadata(&log) {
                self.push(&log, place.as_ref(), EntryKind::File(metadata.len()));
            }
        }
        self.push(&files.index, index_place.as_ref(), EntryKind::Generated(index.into()));
        Ok(())
    }

    /// Where the folder of a log is stored; none inside the data directory.
    fn place_of(&self, variable: &'static str, file: &Path) -> Option<Place> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        (!folder.starts_with(&self.layout.datadir)).then(|| Place::new(variable, folder, false))
    }

    fn push(&mut self, disk: &Path, place: Option<&Place>, kind: EntryKind) {
        let (path, origin) = match place {
            Some(place) => {
                let (path, origin) = place.path_and_origin(disk);
                let key = match kind {
                    EntryKind::Directory => path.as_path().to_path_buf(),
                    _ => Self::real(disk),
                };
                if !self.listed.insert(key) {
                    return;
                }
                (path, Some(Box::new(origin)))
            }
            None => (ArchivePath::new(disk.strip_prefix(&self.layout.datadir).unwrap_or(disk)), None),
        };
        if let EntryKind::File(bytes) = kind {
            self.list.bytes += bytes;
        }
        self.list.entries.push(Entry { path, kind, origin, system_tablespace: false });
    }
}

fn numbered_in(directory: &Path, base: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(directory) else { return Vec::new() };
    let mut logs: Vec<PathBuf> =
        listing.flatten().map(|entry| entry.path()).filter(|path| numbered(base, path)).collect();
    logs.sort();
    logs
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
