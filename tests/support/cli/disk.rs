//! A file system of another kind than the test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Smallest image that `mkfs.xfs` takes, bytes; it is a file of holes.
pub const SMALLEST_XFS: u64 = 320 << 20;

/// A file system in a file, taken away again when the test ends, however it ends.
#[derive(Debug)]
pub struct LoopDisk(PathBuf);

impl LoopDisk {
    /// Makes an XFS in the file `image` and mounts it; needs root, loop devices and `mkfs.xfs`.
    #[track_caller]
    pub fn xfs(image: &Path, at: &Path, bytes: u64) -> Self {
        make_xfs(image, at, bytes);
        Self(at.to_owned())
    }

    /// The same with btrfs and `mkfs.btrfs`.
    #[track_caller]
    pub fn btrfs(image: &Path, at: &Path, bytes: u64) -> Self {
        make_btrfs(image, at, bytes);
        Self(at.to_owned())
    }
}

/// An XFS for somebody who takes it away.
#[track_caller]
pub fn make_xfs(image: &Path, at: &Path, bytes: u64) {
    make("mkfs.xfs", image, at, bytes);
}

/// A btrfs for somebody who takes it away.
#[track_caller]
pub fn make_btrfs(image: &Path, at: &Path, bytes: u64) {
    make("mkfs.btrfs", image, at, bytes);
}

#[track_caller]
fn make(program: &str, image: &Path, at: &Path, bytes: u64) {
    fs::create_dir_all(at).expect("cannot make a folder");
    File::create(image).and_then(|file| file.set_len(bytes)).expect("cannot make an image");
    run(program, &["-q".as_ref(), image]);
    run("mount", &["-o".as_ref(), "loop".as_ref(), image, at]);
}

#[track_caller]
fn run(program: &str, words: &[&Path]) {
    let ran = Command::new(program).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let done = ran.as_ref().is_ok_and(|ran| ran.status.success());
    assert!(
        done,
        "THIS MACHINE CANNOT MOUNT A FILE SYSTEM FROM A FILE, so what is asked of one is not tested: root, a loop device, xfsprogs \
         and btrfs-progs are needed; {program}: {ran:?}"
    );
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success());
        if !unmounted {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}

/// A file system of this many MiB, taken away again when the test ends.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it; needs root.
    pub fn mount(at: &Path, mebibytes: usize) -> Self {
        fs::create_dir_all(at).expect("cannot make a folder");
        let size = format!("size={mebibytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(status.is_ok_and(|s| s.success()), "cannot mount a tmpfs: this test needs root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
