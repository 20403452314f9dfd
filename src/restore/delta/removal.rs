//! Removes what the backup has not.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nix::unistd::UnlinkatFlags;

use super::extras::Extra;
use super::local_file::rename;
use crate::restore::error::SystemError;
use crate::restore::start_file::{HIDDEN_SUFFIX, hidden};
use crate::restore::undo_log::remove;

/// Bytes that a name in a directory has at most (`NAME_MAX` of `limits.h`).
const LONGEST_NAME: usize = 255;

/// Removes an entry; what is not there any more is gone.
pub(super) fn remove_extra(extra: &Extra) -> Result<(), SystemError> {
    match extra {
        Extra::File(path) | Extra::InTheWay(path) => remove_one(path, UnlinkatFlags::NoRemoveDir),
        Extra::Tree(path) => gone(path, fs::remove_dir_all(path)),
        Extra::Database(path, files) => {
            // Under a name of ours what is left of it is known where this is interrupted. One that no longer name would fit keeps its own: its
            // definitions, which go last, tell what it is.
            let is_ours = path.to_string_lossy().ends_with(HIDDEN_SUFFIX);
            let moved = Some(hidden(path)).filter(|hidden| !is_ours && has_name_that_fits(hidden));
            if let Some(moved) = &moved {
                gone(path, rename(path, moved))?;
            }
            let moved = moved.as_ref().unwrap_or(path);
            for name in files.iter().filter_map(|file| file.file_name()) {
                remove_one(&moved.join(name), UnlinkatFlags::NoRemoveDir)?;
            }
            remove_one(moved, UnlinkatFlags::RemoveDir)
        }
    }
}

fn has_name_that_fits(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.len() <= LONGEST_NAME)
}

fn remove_one(path: &Path, what: UnlinkatFlags) -> Result<(), SystemError> {
    gone(path, remove(path, what))
}

/// What is not there any more is gone.
fn gone(path: &Path, outcome: std::io::Result<()>) -> Result<(), SystemError> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SystemError::of("remove", path)(error)),
        _ => Ok(()),
    }
}
