//! Lists the files of a server: the data directory, what its links and `.isl` files point to, and the
//! directories of variables elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::OFlag;

use super::class::FileClass;
use super::demand::{Listed, Required};
use super::directory_entries::{look_at, names_in};
use super::engines;
use super::entry::{Entry, EntryKind, Look};
use super::error::CaptureError;
use super::files::FileList;
use super::layout::ServerLayout;
use super::objection::{Objection, left_out, shown, unreadable};
use super::outside_place::Place;
use super::rules::{Verdict, is_numbered_log, judge};
use crate::config::BinlogChoice;
use crate::model::ArchivePath;
use crate::regular_file;

/// How files are listed.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Which binary logs belong to the backup.
    pub binlogs: BinlogChoice,
    /// A server that starts on these files recovers, and so may want more of them.
    pub is_crashed: bool,
    /// Tables of engines that are not frozen are left out (`allow-rocksdb`).
    pub allow_unfrozen: bool,
    /// Directories of such engines, with the engine's name.
    pub unfrozen: Vec<(PathBuf, &'static str)>,
    /// Opens every file, to see whether this process may read it. That is for a server that runs.
    pub try_reading: bool,
    /// When to stop, with what there is then.
    pub until: Option<Instant>,
}

/// Lists everything that belongs to the backup.
pub fn list_files(layout: &ServerLayout, options: &ListOptions) -> Result<FileList, CaptureError> {
    let _rights = regular_file::owners_rights();
    let mut walk = Walk {
        layout,
        options,
        list: FileList::default(),
        directories: Vec::new(),
        files: Vec::new(),
        required: Vec::new(),
        walked: BTreeSet::new(),
        listed: BTreeSet::new(),
    };
    walk.directory(&layout.datadir, None)?;
    for external in &layout.externals {
        let many = layout.externals.iter().filter(|other| other.variable == external.variable).count() > 1;
        let place = Place::new(external.variable, &external.root, many);
        walk.add_root(&place);
        for file in &external.files {
            walk.entry(file, Some(&place))?;
        }
    }
    walk.binlogs()?;
    walk.links()?;
    walk.system_tablespaces();
    let Walk { mut list, required, .. } = walk;
    let listed = Listed::of(&list, &layout.datadir);
    let unlisted: Vec<Objection> =
        required.iter().filter(|required| !listed.has(&required.path)).map(Required::objection).collect();
    list.objections.extend(unlisted);
    Ok(list)
}

pub(super) struct Walk<'a> {
    pub(super) layout: &'a ServerLayout,
    pub(super) options: &'a ListOptions,
    pub(super) list: FileList,
    /// Directories that links point to, still to be walked.
    pub(super) directories: Vec<Place>,
    /// Files that links point to, still to be listed.
    pub(super) files: Vec<(Place, PathBuf)>,
    /// What must be in the list in the end.
    pub(super) required: Vec<Required>,
    /// Directories outside the data directory whose whole content is listed.
    walked: BTreeSet<PathBuf>,
    /// What is listed outside the data directory: files by where they really are, directories by their
    /// member path. Several links may lead to one file, and it must be stored once.
    listed: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    pub(super) fn object(&mut self, path: &Path, text: String) {
        self.list.objections.push(Objection { path: path.to_path_buf(), text });
    }

    /// The entries of a directory, by name.
    fn directory(&mut self, directory: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let paths = names_in(directory)
            .map_err(|cause| CaptureError::Read { path: directory.to_path_buf(), cause })?;
        self.entries(&paths, place)
    }

    fn entries(&mut self, paths: &[PathBuf], place: Option<&Place>) -> Result<(), CaptureError> {
        look_at(paths).try_for_each(|(path, found)| self.seen(path, found, place))
    }

    /// A directory below another one. One that this user may not enter is no database that the server could use; but it may
    /// have been one, so that it is left out only where it cannot be.
    fn folder(&mut self, path: &Path, place: Option<&Place>, relative: &Path) -> Result<(), CaptureError> {
        let paths = match names_in(path) {
            Ok(paths) => paths,
            // Databases are dropped.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) if relative.components().count() > 1 || is_hidden(path) => {
                self.list.warnings.push(left_out(path, &cause));
                return Ok(());
            }
            Err(cause) => {
                self.object(path, unreadable(path, &cause));
                return Ok(());
            }
        };
        self.push(path, place, EntryKind::Directory);
        self.entries(&paths, place)
    }

    fn entry(&mut self, path: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        self.seen(path, fs::symlink_metadata(path), place)
    }

    /// Of a path at which this was found.
    fn seen(
        &mut self,
        path: &Path,
        found: io::Result<Metadata>,
        place: Option<&Place>,
    ) -> Result<(), CaptureError> {
        if self.options.until.is_some_and(|until| Instant::now() >= until) {
            self.list.is_cut = true;
            return Ok(());
        }
        let metadata = match found {
            Ok(metadata) => metadata,
            // Log files come and go in a frozen server too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(CaptureError::Read { path: path.to_path_buf(), cause }),
        };
        let root = place.map_or(self.layout.datadir.as_path(), |place| place.root.as_path());
        let relative = path.strip_prefix(root).unwrap_or(path);
        // Elsewhere only the general rules hold: the special names are those of the data directory.
        let judged = if place.is_some() { Path::new("x").join(relative) } else { relative.to_path_buf() };
        let verdict = judge(self.layout, self.options.binlogs, path, &judged, metadata.is_dir());
        let unfrozen = self.options.unfrozen.iter().find(|(folder, _)| folder == path);
        match unfrozen.map_or(verdict, |(_, engine)| Verdict::Unfrozen(engine)) {
            Verdict::Leave => return Ok(()),
            Verdict::Unfrozen(engine) if self.options.allow_unfrozen => {
                self.list.warnings.push(engines::left_out(path, engine));
                return Ok(());
            }
            Verdict::Unfrozen(engine) => {
                return Err(CaptureError::Unfrozen { path: path.to_path_buf(), engine });
            }
            Verdict::Take => {}
        }
        if metadata.is_dir() {
            self.folder(path, place, relative)
        } else if metadata.is_symlink() {
            self.link(path, place)
        } else if metadata.is_file() {
            self.file(path, place, &metadata);
            Ok(())
        } else {
            self.special(path, &metadata);
            Ok(())
        }
    }

    fn file(&mut self, path: &Path, place: Option<&Place>, metadata: &Metadata) {
        let class = self.class(path);
        if !self.is_readable(path, class) {
            return;
        }
        if path.extension().is_some_and(|extension| extension == "isl") {
            self.isl(path);
        }
        self.push_file(path, place, metadata, class);
    }

    /// Binary logs are known by their variable.
    fn class(&self, path: &Path) -> FileClass {
        if is_numbered_log(self.layout, path) { FileClass::Data } else { FileClass::of(path) }
    }

    /// Tries to open a file, where that is wanted. One that cannot be read is left out where it is none of the server's.
    pub(super) fn is_readable(&mut self, path: &Path, class: FileClass) -> bool {
        if !self.options.try_reading {
            return true;
        }
        // No pipe that takes the file's place meanwhile holds us up.
        let opened = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        match opened {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(cause) if class.is_needed() => {
                self.object(path, unreadable(path, &cause));
                true
            }
            Err(cause) => {
                self.list.warnings.push(left_out(path, &cause));
                false
            }
        }
    }

    /// Sockets, pipes and devices are not data, whatever they are called; under the name of a table they stand for one.
    pub(super) fn special(&mut self, path: &Path, metadata: &Metadata) {
        let class = FileClass::of(path);
        let what = if metadata.file_type().is_socket() { "socket" } else { "pipe or a device" };
        if class.is_needed() {
            let text = format!(
                "'{}' is a {what} under the name of a table's file, and cannot be backed up: move it away",
                shown(path)
            );
            self.object(path, text);
        } else if class == FileClass::Other && !metadata.file_type().is_socket() {
            self.list.warnings.push(format!("'{}' is a {what} and no file: it is left out", shown(path)));
        }
    }

    /// Follows the links, which may lead to further ones. Whole directories first: a file in one of them
    /// is listed with it, and a single file must not stand for the directory it lies in.
    fn links(&mut self) -> Result<(), CaptureError> {
        loop {
            if let Some(place) = self.directories.pop() {
                if self.walked.insert(place.root.clone()) && self.add_root(&place) {
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

    /// False where it may not be read.
    pub(super) fn add_root(&mut self, place: &Place) -> bool {
        if let Err(cause) = fs::read_dir(&place.root) {
            self.object(&place.root.clone(), unreadable(&place.root, &cause));
            return false;
        }
        self.push(&place.root.clone(), Some(place), EntryKind::Directory);
        true
    }

    /// Marks the files of `innodb_data_file_path`, also those behind a link, which is none itself.
    fn system_tablespaces(&mut self) {
        let named = &self.layout.system_tablespaces;
        let real = named.iter().filter_map(|path| fs::canonicalize(path).ok());
        let wanted: BTreeSet<PathBuf> = named.iter().cloned().chain(real).collect();
        for entry in &mut self.list.entries {
            entry.system_tablespace = matches!(entry.kind, EntryKind::File(_))
                && wanted.contains(&entry.belongs(&self.layout.datadir));
            if entry.system_tablespace {
                entry.class = FileClass::Data;
            }
        }
        let required = named.iter().map(|path| Required::new(path.clone(), "innodb_data_file_path"));
        self.required.extend(required);
    }

    pub(super) fn push_file(
        &mut self,
        disk: &Path,
        place: Option<&Place>,
        metadata: &Metadata,
        class: FileClass,
    ) {
        if self.push_as(disk, place, EntryKind::File(Look::of(metadata)), class) {
            self.list.bytes += metadata.len();
            self.list.stored += metadata.len().min(metadata.blocks().saturating_mul(512));
        }
    }

    pub(super) fn push(&mut self, disk: &Path, place: Option<&Place>, kind: EntryKind) {
        self.push_as(disk, place, kind, FileClass::Other);
    }

    /// False for what is listed already.
    fn push_as(&mut self, disk: &Path, place: Option<&Place>, kind: EntryKind, class: FileClass) -> bool {
        let (path, origin) = match place {
            Some(place) => {
                let (path, origin) = place.path_and_origin(disk);
                let key = match kind {
                    EntryKind::Directory => path.as_path().to_path_buf(),
                    _ => Self::real(disk),
                };
                if !self.listed.insert(key) {
                    return false;
                }
                (path, Some(Box::new(origin)))
            }
            None => (ArchivePath::new(disk.strip_prefix(&self.layout.datadir).unwrap_or(disk)), None),
        };
        self.list.entries.push(Entry { path, kind, origin, system_tablespace: false, class });
        true
    }
}

/// A hidden directory at the top is no database: mysqld encodes a dot.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
