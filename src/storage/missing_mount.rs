//! A directory below a mount point at which nothing is mounted: what lies there is not the repository, and what is stored there fills
//! another disk.
//!
//! Only what `/etc/fstab` names can be missed. An automount counts as mounted, as the kernel says.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount point that a directory should be on, and at which nothing is mounted. What cannot be read misses none.
pub(super) fn find(directory: &Path) -> Option<PathBuf> {
    let (fstab, mounts) = (fs::read("/etc/fstab").ok()?, fs::read("/proc/self/mountinfo").ok()?);
    missing(&real(directory), &fstab, &mounts)
}

/// The same as an error.
pub(super) fn check(directory: &Path) -> io::Result<()> {
    match find(directory) {
        None => Ok(()),
        Some(point) => Err(io::Error::other(format!(
            "nothing is mounted at '{}', which is in /etc/fstab; mount it, or take it out of there",
            point.display()
        ))),
    }
}

/// Without links; what is not there yet lies in the directory above it.
fn real(directory: &Path) -> PathBuf {
    let above = || Some(directory.parent()?.canonicalize().ok()?.join(directory.file_name()?));
    directory.canonicalize().ok().or_else(above).unwrap_or_else(|| directory.to_owned())
}

/// The mount point of `fstab` in which a directory lies and at which nothing is mounted, nor between it and the directory.
fn missing(directory: &Path, fstab: &[u8], mountinfo: &[u8]) -> Option<PathBuf> {
    let nearest = |points: &[PathBuf]| {
        let around = points.iter().filter(|point| directory.starts_with(point));
        around.max_by_key(|point| point.components().count()).cloned()
    };
    // The root is there, also where it is no mount point of its own: in a chroot.
    let wanted = nearest(&words(fstab, 1)).filter(|wanted| wanted != Path::new("/"))?;
    let mounted = nearest(&words(mountinfo, 4));
    let is_there = mounted.is_some_and(|mounted| mounted.starts_with(&wanted));
    (!is_there).then_some(wanted)
}

/// The paths that are this word of each line (`fstab(5)`, `proc_pid_mountinfo(5)`).
fn words(table: &[u8], place: usize) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    let word = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.nth(place).filter(|word| word.starts_with(b"/")).map(plain)
    };
    lines.filter_map(word).collect()
}

/// Blanks, tabs, newlines and backslashes are octal in both tables.
fn plain(word: &[u8]) -> PathBuf {
    let mut path = Vec::new();
    let mut rest = word;
    while let [first, after @ ..] = rest {
        let octal = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let byte = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(byte.unwrap_or(*first));
        rest = &after[if byte.is_some() { 3 } else { 0 }..];
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_fstab_and_not_mounted_is_missed() {
        let fstab = b"# nfs:/no /mnt/commented nfs defaults 0 0\n\
            UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n\
            nfs:/a\t/mnt/nfs  nfs noauto 0 0\n\n/dev/sdb1 /mnt/two\\040words/ ext4 nofail 0 0\n";
        let root = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let nfs = "30 22 0:40 / /mnt/nfs rw - nfs4 nfs:/a rw\n";
        let below = "31 22 0:41 / /mnt/nfs/galera rw - nfs4 nfs:/b rw\n";
        let two = "32 22 8:17 / /mnt/two\\040words rw - ext4 /dev/sdb1 rw\n";
        let mounts = |more: &[&str]| format!("{root}{}", more.concat());
        for (directory, more, wanted) in [
            ("/mnt/nfs/galera", &[][..], Some("/mnt/nfs")),
            ("/mnt/nfs", &[], Some("/mnt/nfs")),
            ("/mnt/nfs/galera", &[nfs], None),
            ("/mnt/nfs/galera", &[below], None),
            ("/mnt/nfs/other", &[below], Some("/mnt/nfs")),
            ("/mnt/nfs2/galera", &[], None),
            ("/mnt/commented/galera", &[], None),
            ("/var/backups/wsrep_sst_backup", &[], None),
            ("/mnt/two words/galera", &[], Some("/mnt/two words")),
            ("/mnt/two words/galera", &[two], None),
        ] {
            let found = missing(Path::new(directory), fstab, mounts(more).as_bytes());
            assert_eq!(found.as_deref(), wanted.map(Path::new), "{directory} {more:?}");
        }
        let chroot = "22 1 8:1 / /proc rw - proc proc rw\n";
        assert_eq!(missing(Path::new("/data"), fstab, chroot.as_bytes()), None);
        // In a container that has no table of mounts of its own.
        assert_eq!(missing(Path::new("/data"), b"", root.as_bytes()), None);
    }
}
