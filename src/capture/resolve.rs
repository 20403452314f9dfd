//! What paths are, whatever they are called. All comparisons of the server's paths are made here.
//!
//! The server keeps the spelling of its options: behind a link `/var/lib/mysql -> /data/mysql` its variables go on to
//! say `/var/lib/mysql/mysql-bin`, and a bind mount is a second name that no link tells. So two directories are one
//! where device and inode are the same. The last part of a path is never resolved where a *name* is meant: it may be a
//! link itself, which is an entry of its own.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode.
pub(super) type Inode = (u64, u64);

/// Of what a path leads to; none for what is not there.
pub(super) fn inode(path: &Path) -> Option<Inode> {
    fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

/// Whether two names lead to one directory (or file).
pub fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other || inode(one).is_some_and(|number| inode(other) == Some(number))
}

/// Whether two paths name one entry: the same last part, in the same directory. Neither needs to exist.
pub fn is_same_entry(one: &Path, other: &Path) -> bool {
    // It is asked of every file, for every file that is left out.
    if let (Some(one), Some(other)) = (last_name(one), last_name(other))
        && one != other
    {
        return false;
    }
    one == other
        || one.file_name().is_some()
            && one.file_name() == other.file_name()
            && matches!((one.parent(), other.parent()), (Some(one), Some(other)) if is_same_directory(one, other))
}

/// What stands behind the last slash, where that is a name.
pub(super) fn last_name(path: &Path) -> Option<&[u8]> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.rsplit(|byte| *byte == b'/').next()?;
    (!matches!(name, b"" | b"." | b"..")).then_some(name)
}

/// Without links on the whole way; what is not there keeps its name below what is.
pub fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_path_buf(),
    })
}

/// Without links on the way to it; its own name stays.
fn resolved_parent(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => resolved(path),
    }
}

/// The data directory, and what the server's paths are seen from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Datadir {
    path: PathBuf,
    inode: Option<Inode>,
}

impl Datadir {
    /// Resolves the name that mysqld has passed.
    pub(super) fn find(name: &Path) -> io::Result<Self> {
        fs::canonicalize(name).map(|path| Self::at(&path))
    }

    /// With a path that has no links.
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), inode: inode(path) }
    }

    /// Its path, without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn is(&self, path: &Path) -> bool {
        path == self.path || self.inode.is_some() && inode(path) == self.inode
    }

    /// A path without links as one below [`Datadir::path`], if it lies there.
    fn inside(&self, real: &Path) -> Option<PathBuf> {
        let above = real.ancestors().find(|above| self.is(above))?;
        let below = real.strip_prefix(above).unwrap_or(Path::new(""));
        Some(self.path.join(below).components().collect())
    }

    /// The path of a file that an option names. Relative ones count from the data directory.
    pub(super) fn entry(&self, option: impl AsRef<Path>) -> PathBuf {
        self.placed(option.as_ref(), resolved_parent)
    }

    /// The same for a directory, whose name may be a link to where it is.
    pub(super) fn directory(&self, option: impl AsRef<Path>) -> PathBuf {
        self.placed(option.as_ref(), resolved)
    }

    /// In the data directory: below [`Datadir::path`], however it is spelt. Elsewhere: as it is spelt, because there the
    /// server will look for it after a restore too; but a path that leads through the data directory to a place
    /// outside of it is told by that place, or a restore would follow it into the old data directory.
    fn placed(&self, option: &Path, resolve: fn(&Path) -> PathBuf) -> PathBuf {
        let spelt: PathBuf = self.path.join(option).components().collect();
        let real = resolve(&spelt);
        if let Some(inside) = self.inside(&real) {
            return inside;
        }
        let leads_through = spelt.ancestors().skip(1).any(|above| self.is(above));
        let leads_up = spelt.components().any(|part| part == std::path::Component::ParentDir);
        if leads_through || leads_up { real } else { spelt }
    }

    /// Whether a directory lies in the data directory, or is it.
    pub(super) fn holds(&self, directory: &Path) -> bool {
        self.inside(&resolved(directory)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// `real/data` behind the link `link`, with a folder inside, and a link in it that leads out.
    fn stage() -> (tempfile::TempDir, PathBuf, Datadir) {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for directory in ["real/data/inside", "far/logs", "redo"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        symlink(root.join("real/data"), root.join("link")).unwrap();
        symlink(root.join("far/logs"), root.join("real/data/out")).unwrap();
        symlink(root.join("redo"), root.join("via")).unwrap();
        let datadir = Datadir::find(&root.join("link")).unwrap();
        (folder, root, datadir)
    }

    #[test]
    fn the_data_directory_has_one_name_whatever_an_option_calls_it() {
        let (_folder, root, datadir) = stage();
        assert_eq!(datadir.path(), root.join("real/data"));
        for (option, wanted) in [
            ("link/mysql-bin", "real/data/mysql-bin"),
            ("link/./inside/../mysql-bin", "real/data/mysql-bin"),
            ("real/data/inside/x", "real/data/inside/x"),
            ("link/not/there/x", "real/data/not/there/x"),
            ("via/ib_logfile0", "via/ib_logfile0"),
            ("redo/../redo/x", "redo/x"),
            ("link/out/mysql-bin", "far/logs/mysql-bin"),
        ] {
            assert_eq!(datadir.entry(root.join(option)), root.join(wanted), "{option}");
        }
        assert_eq!(datadir.entry("inside/x"), root.join("real/data/inside/x"));
        assert_eq!(datadir.entry("../../redo/x"), root.join("redo/x"));
        for (option, wanted, inside) in [
            ("link", "real/data", true),
            ("link/inside", "real/data/inside", true),
            ("link/out", "far/logs", false),
            ("via", "via", false),
        ] {
            let found = datadir.directory(root.join(option));
            assert_eq!((&found, datadir.holds(&found)), (&root.join(wanted), inside), "{option}");
        }
        assert!(is_same_entry(&root.join("link/x"), &root.join("real/data/x")));
        assert!(!is_same_entry(&root.join("link/x"), &root.join("redo/x")));
        assert!(!is_same_entry(&root.join("link/x"), &root.join("link/y")));
    }
}
