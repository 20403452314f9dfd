//! The locks that a server takes on its own files, so that none starts on them, or runs unseen in another container.
//!
//! mysqld locks the files of the system tablespace (`os_file_lock` in `storage/innobase/os/os0file.cc`) and `aria_log_control`
//! (`ma_control_file.c`) by `fcntl`, and ends where it cannot.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::archive::Index;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::file_id::FileId;
use crate::restore::no_follow;
use crate::restore::start_file::real_place;

/// The file by whose lock Aria knows of another server.
const ARIA_CONTROL: &str = "aria_log_control";

/// Files that no server can lock. Dropping it lets them.
#[derive(Debug)]
pub(super) struct ServerLocks(Vec<(PathBuf, File)>);

impl ServerLocks {
    /// Locks those of these files that are there; refuses where a server has one.
    pub(super) fn take(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, RestoreError> {
        let mut held = Vec::new();
        for path in files {
            let refused = |error: &std::io::Error| {
                Err(RestoreError::Refused(format!(
                    "'{}' cannot be locked, so that a server that has it open, or starts meanwhile, would not be kept away: {error}. Restore into \
                     an empty directory without --delta",
                    path.display()
                )))
            };
            let file = match no_follow::file(&path, OFlag::O_RDWR) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return refused(&error),
            };
            match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
                Ok(_) => held.push((path, file)),
                Err(Errno::EAGAIN | Errno::EACCES) => {
                    return Err(RestoreError::Refused(format!(
                        "'{}' is locked by another process, as a server locks it; stop that server first",
                        path.display()
                    )));
                }
                Err(errno) => return refused(&errno.into()),
            }
        }
        Ok(Self(held))
    }

    /// Whether each file that is locked is still the one that has its name.
    pub(super) fn are_in_place(&self) -> bool {
        let is_same = |path: &PathBuf, file: &File| {
            let now = no_follow::file(path, OFlag::O_RDONLY)?;
            Ok::<_, std::io::Error>(FileId::of(&now)? == FileId::of(file)?)
        };
        self.0.iter().all(|(path, file)| is_same(path, file).unwrap_or(false))
    }
}

/// The files that a server on this directory would lock.
pub(super) fn locked_by_servers(index: &Index, places: &Destinations) -> BTreeSet<PathBuf> {
    let tablespaces = index.members.iter().filter(|member| member.system_tablespace);
    let files = tablespaces.filter_map(|member| places.of(member)).chain(aria_controls(index, places));
    files.chain(places.start_file().and_then(real_place)).collect()
}

/// Aria's own file, where the backup puts it and where it is.
pub(super) fn aria_controls(index: &Index, places: &Destinations) -> BTreeSet<PathBuf> {
    let is_control = |path: &PathBuf| path.file_name().is_some_and(|name| name == ARIA_CONTROL);
    let files = index.members.iter().filter(|member| !places.is_passed_over(member));
    let files = files.filter_map(|member| places.of(member)).filter(is_control);
    files.chain([places.target().join(ARIA_CONTROL)]).collect()
}

/// To write, from its first byte on.
fn whole_file() -> libc::flock {
    let short = |number: i32| i16::try_from(number).unwrap_or_default();
    libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_locked_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("ibdata1");
        let both = || [path.clone(), path.with_file_name("aria_log_control")];
        assert!(ServerLocks::take(both()).is_ok(), "nothing is there");
        File::create(&path).unwrap();
        let held = ServerLocks::take(both()).unwrap();
        let why = ServerLocks::take(both()).unwrap_err().to_string();
        assert!(why.starts_with(&format!("'{}' is locked by another process", path.display())), "{why}");
        assert!(held.are_in_place());
        std::fs::rename(&path, path.with_file_name("old")).unwrap();
        std::fs::write(&path, "of another").unwrap();
        assert!(!held.are_in_place());
        drop(held);
        assert!(ServerLocks::take(both()).is_ok());
    }
}
