//! In which mount a file is found.
//!
//! Before Linux 5.18 a clone does not reach from one mount of a file system to another one (`FICLONE` gives `EXDEV`; kernel: `do_clone_file_range`). A bind mount is one of its own, a volume of a
//! container, and each `ReadWritePaths=` of a unit with `ProtectSystem=strict`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};

/// A mount of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mount {
    /// `st_dev`.
    pub(super) device: u64,
    /// Its number in this mount namespace; where the kernel does not tell, a file system is taken for one mount.
    id: Option<u64>,
}

impl Mount {
    /// Of an open file on this device.
    pub(super) fn of(file: &File, device: u64) -> Self {
        Self { device, id: number(file.as_fd()) }
    }

    /// Of what lies there, a link too, on this device.
    pub(super) fn at(path: &Path, device: u64) -> io::Result<Self> {
        let file = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { device, id: number(file.as_fd()) })
    }

    /// The least of all mounts of a device.
    pub(super) fn first_on(device: u64) -> Self {
        Self { device, id: None }
    }
}

/// Linux 5.8 and later say it at once, older ones in a file of `/proc`.
fn number(file: BorrowedFd<'_>) -> Option<u64> {
    let told = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok();
    let told = told.filter(|told| told.stx_mask & StatxFlags::MNT_ID.bits() != 0);
    told.map_or_else(|| number_in_proc(file), |told| Some(told.stx_mnt_id))
}

fn number_in_proc(file: BorrowedFd<'_>) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_is_in_the_mount_of_its_directory_and_what_is_mounted_elsewhere_in_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let file = File::create(&path).unwrap();
        let device = file.metadata().unwrap().dev();
        let own = Mount::of(&file, device);
        assert_eq!(own, Mount::at(&path, device).unwrap());
        assert_eq!(own, Mount::at(folder.path(), device).unwrap());
        let other = Mount::at(Path::new("/proc"), device).unwrap();
        assert_ne!(own, other, "of one device, as it is with a bind mount");
        assert!(Mount::first_on(device) < own.min(other) && own.id == number_in_proc(file.as_fd()));
        assert!(Mount::at(&folder.path().join("none"), device).is_err());
    }
}
