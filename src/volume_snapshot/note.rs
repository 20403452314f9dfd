//! The note that says that there may be a snapshot: a file that is there before the command is started, and goes when the snapshot has gone.
//!
//! It is as that of a desync ([`crate::desync`]): its name ends with `.lock`, it appears whole and locked, and the kernel gives the lock back when its writer dies. One file for
//! each data directory, of which one snapshot is taken at a time. It lies in root's folder below `/run` where root runs the commands,
//! and else beside the server's socket; only what root or this process's own user has written is believed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::request::SnapshotRequest;
use crate::model::safe_component;

/// No note is longer.
const LONGEST: u64 = 4 << 20;

/// A note that this process holds.
#[derive(Debug)]
pub(super) struct SnapshotNote {
    path: PathBuf,
    /// What was asked for.
    pub(super) request: SnapshotRequest,
    _lock: Flock<File>,
}

/// What is found in its place.
#[derive(Debug)]
pub(super) enum SnapshotNoteFound {
    /// None.
    Nothing,
    /// Its writer lives.
    Held,
    /// Its writer has died.
    Left(SnapshotNote),
}

fn path_of(folder: &Path, datadir: &Path) -> PathBuf {
    let name = safe_component(datadir.to_string_lossy().trim_start_matches('/'));
    folder.join(format!("{name}.snapshot.lock"))
}

impl SnapshotNote {
    /// Writes it; an error where there is one.
    pub(super) fn write(folder: &Path, request: &SnapshotRequest) -> Result<Self, String> {
        let path = path_of(folder, &request.datadir);
        let failed = |cause: io::Error| {
            format!("cannot write '{}', which says that there may be a snapshot: {cause}", path.display())
        };
        let content = serde_json::to_vec(request).map_err(|cause| failed(cause.into()))?;
        make_folder(folder).map_err(failed)?;
        let mut new = tempfile::Builder::new().prefix(".snapshot-").tempfile_in(folder).map_err(failed)?;
        new.write_all(&content).map_err(failed)?;
        new.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
        let own = new.as_file().try_clone().map_err(failed)?;
        let lock =
            Flock::lock(own, FlockArg::LockExclusiveNonblock).map_err(|(_, cause)| failed(cause.into()))?;
        new.persist_noclobber(&path).map_err(|cause| failed(cause.error))?;
        Ok(Self { path, request: request.clone(), _lock: lock })
    }

    /// Looks for one of this data directory.
    pub(super) fn find(folder: &Path, datadir: &Path) -> Result<SnapshotNoteFound, String> {
        let path = path_of(folder, datadir);
        let failed = |cause: io::Error| {
            format!(
                "cannot believe '{}', which says that there may be a snapshot of an earlier backup: {cause}; see whether there is one, then remove that file",
                path.display()
            )
        };
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(SnapshotNoteFound::Nothing),
            file => file.map_err(failed)?,
        };
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(SnapshotNoteFound::Held),
            Err((_, cause)) => return Err(failed(cause.into())),
        };
        // Its holder may have removed it between the two.
        let is_there = fs::symlink_metadata(&path).and_then(|there| {
            let own = lock.metadata()?;
            Ok((there.dev(), there.ino()) == (own.dev(), own.ino()))
        });
        if !is_there.unwrap_or(false) {
            return Ok(SnapshotNoteFound::Nothing);
        }
        let request = read(&lock).map_err(failed)?;
        // Long paths may have one name.
        if request.datadir != datadir {
            return Err(failed(io::Error::other(format!("it is of '{}'", request.datadir.display()))));
        }
        Ok(SnapshotNoteFound::Left(Self { path, request, _lock: lock }))
    }

    /// Removes it: there is no snapshot any more.
    pub(super) fn remove(self) {
        if let Err(cause) = fs::remove_file(&self.path) {
            log::warn!("cannot remove '{}': {cause}", self.path.display());
        }
    }
}

/// The socket of the package's unit lies in that folder below `/run`, and snapshots are mounted in it: the server's user must reach them, and nobody else may put
/// anything there, whatever the umask is of whoever makes it.
fn make_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    // Nobody else may write to it in between.
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn read(file: &File) -> io::Result<SnapshotRequest> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(io::Error::other(format!("it belongs to uid {}", metadata.uid())));
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    let request: SnapshotRequest =
        serde_json::from_slice(&content).map_err(|_| io::Error::other("it is no such note"))?;
    request.objection().map_or(Ok(request), |why| Err(io::Error::other(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_by_its_writer_and_found_when_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("run");
        let datadir = Path::new("/var/lib/mysql");
        let request = SnapshotRequest {
            name: "n".into(),
            datadir: datadir.into(),
            socket: None,
            directories: vec![datadir.into()],
        };
        assert!(matches!(SnapshotNote::find(&place, datadir).unwrap(), SnapshotNoteFound::Nothing));
        let note = SnapshotNote::write(&place, &request).unwrap();
        assert!(matches!(SnapshotNote::find(&place, datadir).unwrap(), SnapshotNoteFound::Held));
        assert!(SnapshotNote::write(&place, &request).unwrap_err().contains("var_lib_mysql.snapshot.lock"));
        drop(note);
        let SnapshotNoteFound::Left(left) = SnapshotNote::find(&place, datadir).unwrap() else { panic!() };
        assert_eq!(left.request, request);
        left.remove();
        assert!(matches!(SnapshotNote::find(&place, datadir).unwrap(), SnapshotNoteFound::Nothing));
        fs::write(place.join("var_lib_mysql.snapshot.lock"), "{}").unwrap();
        assert!(SnapshotNote::find(&place, datadir).unwrap_err().contains("cannot believe"));
    }
}
