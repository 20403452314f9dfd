//! Files outside of a data directory that belong to tables in it (`DATA DIRECTORY`): where such a table goes, since the backup has it not, its file
//! elsewhere stays, and is told. Nobody can know what else lies there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::restore::no_follow;

/// The most of an `.isl` file that is read, bytes: it holds one path.
const LONGEST: u64 = 8 << 10;

/// The files that these lead to, as far as they are there: those that `.isl` files name (InnoDB), and those behind links (Aria, MyISAM, whole
/// databases).
pub(super) fn behind<'a>(target: &Path, files: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = files.filter_map(|file| leads_to(file)).collect();
    found.retain(|path| {
        !path.starts_with(target) && path.symlink_metadata().is_ok_and(|data| data.is_file() || data.is_dir())
    });
    found.sort();
    found.dedup();
    found
}

fn leads_to(file: &Path) -> Option<PathBuf> {
    let place = if file.extension().is_some_and(|ending| ending == "isl") {
        let text = no_follow::read_file(file, LONGEST).ok()?;
        PathBuf::from(OsStr::from_bytes(text.trim_ascii_end()))
    } else {
        fs::read_link(file).ok()?
    };
    Some(file.parent()?.join(place).components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tables_have_elsewhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (target, far) = (root.join("data"), root.join("far"));
        for directory in [&target, &far] {
            fs::create_dir(directory).unwrap();
        }
        for name in ["t.ibd", "t.MYD", "other.ibd"] {
            fs::write(far.join(name), "x").unwrap();
        }
        fs::write(target.join("t.isl"), format!("{}\n", far.join("t.ibd").display())).unwrap();
        fs::write(target.join("gone.isl"), far.join("gone.ibd").as_os_str().as_bytes()).unwrap();
        fs::write(target.join("t.frm"), "x").unwrap();
        std::os::unix::fs::symlink(far.join("t.MYD"), target.join("t.MYD")).unwrap();
        std::os::unix::fs::symlink("t.frm", target.join("u.frm")).unwrap();
        let files: Vec<PathBuf> =
            ["t.isl", "gone.isl", "t.frm", "t.MYD", "u.frm"].map(|name| target.join(name)).into();
        assert_eq!(behind(&target, files.iter()), [far.join("t.MYD"), far.join("t.ibd")]);
    }
}
