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
use super::rules::{Verdict, judge, numbered};
use crate::archive::EXTERNAL_PREFIX;
use crate::config::BinlogChoice;
use crate::model::{ArchivePath, Origin};

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
        elsewhere: Vec::new(),
        seen: BTreeSet::new(),
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
    // Links found on the way may lead to further ones.
    while let Some((place, file)) = walk.elsewhere.pop() {
        match file {
            None => walk.linked_directory(&place)?,
            Some(file) => walk.linked_file(&place, &file)?,
        }
    }
    let system: BTreeSet<&PathBuf> = layout.system_tablespaces.iter().collect();
    for entry in &mut walk.list.entries {
        entry.system_tablespace = system.contains(&entry.disk(&layout.datadir));
    }
    Ok(walk.list)
}

/// A directory outside the data directory and its folder in the archive.
#[derive(Debug, Clone)]
struct Place {
    variable: &'static str,
    root: PathBuf,
    stored: PathBuf,
}

impl Place {
    /// `many` roots of one variable are told apart by their own path.
    fn new(variable: &'static str, root: &Path, many: bool) -> Self {
        let mut stored = Path::new(EXTERNAL_PREFIX).join(variable);
        if many {
            stored.push(root.strip_prefix("/").unwrap_or(root));
        }
        Self { variable, root: root.to_path_buf(), stored }
    }

    fn path_and_origin(&self, disk: &Path) -> (ArchivePath, Origin) {
        let below = disk.strip_prefix(&self.root).unwrap_or(disk);
        let origin = Origin {
            variable: self.variable.to_owned(),
            root: ArchivePath::new(&self.root),
            path: ArchivePath::new(disk),
        };
        (ArchivePath::new(self.stored.join(below).components().collect::<PathBuf>()), origin)
    }
}

struct Walk<'a> {
    layout: &'a ServerLayout,
    binlogs: BinlogChoice,
    allow_rocksdb: bool,
    list: FileList,
    /// Directories (no file) and files that links point to.
    elsewhere: Vec<(Place, Option<PathBuf>)>,
    seen: BTreeSet<PathBuf>,
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

    /// A link is stored as it is; what it points to outside the data directory is stored as well.
    fn link(&mut self, path: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let target =
            fs::read_link(path).map_err(|cause| CaptureError::Read { path: path.to_path_buf(), cause })?;
        self.push(path, place, EntryKind::Symlink(target.clone().into()));
        let Ok(resolved) = fs::canonicalize(path) else {
            let text = format!("'{}' points to '{}', which is not there", path.display(), target.display());
            self.list.warnings.push(text);
            return Ok(());
        };
        if resolved.starts_with(&self.layout.datadir) {
            return Ok(());
        }
        if resolved.is_dir() {
            self.elsewhere.push((Place::new("symlink", &resolved, true), None));
        } else if let Some(parent) = resolved.parent() {
            self.elsewhere.push((Place::new("symlink", parent, true), Some(resolved.clone())));
        }
        Ok(())
    }

    /// An InnoDB link file: its text is the path of a tablespace (`DATA DIRECTORY`). The part of the
    /// path that both share, `<database>/<table>.ibd`, lies below the directory of the clause.
    fn isl(&mut self, path: &Path) {
        let Ok(text) = fs::read(path) else { return };
        let target = PathBuf::from(std::ffi::OsStr::from_bytes(text.trim_ascii()));
        let target = self.layout.datadir.join(target);
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
        self.elsewhere.push((Place::new("data_directory", root, true), Some(target.clone())));
    }

    fn linked_directory(&mut self, place: &Place) -> Result<(), CaptureError> {
        if !self.seen.insert(place.root.clone()) {
            return Ok(());
        }
        self.add_root(place)?;
        self.directory(&place.root, Some(place))
    }

    fn linked_file(&mut self, place: &Place, file: &Path) -> Result<(), CaptureError> {
        if !self.seen.insert(file.to_path_buf()) {
            return Ok(());
        }
        let mut above: Vec<&Path> =
            file.ancestors().skip(1).take_while(|path| path.starts_with(&place.root)).collect();
        above.reverse();
        for directory in above {
            if self.seen.insert(directory.to_path_buf()) {
                self.push(directory, Some(place), EntryKind::Directory);
            }
        }
        self.entry(file, Some(place))
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
            BinlogChoice::Newest => match binlog::newest(files).map_err(fail)? {
                Some((newest, index)) => (vec![newest], index),
                None => return Ok(()),
            },
            BinlogChoice::All => {
                let index = fs::read(&files.index).map_err(fail)?;
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
