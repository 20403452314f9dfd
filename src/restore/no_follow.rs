//! Opens places one name after the other, never through a symbolic link.
//!
//! A restore runs as root, in directories that belong to the server's user while it writes, and by an index that
//! another user may have edited. Whoever can put a link where a directory was expected must not choose where root
//! writes. So every path is resolved once, before anything is written; from then on each directory is opened from the
//! one above it, and a link on the way ends the restore.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::geteuid;

use crate::storage::{DIRECTORY_HANDLE, EnterError, enter};
use crate::ui::shell_word;
use crate::users::user_name;

/// A directory, to go on from. No name in `path` may be a link.
pub(super) fn directory(path: &Path) -> io::Result<OwnedFd> {
    let mut folder = open("/", DIRECTORY_HANDLE, Mode::empty())?;
    let mut so_far = PathBuf::from("/");
    for part in path.components() {
        let name = match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => name,
            Component::ParentDir | Component::Prefix(_) => return Err(Errno::EINVAL.into()),
        };
        so_far.push(name);
        folder = enter(&folder, name).map_err(|EnterError { errno, is_link }| {
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

/// A file, as far as its name says. Who owns its directory may have put anything into its place: no link is followed, no pipe waited for.
pub(super) fn file(path: &Path, access: OFlag) -> io::Result<File> {
    let (folder, name) = parent(path)?;
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(openat(&folder, name, flags, Mode::empty())?.into())
}

/// The first `limit` bytes of a regular file; a device is not read.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = file(path, OFlag::O_RDONLY)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{}' is no file", path.display())));
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// A path without links, whose end need not be there yet; or why it leads nowhere, in words that follow its name.
///
/// Links are followed where they are root's, as an administrator makes them. Whoever owns a directory above the target could lead
/// root to any place by a link of their own, and the empty directory there would be given to the server's user.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, String> {
    let is_root = geteuid().is_root();
    resolve_links_of(path, |owner| !is_root || owner == 0)
}

/// Links on the way that are followed before it is known that they lead nowhere, or in a circle.
const MOST_LINKS: usize = 40;

/// A link that is being followed.
struct Link {
    place: PathBuf,
    leads: PathBuf,
    /// How many names are left to go when all of its own are gone.
    rest: usize,
}

/// Each name is opened from the directory before it, so that nobody can put another link there once its owner is known.
fn resolve_links_of(path: &Path, is_trusted: impl Fn(u32) -> bool) -> Result<PathBuf, String> {
    let failed = |error: Errno| format!("cannot be looked at: {}", io::Error::from(error));
    if !path.is_absolute() {
        return Err("is no absolute path".into());
    }
    let root = open("/", DIRECTORY_HANDLE, Mode::empty()).map_err(failed)?;
    let (mut real, mut above) = (PathBuf::from("/"), Vec::new());
    let mut left = names_backwards(path);
    let (mut links, mut followed): (Vec<Link>, usize) = (Vec::new(), 0);
    while let Some(name) = left.pop() {
        links.retain(|link| link.rest <= left.len());
        if name == ".." {
            real.pop();
            above.pop();
            continue;
        }
        let here = above.last().unwrap_or(&root);
        match enter(here, &name) {
            Ok(folder) => {
                above.push(folder);
                real.push(name);
            }
            Err(EnterError { is_link: true, .. }) => {
                let place = real.join(&name);
                let leads = follow(here, &name, &place, &is_trusted)?;
                followed += 1;
                if followed > MOST_LINKS {
                    return Err(failed(Errno::ELOOP));
                }
                if leads.is_absolute() {
                    real = "/".into();
                    above.clear();
                }
                let rest = left.len();
                left.extend(names_backwards(&leads));
                links.push(Link { place, leads, rest });
            }
            // No directory has this name.
            Err(EnterError { errno: Errno::ENOENT | Errno::ENOTDIR, .. })
                if left.iter().any(|name| name == "..") =>
            {
                return Err("has '..' behind a directory that is not there".into());
            }
            Err(EnterError { errno: Errno::ENOENT, .. }) if !links.is_empty() => {
                return Err(leads_nowhere(&links));
            }
            Err(EnterError { errno: Errno::ENOENT | Errno::ENOTDIR, .. }) => {
                real.push(name);
                real.extend(left.into_iter().rev());
                return Ok(real);
            }
            Err(EnterError { errno, .. }) => return Err(failed(errno)),
        }
    }
    Ok(real)
}

/// The names of a path, the last one first.
fn names_backwards(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

/// Where a link leads, unless its owner is not trusted. Both are of the same link, whatever has its name meanwhile.
fn follow(
    folder: &OwnedFd,
    name: &OsStr,
    place: &Path,
    is_trusted: impl Fn(u32) -> bool,
) -> Result<PathBuf, String> {
    let failed =
        |error: Errno| format!("cannot be looked at: '{}': {}", place.display(), io::Error::from(error));
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let link = openat(folder, name, flags, Mode::empty()).map_err(failed)?;
    let owner = fstat(&link).map_err(failed)?.st_uid;
    if !is_trusted(owner) {
        let whose = user_name(owner).map_or_else(|| owner.to_string(), |name| format!("'{name}'"));
        return Err(format!(
            "is no place for root to write: '{}' is a symbolic link of user {whose}, which root does not follow. Name the \
             directory that it leads to, or make the link root's (chown -h root {})",
            place.display(),
            shell_word(place)
        ));
    }
    readlinkat(&link, "").map(PathBuf::from).map_err(failed)
}

fn leads_nowhere(links: &[Link]) -> String {
    let link = links.last().map(|link| (link.place.display().to_string(), link.leads.display().to_string()));
    let (place, leads) = link.unwrap_or_default();
    format!(
        "leads nowhere: '{place}' is a symbolic link to '{leads}', which is not there. Make that directory, or mount its file \
         system, and restore again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

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

    #[test]
    fn a_link_is_followed_as_its_owner_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink("../real/./deep", root.join("real/up")).unwrap();
        symlink(root.join("real/up/.."), root.join("far")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        let me = fs::metadata(&root).unwrap().uid();
        let of = |path: &str, owner: u32| resolve_links_of(&root.join(path), |uid| uid == owner);
        assert_eq!(of("far/up/new", me).unwrap(), root.join("real/deep/new"));
        assert_eq!(of("far/deep/../new", me).unwrap(), root.join("real/new"));
        assert_eq!(of("file/new", me).unwrap(), root.join("file/new"));
        assert_eq!(of("real/deep", me + 1).unwrap(), root.join("real/deep"));
        assert!(of("circle", me).unwrap_err().starts_with("cannot be looked at: "));
        assert!(resolve(Path::new("real")).is_err());
        for path in ["far", "far/new", "real/up/new/deep"] {
            let why = of(path, me + 1).unwrap_err();
            let link = if path.starts_with("far") { "far" } else { "real/up" };
            assert!(
                why.contains(&format!("'{}' is a symbolic link of user ", root.join(link).display())),
                "{why}"
            );
        }
    }
}
