//! The file without which mysqld does not start comes last: until then a placeholder stands in its place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::fcntl::renameat;

use super::destinations::Destinations;
use super::error::SystemError;
use super::no_follow;
use super::undo_log::UndoLog;

/// The system tablespace while the restore goes on.
pub(super) const HIDDEN_SUFFIX: &str = ".wsrep_sst_backup-restoring";

/// What stands in the place of the system tablespace until everything else is there. InnoDB refuses it:
/// it is shorter than a page.
const PLACEHOLDER: &str = "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
    If no restore is running, it was interrupted: empty the directory and restore again.\n";

/// The system tablespace under its hidden name.
pub(super) struct StartFileGuard {
    /// Hidden and final.
    place: Option<(PathBuf, PathBuf)>,
}

impl StartFileGuard {
    /// Hides the start file behind the placeholder.
    pub(super) fn hide(created: &mut UndoLog, places: &Destinations) -> Result<Self, SystemError> {
        let Some(start) = places.start_file().map(Path::to_path_buf) else {
            return Ok(Self { place: None });
        };
        if let Some(parent) = start.parent() {
            created.directory(parent, places.owner(), None)?;
        }
        let mut file = created.create(&start, 0o640)?;
        let written = file.write_all(PLACEHOLDER.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(SystemError::of("write", &start))?;
        Ok(Self { place: Some((hidden(&start), start)) })
    }

    /// Where this file is written for now.
    pub(super) fn hidden_place(&self, place: &Path) -> PathBuf {
        match &self.place {
            Some((hidden, start)) if start == place => hidden.clone(),
            _ => place.to_path_buf(),
        }
    }

    /// Puts the file into its place: from here on mysqld can start.
    pub(super) fn publish(&self, created: &mut UndoLog) -> Result<(), SystemError> {
        let Some((hidden, start)) = &self.place else { return Ok(()) };
        let failed = SystemError::of("put into place", start);
        let (folder, name) = no_follow::parent(start).map_err(&failed)?;
        renameat(&folder, hidden.file_name().unwrap_or_default(), &folder, name)
            .map_err(|errno| failed(errno.into()))?;
        created.has_moved(hidden);
        let folder = start.parent().unwrap_or(Path::new("/"));
        let synced = no_follow::readable_directory(folder).and_then(|handle| handle.sync_all());
        synced.map_err(SystemError::of("sync the folder of", start))
    }
}

fn hidden(start: &Path) -> PathBuf {
    let mut hidden = start.as_os_str().to_owned();
    hidden.push(HIDDEN_SUFFIX);
    hidden.into()
}

/// Whether an unfinished restore has left its mark in the place of this system tablespace.
pub(super) fn is_unfinished(start: &Path) -> bool {
    is_placeholder(start) || fs::symlink_metadata(hidden(start)).is_ok()
}

/// The placeholder is there before anything hidden is. It is cut short where the restore ended within its first
/// write.
fn is_placeholder(start: &Path) -> bool {
    // One byte more than it has, so that what is longer is seen to be.
    let read = no_follow::read_file(start, PLACEHOLDER.len() as u64 + 1);
    read.is_ok_and(|content| PLACEHOLDER.as_bytes().starts_with(&content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_is_known_however_much_of_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ibdata1");
        for (content, known) in [
            (PLACEHOLDER, true),
            (&PLACEHOLDER[..20], true),
            ("", true),
            ("x", false),
            (&format!("{PLACEHOLDER}x"), false),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(is_placeholder(&file), known, "{content:?}");
        }
        assert!(!is_placeholder(folder.path()) && !is_placeholder(&folder.path().join("missing")));
    }
}
