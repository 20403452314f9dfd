//! Writes what differs, in the order of the archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::UnlinkatFlags;

use super::archive_check::{damaged, read_part};
use super::compare::{Fates, LocalFate};
use super::differences::write_differing;
use super::local_file::{LocalLook, rename};
use super::read_pieces::ReadPiece;
use super::stash::Stash;
use crate::archive::DataPart;
use crate::model::{Member, MemberKind};
use crate::restore::MemberWriter;
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, SystemError};
use crate::restore::file_systems::let_go;
use crate::restore::patch::{HOLE, punch};
use crate::restore::start_file::{StartFileGuard, hidden, sync_folder_of};
use crate::restore::undo_log::{UndoLog, finish_directory, finish_open, remove};
use crate::restore::write::{WriteError, reserve, write_member};

/// Bytes looked at at once for zeros.
const CHUNK: usize = 256 << 10;

/// Writes into the data directory.
pub(super) struct Replacement<'a> {
    pub(super) writer: MemberWriter<'a>,
    pub(super) places: &'a Destinations,
    pub(super) fates: &'a Fates,
    pub(super) guard: &'a StartFileGuard,
    /// The files that a server would lock while they are replaced: each is there till the end, and the new one beside it.
    pub(super) late: BTreeSet<PathBuf>,
    /// The file whose parts are written.
    pub(super) open: Option<(u64, PathBuf, File)>,
    /// Of the files that stay those that this run has changed, by their places in the stream.
    pub(super) written: BTreeSet<u64>,
}

impl Replacement<'_> {
    fn place(&self, member: &Member) -> PathBuf {
        let place = self.places.of(member).unwrap_or_default();
        let is_late = self.late.contains(&place)
            && !matches!(self.fates.get(&member.header_offset), Some(LocalFate::Stays { .. }));
        if is_late { hidden(&place) } else { self.guard.hidden_place(&place) }
    }

    fn check_interrupted(&self) -> Result<(), RestoreError> {
        let is = self.writer.control.interrupted.load(Ordering::Relaxed);
        if is { Err(RestoreError::interrupted()) } else { Ok(()) }
    }

    /// Directories and links, and the sizes of files that stay. A directory comes before what is in it.
    pub(super) fn prepare(&mut self, created: &mut UndoLog) -> Result<(), RestoreError> {
        let index = self.writer.index;
        // What an interrupted one has left.
        self.late.iter().try_for_each(|place| clear(&hidden(place)))?;
        for member in index.members.iter().filter(|member| !self.places.is_passed_over(member)) {
            self.check_interrupted()?;
            if self.places.of(member).is_none() {
                continue;
            }
            let place = self.place(member);
            match (member.kind, self.fates.get(&member.header_offset)) {
                (MemberKind::Directory, _) => {
                    let is_other = std::fs::symlink_metadata(&place).is_ok_and(|found| !found.is_dir());
                    if is_other && member.origin.is_none() {
                        clear(&place)?;
                    }
                    self.make(member, &place, created)?;
                }
                (MemberKind::Symlink, _) => {
                    clear(&place)?;
                    self.make(member, &place, created)?;
                }
                (_, Some(LocalFate::Stays { look, data, .. })) => {
                    let is_changed = self.keep(member, &place, *look, *data)?;
                    if is_changed {
                        self.written.insert(member.header_offset);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What needs no byte of the archive.
    fn make(&self, member: &Member, place: &Path, created: &mut UndoLog) -> Result<(), RestoreError> {
        let made =
            write_member(&mut io::empty(), member, place, false, self.places, self.writer.control, created);
        match made {
            Ok(_) => Ok(()),
            Err(WriteError::System(error)) => Err(error.into()),
            Err(_) => Err(damaged(&self.writer, member, "a link without target".into())),
        }
    }

    /// Size and holes of a file that stays are what they are after a usual restore; what is to be written into it comes later. Whether that
    /// has changed it.
    fn keep(
        &mut self,
        member: &Member,
        place: &Path,
        look: LocalLook,
        data: Option<u64>,
    ) -> Result<bool, RestoreError> {
        let file = self.unchanged(member, place, look)?;
        let stored = self.writer.index.stored(member);
        let failed = SystemError::of("write", place);
        let mut is_changed = false;
        // Behind what is stored are zeros, but for pages that come later.
        for size in [stored.size.min(member.size), member.size] {
            if file.metadata().map_err(&failed)?.len() != size && (size == member.size || size < look.size) {
                file.set_len(size).map_err(&failed)?;
                is_changed = true;
            }
        }
        match data {
            Some(data) if look.allocated > data => {
                let interrupted = self.writer.control.interrupted;
                let is_done = punch_zeros(&file, member.size, interrupted).map_err(&failed)?;
                is_done.then_some(()).ok_or_else(RestoreError::interrupted)?;
                is_changed = true;
            }
            None if !stored.sparse && look.allocated < member.size => {
                reserve(&file, stored.size.min(member.size)).map_err(&failed)?;
                is_changed = true;
            }
            _ => {}
        }
        let pages = self.writer.index.patches(member).count();
        if pages > 0 {
            self.writer.patched.insert(member.header_offset, (look.id(), pages));
        }
        if is_changed {
            let_go(file, place)?;
        }
        Ok(is_changed)
    }

    /// A file as it was when it was compared. The system tablespace has got another name since, which its own clock tells, too.
    fn unchanged(&self, member: &Member, place: &Path, look: LocalLook) -> Result<File, SystemError> {
        let is_start = self.places.of(member).as_deref() == self.places.start_file();
        let file = if is_start { look.reopen_renamed(place) } else { look.reopen(place) };
        file.map_err(SystemError::of("open", place))
    }

    /// Reads one thing, and writes it.
    pub(super) fn piece(&mut self, piece: &ReadPiece<'_>, created: &mut UndoLog) -> Result<(), RestoreError> {
        self.check_interrupted()?;
        match piece {
            ReadPiece::Anew(member) => {
                let place = self.place(member);
                clear(&place)?;
                self.writer.member(member, &place, created)
            }
            ReadPiece::Part(member, part) => self.part(member, part),
            ReadPiece::Pages(member, pages) => {
                let place = self.place(member);
                self.written.insert(member.header_offset);
                self.writer.pages(member, pages, &place)
            }
        }
    }

    /// Writes what was kept of the first reading.
    pub(super) fn stashed(&mut self, stash: &Stash<'_>) -> Result<(), RestoreError> {
        stash.each(|member, at, bytes| {
            self.check_interrupted()?;
            let write = |file: &File| file.write_all_at(bytes, at).map(|()| bytes.len() as u64);
            self.write(member, write)
        })
    }

    /// A part of a file: it is compared with its digest before a byte is written, and only what differs is.
    fn part(&mut self, member: &Member, part: &DataPart) -> Result<(), RestoreError> {
        let mut bytes = Vec::new();
        read_part(&mut self.writer, member, part, &mut bytes)?;
        self.write(member, |file| write_differing(file, part.from, part.wanted(member, &bytes)))
    }

    /// Writes to a file that stays, by a function that says how many bytes it has written.
    fn write(
        &mut self,
        member: &Member,
        write: impl FnOnce(&File) -> io::Result<u64>,
    ) -> Result<(), RestoreError> {
        let place = self.place(member);
        if self.open.as_ref().is_some_and(|(offset, ..)| *offset != member.header_offset) {
            self.let_go_of_open()?;
        }
        let file = match self.open.take() {
            Some((.., file)) => file,
            None => self.reopen(member, &place)?,
        };
        let written = write(&file).map_err(SystemError::of("write", &place))?;
        self.open = Some((member.header_offset, place, file));
        self.writer.control.limiter.take(written);
        if written > 0 {
            self.written.insert(member.header_offset);
        }
        Ok(())
    }

    /// Nothing more is written to the file that is open.
    fn let_go_of_open(&mut self) -> Result<(), SystemError> {
        self.open.take().map_or(Ok(()), |(_, place, file)| let_go(file, &place))
    }

    /// The file that was looked at, and no other.
    fn reopen(&self, member: &Member, place: &Path) -> Result<File, SystemError> {
        let failed = SystemError::of("open", place);
        let Some(LocalFate::Stays { look, .. }) = self.fates.get(&member.header_offset) else {
            return Err(failed(ErrorKind::NotFound.into()));
        };
        look.reopen_written(place).map_err(failed)
    }

    /// Mode, owner and time of everything, and that nobody else has written to what this run has not; those of directories last, since every file in them has changed them.
    pub(super) fn finish(&mut self, created: &UndoLog) -> Result<(), RestoreError> {
        self.let_go_of_open()?;
        let members = &self.writer.index.members;
        let written =
            |member: &&Member| !self.places.is_passed_over(member) && self.places.of(member).is_some();
        for member in members.iter().filter(written) {
            if let Some(LocalFate::Stays { look, .. }) = self.fates.get(&member.header_offset) {
                let place = self.place(member);
                let file = if self.written.contains(&member.header_offset) {
                    look.reopen_written(&place).map_err(SystemError::of("open", &place))?
                } else {
                    self.unchanged(member, &place, *look)?
                };
                if !self.is_finished(&file, member) {
                    finish_open(&file, member, &place, self.places)?;
                    let_go(file, &place)?;
                }
            }
        }
        for member in
            members.iter().rev().filter(written).filter(|member| member.kind == MemberKind::Directory)
        {
            let place = self.place(member);
            if member.origin.is_none() {
                finish_directory(member, &place, self.places)?;
            } else {
                created.finish(member, &place, self.places)?;
            }
        }
        Ok(())
    }

    /// Whether mode, owner and time are right already, as those of most files are.
    fn is_finished(&self, file: &File, member: &Member) -> bool {
        file.metadata().is_ok_and(|data| {
            data.mode() & 0o7777 == member.mode & 0o777
                && self.places.owner_of(member).is_none_or(|owner| owner == (data.uid(), data.gid()))
                && (data.mtime(), data.mtime_nsec()) == (member.mtime, i64::from(member.mtime_nsec))
        })
    }

    /// Puts the files into their places that were locked till now.
    pub(super) fn publish_late(&self, created: &mut UndoLog) -> Result<(), SystemError> {
        for place in &self.late {
            let new = hidden(place);
            if new.symlink_metadata().is_ok() {
                rename(&new, place).map_err(SystemError::of("put into place", place))?;
                created.has_moved(&new);
                sync_folder_of(place)?;
            }
        }
        Ok(())
    }

    /// A directory of each file system on which anything was written.
    pub(super) fn file_systems(&self) -> BTreeSet<PathBuf> {
        let mut devices = BTreeSet::new();
        let places = self.writer.index.members.iter().filter_map(|member| self.places.of(member));
        let folders: BTreeSet<PathBuf> =
            places.filter_map(|place| Some(place.parent()?.to_path_buf())).collect();
        let is_first =
            |folder: &PathBuf| std::fs::metadata(folder).is_ok_and(|data| devices.insert(data.dev()));
        folders.into_iter().filter(is_first).collect()
    }
}

/// Makes room for a file or a link; a directory stays, and is an error.
fn clear(place: &Path) -> Result<(), SystemError> {
    match remove(place, UnlinkatFlags::NoRemoveDir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SystemError::of("remove", place)(error)),
        _ => Ok(()),
    }
}

/// Makes holes of zeros, in the grain of a usual restore; whether it was not interrupted.
fn punch_zeros(file: &File, size: u64, interrupted: &AtomicBool) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let count = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK);
        file.read_exact_at(&mut chunk[..count], at)?;
        for piece in chunk[..count].chunks(HOLE) {
            if piece.iter().all(|byte| *byte == 0) && !punch(file, at)? {
                return Ok(true);
            }
            at += piece.len() as u64;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_made_until_the_restore_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let size = 8 * CHUNK as u64;
        std::fs::write(&path, vec![0; 8 * CHUNK]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        file.sync_all().unwrap();
        let taken = || file.metadata().unwrap().blocks();
        let before = taken();
        assert!(!punch_zeros(&file, size, &AtomicBool::new(true)).unwrap());
        assert_eq!(taken(), before, "it has gone on");
        assert!(punch_zeros(&file, size, &AtomicBool::new(false)).unwrap());
        assert!(taken() < before);
    }
}
