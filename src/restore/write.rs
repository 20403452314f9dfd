//! Writes the content of members.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use sha2::{Digest, Sha256};

use super::destinations::Destinations;
use super::error::SystemError;
use super::file_id::FileId;
use super::file_systems::let_go;
use super::request::Control;
use super::undo_log::{UndoLog, finish_open};
use crate::archive::{hex, read_full};
use crate::model::{Member, MemberKind};
use crate::storage::{EarlyWriteback, WrittenPages};

/// Bytes written at once, and the grain in which zeros become holes.
const CHUNK: usize = 256 << 10;
const HOLE: usize = 4096;
/// Largest file in which paths are rewritten.
const SMALL: u64 = 1 << 20;

/// What went wrong inside one member.
pub(super) enum WriteError {
    Damaged(String),
    Interrupted,
    /// The storage.
    Read(io::Error),
    System(SystemError),
}

impl From<SystemError> for WriteError {
    fn from(error: SystemError) -> Self {
        Self::System(error)
    }
}

/// Writes one member; its digest is compared before it counts. A file gets the size that it has at the end, whatever was stored.
/// Which file it is, where it is one. One that is not complete (`is_partial`) has no mode yet: the last one may forbid its owner to write.
pub(super) fn write_member(
    content: &mut dyn Read,
    member: &Member,
    place: &Path,
    is_partial: bool,
    places: &Destinations,
    control: &Control<'_>,
    created: &mut UndoLog,
) -> Result<Option<FileId>, WriteError> {
    if let Some(parent) = place.parent() {
        created.directory(parent, places.owner(), None)?;
    }
    match member.kind {
        MemberKind::Directory => {
            created.directory(place, places.owner(), Some(0o700))?;
            Ok(None)
        }
        MemberKind::Symlink => {
            let Some(target) = places.link_text(member) else {
                return Err(WriteError::Damaged("a link without target".into()));
            };
            created.link(place, &target, places.owner_of(member), member)?;
            Ok(None)
        }
        // The pages of a file are no file.
        MemberKind::Pages => Ok(None),
        MemberKind::File | MemberKind::Generated => {
            let mut file = created.create(place, 0o600)?;
            let digest = copy(content, member, place, &mut file, control)?;
            if member.sha256.as_ref().is_some_and(|wanted| *wanted != digest) {
                return Err(WriteError::Damaged(format!("its SHA-256 is {digest}, not that of the index")));
            }
            rewrite(member, place, &mut file, places)?;
            if member.live_redo.is_some() {
                reserve(&file, member.size).map_err(SystemError::of("reserve the room of", place))?;
            }
            if !is_partial {
                finish_open(&file, member, place, places)?;
            }
            let made = FileId::of(&file).map_err(SystemError::of("look at", place))?;
            let_go(file, place)?;
            Ok(Some(made))
        }
    }
}

/// A server takes all the room of its redo log when it makes it, and does not expect its disk to be full later. Not every file system can
/// do that, and none has to.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let length = i64::try_from(bytes).map_err(io::Error::other)?;
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies the content, leaving out zeros where the original had holes, and what lies behind the end that the file has at last.
fn copy(
    content: &mut dyn Read,
    member: &Member,
    place: &Path,
    file: &mut File,
    control: &Control<'_>,
) -> Result<String, WriteError> {
    let failed = SystemError::of("write", place);
    if member.sparse {
        // Before the first byte, not behind the last: XFS takes room beyond the end of a file that grows, and what a
        // later write jumps over stays taken (`xfs_iomap_prealloc_size`).
        file.set_len(member.size).map_err(&failed)?;
    }
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut written = 0u64;
    let mut early = EarlyWriteback::new(WrittenPages::Kept);
    loop {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(WriteError::Interrupted);
        }
        let count = read_full(content, &mut chunk).map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData => WriteError::Damaged(cause.to_string()),
            _ => WriteError::Read(cause),
        })?;
        if count == 0 {
            break;
        }
        sha.update(&chunk[..count]);
        let kept = usize::try_from(member.size.saturating_sub(written)).unwrap_or(count).min(count);
        let bytes = &chunk[..kept];
        let stored = if member.sparse {
            write_sparse(file, bytes).map_err(&failed)?
        } else {
            file.write_all(bytes).map_err(&failed)?;
            kept
        };
        early.wrote(file, kept);
        control.limiter.take(stored as u64);
        written += kept as u64;
    }
    if written != member.size {
        file.set_len(member.size).map_err(&failed)?;
    }
    Ok(hex(&sha.finalize()))
}

/// Skips over pieces of zeros; the position moves on either way. How much was written.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    for piece in bytes.chunks(HOLE) {
        if piece.iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(piece.len()).unwrap_or(0)))?;
        } else {
            file.write_all(piece)?;
            written += piece.len();
        }
    }
    Ok(written)
}

/// Paths inside small files, after their digest was found right.
fn rewrite(member: &Member, place: &Path, file: &mut File, places: &Destinations) -> Result<(), SystemError> {
    if member.size > SMALL {
        return Ok(());
    }
    let failed = SystemError::of("rewrite the paths in", place);
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).map_err(&failed)?;
    let Some(text) = places.rewritten(member, &content) else { return Ok(()) };
    file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(&text)).map_err(failed)
}
