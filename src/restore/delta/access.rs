//! Whether this process may change what it will have to, where it is not root: nothing must fail for that when the directory is half replaced.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access, geteuid};

use super::compare::{Fates, LocalFate};
use super::extras::{Extra, Extras};
use super::local_file;
use crate::archive::Index;
use crate::model::MemberKind;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::no_follow;

/// Opens each file that stays, and asks of each directory.
pub(super) fn check(
    index: &Index,
    places: &Destinations,
    fates: &Fates,
    extras: &Extras,
) -> Result<(), RestoreError> {
    let me = geteuid();
    if me.is_root() {
        return Ok(());
    }
    let refused = |path: &Path, why: String| {
        Err(RestoreError::Refused(format!(
            "'{}' cannot be replaced by this user: {why}. Restore as root, or as the owner of the data directory",
            path.display()
        )))
    };
    let mut folders: BTreeSet<PathBuf> = extras
        .gone
        .iter()
        .flat_map(Extra::paths)
        .filter_map(|path| Some(path.parent()?.to_path_buf()))
        .collect();
    folders.insert(places.target().to_path_buf());
    for member in index.members.iter().filter(|member| !places.is_passed_over(member)) {
        let Some(place) = places.of(member) else { continue };
        folders.extend(place.parent().map(Path::to_path_buf));
        let is_own = |path: &Path| path.symlink_metadata().map_or(true, |data| data.uid() == me.as_raw());
        if member.kind == MemberKind::Directory && member.origin.is_none() && !is_own(&place) {
            return refused(&place, "it is another user's".into());
        }
        let Some(LocalFate::Stays { .. }) = fates.get(&member.header_offset) else { continue };
        let place = local_file::place_now(places, &place).unwrap_or(place);
        if let Err(error) = no_follow::file(&place, OFlag::O_RDWR) {
            return refused(&place, error.to_string());
        }
        if !is_own(&place) {
            return refused(&place, "it is another user's".into());
        }
    }
    for folder in folders.iter().filter(|folder| no_follow::directory(folder).is_ok()) {
        if let Err(errno) = access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
            return refused(folder, std::io::Error::from(errno).to_string());
        }
    }
    Ok(())
}
