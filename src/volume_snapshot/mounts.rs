//! Where the snapshot of each directory lies, as a command says, and what of that can be seen to be no snapshot.
//!
//! A command that does nothing prints the live directories; one that fails halfway those of yesterday. The former is on the same device (a
//! subvolume of btrfs and a dataset of ZFS have one of their own), the latter has files that look otherwise: whoever reads compares each.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::SnapshotError;
use super::request::is_plain;

/// Directories of the server, and where their snapshots are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMounts(Vec<(PathBuf, PathBuf)>);

fn refused(text: impl std::fmt::Display) -> SnapshotError {
    SnapshotError::Command(format!("snapshot-command: {text}"))
}

impl SnapshotMounts {
    /// Reads `DIRECTORY<TAB>WHERE`, one a line.
    pub(super) fn parse(text: &str) -> Result<Self, SnapshotError> {
        let mut mounts = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let parts: Vec<&Path> = line.split('\t').map(Path::new).collect();
            let [directory, place] = parts.as_slice() else {
                return Err(refused(format!(
                    "its line '{}' is not 'DIRECTORY<TAB>WHERE'",
                    line.chars().take(200).collect::<String>().escape_debug()
                )));
            };
            if let Some(odd) = [directory, place].into_iter().find(|path| !is_plain(path)) {
                return Err(refused(format!("'{}' is not an absolute path without '..'", odd.display())));
            }
            mounts.push((directory.to_path_buf(), place.to_path_buf()));
        }
        if mounts.is_empty() {
            return Err(refused("it has succeeded, and has not printed where the snapshot is"));
        }
        Ok(Self(mounts))
    }

    /// The lines again.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(directory, place)| format!("mount {}\t{}", directory.display(), place.display()))
    }

    /// Where the snapshot of a directory is: below the longest one that it lies in.
    pub fn place(&self, directory: &Path) -> Option<PathBuf> {
        let holds = |(live, _): &&(PathBuf, PathBuf)| directory.starts_with(live);
        let (live, place) = self.0.iter().filter(holds).max_by_key(|(live, _)| live.components().count())?;
        let below = directory.strip_prefix(live).ok()?;
        Some(if below.as_os_str().is_empty() { place.clone() } else { place.join(below) })
    }

    /// An error where one of these directories has no place, or one that cannot be its snapshot. With `is_one` all have to be in one: on one device.
    pub fn admit(&self, directories: &[PathBuf], is_one: bool) -> Result<(), SnapshotError> {
        let mut first: Option<(u64, PathBuf)> = None;
        for directory in directories {
            let place = self.place(directory).ok_or_else(|| {
                refused(format!("it does not say where the snapshot of '{}' is", directory.display()))
            })?;
            let found = fs::metadata(&place).map_err(|error| {
                refused(format!(
                    "the snapshot of '{}' is not at '{}': {error}",
                    directory.display(),
                    place.display()
                ))
            })?;
            let live = fs::metadata(directory)
                .map_err(|error| refused(format!("'{}': {error}", directory.display())))?;
            if !found.is_dir() {
                return Err(refused(format!("'{}' is not a directory", place.display())));
            }
            if found.dev() == live.dev() {
                return Err(refused(format!(
                    "'{}' is on the device of '{}' itself, so it is no snapshot of it: its files would change while they are read",
                    place.display(),
                    directory.display()
                )));
            }
            match &first {
                Some((device, other)) if is_one && *device != found.dev() => {
                    return Err(refused(format!(
                        "'{}' and '{}' are two snapshots, and a server that goes on writing has to be in one: without a state transfer ('run') \
                         that needs all its files on one volume; let garbd ask ('backup')",
                        other.display(),
                        place.display()
                    )));
                }
                _ => _ = first.get_or_insert((found.dev(), place)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SnapshotMounts, String> {
        SnapshotMounts::parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_is_found_below_the_longest_one_that_it_lies_in() {
        let mounts =
            parse("/var/lib/mysql\t/s/data\n\n/var\t/s/var\n/var/lib/mysql/redo\t/s/redo\n").unwrap();
        for (directory, place) in [
            ("/var/lib/mysql", Some("/s/data")),
            ("/var/lib/mysql/db", Some("/s/data/db")),
            ("/var/lib/mysql/redo", Some("/s/redo")),
            ("/var/lib/mysql2", Some("/s/var/lib/mysql2")),
            ("/srv", None),
        ] {
            assert_eq!(mounts.place(Path::new(directory)), place.map(PathBuf::from), "{directory}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (text, why) in [
            ("", "has not printed where"),
            ("\n \n", "has not printed where"),
            ("mounted!", "'mounted!' is not 'DIRECTORY<TAB>WHERE'"),
            ("/a /b", "is not 'DIRECTORY<TAB>WHERE'"),
            ("/a\t/b\t/c", "is not 'DIRECTORY<TAB>WHERE'"),
            ("/a\tb", "'b' is not an absolute path"),
            ("/a\t/b/../c", "is not an absolute path without '..'"),
            ("\t/b", "'' is not an absolute path"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_a_snapshot_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        fs::create_dir_all(live.join("redo")).unwrap();
        fs::create_dir(folder.path().join("copy")).unwrap();
        let shown = |path: &Path| path.display().to_string();
        let admit = |lines: &str, is_one| {
            let lines =
                lines.replace("LIVE", &shown(&live)).replace("COPY", &shown(&folder.path().join("copy")));
            let admitted = parse(&lines).unwrap().admit(&[live.clone(), live.join("redo")], is_one);
            admitted.map_err(|error| error.to_string())
        };
        // Two file systems that are surely others than that of the folder, and have the directories: /proc and /sys.
        for (lines, is_one, why) in [
            ("LIVE\tLIVE", false, "is on the device of"),
            ("LIVE\tCOPY", false, "it is no snapshot of it"),
            ("/elsewhere\t/proc", false, "does not say where the snapshot of"),
            ("LIVE/redo\t/proc/sys", false, "does not say where the snapshot of"),
            ("LIVE\t/proc", false, "is not at '/proc/redo': No such file"),
            ("LIVE\t/proc/version\nLIVE/redo\t/proc/sys", false, "'/proc/version' is not a directory"),
            ("LIVE\t/proc\nLIVE/redo\t/sys", true, "are two snapshots"),
        ] {
            let error = admit(lines, is_one).unwrap_err();
            assert!(error.contains(why), "{lines}: {error}");
        }
        admit("LIVE\t/proc\nLIVE/redo\t/sys", false).unwrap();
        admit("LIVE\t/proc\nLIVE/redo\t/proc/sys", true).unwrap();
    }
}
