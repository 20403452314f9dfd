//! Directories, opened one from the other and never through a symbolic link.
//!
//! Root works in directories that another user may write to. A path that was looked at may lead elsewhere when it is used:
//! whoever owns a directory can put a link in its place between two system calls. So a directory is opened once, and what is
//! done in it is done from its descriptor, wherever its path leads meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};

use super::StorageError;

/// Flags for a directory that is only a step of a path: opening it needs no right to read.
pub(crate) const DIRECTORY_HANDLE: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// To read its names, or to make them durable.
const LISTING: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Why a directory cannot be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnterError {
    /// What the system said.
    pub(crate) errno: Errno,
    /// A symbolic link has its name.
    pub(crate) is_link: bool,
}

/// Opens a directory from the one above it.
pub(crate) fn enter(from: &OwnedFd, name: &OsStr) -> Result<OwnedFd, EnterError> {
    openat(from, name, DIRECTORY_HANDLE, Mode::empty())
        .map_err(|errno| EnterError { errno, is_link: is_link(from, name) })
}

fn is_link(folder: &OwnedFd, name: &OsStr) -> bool {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|data| kind(&data) == SFlag::S_IFLNK)
}

fn kind(data: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT
}

/// What a folder has under a name. A link is neither file nor folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FolderEntry {
    pub(super) is_file: bool,
    pub(super) is_folder: bool,
    pub(super) is_link: bool,
    pub(super) bytes: u64,
    /// When it was last written, where that can be told.
    pub(super) written: Option<Timestamp>,
}

impl FolderEntry {
    fn of(data: &FileStat) -> Self {
        let nanoseconds = i32::try_from(data.st_mtime_nsec).unwrap_or(0);
        Self {
            is_file: kind(data) == SFlag::S_IFREG,
            is_folder: kind(data) == SFlag::S_IFDIR,
            is_link: kind(data) == SFlag::S_IFLNK,
            bytes: u64::try_from(data.st_size).unwrap_or(0),
            written: Timestamp::new(data.st_mtime, nanoseconds).ok(),
        }
    }
}

/// A name in a folder, and what has it.
pub(super) type ListedEntry = (String, Result<FolderEntry, UnknownEntry>);

/// What a folder lists, and nobody can look at.
#[derive(Debug)]
pub(super) struct UnknownEntry {
    /// Why.
    pub(super) cause: io::Error,
    /// What the list says that it is, where it says that.
    listed_as: Option<Type>,
}

impl UnknownEntry {
    pub(super) fn may_be_file(&self) -> bool {
        self.listed_as.is_none_or(|kind| kind == Type::File)
    }

    /// Or a link in place of one.
    pub(super) fn may_be_folder(&self) -> bool {
        self.listed_as.is_none_or(|kind| matches!(kind, Type::Directory | Type::Symlink))
    }
}

/// A folder that is open.
#[derive(Debug)]
pub(super) struct OpenFolder {
    fd: OwnedFd,
    /// How it was reached, for messages.
    path: PathBuf,
}

impl OpenFolder {
    /// Opens a folder that an administrator has named: the links in its path are theirs.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { fd: nix::fcntl::open(path, flags, Mode::empty())?, path: path.to_owned() })
    }

    /// Opens a folder in this one. `action` and `object` are what an error speaks of: what is wanted there.
    pub(super) fn enter(
        &self,
        name: &str,
        action: &'static str,
        object: &Path,
    ) -> Result<Self, StorageError> {
        let path = self.path.join(name);
        // The folder itself, or the one above it, is none of those in it.
        if matches!(name, "." | "..") {
            return Err(StorageError::new(action, object.display().to_string(), Errno::EINVAL.into()));
        }
        match enter(&self.fd, OsStr::new(name)) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(EnterError { is_link: true, .. }) => Err(refused(&path)),
            Err(EnterError { errno, .. }) => {
                Err(StorageError::new(action, object.display().to_string(), errno.into()))
            }
        }
    }

    /// The path of what has this name here.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// What has this name.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<FolderEntry> {
        Ok(FolderEntry::of(&fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?))
    }

    /// Everything in it, sorted by name, and what each is, or why that cannot be told: what the disk has lost, or this user may not see, is
    /// there all the same. Names that are no UTF-8 are none of this program's.
    pub(super) fn entries(&self) -> io::Result<Vec<ListedEntry>> {
        let mut found = Vec::new();
        for entry in Dir::openat(&self.fd, ".", LISTING, Mode::empty())?.iter() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            if let Some(found_there) = unless_gone(|| self.look(OsStr::new(name))) {
                let unknown = |cause| UnknownEntry { cause, listed_as: entry.file_type() };
                found.push((name.to_owned(), found_there.map_err(unknown)));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Opens a file, which is no link; without waiting where it is a pipe.
    pub(super) fn file(&self, name: &OsStr) -> io::Result<File> {
        // A pipe would be waited for, and a device may do anything when it is opened.
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        Ok(openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    /// Makes a file that is not there; the umask takes its bits from `mode`.
    pub(super) fn new_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.fd, name, flags, Mode::from_bits_truncate(mode))?.into())
    }

    /// Makes a folder; false if there is one.
    pub(super) fn new_folder(&self, name: &str, mode: u32) -> io::Result<bool> {
        let made = self.make_folder(name, mode)?;
        // By its handle: another folder in its place is none that root has made.
        if made
            && geteuid().is_root()
            && let Ok(folder) = openat(&self.fd, name, LISTING, Mode::empty())
            && fstat(&folder).is_ok_and(|data| data.st_uid == 0)
        {
            self.give_to_owner(&folder);
        }
        Ok(made)
    }

    fn make_folder(&self, name: &str, mode: u32) -> io::Result<bool> {
        match mkdirat(&self.fd, name, Mode::from_bits_truncate(mode)) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) if self.look(OsStr::new(name)).is_ok_and(|entry| entry.is_folder) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Lets a file have another name here.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&self, name: &OsStr) -> Result<(), StorageError> {
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => Ok(()),
            Err(_) if is_link(&self.fd, name) => Err(refused(&self.path_of(name))),
            Err(errno) => {
                let place = self.path_of(name).display().to_string();
                Err(StorageError::new("remove the folder", place, errno.into()))
            }
        }
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        openat(&self.fd, ".", LISTING, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|folder| File::from(folder).sync_all())
            .map_err(|cause| StorageError::new("fsync", self.path.display().to_string(), cause))
    }

    /// What root has written belongs to the owner of the folder: a donor, which is not root, reads and replaces what
    /// the commands of an administrator leave beside its backups. Where that is refused (NFS) it stays as it is.
    pub(super) fn give_to_owner(&self, file: &impl AsFd) {
        if geteuid().is_root()
            && let Ok(owner) = fstat(&self.fd)
        {
            let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
            let _ = fchown(file, Some(uid), Some(gid));
        }
    }
}

/// What a look at a listed name tells; none where another process has removed it since. NFS may say of that that its handle is
/// stale: asked once more, it says that nothing has this name, unless the whole export is stale.
fn unless_gone<T>(look: impl Fn() -> io::Result<T>) -> Option<io::Result<T>> {
    let found = look().or_else(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ESTALE) => look(),
        _ => Err(error),
    });
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found),
    }
}

fn refused(path: &Path) -> StorageError {
    let text = "it is a symbolic link, and nothing in a repository is one";
    let cause = io::Error::new(io::ErrorKind::NotADirectory, text);
    StorageError::new("use", path.display().to_string(), cause)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn only_what_is_not_there_any_more_is_left_out() {
        let looked = |answers: &[Errno]| {
            let answers = RefCell::new(answers.iter().rev().copied().collect::<Vec<_>>());
            let found = unless_gone(|| answers.borrow_mut().pop().map_or(Ok(7), |errno| Err(errno.into())));
            assert!(answers.borrow().is_empty(), "it was not asked again");
            found.map(|found| found.map_err(|error| error.raw_os_error().map(Errno::from_raw)))
        };
        assert_eq!(looked(&[]), Some(Ok(7)));
        assert_eq!(looked(&[Errno::ENOENT]), None);
        assert_eq!(looked(&[Errno::ESTALE]), Some(Ok(7)));
        assert_eq!(looked(&[Errno::ESTALE, Errno::ENOENT]), None);
        assert_eq!(looked(&[Errno::ESTALE, Errno::ESTALE]), Some(Err(Some(Errno::ESTALE))));
        let may_be = |listed_as| {
            let unknown = UnknownEntry { cause: Errno::EIO.into(), listed_as };
            (unknown.may_be_file(), unknown.may_be_folder())
        };
        assert_eq!(may_be(None), (true, true));
        assert_eq!(
            [Type::File, Type::Directory, Type::Symlink, Type::Fifo].map(|kind| may_be(Some(kind))),
            [(true, false), (false, true), (false, true), (false, false)]
        );
        for errno in [Errno::EIO, Errno::EUCLEAN, Errno::EACCES, Errno::ENOTCONN, Errno::ENOTDIR] {
            assert_eq!(looked(&[errno]), Some(Err(Some(errno))), "{errno}");
        }
    }
}
