//! Puts pages that were read again into a file that is already written.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use sha2::{Digest, Sha256};

use super::error::SystemError;
use super::file_id::FileId;
use super::no_follow;
use super::request::Control;
use super::write::WriteError;
use crate::archive::{hex, read_full};
use crate::model::Member;

/// The grain in which zeros become holes.
pub(super) const HOLE: usize = 4096;

/// Writes the content of a page member into the file that `made` says; its digest is compared before a byte is written. What lies
/// behind the end that the file has at last is left out. The file that it has written to: it gets its mode when nothing more is to come.
pub(super) fn write_pages(
    content: &mut dyn Read,
    pages: &Member,
    member: &Member,
    made: Option<FileId>,
    place: &Path,
    control: &Control<'_>,
) -> Result<File, WriteError> {
    if control.interrupted.load(Ordering::Relaxed) {
        return Err(WriteError::Interrupted);
    }
    let bytes = read_whole(content, pages)?;
    let file = open(place, made)?;
    let failed = SystemError::of("write", place);
    let mut rest = &bytes[..];
    for (offset, length) in pages.pages.iter().flat_map(|pages| &pages.runs) {
        let (run, behind) = rest.split_at(usize::try_from(*length).unwrap_or(usize::MAX).min(rest.len()));
        rest = behind;
        let kept = member.size.saturating_sub(*offset);
        let run = &run[..usize::try_from(kept).unwrap_or(usize::MAX).min(run.len())];
        write_run(&file, *offset, run, member.sparse).map_err(&failed)?;
        control.limiter.take(run.len() as u64);
    }
    Ok(file)
}

/// The content, which the index has bounded.
pub(super) fn read_whole(content: &mut dyn Read, pages: &Member) -> Result<Vec<u8>, WriteError> {
    let mut bytes = vec![0; usize::try_from(pages.size).unwrap_or(0)];
    let count = read_full(content, &mut bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::InvalidData => WriteError::Damaged(cause.to_string()),
        _ => WriteError::Read(cause),
    })?;
    let digest = hex(&Sha256::digest(&bytes[..count]));
    if pages.sha256.as_ref() != Some(&digest) {
        return Err(WriteError::Damaged(format!(
            "the SHA-256 of its pages in '{}' is {digest}, not that of the index",
            pages.path
        )));
    }
    Ok(bytes)
}

/// The file that this restore has made, and no other: who owns the directory may have put something else there since.
fn open(place: &Path, made: Option<FileId>) -> Result<File, SystemError> {
    let failed = SystemError::of("open", place);
    let file = no_follow::file(place, OFlag::O_RDWR).map_err(&failed)?;
    if Some(FileId::of(&file).map_err(&failed)?) != made {
        return Err(failed(io::Error::other("somebody else has put something else there")));
    }
    Ok(file)
}

/// In a file with holes zeros become holes again: a page of a page-compressed table ends in them.
fn write_run(file: &File, offset: u64, run: &[u8], is_sparse: bool) -> io::Result<()> {
    if !is_sparse {
        return file.write_all_at(run, offset);
    }
    let mut at = offset;
    for piece in run.chunks(HOLE) {
        let is_hole =
            at.is_multiple_of(HOLE as u64) && piece.len() == HOLE && piece.iter().all(|byte| *byte == 0);
        if !(is_hole && punch(file, at)?) {
            file.write_all_at(piece, at)?;
        }
        at += piece.len() as u64;
    }
    Ok(())
}

/// Whether the file system could make a hole there.
pub(super) fn punch(file: &File, offset: u64) -> io::Result<bool> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let (offset, length) = (i64::try_from(offset), i64::try_from(HOLE));
    let (offset, length) = (offset.map_err(io::Error::other)?, length.map_err(io::Error::other)?);
    match fallocate(file, flags, offset, length) {
        Ok(()) => Ok(true),
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn zeros_are_holes_where_the_file_has_holes_and_the_content_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let run = [vec![7; HOLE], vec![0; 2 * HOLE], vec![8; 10], vec![0; HOLE]].concat();
        for is_sparse in [false, true] {
            let path = folder.path().join("file");
            fs::write(&path, vec![1; 10 * HOLE]).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            write_run(&file, HOLE as u64, &run, is_sparse).unwrap();
            let mut expected = vec![1; 10 * HOLE];
            expected[HOLE..HOLE + run.len()].copy_from_slice(&run);
            assert!(fs::read(&path).unwrap() == expected, "sparse: {is_sparse}");
        }
    }

    #[test]
    fn another_file_under_the_name_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let path = root.join("file");
        let made = Some(FileId::of(&File::create(&path).unwrap()).unwrap());
        assert!(open(&path, made).is_ok());
        assert!(open(&path, None).is_err());
        fs::rename(&path, root.join("other")).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(open(&path, made).unwrap_err().cause.to_string().contains("somebody else"));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(root.join("other"), &path).unwrap();
        assert!(open(&path, made).is_err());
    }
}
