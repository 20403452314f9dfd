//! Reads the listed files into an archive, from wherever their content is.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::class::FileClass;
use super::entry::{Entry, EntryKind, Look};
use super::error::CaptureError;
use super::files::FileList;
use super::objection::{left_out, shown};
use super::redo_log::LiveSource;
use super::source::{FileSource, Opened};
use super::standstill;
use super::watch::Watch;
use crate::archive::{FileContent, NewMember};
use crate::model::ArchivePath;
use crate::output::Writer;
use crate::users::{group_name, user_name};

/// Where the content of a list's files is read. Where they belong is a matter of the list ([`Entry::belongs`]).
pub(super) trait Contents {
    /// Opens the file of the entry with this number in the list.
    fn open(&self, number: usize, entry: &Entry) -> io::Result<Opened>;

    /// Of the entry with this number, which is no file that is opened.
    fn metadata(&self, number: usize, entry: &Entry) -> io::Result<Metadata>;

    /// The member that it becomes.
    fn member(&self, _: usize, member: NewMember) -> NewMember {
        member
    }
}

/// Where the server has them.
pub(super) struct Live<'a> {
    /// The data directory.
    pub(super) datadir: &'a Path,
}

impl Contents for Live<'_> {
    fn open(&self, _: usize, entry: &Entry) -> io::Result<Opened> {
        Opened::live(&entry.belongs(self.datadir))
    }

    fn metadata(&self, _: usize, entry: &Entry) -> io::Result<Metadata> {
        metadata(entry, self.datadir)
    }
}

/// Of a directory, of a link itself, or of a file that is not opened.
pub(super) fn metadata(entry: &Entry, datadir: &Path) -> io::Result<Metadata> {
    let disk = entry.belongs(datadir);
    match entry.kind {
        EntryKind::Symlink(_) => std::fs::symlink_metadata(disk),
        _ => std::fs::metadata(disk),
    }
}

/// What came of reading the files.
pub(super) struct Copied {
    /// Files that were there when the list was made and gone when they were to be read.
    pub(super) vanished: u64,
    /// Files that are not the server's data and changed, or could not be read.
    pub(super) warnings: Vec<String>,
    /// Of a redo log that is not stored as a whole; it is in memory, so that this needs the server no more.
    redo: Option<(NewMember, LiveSource)>,
}

impl Copied {
    /// Of nothing.
    pub(super) fn nothing() -> Self {
        Self { vanished: 0, warnings: Vec::new(), redo: None }
    }

    /// Stores what was left for when the server runs again.
    pub(super) fn store_rest(&mut self, archive: &mut Writer) -> Result<(), CaptureError> {
        if let Some((member, live)) = self.redo.take() {
            live.store(member, archive)?;
        }
        Ok(())
    }
}

/// Copies a list of files.
pub(super) struct Copier<'a> {
    pub(super) list: &'a FileList,
    pub(super) datadir: &'a Path,
    pub(super) contents: &'a dyn Contents,
    /// Told how many bytes were read; its error ends the copy.
    pub(super) count: &'a dyn Fn(u64) -> io::Result<()>,
    pub(super) watch: &'a Watch,
    /// Which entries are wanted, by their numbers.
    pub(super) part: &'a dyn Fn(usize) -> bool,
}

impl Copier<'_> {
    /// Writes every file that is wanted to the archive, but for what [`Copied::store_rest`] stores.
    pub(super) fn copy(&self, archive: &mut Writer) -> Result<Copied, CaptureError> {
        let mut copied = Copied::nothing();
        let mut names = OwnerNames::default();
        for (number, entry) in self.list.entries.iter().enumerate() {
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            if !(self.part)(number) {
                continue;
            }
            match self.append(number, entry, archive, &mut names) {
                Ok(Fate::Stored) => {}
                Ok(Fate::Held(redo)) => copied.redo = Some(*redo),
                Ok(Fate::Changed) => copied.warnings.push(format!(
                    "'{}' changed while it was read; it is no file of the server's, and stored as it was read",
                    shown(entry.path.as_path())
                )),
                Err(CaptureError::Read { path, cause }) if cause.kind() == io::ErrorKind::NotFound => {
                    if entry.class == FileClass::Data {
                        return Err(standstill::vanished(entry, self.datadir));
                    }
                    log::info!("'{}' is gone since the files were listed; it is left out", shown(&path));
                    copied.vanished += 1;
                }
                Err(CaptureError::Unopened { path, cause }) => {
                    copied.warnings.push(left_out(&path, &cause));
                }
                // A read that the watch has stopped is no error of the file.
                Err(error) => return Err(self.watch.aborted().map_or(error, CaptureError::from)),
            }
        }
        Ok(copied)
    }

    fn append(
        &self,
        number: usize,
        entry: &Entry,
        archive: &mut Writer,
        names: &mut OwnerNames,
    ) -> Result<Fate, CaptureError> {
        let Self { list, datadir, contents, .. } = *self;
        let disk = entry.belongs(datadir);
        let fail = |cause| CaptureError::Read { path: disk.clone(), cause };
        let plain = |names: &mut OwnerNames| {
            contents.metadata(number, entry).map(|metadata| member(entry, &metadata, names)).map_err(fail)
        };
        match &entry.kind {
            EntryKind::File(seen) => {
                let failed = |cause: io::Error| match cause.kind() {
                    io::ErrorKind::NotFound => fail(cause),
                    _ if entry.class.is_needed() => fail(cause),
                    _ => CaptureError::Unopened { path: disk.clone(), cause },
                };
                let opened = contents.open(number, entry).map_err(failed)?;
                if list.trims_redo
                    && entry.is_redo_log()
                    && let Some(live) = LiveSource::of(&opened, entry)
                {
                    opened.check_snapshot().map_err(fail)?;
                    (self.count)(live.stored()).map_err(fail)?;
                    let member = member(entry, live.metadata(), names);
                    return Ok(Fate::Held(Box::new((member, live))));
                }
                let mut source = FileSource::new(opened, self.count).map_err(failed)?;
                let mut member = contents.member(number, member(entry, source.metadata(), names));
                member.listed = if let Some(copy) = source.of_copy() {
                    copy.listed
                } else {
                    standstill::compare(entry, seen, &Look::of(source.metadata()), list, datadir)?;
                    let known = list.tablespaces.as_ref();
                    known.and_then(|known| known.lists(entry, &disk, source.metadata()))
                };
                let (size, segments) = (source.metadata().len(), source.segments());
                archive.append_file(member, size, segments.as_deref(), &mut source)?;
                source.check_snapshot().map_err(fail)?;
                if source.changed() {
                    match entry.class {
                        FileClass::Data => {
                            let now = standstill::look(&disk).map_err(fail)?;
                            standstill::compare(entry, seen, &now, list, datadir)?;
                            if now == *seen {
                                return Err(CaptureError::NotStill { path: disk, how: "was replaced" });
                            }
                        }
                        FileClass::Other => return Ok(Fate::Changed),
                        FileClass::Moving | FileClass::Log => {}
                    }
                }
            }
            EntryKind::Directory => archive.append_directory(plain(names)?)?,
            EntryKind::Symlink(target) => archive.append_symlink(plain(names)?, ArchivePath::new(target))?,
            EntryKind::Generated(content) => archive.append_generated(plain(names)?, content)?,
        }
        Ok(Fate::Stored)
    }
}

/// What came of an entry.
enum Fate {
    Stored,
    /// It is the redo log, and in memory.
    Held(Box<(NewMember, LiveSource)>),
    /// It changed while it was read, and may.
    Changed,
}

/// The member of an entry.
pub(super) fn member(entry: &Entry, metadata: &Metadata, names: &mut OwnerNames) -> NewMember {
    NewMember {
        path: entry.path.clone(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        user: names.user(metadata.uid()),
        group: names.group(metadata.gid()),
        mtime: metadata.mtime(),
        mtime_nsec: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        system_tablespace: entry.system_tablespace,
        origin: entry.origin.as_deref().cloned(),
        listed: None,
        place: None,
    }
}

/// Names that were looked up before: nearly every file has the same owner.
#[derive(Default)]
pub(super) struct OwnerNames {
    user: Option<(u32, Option<String>)>,
    group: Option<(u32, Option<String>)>,
}

impl OwnerNames {
    fn user(&mut self, uid: u32) -> Option<String> {
        cached(&mut self.user, uid, user_name)
    }

    fn group(&mut self, gid: u32) -> Option<String> {
        cached(&mut self.group, gid, group_name)
    }
}

fn cached(
    cache: &mut Option<(u32, Option<String>)>,
    id: u32,
    look_up: fn(u32) -> Option<String>,
) -> Option<String> {
    match cache {
        Some((known, name)) if *known == id => name.clone(),
        _ => {
            let name = look_up(id);
            *cache = Some((id, name.clone()));
            name
        }
    }
}
