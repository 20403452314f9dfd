//! Writes what differs, in the order of the archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use nix::unistd::UnlinkatFlags;
use sha2::{Digest, Sha256};

use super::compare::{Fates, LocalFate, is_wanted_file};
use super::local_file::LocalLook;
use crate::archive::{DataPart, Index, ReadPlan, read_full};
use crate::model::{DataDigest, Member, MemberKind};
use crate::restore::MemberWriter;
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, SystemError, Undone};
use crate::restore::patch::{HOLE, punch};
use crate::restore::start_file::StartFileGuard;
use crate::restore::undo_log::{UndoLog, finish_directory, finish_open, remove};
use crate::restore::write::{WriteError, reserve, write_member};

/// Bytes looked at at once for zeros.
const CHUNK: usize = 256 << 10;

/// One thing to read, by its place in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReadPiece<'a> {
    /// A file that is written as a whole.
    Anew(&'a Member),
    /// A part of a file that stays.
    Part(&'a Member, DataPart),
    /// Pages (the second) that belong into a file.
    Pages(&'a Member, &'a Member),
}

impl ReadPiece<'_> {
    /// Bytes of the tar stream.
    pub(super) fn bytes(&self, index: &Index) -> u64 {
        let (from, to) = self.range(index);
        to - from
    }

    fn range(&self, index: &Index) -> (u64, u64) {
        match self {
            Self::Anew(member) => {
                let stored = index.stored(member);
                (stored.header_offset, stored.end_offset)
            }
            Self::Part(_, part) => part.range(),
            Self::Pages(_, pages) => (pages.header_offset, pages.end_offset),
        }
    }
}

/// All that is read, in the order of the stream, and the blocks in which it is.
pub(super) fn pieces<'a>(
    index: &'a Index,
    places: &Destinations,
    fates: &Fates,
) -> (Vec<ReadPiece<'a>>, ReadPlan) {
    let mut pieces = Vec::new();
    for member in index.members.iter().filter(|member| is_wanted_file(places, member)) {
        match fates.get(&member.header_offset) {
            Some(LocalFate::Stays { parts, .. }) => {
                pieces.extend(parts.iter().map(|part| ReadPiece::Part(member, *part)));
            }
            Some(LocalFate::Anew) | None => pieces.push(ReadPiece::Anew(member)),
        }
        pieces.extend(index.patches(member).map(|pages| ReadPiece::Pages(member, pages)));
    }
    pieces.sort_by_key(|piece| piece.range(index).0);
    let plan = index.plan_of_ranges(pieces.iter().map(|piece| piece.range(index)).collect());
    (pieces, plan)
}

/// Writes into the data directory.
pub(super) struct Replacement<'a> {
    pub(super) writer: MemberWriter<'a>,
    pub(super) places: &'a Destinations,
    pub(super) fates: &'a Fates,
    pub(super) guard: &'a StartFileGuard,
    /// The file whose parts are written.
    pub(super) open: Option<(u64, File)>,
}

impl Replacement<'_> {
    fn place(&self, member: &Member) -> PathBuf {
        let place = self.places.of(member).unwrap_or_default();
        self.guard.hidden_place(&place)
    }

    fn check_interrupted(&self) -> Result<(), RestoreError> {
        let is = self.writer.control.interrupted.load(Ordering::Relaxed);
        if is { Err(RestoreError::interrupted()) } else { Ok(()) }
    }

    /// Directories and links, and the sizes of files that stay. A directory comes before what is in it.
    pub(super) fn prepare(&mut self, created: &mut UndoLog) -> Result<(), RestoreError> {
        let index = self.writer.index;
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
                (_, Some(LocalFate::Stays { look, data, .. })) => self.keep(member, &place, *look, *data)?,
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

    /// Size and holes of a file that stays are what they are after a usual restore; what is to be written into it comes later.
    fn keep(
        &mut self,
        member: &Member,
        place: &Path,
        look: LocalLook,
        data: Option<u64>,
    ) -> Result<(), RestoreError> {
        let file = look.reopen(place).map_err(SystemError::of("open", place))?;
        let stored = self.writer.index.stored(member);
        let failed = SystemError::of("write", place);
        // Behind what is stored are zeros, but for pages that come later.
        for size in [stored.size.min(member.size), member.size] {
            if file.metadata().map_err(&failed)?.len() != size && (size == member.size || size < look.size) {
                file.set_len(size).map_err(&failed)?;
            }
        }
        match data {
            Some(data) if look.allocated > data => punch_zeros(&file, member.size).map_err(&failed)?,
            None if !stored.sparse && look.allocated < member.size => {
                reserve(&file, stored.size.min(member.size)).map_err(&failed)?;
            }
            _ => {}
        }
        let pages = self.writer.index.patches(member).count();
        if pages > 0 {
            self.writer.patched.insert(member.header_offset, (look.id(), pages));
        }
        Ok(())
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
                self.writer.pages(member, pages, &place)
            }
        }
    }

    /// A part of a file: it is compared with its digest before a byte is written, and only what differs is.
    fn part(&mut self, member: &Member, part: &DataPart) -> Result<(), RestoreError> {
        let place = self.place(member);
        let writer = &mut self.writer;
        let mut bytes = vec![0; usize::try_from(part.to - part.from).unwrap_or(0)];
        let read = writer.stream.skip_to(part.stream).and_then(|_| read_full(writer.stream, &mut bytes));
        match read {
            Ok(count) if count == bytes.len() => {}
            Ok(_) => return Err(damaged(writer, member, "the archive ends before it".into())),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(damaged(writer, member, error.to_string()));
            }
            Err(cause) => {
                return Err(RestoreError::Read(writer.source.archive_failed(cause), Undone::default()));
            }
        }
        let digest = DataDigest::new(Sha256::digest(&bytes).into());
        if digest != part.digest {
            let what =
                format!("the SHA-256 of its bytes from {} on is {digest}, not that of the index", part.from);
            return Err(damaged(writer, member, what));
        }
        if self.open.as_ref().is_none_or(|(offset, _)| *offset != member.header_offset) {
            self.open = Some((member.header_offset, self.reopen(member, &place)?));
        }
        let Some((_, file)) = &self.open else { return Ok(()) };
        let kept = usize::try_from(member.size - part.from).unwrap_or(usize::MAX).min(bytes.len());
        let written =
            write_differing(file, part.from, &bytes[..kept]).map_err(SystemError::of("write", &place))?;
        self.writer.control.limiter.take(written);
        Ok(())
    }

    /// The file that was looked at, and no other.
    fn reopen(&self, member: &Member, place: &Path) -> Result<File, SystemError> {
        let failed = SystemError::of("open", place);
        let Some(LocalFate::Stays { look, .. }) = self.fates.get(&member.header_offset) else {
            return Err(failed(ErrorKind::NotFound.into()));
        };
        look.reopen_written(place).map_err(failed)
    }

    /// Mode, owner and time of everything; those of directories last, since every file in them has changed them.
    pub(super) fn finish(&self, created: &UndoLog) -> Result<(), RestoreError> {
        let members = &self.writer.index.members;
        let written =
            |member: &&Member| !self.places.is_passed_over(member) && self.places.of(member).is_some();
        for member in members.iter().filter(written) {
            if let Some(LocalFate::Stays { look, .. }) = self.fates.get(&member.header_offset) {
                let place = self.place(member);
                let file = look.reopen_written(&place).map_err(SystemError::of("open", &place))?;
                finish_open(&file, member, &place, self.places)?;
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

fn damaged(writer: &MemberWriter<'_>, member: &Member, what: String) -> RestoreError {
    let id = writer.source.manifest().id.to_string();
    RestoreError::Damaged { id, path: member.path.to_string(), what, undone: Undone::default() }
}

/// Makes room for a file or a link; a directory stays, and is an error.
fn clear(place: &Path) -> Result<(), SystemError> {
    match remove(place, UnlinkatFlags::NoRemoveDir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SystemError::of("remove", place)(error)),
        _ => Ok(()),
    }
}

/// Makes holes of zeros, in the grain of a usual restore.
fn punch_zeros(file: &File, size: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let count = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK);
        file.read_exact_at(&mut chunk[..count], at)?;
        for piece in chunk[..count].chunks(HOLE) {
            if piece.iter().all(|byte| *byte == 0) && !punch(file, at)? {
                return Ok(());
            }
            at += piece.len() as u64;
        }
    }
    Ok(())
}

/// Writes the pieces that are not the same already; how many bytes that were. What cannot be read is written.
fn write_differing(file: &File, from: u64, bytes: &[u8]) -> io::Result<u64> {
    let mut old = vec![0; bytes.len()];
    let is_read = file.read_exact_at(&mut old, from).is_ok();
    let differs = |piece: usize| {
        let range = piece * HOLE..bytes.len().min((piece + 1) * HOLE);
        !is_read || old[range.clone()] != bytes[range]
    };
    let count = bytes.len().div_ceil(HOLE);
    let (mut piece, mut written) = (0, 0);
    while piece < count {
        let begin = piece;
        while piece < count && differs(piece) {
            piece += 1;
        }
        let run = &bytes[begin * HOLE..bytes.len().min(piece * HOLE)];
        file.write_all_at(run, from + (begin * HOLE) as u64)?;
        written += run.len() as u64;
        piece += 1;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let old: Vec<u8> = (0..=250).cycle().take(10 * HOLE + 100).collect();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        for (changed, written) in [
            (Vec::<usize>::new(), 0),
            (vec![0], HOLE),
            (vec![HOLE, HOLE + 1, 3 * HOLE - 1], 2 * HOLE),
            (vec![10 * HOLE], 100),
            ((0..old.len()).collect(), old.len()),
        ] {
            std::fs::write(&path, [&[9; 77][..], &old].concat()).unwrap();
            let mut new = old.clone();
            for at in &changed {
                new[*at] ^= 1;
            }
            assert_eq!(write_differing(&open(), 77, &new).unwrap(), written as u64, "{:?}", changed.first());
            assert!(std::fs::read(&path).unwrap() == [&[9; 77][..], &new].concat());
        }
        // Behind its end nothing can be read.
        std::fs::write(&path, b"x").unwrap();
        assert_eq!(write_differing(&open(), 1, b"abc").unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"xabc");
    }
}
