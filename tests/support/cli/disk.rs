//! A file system of another kind than the test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Smallest image that `mkfs.xfs` takes, bytes; it is a file of holes.
const IMAGE: u64 = 320 << 20;

/// An XFS in a file, taken away again when the test ends, however it ends.
#[derive(Debug)]
pub struct XfsDisk(PathBuf);

impl XfsDisk {
    /// Makes it in the file `image` and mounts it; needs root, loop devices and `mkfs.xfs`.
    #[track_caller]
    pub fn mount(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).expect("cannot make a folder");
        File::create(image).and_then(|file| file.set_len(IMAGE)).expect("cannot make an image");
        run("mkfs.xfs", &["-q".as_ref(), image]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), image, at]);
        Self(at.to_owned())
    }
}

#[track_caller]
fn run(program: &str, words: &[&Path]) {
    let ran = Command::new(program).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let done = ran.as_ref().is_ok_and(|ran| ran.status.success());
    assert!(
        done,
        "THIS MACHINE CANNOT MOUNT AN XFS, so holes on it are not tested: root, a loop device and xfsprogs are needed; \
         {program}: {ran:?}"
    );
}

impl Drop for XfsDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success());
        if !unmounted {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}
