//! The server's files in a snapshot of its volumes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::class::FileClass;
use super::super::copy::Contents;
use super::super::entry::{Entry, EntryKind, Look};
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::objection::shown;
use super::super::resolve::is_same_entry;
use super::super::source::{CopyFacts, Opened, check_unchanged};
use super::super::standstill::looks_alike;
use crate::quiesce::Files;
use crate::volume_snapshot::{SnapshotError, SnapshotMounts};

/// The directories in which a server has files, as the list spells them, and without links.
pub(super) struct LiveRoots(BTreeMap<PathBuf, PathBuf>);

impl LiveRoots {
    /// Of the files of this list. A volume that is mounted inside another one is one more.
    pub(super) fn of(list: &FileList, datadir: &Path) -> Result<Self, CaptureError> {
        let mut roots = BTreeMap::new();
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        for entry in list.entries.iter().filter(|entry| entry.kind == EntryKind::Directory) {
            let disk = entry.belongs(datadir);
            if disk.parent().is_some_and(|above| device(above) != device(&disk))
                && let Ok(real) = fs::canonicalize(&disk)
            {
                roots.insert(disk, real);
            }
        }
        for root in list.entries.iter().map(|entry| root(entry, datadir)).chain([datadir]) {
            if !roots.contains_key(root) {
                let real = fs::canonicalize(root)
                    .map_err(|cause| CaptureError::Read { path: root.to_owned(), cause })?;
                roots.insert(root.to_owned(), real);
            }
        }
        Ok(Self(roots))
    }

    /// Each once, without links, the data directory first.
    pub(super) fn directories(&self, datadir: &Path) -> Vec<PathBuf> {
        let mut all = vec![datadir.to_owned()];
        for real in self.0.values() {
            if !all.contains(real) {
                all.push(real.clone());
            }
        }
        all
    }
}

fn root<'a>(entry: &'a Entry, datadir: &'a Path) -> &'a Path {
    entry.origin.as_ref().map_or(datadir, |origin| origin.root.as_path())
}

/// A snapshot in which the files of a list are.
pub(super) struct Mounted<'a> {
    list: &'a FileList,
    datadir: &'a Path,
    worth: Files,
    /// Where each root is, and on which device.
    places: BTreeMap<PathBuf, (PathBuf, u64)>,
    /// The number of the redo log, and what it was when it was looked at first.
    redo: OnceCell<(usize, Metadata)>,
}

impl<'a> Mounted<'a> {
    /// Of mounts that were admitted.
    pub(super) fn new(
        list: &'a FileList,
        datadir: &'a Path,
        worth: Files,
        roots: LiveRoots,
        mounts: &SnapshotMounts,
    ) -> Result<Self, CaptureError> {
        let mut places = BTreeMap::new();
        for (spelt, real) in roots.0 {
            let place = mounts.place(&real).unwrap_or_default();
            let look = |path: &Path| {
                fs::metadata(path).map_err(|cause| CaptureError::Read { path: path.to_owned(), cause })
            };
            let (found, own) = (look(&place)?, look(&real)?);
            if found.ino() != own.ino() {
                let text = format!(
                    "snapshot-command: '{}' is another directory than '{}': a copy, an empty folder, or of another volume",
                    place.display(),
                    shown(&real)
                );
                return Err(SnapshotError::Command(text).into());
            }
            places.insert(spelt, (place, found.dev()));
        }
        Ok(Self { list, datadir, worth, places, redo: OnceCell::new() })
    }

    /// An error where the system tablespace there is not that of this server, or not as it stands still. Cheap: it is asked while it does. The other
    /// files are looked at when they are read.
    pub(super) fn admit(&self, system_tablespaces: &[PathBuf]) -> Result<(), CaptureError> {
        for (number, entry) in self.list.entries.iter().enumerate() {
            let live = entry.belongs(self.datadir);
            if !entry.system_tablespace || !system_tablespaces.iter().any(|path| is_same_entry(path, &live)) {
                continue;
            }
            let refused =
                |why: String| SnapshotError::Command(format!("snapshot-command: '{}' {why}", shown(&live)));
            let found =
                self.open(number, entry).map_err(|error| refused(format!("in the snapshot: {error}")))?;
            let own =
                fs::metadata(&live).map_err(|cause| CaptureError::Read { path: live.clone(), cause })?;
            if found.metadata.ino() != own.ino() {
                let text =
                    "is another file in what it says is a snapshot: that is a copy, or of another volume";
                return Err(refused(text.into()).into());
            }
        }
        Ok(())
    }

    fn place(&self, entry: &Entry) -> io::Result<(PathBuf, u64)> {
        let disk = entry.belongs(self.datadir);
        let found =
            disk.ancestors().find_map(|above| self.places.get(above).zip(disk.strip_prefix(above).ok()));
        let ((place, device), below) =
            found.ok_or_else(|| io::Error::other("it has no place in the snapshot"))?;
        Ok((if below.as_os_str().is_empty() { place.clone() } else { place.join(below) }, *device))
    }

    /// The redo log, which is this entry, for whoever sees to it that it is of the right moment. From here on it has to stay as it is: a server writes to it before it writes to any
    /// table, so that what it does to the files of a snapshot that is none is seen there, whatever file it does it to.
    pub(super) fn redo_log(&self, number: usize) -> io::Result<Arc<fs::File>> {
        let opened = self.open(number, self.entry(number)?)?;
        self.redo.get_or_init(|| (number, opened.metadata));
        Ok(opened.file)
    }

    /// An error where that log has changed since.
    pub(super) fn check_redo_log(&self) -> Result<(), CaptureError> {
        let Some((number, before)) = self.redo.get() else { return Ok(()) };
        let look = || {
            let (path, _) = self.place(self.entry(*number)?)?;
            check_unchanged(before, &fs::metadata(path)?)
        };
        look().map_err(|cause| CaptureError::Read {
            path: self.list.entries[*number].belongs(self.datadir),
            cause,
        })
    }

    fn entry(&self, number: usize) -> io::Result<&Entry> {
        self.list.entries.get(number).ok_or_else(|| io::Error::other("there is no such entry"))
    }
}

/// A volume that is mounted inside of another one is not in that one's snapshot; and an administrator may have removed it while it is read.
fn missing() -> io::Error {
    io::Error::other(
        "it is not in the snapshot (which was removed meanwhile, or does not hold a volume that is mounted inside: that needs one of its own)",
    )
}

impl Contents for Mounted<'_> {
    fn open(&self, number: usize, entry: &Entry) -> io::Result<Opened> {
        let (path, device) = self.place(entry)?;
        let mut opened = Opened::live(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound if entry.class == FileClass::Data => missing(),
            _ => error,
        })?;
        // A link in it would lead to the server's own files.
        if opened.metadata.dev() != device {
            return Err(missing());
        }
        if let (EntryKind::File(seen), Files::Clean) = (&entry.kind, self.worth)
            && !looks_alike(entry, seen, &Look::of(&opened.metadata), self.list, &path)
        {
            return Err(io::Error::other(
                "in the snapshot it is not as it was while the server stood still: the snapshot is not of that moment",
            ));
        }
        if let Some((_, before)) = self.redo.get().filter(|(redo, _)| *redo == number) {
            check_unchanged(before, &opened.metadata)?;
        }
        let known = self.list.tablespaces.as_ref();
        let listed = known.and_then(|known| known.lists(entry, &path, &opened.metadata));
        opened.copy = Some(CopyFacts { listed, is_mounted: true });
        Ok(opened)
    }

    fn metadata(&self, _: usize, entry: &Entry) -> io::Result<Metadata> {
        let (path, _) = self.place(entry)?;
        match entry.kind {
            EntryKind::Symlink(_) => fs::symlink_metadata(path),
            _ => fs::metadata(path),
        }
    }
}
