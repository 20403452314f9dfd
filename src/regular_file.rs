//! Reads a file whose directory belongs to another user.
//!
//! Whoever may write to a directory may put a pipe, a device or a link to one in the place of a file. To open a pipe waits for a
//! writer, to read a device takes memory without end. So what lies in a directory of the server's user, or of anybody else, is
//! opened here: only a regular file is read, and no more of it than such a file has.
//!
//! What root reads there it reads with the rights of the directory's owner ([`read_as_owner_of`]): a link would lead it to what that user may not see.
//!
//! (Files that the operator names, option files and keys, may be pipes: `<(…)` of a shell is one.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::marker::PhantomData;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, geteuid, setfsgid, setfsuid, setgroups};

/// With whose rights root reads.
static OWNER: OnceLock<(Uid, Gid)> = OnceLock::new();

/// From now on this process, if it is root's, opens files here with the rights of this directory's owner.
pub fn read_as_owner_of(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    if geteuid().is_root() && metadata.uid() != 0 {
        let (uid, gid) = *OWNER.get_or_init(|| (metadata.uid().into(), metadata.gid().into()));
        log::debug!("files are read as user {uid}");
        // Root's other groups would still be asked. It needs none of them.
        setgroups(&[gid])?;
    }
    Ok(())
}

/// For as long as it lives this thread, and what it starts, reaches of the file systems what the owner does (`man 2 setfsuid`).
#[must_use]
pub struct OwnersRights {
    before: Option<(Uid, Gid)>,
    /// They are those of the thread.
    _thread: PhantomData<*const ()>,
}

/// The rights of the owner of [`read_as_owner_of`]; the own ones where there is none.
pub fn owners_rights() -> OwnersRights {
    rights_of(OWNER.get().copied())
}

fn rights_of(owner: Option<(Uid, Gid)>) -> OwnersRights {
    // The group first: afterwards it may not be changed any more.
    let before = owner.map(|(uid, gid)| {
        let gid = setfsgid(gid);
        (setfsuid(uid), gid)
    });
    OwnersRights { before, _thread: PhantomData }
}

impl Drop for OwnersRights {
    fn drop(&mut self) {
        if let Some((uid, gid)) = self.before {
            setfsuid(uid);
            setfsgid(gid);
        }
    }
}

/// Opens a regular file to read it; a link leads to one.
pub fn open(path: &Path) -> io::Result<File> {
    let _rights = owners_rights();
    // O_NONBLOCK does nothing to the reading of a file.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = |flags: OFlag| OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    // A file system that notes the time of each access writes for each file that is read. Only the owner and root may do without.
    let file = match open(flags | OFlag::O_NOATIME) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => open(flags)?,
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    Ok(file)
}

/// All of a regular file, which has `limit` bytes at most.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let text = format!("it has more than {limit} bytes, which no such file has");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_file_is_read_and_nothing_else_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "content").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/dev/zero", at("zeros")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&at(name), 7).unwrap(), b"content");
            assert_eq!(
                read(&at(name), 6).unwrap_err().to_string(),
                "it has more than 6 bytes, which no such file has"
            );
        }
        for name in ["pipe", "zeros", "."] {
            assert_eq!(read(&at(name), 7).unwrap_err().to_string(), "it is not a file", "{name}");
        }
        assert_eq!(read(&at("none"), 7).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn root_reads_nothing_that_the_owner_may_not_read() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(folder.path(), 0o755);
        let [open, closed] = ["open", "closed"].map(|name| folder.path().join(name));
        fs::write(&open, "x").unwrap();
        fs::write(&closed, "x").unwrap();
        set(&open, 0o644);
        set(&closed, 0o600);
        let owner = Some((Uid::from_raw(4711), Gid::from_raw(4711)));
        let refused = || File::open(&closed).unwrap_err().kind();
        {
            let _outer = rights_of(owner);
            assert!(File::open(&open).is_ok());
            assert_eq!(refused(), ErrorKind::PermissionDenied);
            drop(rights_of(owner));
            assert_eq!(
                refused(),
                ErrorKind::PermissionDenied,
                "the inner ones have taken the outer ones away"
            );
            assert_eq!(
                std::thread::scope(|scope| scope.spawn(refused).join().unwrap()),
                ErrorKind::PermissionDenied
            );
        }
        assert!(File::open(&closed).is_ok());
        let _none = rights_of(None);
        assert!(File::open(&closed).is_ok());
    }
}
