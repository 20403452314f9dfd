//! Writes members to disk, remembers what it made, and can take it all back.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use sha2::{Digest, Sha256};

use super::RestoreError;
use super::places::{Owner, Places};
use super::target::HIDDEN_SUFFIX;
use crate::archive::hex;
use crate::model::{Member, MemberKind};

/// Bytes written at once, and the grain in which zeros become holes.
const CHUNK: usize = 256 << 10;
const HOLE: usize = 4096;
/// Largest file in which paths are rewritten.
const SMALL: u64 = 1 << 20;

/// What stands in the place of the system tablespace until everything else is there. InnoDB refuses it:
/// it is shorter than a page.
pub(super) const PLACEHOLDER: &str = "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
    If no restore is running, it was interrupted: empty the directory and restore again.\n";

/// What went wrong inside one member.
pub(super) enum WriteError {
    Damaged(String),
    Interrupted,
    System(&'static str, PathBuf, io::Error),
}

impl From<WriteError> for RestoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Damaged(what) => Self::Damaged { path: String::new(), what },
            WriteError::Interrupted => Self::Interrupted,
            WriteError::System(action, path, cause) => Self::Write { action, path, cause },
        }
    }
}

/// Everything this restore has created, in order.
#[derive(Default)]
pub(super) struct Created {
    files: Vec<PathBuf>,
    /// Sorted: a directory comes before what is in it.
    directories: BTreeSet<PathBuf>,
}

impl Created {
    /// Removes it all, newest first. What was there before is not in the list.
    pub(super) fn remove_all(&mut self) {
        for file in self.files.drain(..).rev() {
            let _ = fs::remove_file(file);
        }
        while let Some(directory) = self.directories.pop_last() {
            let _ = fs::remove_dir(directory);
        }
    }

    /// Makes a directory and those above it; one that is there stays.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        owner: Option<Owner>,
        mode: Option<u32>,
    ) -> Result<(), WriteError> {
        let fail = |cause| WriteError::System("create", path.to_path_buf(), cause);
        if !path.is_dir() {
            if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
                self.directory(parent, owner, None)?;
            }
            DirBuilder::new().mode(mode.unwrap_or(0o750)).create(path).map_err(fail)?;
            self.directories.insert(path.to_path_buf());
            give(path, owner)?;
        } else if is_root_owned_and_empty(path) {
            // Made by hand for this restore: mysqld must be able to write into it.
            give(path, owner)?;
        }
        Ok(())
    }

    /// Hides the start file behind the placeholder.
    pub(super) fn guard(&mut self, places: &Places) -> Result<Guard, WriteError> {
        let Some(start) = places.start_file().map(Path::to_path_buf) else {
            return Ok(Guard { place: None });
        };
        if let Some(parent) = start.parent() {
            self.directory(parent, places.owner(), None)?;
        }
        let mut file = self.create(&start, 0o640)?;
        let fail = |cause| WriteError::System("write", start.clone(), cause);
        file.write_all(PLACEHOLDER.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
        let mut hidden = start.clone().into_os_string();
        hidden.push(HIDDEN_SUFFIX);
        Ok(Guard { place: Some((start, hidden.into())) })
    }

    fn create(&mut self, path: &Path, mode: u32) -> Result<File, WriteError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(|cause| WriteError::System("create", path.to_path_buf(), cause))?;
        self.files.push(path.to_path_buf());
        Ok(file)
    }

    /// A small file of this program's own.
    pub(super) fn file_of_ours(
        &mut self,
        path: &Path,
        content: &[u8],
        owner: Option<Owner>,
    ) -> Result<(), RestoreError> {
        let mut file = self.create(path, 0o660)?;
        let fail = |cause| WriteError::System("write", path.to_path_buf(), cause);
        file.write_all(content).and_then(|()| file.sync_all()).map_err(fail)?;
        give(path, owner)?;
        Ok(())
    }

    /// Mode, owner and time of a member whose content is complete.
    pub(super) fn finish(&self, member: &Member, place: &Path, places: &Places) -> Result<(), RestoreError> {
        let system = |action, cause| WriteError::System(action, place.to_path_buf(), cause);
        if member.kind == MemberKind::Directory && !self.directories.contains(place) {
            // It was there before, outside the data directory: it is not ours to change.
            return Ok(());
        }
        if let Some((uid, gid)) = places.owner_of(member) {
            std::os::unix::fs::lchown(place, Some(uid), Some(gid))
                .map_err(|cause| system("change the owner of", cause))?;
        }
        if member.kind != MemberKind::Symlink {
            let mode = Permissions::from_mode(member.mode & 0o7777);
            fs::set_permissions(place, mode).map_err(|cause| system("change the mode of", cause))?;
        }
        let time = TimeSpec::new(member.mtime, i64::from(member.mtime_nsec));
        utimensat(nix::fcntl::AT_FDCWD, place, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(|errno| system("set the time of", errno.into()))?;
        Ok(())
    }
}

/// Everything on the file systems involved is durable after this.
pub(super) fn sync(external: &BTreeSet<PathBuf>, target: &Path) -> Result<(), RestoreError> {
    for directory in external.iter().map(PathBuf::as_path).chain([target]) {
        let fail = |cause| WriteError::System("sync", directory.to_path_buf(), cause);
        let handle = File::open(directory).map_err(fail)?;
        nix::unistd::syncfs(&handle).map_err(|errno| fail(errno.into()))?;
    }
    Ok(())
}

/// The system tablespace under its hidden name.
pub(super) struct Guard {
    place: Option<(PathBuf, PathBuf)>,
}

impl Guard {
    /// Where this file is written for now.
    pub(super) fn hidden_place(&self, place: &Path) -> PathBuf {
        match &self.place {
            Some((start, hidden)) if start == place => hidden.clone(),
            _ => place.to_path_buf(),
        }
    }

    /// Puts the file into its place: from here on mysqld can start.
    pub(super) fn publish(&self, created: &mut Created) -> Result<(), RestoreError> {
        let Some((start, hidden)) = &self.place else { return Ok(()) };
        let fail = |action, cause| WriteError::System(action, start.clone(), cause);
        fs::rename(hidden, start).map_err(|cause| fail("put into place", cause))?;
        created.files.retain(|file| file != hidden);
        let folder = start.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|handle| handle.sync_all())
            .map_err(|cause| fail("sync the folder of", cause))?;
        Ok(())
    }
}

/// An empty directory of root's own.
fn is_root_owned_and_empty(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|data| data.uid() == 0) && super::is_empty(path).unwrap_or(false)
}

fn give(path: &Path, owner: Option<Owner>) -> Result<(), WriteError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        .map_err(|cause| WriteError::System("change the owner of", path.to_path_buf(), cause))
}

/// Writes one member; its digest is compared before it counts.
pub(super) fn write_member(
    content: &mut dyn Read,
    member: &Member,
    place: &Path,
    places: &Places,
    interrupted: &AtomicBool,
    created: &mut Created,
) -> Result<(), WriteError> {
    if let Some(parent) = place.parent() {
        created.directory(parent, places.owner(), None)?;
    }
    match member.kind {
        MemberKind::Directory => created.directory(place, places.owner(), Some(0o700)),
        MemberKind::Symlink => {
            let Some(target) = &member.target else {
                return Err(WriteError::Damaged("a link without target".into()));
            };
            let here = places.translate("symlink", target.as_path());
            let target = here.as_deref().unwrap_or(target.as_path());
            std::os::unix::fs::symlink(target, place)
                .map_err(|cause| WriteError::System("create", place.to_path_buf(), cause))?;
            created.files.push(place.to_path_buf());
            Ok(())
        }
        MemberKind::File | MemberKind::Generated => {
            let mut file = created.create(place, 0o600)?;
            let digest = copy(content, member, place, &mut file, interrupted)?;
            if member.sha256.as_ref().is_some_and(|wanted| *wanted != digest) {
                return Err(WriteError::Damaged(format!("its SHA-256 is {digest}, not that of the index")));
            }
            rewrite(member, place, places)
        }
    }
}

/// Copies the content, leaving out zeros where the original had holes.
fn copy(
    content: &mut dyn Read,
    member: &Member,
    place: &Path,
    file: &mut File,
    interrupted: &AtomicBool,
) -> Result<String, WriteError> {
    let system = |action, cause| WriteError::System(action, place.to_path_buf(), cause);
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut written = 0u64;
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(WriteError::Interrupted);
        }
        let count = read_full(content, &mut chunk).map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData => WriteError::Damaged(cause.to_string()),
            _ => system("read the archive for", cause),
        })?;
        if count == 0 {
            break;
        }
        let bytes = &chunk[..count];
        sha.update(bytes);
        if member.sparse {
            write_sparse(file, bytes).map_err(|cause| system("write", cause))?;
        } else {
            file.write_all(bytes).map_err(|cause| system("write", cause))?;
        }
        written += count as u64;
    }
    if member.sparse {
        file.set_len(written).map_err(|cause| system("write", cause))?;
    }
    Ok(hex(&sha.finalize()))
}

/// Skips over pieces of zeros; the position moves on either way.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(HOLE) {
        if piece.iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(piece.len()).unwrap_or(0)))?;
        } else {
            file.write_all(piece)?;
        }
    }
    Ok(())
}

fn read_full(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Paths inside small files, after their digest was found right.
fn rewrite(member: &Member, place: &Path, places: &Places) -> Result<(), WriteError> {
    if member.size > SMALL {
        return Ok(());
    }
    let system = |cause| WriteError::System("rewrite the paths in", place.to_path_buf(), cause);
    let content = fs::read(place).map_err(system)?;
    match places.rewritten(member, &content) {
        Some(text) => fs::write(place, text).map_err(system),
        None => Ok(()),
    }
}
