//! The method `freeze`: the server stands still, its files are read, it runs again.

use std::cell::Cell;
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::class::FileClass;
use super::error::CaptureError;
use super::files::{Entry, EntryKind, FileList, Look, left_out, shown};
use super::source::FileSource;
use super::still;
use super::watch::Watch;
use crate::archive::{ArchiveError, ArchiveWriter, NewMember, Source};
use crate::quiesce::{Quiet, Resumed};
use crate::throttle::Limiter;
use crate::users::{group_name, user_name};

/// Bytes between two `complete` lines, where mysqld wants them.
const COMPLETE_EVERY: u64 = 64 << 20;

/// What came of reading the files.
#[derive(Debug)]
pub struct Captured {
    /// The server, which runs again.
    pub resumed: Resumed,
    /// Files that were there when the list was made and gone when they were to be read.
    pub vanished: u64,
    /// Files that are not the server's data and changed, or could not be read.
    pub warnings: Vec<String>,
}

/// Writes every listed file to the archive, read no faster than the limit, sees whether the server's own have stood still,
/// then lets the server run. On an error it runs as well, because the [`Quiet`] is dropped.
pub fn copy_frozen<W, I>(
    frozen: Box<dyn Quiet>,
    datadir: &Path,
    list: &FileList,
    archive: &mut ArchiveWriter<W, I>,
    watch: &Watch,
    limiter: &Limiter,
) -> Result<Captured, CaptureError>
where
    W: Write + Send + 'static,
    I: Write + Send + 'static,
{
    let mut vanished = 0;
    let mut warnings = Vec::new();
    let told = Cell::new(0);
    // Also within a file: a server may have its data in one.
    let count = |bytes| {
        watch.read(bytes)?;
        limiter.take(bytes);
        if watch.bytes() >= told.get() + COMPLETE_EVERY {
            told.set(watch.bytes());
            frozen.complete(watch.bytes().min(list.bytes));
        }
        Ok(())
    };
    let mut names = OwnerNames::default();
    frozen.total(list.bytes);
    for entry in &list.entries {
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        match append(entry, list, datadir, archive, &count, &mut names) {
            Ok(Fate::Stored) => {}
            Ok(Fate::Changed) => warnings.push(format!(
                "'{}' changed while it was read; it is no file of the server's, and stored as it was read",
                shown(entry.path.as_path())
            )),
            Err(CaptureError::Read { path, cause }) if cause.kind() == io::ErrorKind::NotFound => {
                if entry.class == FileClass::Data {
                    return Err(still::vanished(entry, datadir));
                }
                log::info!("'{}' is gone since the files were listed; it is left out", shown(&path));
                vanished += 1;
            }
            Err(CaptureError::Unopened { path, cause }) => {
                warnings.push(left_out(&path, &cause));
            }
            // A read that the watch has stopped is no error of the file.
            Err(error) => return Err(watch.aborted().map_or(error, CaptureError::from)),
        }
    }
    // Also those that were read early: only now it is certain that nothing has written to them meanwhile.
    still::stood_still(list, datadir, watch)?;
    frozen.complete(list.bytes);
    match frozen.resume() {
        Ok(resumed) => Ok(Captured { resumed, vanished, warnings }),
        // Only the watch can have been first, and it says why.
        Err(frozen) => {
            let reason = watch.aborted();
            drop(frozen);
            Err(reason.map_or_else(
                || {
                    CaptureError::Archive(ArchiveError::Write(io::Error::other(
                        "the server was thawed too early",
                    )))
                },
                CaptureError::from,
            ))
        }
    }
}

/// What came of an entry.
enum Fate {
    Stored,
    /// It changed while it was read, and may.
    Changed,
}

fn append<W, I>(
    entry: &Entry,
    list: &FileList,
    datadir: &Path,
    archive: &mut ArchiveWriter<W, I>,
    count: &dyn Fn(u64) -> io::Result<()>,
    names: &mut OwnerNames,
) -> Result<Fate, CaptureError>
where
    W: Write + Send + 'static,
    I: Write + Send + 'static,
{
    let disk = entry.disk(datadir);
    let fail = |cause| CaptureError::Read { path: disk.clone(), cause };
    match &entry.kind {
        EntryKind::File(seen) => {
            let mut source = FileSource::open(&disk, count).map_err(|cause| match cause.kind() {
                io::ErrorKind::NotFound => fail(cause),
                _ if entry.class.is_needed() => fail(cause),
                _ => CaptureError::Unopened { path: disk.clone(), cause },
            })?;
            still::compare(entry, seen, &Look::of(source.metadata()), list, datadir)?;
            let mut member = member(entry, source.metadata(), names);
            member.listed =
                list.tablespaces.as_ref().and_then(|known| known.lists(entry, &disk, source.metadata()));
            let (size, segments) = (source.metadata().len(), source.segments());
            archive.append_file(member, size, segments.as_deref(), &mut source)?;
            if source.changed() {
                match entry.class {
                    FileClass::Data => {
                        let now = still::look(&disk).map_err(fail)?;
                        still::compare(entry, seen, &now, list, datadir)?;
                        if now == *seen {
                            return Err(CaptureError::NotStill { path: disk, how: "was replaced" });
                        }
                    }
                    FileClass::Other => return Ok(Fate::Changed),
                    FileClass::Moving | FileClass::Log => {}
                }
            }
        }
        EntryKind::Directory => {
            let metadata = std::fs::metadata(&disk).map_err(fail)?;
            archive.append_directory(member(entry, &metadata, names))?;
        }
        EntryKind::Symlink(target) => {
            let metadata = std::fs::symlink_metadata(&disk).map_err(fail)?;
            archive
                .append_symlink(member(entry, &metadata, names), crate::model::ArchivePath::new(target))?;
        }
        EntryKind::Generated(content) => {
            let metadata = std::fs::metadata(&disk).map_err(fail)?;
            archive.append_generated(member(entry, &metadata, names), content)?;
        }
    }
    Ok(Fate::Stored)
}

fn member(entry: &Entry, metadata: &Metadata, names: &mut OwnerNames) -> NewMember {
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
    }
}

/// Names that were looked up before: nearly every file has the same owner.
#[derive(Default)]
struct OwnerNames {
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
