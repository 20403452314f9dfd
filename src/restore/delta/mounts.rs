//! What is mounted below a data directory: another file system, or another directory of the same one, which no device number tells.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::restore::error::SystemError;

/// The places at which something is mounted.
#[derive(Debug, Default)]
pub(super) struct MountPoints(BTreeSet<PathBuf>);

impl MountPoints {
    /// Those of this process.
    pub(super) fn read() -> Result<Self, SystemError> {
        let table = Path::new("/proc/self/mountinfo");
        let text = fs::read(table).map_err(SystemError::of("read", table))?;
        Ok(Self::parse(&text))
    }

    /// The fifth word of each line (`proc_pid_mountinfo(5)`).
    fn parse(text: &[u8]) -> Self {
        let place = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
        Self(text.split(|byte| *byte == b'\n').filter_map(place).collect())
    }

    /// Whether something is mounted there.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    /// Whether something is mounted there or below.
    pub(super) fn are_in(&self, path: &Path) -> bool {
        self.0.iter().any(|mount| mount.starts_with(path))
    }
}

/// Blanks and backslashes stand there as `\` and three octal digits.
fn unescaped(word: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_places() {
        let text = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            31 22 8:1 /srv/x /var/lib/mysql/my\\040data rw shared:1 - ext4 /dev/sda1 rw\n";
        let mounts = MountPoints::parse(text);
        assert!(mounts.has(Path::new("/var/lib/mysql/my data")) && mounts.has(Path::new("/")));
        assert!(mounts.are_in(Path::new("/var/lib/mysql")) && !mounts.has(Path::new("/var/lib/mysql")));
        assert!(MountPoints::read().unwrap().has(Path::new("/")));
    }
}
