//! The note that says that a desync is ours: a file beside the server's socket.
//!
//! Beside the socket, because whoever can end the desync needs the socket anyway; because each of several servers has its own; and because that
//! is a place for what dies with the machine. Its name ends with `.lock`, which no backup of a data directory holds. It appears whole
//! and locked (`flock`): the kernel gives the lock back when its writer dies, however that dies, and to nobody else before.
//!
//! The folder may belong to the server's user while root reads the note: only a regular file is read, and only what root, that user or
//! this process's own has written is believed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag};
use nix::unistd::linkat;
use serde::{Deserialize, Serialize};
use tempfile::TempPath;

use super::DesyncError;

/// What is put behind the socket's name.
const SUFFIX: &str = ".desync.lock";
/// No note is longer.
const LONGEST: u64 = 64 << 10;
/// How often another note may come between two steps.
const TRIES: u32 = 20;

/// Who has desynced which server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesyncRecord {
    /// wsrep_node_name.
    pub node: String,
    /// When that server was started, in seconds since 1970 by its own clock: another one is not desynced by us.
    pub server_started: i64,
    /// Since when.
    pub since: Timestamp,
    /// The process that does it.
    pub pid: u32,
    /// What for.
    pub command: String,
    /// The connections whose SQL threads it has stopped, on a replica; a node of a cluster is desynced instead.
    #[serde(default)]
    pub stopped: Vec<String>,
    /// The lease that it has in the repository, where it has one: an object's name.
    pub lease: Option<String>,
}

/// A note that this process holds.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    pub(super) record: DesyncRecord,
    _lock: Flock<File>,
}

/// What is found in its place.
pub(super) enum FoundNote {
    /// None.
    Nothing,
    /// Its writer lives; what it says, where it can be read.
    Held(Option<DesyncRecord>),
    /// Its writer has died.
    Left(Note),
}

fn path_of(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(SUFFIX);
    PathBuf::from(name)
}

impl Note {
    /// Writes it; an error where there is one.
    pub(super) fn write(socket: &Path, record: DesyncRecord) -> Result<Self, DesyncError> {
        let path = path_of(socket);
        let failed = |cause: io::Error| error("write", &path, cause.to_string());
        let folder = path.parent().ok_or_else(|| failed(io::Error::other("it has no folder")))?;
        let content = serde_json::to_vec(&record).map_err(|cause| failed(cause.into()))?;
        let (mut file, name) = new_file(folder).map_err(failed)?;
        file.write_all(&content).map_err(failed)?;
        // An empty one after the end of the machine would have to be removed by hand.
        file.sync_all().map_err(failed)?;
        file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
        let lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, cause)| failed(cause.into()))?;
        match name {
            None => link(&lock, &path).map_err(failed)?,
            Some(name) => name.persist_noclobber(&path).map_err(|cause| failed(cause.error))?,
        }
        Ok(Self { path, record, _lock: lock })
    }

    /// Looks for one.
    pub(super) fn find(socket: &Path) -> Result<FoundNote, DesyncError> {
        let path = path_of(socket);
        for _ in 0..TRIES {
            let file = match open(&path) {
                Ok(file) => file,
                Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(FoundNote::Nothing),
                Err(cause) => return Err(error("open", &path, with_cure(&cause, &path))),
            };
            let record =
                read(&file, socket).map_err(|cause| error("believe", &path, with_cure(&cause, &path)));
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((_, Errno::EWOULDBLOCK)) => return Ok(FoundNote::Held(record.ok())),
                Err((_, cause)) => return Err(error("lock", &path, cause.to_string())),
            };
            // Its holder may have removed it between the two, and another process put a new one in its place.
            if is_same(&lock, &path) {
                return Ok(FoundNote::Left(Self { record: record?, path, _lock: lock }));
            }
        }
        Err(error("lock", &path, "another process makes it anew all the time".to_owned()))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it: what it says is not true any more.
    pub(super) fn remove(self) -> Result<(), DesyncError> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(error("remove", &self.path, cause.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// A file without a name, of which nothing is left when this process is killed before it has one; a name for the moment where the file system has none such (NFS).
fn new_file(folder: &Path) -> io::Result<(File, Option<TempPath>)> {
    let nameless =
        OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits()).open(folder);
    if let Ok(file) = nameless {
        return Ok((file, None));
    }
    let (file, name) = tempfile::Builder::new().prefix(".desync-").tempfile_in(folder)?.into_parts();
    Ok((file, Some(name)))
}

/// Gives a nameless file this name, where nothing has it.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let nameless = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(linkat(AT_FDCWD, &nameless, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?)
}

fn error(action: &'static str, path: &Path, cause: String) -> DesyncError {
    DesyncError::Note { action, path: path.to_owned(), cause }
}

fn with_cure(cause: &io::Error, path: &Path) -> String {
    format!(
        "{cause}; see whether SELECT @@wsrep_desync is what you want it to be, then remove '{}'",
        path.display()
    )
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn read(file: &File, socket: &Path) -> io::Result<DesyncRecord> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let server = fs::metadata(socket).ok().map(|socket| socket.uid());
    let believed = [Some(0), Some(nix::unistd::geteuid().as_raw()), server];
    if !believed.contains(&Some(metadata.uid())) {
        return Err(io::Error::other(format!("it belongs to uid {}, who is not the server", metadata.uid())));
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    // What it says besides is nobody's business.
    serde_json::from_slice(&content).map_err(|_| io::Error::other("it is no such note"))
}

fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn record() -> DesyncRecord {
        DesyncRecord {
            node: "n1".into(),
            server_started: 7,
            since: Timestamp::UNIX_EPOCH,
            pid: 1,
            command: "true".into(),
            stopped: Vec::new(),
            lease: None,
        }
    }

    #[test]
    fn it_is_held_by_its_writer_and_found_when_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("mysqld.sock");
        assert!(matches!(Note::find(&socket).unwrap(), FoundNote::Nothing));
        let note = Note::write(&socket, record()).unwrap();
        assert!(matches!(Note::find(&socket).unwrap(), FoundNote::Held(Some(found)) if found == record()));
        assert!(Note::write(&socket, record()).is_err());
        drop(note);
        assert!(Note::write(&socket, record()).is_err(), "what a dead process has left is not written over");
        let FoundNote::Left(left) = Note::find(&socket).unwrap() else { panic!("not left") };
        assert_eq!(left.record, record());
        assert!(matches!(Note::find(&socket).unwrap(), FoundNote::Held(_)), "two ended the same desync");
        left.remove().unwrap();
        assert!(matches!(Note::find(&socket).unwrap(), FoundNote::Nothing));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_none_is_told_with_a_cure_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let path = path_of(&socket);
        let told = || match Note::find(&socket) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was believed"),
        };
        fs::write(&path, "{}").unwrap();
        assert!(told().contains("it is no such note; see whether SELECT @@wsrep_desync"), "{}", told());
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert!(told().contains("cannot open"), "{}", told());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(told().contains("it is not a file"), "{}", told());
        if nix::unistd::geteuid().is_root() {
            fs::remove_file(&path).unwrap();
            fs::write(&path, serde_json::to_vec(&record()).unwrap()).unwrap();
            std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
            assert!(told().contains("it belongs to uid 4711"), "{}", told());
        }
    }
}
