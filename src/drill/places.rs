//! Places that a drilled server must not use: those of the live server, and whatever leads out of the scratch folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::error::DrillError;
use crate::archive::Index;
use crate::restore::{needed_places, read_regular_file};

/// The most of an `.isl` file that is read, bytes: it holds one path.
const LONGEST: u64 = 64 << 10;

/// Refuses files from outside of the data directory whose directory is here: InnoDB's redo log names absolute paths, and a server that recovers
/// here would open those of the live one.
pub(super) fn refuse_places_here(index: &Index) -> Result<(), DrillError> {
    let roots: BTreeSet<&Path> =
        index.members.iter().filter_map(|member| Some(member.origin.as_ref()?.root.as_path())).collect();
    match roots.into_iter().find(|root| fs::symlink_metadata(root).is_ok()) {
        None => Ok(()),
        Some(here) => Err(DrillError::Undone(format!(
            "the backup has files from '{}', which is here: drill it on another machine, where no server uses that place",
            here.display()
        ))),
    }
}

/// Refuses places that would lead the server out of the scratch folder: whoever can write to the repository can edit the manifest.
pub(super) fn refuse_places_outside(
    needed: &BTreeMap<String, String>,
    scratch: &Path,
) -> Result<(), DrillError> {
    match needed_places(needed).find(|(_, place)| leads_out(place, scratch)) {
        None => Ok(()),
        Some((name, place)) => Err(DrillError::Undone(format!(
            "the manifest has {name} = '{}', which leads out of the scratch folder: no server is started with that",
            place.display()
        ))),
    }
}

/// Refuses `.isl` files, which say where a tablespace is (`DATA DIRECTORY`), that lead out of the scratch folder as they were restored.
pub(super) fn refuse_tablespaces_outside(
    index: &Index,
    datadir: &Path,
    scratch: &Path,
) -> Result<(), DrillError> {
    for member in &index.members {
        let path = member.path.as_path();
        if member.origin.is_some() || path.extension() != Some(OsStr::new("isl")) {
            continue;
        }
        let file = datadir.join(path);
        let content = read_regular_file(&file, LONGEST).map_err(DrillError::system("read", &file))?;
        let place = Path::new(OsStr::from_bytes(content.trim_ascii()));
        if leads_out(place, scratch) {
            return Err(DrillError::Undone(format!(
                "'{}' of the backup says that a tablespace is at '{}', which leads out of the scratch folder: no server is started with that",
                path.display(),
                place.display()
            )));
        }
    }
    Ok(())
}

fn leads_out(place: &Path, scratch: &Path) -> bool {
    let turns_back = place.components().any(|part| part == Component::ParentDir);
    turns_back || (place.is_absolute() && !place.starts_with(scratch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_leads_out_of_the_scratch_folder() {
        let tried = |name: &str, value: &str| {
            refuse_places_outside(&[(name.to_owned(), value.to_owned())].into(), Path::new("/s/"))
        };
        for (name, value) in [
            ("innodb_undo_directory", "../live"),
            ("innodb_log_group_home_dir", "/live"),
            ("log_bin", "/s/../live/bin"),
            ("innodb_data_file_path", "ibdata1:12M;/live/ibdata2:12M:autoextend"),
        ] {
            let why = tried(name, value).unwrap_err().to_string();
            assert!(why.contains(name) && why.contains("leads out of the scratch folder"), "{why}");
        }
        for (name, value) in [
            ("innodb_undo_directory", "./"),
            ("innodb_log_group_home_dir", "/s/outside/x"),
            ("innodb_data_home_dir", ""),
            ("innodb_data_file_path", "ibdata1:12M;/s/data/ibdata2:12M:autoextend"),
            ("file_key_management_encryption_algorithm", "/not/a/place"),
        ] {
            tried(name, value).unwrap();
        }
    }
}
