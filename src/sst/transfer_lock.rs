//! One state transfer at a time for a data directory: `<datadir>/wsrep_sst.pid`.
//!
//! The stock scripts (`wait_previous_sst` in `wsrep_sst_common`) wait up to 30 s while the process whose number is
//! in that file lives, give up with 114 (EALREADY), write their own number into it, and remove it at the end. We
//! keep to that, so that they wait for us and we for them, and hold an flock on the same file beside it:
//!
//! - Among ourselves the flock decides. It ends with the process that holds it, so what a `kill -9` leaves is taken
//!   over at once, and a number that was given to another process since means nothing.
//! - A stock script holds no lock. Once the file is locked, the number in it counts if it is that of a living SST
//!   script of this data directory: `wsrep_sst_*` is what the process runs, and its `--datadir`, where it has one, is
//!   ours. Our own number can only be that of a process of an earlier life of this container.
//! - The lock is that of an inode, and others remove the file. So after locking, and again after writing the number,
//!   the name must still lead to the locked file; else everything begins anew. The name is removed before the lock
//!   goes.
//! - Where the file system has no locks (ENOLCK, EOPNOTSUPP) the number alone has to do, as it does for the scripts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use thiserror::Error;

/// The name that the stock scripts use.
const NAME: &str = "wsrep_sst.pid";
/// How long the stock scripts wait.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the lock is tried.
const POLL: Duration = Duration::from_millis(100);

/// Why the data directory is not ours.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another transfer runs.
    #[error(
        "another state transfer of this data directory runs (process {}, by '{}') and has not ended within {} s; try \
         again when it is over", pid.map_or_else(|| "unknown".into(), |pid| pid.to_string()), path.display(), LIMIT.as_secs()
    )]
    Busy {
        /// The file.
        path: PathBuf,
        /// The number in it.
        pid: Option<u32>,
    },
    /// The backup was given up while the lock was waited for.
    #[error("the wait for another state transfer was given up")]
    GivenUp,
    /// The file.
    #[error("cannot lock '{path}': {cause}; if no state transfer runs, remove that file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// No other program transfers the state of this data directory while it lives.
#[derive(Debug)]
pub struct TransferLock {
    file: Held,
    path: PathBuf,
}

#[derive(Debug)]
enum Held {
    Locked(Flock<File>),
    /// On a file system without locks.
    Bare(File),
}

impl Held {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Locked(file) => file,
            Self::Bare(file) => file,
        }
    }
}

enum LockAttempt {
    Taken(TransferLock),
    Busy(Option<u32>),
    /// The file was removed or replaced meanwhile.
    Again,
}

impl TransferLock {
    /// Waits until the data directory is ours, or the backup is given up.
    pub fn acquire(datadir: &Path, is_over: &dyn Fn() -> bool) -> Result<Self, LockError> {
        let path = datadir.join(NAME);
        let begun = Instant::now();
        let mut told = false;
        loop {
            let attempt = Self::attempt(&path, datadir);
            match attempt.map_err(|cause| LockError::Io { path: path.clone(), cause })? {
                LockAttempt::Taken(lock) => return Ok(lock),
                LockAttempt::Busy(pid) if begun.elapsed() >= LIMIT => {
                    return Err(LockError::Busy { path, pid });
                }
                LockAttempt::Busy(_) => {
                    if !std::mem::replace(&mut told, true) {
                        log::info!("Previous SST is not completed, waiting for it to exit");
                    }
                }
                LockAttempt::Again => {}
            }
            if is_over() {
                return Err(LockError::GivenUp);
            }
            std::thread::sleep(POLL);
        }
    }

    fn attempt(path: &Path, datadir: &Path) -> io::Result<LockAttempt> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o660)
            // A pipe in its place would be read for ever.
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Held::Locked(file),
            Err((mut file, Errno::EWOULDBLOCK)) => return Ok(LockAttempt::Busy(number_in(&mut file))),
            Err((file, Errno::ENOLCK | Errno::EOPNOTSUPP)) => Held::Bare(file),
            Err((_, errno)) => return Err(errno.into()),
        };
        if !leads_to(path, file.file()) {
            return Ok(LockAttempt::Again);
        }
        let own = std::process::id();
        if let Some(pid) = number_in(file.file()).filter(|pid| *pid != own && is_sst_script(*pid, datadir)) {
            return Ok(LockAttempt::Busy(Some(pid)));
        }
        let handle = file.file();
        handle.set_len(0)?;
        handle.rewind()?;
        handle.write_all(format!("{own}\n").as_bytes())?;
        if leads_to(path, handle) {
            Ok(LockAttempt::Taken(Self { file, path: path.to_path_buf() }))
        } else {
            Ok(LockAttempt::Again)
        }
    }
}

impl Drop for TransferLock {
    fn drop(&mut self) {
        // A program that has put another file there holds that one.
        if leads_to(&self.path, self.file.file())
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove '{}': {error}", self.path.display());
        }
    }
}

fn leads_to(path: &Path, file: &File) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

fn number_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether this process runs an SST script (`wsrep_sst_*`, or a shell that reads one) of this data directory.
fn is_sst_script(pid: u32, datadir: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let is_script = |word: &String| {
        Path::new(word).file_name().is_some_and(|name| name.to_string_lossy().starts_with("wsrep_sst_"))
    };
    let theirs = words.iter().zip(words.iter().skip(1)).find(|(name, _)| *name == "--datadir");
    words.iter().take(2).any(is_script)
        && theirs.is_none_or(|(_, theirs)| same_directory(Path::new(theirs), datadir))
}

fn same_directory(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(datadir: &Path) -> LockAttempt {
        TransferLock::attempt(&datadir.join(NAME), datadir).unwrap()
    }

    #[test]
    fn what_the_dead_have_left_is_taken_over_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        let own = std::process::id().to_string();
        // A dead process, our own number, a process that is no script, nonsense, nothing.
        for text in ["4194305\n", &own, "1\n", "-1\n", "x", ""] {
            fs::write(&file, text).unwrap();
            let LockAttempt::Taken(lock) = take(folder.path()) else { panic!("{text:?}") };
            assert_eq!(fs::read_to_string(&file).unwrap(), format!("{own}\n"));
            drop(lock);
            assert!(!file.exists());
        }
    }

    #[test]
    fn the_lock_of_the_living_holds_and_a_file_of_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        let LockAttempt::Taken(lock) = take(folder.path()) else { panic!("it is free") };
        assert!(matches!(take(folder.path()), LockAttempt::Busy(Some(pid)) if pid == std::process::id()));
        fs::remove_file(&file).unwrap();
        fs::write(&file, "7\n").unwrap();
        drop(lock);
        assert_eq!(fs::read_to_string(&file).unwrap(), "7\n");
    }
}
