//! What a restore has written is on the disk, or the restore says that it is not.
//!
//! What is written goes to the page cache. That the disk does not take it shows later, when the system writes it back, and is told to who asks:
//!
//! - `fsync` tells it of one file, to a descriptor that was open when it was written. It costs a commit of the journal for each file, and a restored
//!   server may have tens of thousands of them.
//! - `close` tells it where a file system writes at that moment (NFS, many a FUSE).
//! - `syncfs` tells it of all files at once, from Linux 5.8 on (735e4ae5ba28, "vfs: track per-sb writeback errors and report them to syncfs").
//!   Before that it says success. FUSE is asked by nothing at all; of NFS, CIFS, overlayfs and others it is not promised, since they keep errors elsewhere.
//!   It tells what has failed since the descriptor was opened (`file_sample_sb_err` in `do_dentry_open`), or before and to nobody:
//!   what somebody else's `syncfs` was told meanwhile, one that is opened at the end never hears of.
//!
//! So a directory of each file system is opened before anything is written there ([`FileSystems`]), and all of them are synced at the end. On
//! ext4, XFS and btrfs of Linux 5.8 and later that is enough; everywhere else each file is synced when its descriptor goes
//! ([`let_go`]). Whether it is enough is asked of the file itself, since another file system may be mounted anywhere below. What `close` says counts everywhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, XFS_SUPER_MAGIC, fstatfs};
use nix::unistd::{close, syncfs};

use super::error::SystemError;
use super::no_follow;

/// They set the error of the file system with that of the file, whoever writes it back.
const TELLING: [FsType; 3] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC];
/// The first Linux whose `syncfs` tells.
const FIRST_TELLING: (u32, u32) = (5, 8);
const OS_RELEASE: &str = "/proc/sys/kernel/osrelease";

static LINUX: LazyLock<Option<(u32, u32)>> =
    LazyLock::new(|| linux_version(&std::fs::read_to_string(OS_RELEASE).ok()?));

/// The file systems on which a restore writes, each by a directory that was opened before anything was written there.
#[derive(Default)]
pub(super) struct FileSystems {
    /// By device.
    held: BTreeMap<u64, (PathBuf, File)>,
}

impl FileSystems {
    /// Before the first file is made in this directory, or anything is written to one that is there.
    pub(super) fn hold(&mut self, directory: &Path) -> Result<(), SystemError> {
        let folder = no_follow::directory(directory).map_err(SystemError::of("open", directory))?;
        self.hold_at(&folder, OsStr::new("."), directory)
    }

    /// The same of a directory of this name in `folder`, on the file system of that one.
    pub(super) fn hold_at(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        directory: &Path,
    ) -> Result<(), SystemError> {
        let failed = |errno: Errno| SystemError::of("open", directory)(errno.into());
        let device = fstat(folder).map_err(failed)?.st_dev;
        if let Entry::Vacant(place) = self.held.entry(device) {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let opened = openat(folder, name, flags, Mode::empty()).map_err(failed)?;
            place.insert((directory.to_path_buf(), opened.into()));
        }
        Ok(())
    }

    /// Everything on them is durable after this.
    pub(super) fn sync(&self) -> Result<(), SystemError> {
        for (directory, handle) in self.held.values() {
            syncfs(handle).map_err(|errno| SystemError::of("sync", directory)(errno.into()))?;
        }
        Ok(())
    }
}

/// Closes a file that was written, or given to another owner. What the disk has not taken of it is told now, or by [`FileSystems::sync`].
pub(super) fn let_go(file: File, place: &Path) -> Result<(), SystemError> {
    let failed = SystemError::of("sync", place);
    if !is_told_by_syncfs(&file) {
        file.sync_all().map_err(&failed)?;
    }
    match close(file) {
        // Linux has closed it all the same.
        Ok(()) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn is_told_by_syncfs(file: &File) -> bool {
    LINUX.is_some_and(|version| fstatfs(file).is_ok_and(|found| tells(version, found.filesystem_type())))
}

fn tells(linux: (u32, u32), file_system: FsType) -> bool {
    linux >= FIRST_TELLING && TELLING.contains(&file_system)
}

/// Of `5.14.0-427.el9.x86_64` the first two numbers.
fn linux_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC};

    use super::*;

    #[test]
    fn only_what_syncfs_tells_is_left_to_it() {
        let of = |release: &str| linux_version(release);
        assert_eq!(of("5.14.0-427.el9.x86_64\n"), Some((5, 14)));
        assert_eq!(
            (of("4.18.0-553.el8"), of("6.1-rc3"), of("10.0")),
            (Some((4, 18)), Some((6, 1)), Some((10, 0)))
        );
        assert_eq!((of(""), of("Linux"), of("5"), of("5.x")), (None, None, None, None));
        for file_system in TELLING {
            let told =
                [(4, 18), (5, 4), (5, 7), (5, 8), (5, 10), (6, 0)].map(|linux| tells(linux, file_system));
            assert_eq!(told, [false, false, false, true, true, true], "{file_system:?}");
        }
        for file_system in
            [NFS_SUPER_MAGIC, FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, FsType(0x2fc1_2fc1)]
        {
            assert!(!tells((6, 12), file_system), "{file_system:?}");
        }
    }

    #[test]
    fn each_file_system_is_held_once_by_a_directory_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("db")).unwrap();
        let mut held = FileSystems::default();
        held.hold(&root).unwrap();
        held.hold(&root.join("db")).unwrap();
        let other = Path::new("/proc");
        held.hold(other).unwrap();
        let places: Vec<&Path> = held.held.values().map(|(place, _)| place.as_path()).collect();
        assert!(
            places.len() == 2 && places.contains(&root.as_path()) && places.contains(&other),
            "{places:?}"
        );
        held.sync().unwrap();
        assert!(held.hold(&root.join("none")).is_err());
    }
}
