//! What lies behind symbolic links and InnoDB's link files.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::class::FileClass;
use super::demand::Required;
use super::entry::EntryKind;
use super::error::CaptureError;
use super::objection::shown;
use super::outside_place::Place;
use super::walk::Walk;
use crate::regular_file;

/// More bytes than a link file of InnoDB has: one path.
const LONGEST_PATH: u64 = 64 << 10;

/// What is to be done about a link that leads nowhere.
const CURE: &str = "mount its file system, or remove what leads there if nothing uses it";

impl Walk<'_> {
    /// What a link points to outside the data directory is stored as well, and the link names that place without
    /// further links on the way, so that a restore can move both. One that stays inside is made relative: with the old
    /// absolute path it would lead from a restored data directory into the one of the donor.
    pub(super) fn link(&mut self, path: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        let target = match fs::read_link(path) {
            Ok(target) => target,
            // Tables are dropped.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(CaptureError::Read { path: path.to_path_buf(), cause }),
        };
        let may_be_data = FileClass::of(path).is_needed() || self.may_be_database(path, place);
        let resolved = match fs::canonicalize(path) {
            Ok(resolved) => resolved,
            Err(cause) => {
                self.leads_nowhere(path, &target, &cause, may_be_data);
                self.push(path, place, EntryKind::Symlink(target.into()));
                return Ok(());
            }
        };
        if let Ok(inside) = resolved.strip_prefix(&self.layout.datadir) {
            let text = match path.parent().and_then(|parent| parent.strip_prefix(&self.layout.datadir).ok()) {
                Some(folder) if target.is_absolute() => {
                    let up: PathBuf = folder.components().map(|_| "..").collect();
                    up.join(inside)
                }
                _ => target,
            };
            // The data directory itself is no entry of the list.
            if may_be_data && !inside.as_os_str().is_empty() {
                self.required.push(Required::new(resolved.clone(), format!("the link '{}'", shown(path))));
            }
            self.push(path, place, EntryKind::Symlink(text.into()));
            return Ok(());
        }
        self.push(path, place, EntryKind::Symlink(resolved.clone().into()));
        match fs::metadata(&resolved) {
            Ok(metadata) if metadata.is_dir() => {
                self.directories.push(Place::new("symlink", &resolved, true));
            }
            Ok(metadata) if metadata.is_file() => {
                if let Some(parent) = resolved.parent() {
                    self.files.push((Place::new("symlink", parent, true), resolved.clone()));
                }
                if may_be_data {
                    self.required
                        .push(Required::new(resolved.clone(), format!("the link '{}'", shown(path))));
                }
            }
            Ok(metadata) => self.special(path, &metadata),
            Err(cause) => self.leads_nowhere(path, &resolved, &cause, may_be_data),
        }
        Ok(())
    }

    /// mysqld encodes a dot in the name of a database.
    fn may_be_database(&self, path: &Path, place: Option<&Place>) -> bool {
        place.is_none()
            && path.parent() == Some(&self.layout.datadir)
            && path.file_name().is_some_and(|name| !name.as_bytes().contains(&b'.'))
    }

    fn leads_nowhere(&mut self, path: &Path, target: &Path, cause: &io::Error, may_be_data: bool) {
        let why = match cause.kind() {
            io::ErrorKind::NotFound => "which is not there".to_owned(),
            _ => format!("which cannot be reached ({cause})"),
        };
        let text = format!("'{}' points to '{}', {why}", shown(path), shown(target));
        if may_be_data {
            self.object(path, format!("{text}: {CURE}"));
        } else {
            self.list.warnings.push(text);
        }
    }

    /// An InnoDB link file: its text is the path of a tablespace (`DATA DIRECTORY`). The part of the
    /// path that both share, `<database>/<table>.ibd`, lies below the directory of the clause.
    pub(super) fn isl(&mut self, path: &Path) {
        // Where it cannot be read, that is told of it as of any other file.
        let Ok(text) = regular_file::read(path, LONGEST_PATH) else { return };
        let target = self.layout.entry(OsStr::from_bytes(text.trim_ascii()));
        let by = format!("'{}'", shown(path));
        if !target.is_file() {
            let text = format!("{by} names '{}', which is not there", shown(&target));
            // MariaDB removes the link file with the table, and when it discards the tablespace.
            if definition_of(path).is_file() {
                self.object(path, format!("{text}: {CURE}"));
            } else {
                self.list.warnings.push(format!("{text}; no table has it"));
            }
            return;
        }
        self.required.push(Required::new(target.clone(), by));
        if target.starts_with(&self.layout.datadir) {
            return;
        }
        let database = path.parent().and_then(Path::file_name);
        let above = target.parent().filter(|parent| parent.file_name() == database).and_then(Path::parent);
        let root = above.or_else(|| target.parent()).unwrap_or(Path::new("/"));
        self.files.push((Place::new("data_directory", root, true), target.clone()));
    }
}

/// The `.frm` file of the table to which an `.isl` file belongs; partitions have one together.
fn definition_of(isl: &Path) -> PathBuf {
    let stem = isl.file_stem().unwrap_or_default().as_bytes();
    let at = stem.windows(3).position(|part| part.eq_ignore_ascii_case(b"#P#")).unwrap_or(stem.len());
    let mut name = OsStr::from_bytes(&stem[..at]).to_owned();
    name.push(".frm");
    isl.with_file_name(name)
}
