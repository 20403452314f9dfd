//! Directories outside the data directory, and where the archive keeps their content.

use std::path::{Path, PathBuf};

use crate::archive::EXTERNAL_PREFIX;
use crate::model::{ArchivePath, Origin};

/// A directory outside the data directory and its folder in the archive.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) variable: &'static str,
    pub(super) root: PathBuf,
    stored: PathBuf,
}

impl Place {
    /// `many` roots of one variable are told apart by their own path.
    pub(super) fn new(variable: &'static str, root: &Path, many: bool) -> Self {
        debug_assert!(Origin::VARIABLES.contains(&variable), "a restore would refuse files of {variable}");
        let mut stored = Path::new(EXTERNAL_PREFIX).join(variable);
        if many {
            stored.push(root.strip_prefix("/").unwrap_or(root));
        }
        Self { variable, root: root.to_path_buf(), stored }
    }

    pub(super) fn path_and_origin(&self, disk: &Path) -> (ArchivePath, Origin) {
        let below = disk.strip_prefix(&self.root).unwrap_or(disk);
        let origin = Origin {
            variable: self.variable.to_owned(),
            root: ArchivePath::new(&self.root),
            path: ArchivePath::new(disk),
        };
        (ArchivePath::new(self.stored.join(below).components().collect::<PathBuf>()), origin)
    }
}
