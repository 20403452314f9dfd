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

/// Removes an entry; what is not there any more is gone.
pub(super) fn remove_extra(extra: &Extra) -> Result<(), SystemError> {
    match extra {
        Extra::File(path) | Extra::InTheWay(path) => remove_one(path, UnlinkatFlags::NoRemoveDir),
        Extra::Tree(path) => gone(path, fs::remove_dir_all(path)),
        Extra::Database(path, files) => {
            // Under a name of ours what is left of it is known where this is interrupted.
            let is_ours = path.to_string_lossy().ends_with(HIDDEN_SUFFIX);
            let moved = if is_ours { path.clone() } else { hidden(path) };
            if !is_ours {
                gone(path, rename(path, &moved))?;
            }
            for name in files.iter().filter_map(|file| file.file_name()) {
                remove_one(&moved.join(name), UnlinkatFlags::NoRemoveDir)?;
            }
            remove_one(&moved, UnlinkatFlags::RemoveDir)
        }
    }
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
