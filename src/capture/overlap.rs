//! A repository must not lie among the server's files, nor they in it.
//!
//! Inside the data directory every backup would hold all earlier ones and its own half-written object: sizes and freezes
//! double each time. A repository around the server's files takes its directories for those of clusters. Links, bind mounts and
//! spellings do not matter: directories are compared by device and inode, from the place itself up to the root.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::entry::{Entry, EntryKind};
use super::layout::ServerLayout;
use super::objection::shown;
use super::resolve::{Inode, inode, resolved};

/// A repository and a directory of the server that lie in each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlap {
    /// The repository is this directory, or lies in it.
    Inside(PathBuf),
    /// This directory lies in the repository.
    Around(PathBuf),
}

impl Overlap {
    /// Of a repository that may not be there yet; `entries` are what a backup takes, as far as that is known.
    pub fn find(repository: &Path, layout: &ServerLayout, entries: &[Entry]) -> Option<Self> {
        let directories = directories(layout, entries);
        let known: HashMap<Inode, &PathBuf> =
            directories.iter().filter_map(|path| Some((inode(path)?, path))).collect();
        let place = resolved(repository);
        // What is not there yet has no inode, and lies in what is.
        let inside = place.ancestors().filter_map(inode).find_map(|number| known.get(&number));
        if let Some(directory) = inside {
            return Some(Self::Inside((*directory).clone()));
        }
        let own = inode(&place)?;
        let lies_there =
            |path: &&PathBuf| resolved(path).ancestors().skip(1).any(|up| inode(up) == Some(own));
        directories.iter().find(lies_there).map(|path| Self::Around(path.clone()))
    }

    /// What is wrong, in a sentence without its cure.
    pub fn text(&self, repository: &Path) -> String {
        let repository = shown(repository);
        match self {
            Self::Inside(directory) => format!(
                "the repository '{repository}' lies in '{}', which is backed up: every backup would hold all earlier ones, and itself",
                shown(directory)
            ),
            Self::Around(directory) => format!(
                "'{}', a directory of the server, lies in the repository '{repository}', where directories are those of clusters and their \
                 backups",
                shown(directory)
            ),
        }
    }
}

/// The data directory, and those elsewhere from which a backup takes something.
fn directories(layout: &ServerLayout, entries: &[Entry]) -> BTreeSet<PathBuf> {
    let elsewhere = entries.iter().filter_map(|entry| match (&entry.origin, &entry.kind) {
        (Some(origin), EntryKind::Directory) => Some(origin.path.as_path().to_path_buf()),
        (Some(origin), _) => origin.path.as_path().parent().map(Path::to_path_buf),
        (None, _) => None,
    });
    let named = layout.externals.iter().map(|external| external.root.clone());
    std::iter::once(layout.datadir.clone()).chain(named).chain(elsewhere).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::capture::{External, ListOptions, list_files};

    #[test]
    fn a_repository_among_the_files_of_the_server_is_found_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for name in ["srv/data/db", "srv/redo", "srv/far/db", "srv/tables", "beside", "srv/data/backups"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let at = |name: &str| root.join(name);
        fs::write(at("srv/tables/t.ibd"), "").unwrap();
        fs::write(at("srv/data/db/t.isl"), at("srv/tables/t.ibd").to_str().unwrap()).unwrap();
        symlink(at("srv/far/db"), at("srv/data/far")).unwrap();
        symlink(at("srv/data"), at("link")).unwrap();
        symlink(at("beside"), at("srv/data/out")).unwrap();
        let redo =
            External { variable: "innodb_log_group_home_dir", root: at("srv/redo"), files: Vec::new() };
        let layout = ServerLayout { externals: vec![redo], ..ServerLayout::bare(at("srv/data")) };
        fs::remove_file(at("srv/data/out")).unwrap();
        let list = list_files(&layout, &ListOptions::default()).unwrap();
        symlink(at("beside"), at("srv/data/out")).unwrap();
        let find = |name: &str| Overlap::find(&at(name), &layout, &list.entries);
        let inside = |name: &str| Some(Overlap::Inside(at(name)));
        for (repository, directory) in [
            ("srv/data", "srv/data"),
            ("srv/data/backups", "srv/data"),
            ("srv/data/none/yet", "srv/data"),
            ("link/db", "srv/data"),
            ("beside/../link/none", "srv/data"),
            ("srv/redo/r", "srv/redo"),
            ("srv/far/db/r", "srv/far/db"),
            ("srv/tables/r", "srv/tables"),
        ] {
            assert_eq!(find(repository), inside(directory), "{repository}");
        }
        assert_eq!(find("srv"), Some(Overlap::Around(at("srv/data"))));
        assert_eq!(find("srv/far"), Some(Overlap::Around(at("srv/far/db"))));
        // A link in the data directory is no directory of it, and neighbours are none.
        for repository in ["beside", "srv/data/out", "srv/data/out/r", "srv/backups", "srv/database"] {
            assert_eq!(find(repository), None, "{repository}");
        }
    }
}
