//! Opens places one name after the other, never through a symbolic link.
//!
//! A restore runs as root, in directories that belong to the server's user while it writes, and by an index that
//! somebody else may have edited. Whoever can put a link where a directory was expected must not choose where root
//! writes. So every path is resolved once, before anything is written; from then on each directory is opened from the
//! one above it, and a link on the way ends the restore.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::storage::{STEP, Stumble, step};

/// A directory, to go on from. No name in `path` may be a link.
pub(super) fn directory(path: &Path) -> io::Result<OwnedFd> {
    let mut folder = open("/", STEP, Mode::empty())?;
    let mut so_far = PathBuf::from("/");
    for part in path.components() {
        let name = match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => name,
            Component::ParentDir | Component::Prefix(_) => return Err(Errno::EINVAL.into()),
        };
        so_far.push(name);
        folder = step(&folder, name).map_err(|Stumble { errno, is_link }| {
            let error = io::Error::from(errno);
            if !is_link {
                return error;
            }
            let text = format!("'{}' is a symbolic link, through which nothing is written", so_far.display());
            io::Error::new(error.kind(), text)
        })?;
    }
    Ok(folder)
}

/// The directory in which a path is, and its last name.
pub(super) fn parent(path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
    let name = path.file_name().ok_or(Errno::EINVAL)?;
    Ok((directory(path.parent().unwrap_or(Path::new("/")))?, name))
}

/// A directory to list or to sync.
pub(super) fn readable_directory(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(&directory(path)?, ".", flags, Mode::empty())?.into())
}

/// The first `limit` bytes of a regular file. Who owns its directory may have put anything into its place: a pipe is not waited
/// for, a link is not followed, a device is not read.
pub(super) fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let (folder, name) = parent(path)?;
    let file = File::from(openat(&folder, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{}' is no file", path.display())));
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// A path without links, whose end need not be there yet; or why it leads nowhere, in words that follow its name.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, String> {
    for above in path.ancestors() {
        let data = match fs::symlink_metadata(above) {
            Ok(data) => data,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => return Err(format!("cannot be looked at: {error}")),
        };
        let real = fs::canonicalize(above).map_err(|error| {
            if data.is_symlink() && error.kind() == io::ErrorKind::NotFound {
                let leads = fs::read_link(above).unwrap_or_default();
                format!(
                    "leads nowhere: '{}' is a symbolic link to '{}', which is not there. Make that directory, or mount \
                     its file system, and restore again",
                    above.display(),
                    leads.display()
                )
            } else {
                format!("cannot be looked at: {error}")
            }
        })?;
        let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
        return if rest.components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(real.join(rest).components().collect())
        } else {
            Err("has '..' behind a directory that is not there".into())
        };
    }
    Err("is no absolute path".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_on_the_way_ends_it_and_what_is_missing_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("link")).unwrap();
        assert!(directory(&root.join("real/deep")).is_ok());
        let error = directory(&root.join("link/deep")).unwrap_err();
        assert!(error.to_string().contains("/link' is a symbolic link"), "{error}");
        assert_eq!(directory(&root.join("real/none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(directory(&root.join("real/../real")).is_err());
    }

    #[test]
    fn only_a_file_is_read_and_no_more_of_it_than_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let at = |name: &str| root.join(name);
        fs::write(at("file"), "content").unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", at("link")).unwrap();
        assert_eq!(read_file(&at("file"), 3).unwrap(), b"con");
        for name in ["pipe", "link", ".", "none"] {
            assert!(read_file(&at(name), 3).is_err(), "{name}");
        }
        // A device is opened and not read.
        assert!(read_file(Path::new("/dev/zero"), 3).unwrap_err().to_string().ends_with("is no file"));
        assert!(readable_directory(&root).is_ok());
        assert!(readable_directory(&at("pipe")).is_err() && readable_directory(&at("link")).is_err());
    }

    #[test]
    fn links_are_resolved_and_dangling_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        assert_eq!(resolve(&root.join("link/new/deep")).unwrap(), root.join("real/new/deep"));
        assert_eq!(resolve(&root.join("real/../new")).unwrap(), root.join("new"));
        assert!(resolve(&root.join("none/../new")).unwrap_err().contains("'..'"));
        for path in ["dangling", "dangling/below"] {
            let why = resolve(&root.join(path)).unwrap_err();
            assert!(why.contains("is a symbolic link to 'nowhere', which is not there"), "{why}");
        }
    }
}
