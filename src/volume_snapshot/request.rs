//! What a snapshot is wanted of, in words that fit into lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// No name of a backup is longer.
const LONGEST_NAME: usize = 200;
/// No server has more directories.
const MOST: usize = 4096;

/// A snapshot that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// Its name: that of the backup.
    pub name: String,
    /// The server's data directory, without links.
    pub datadir: PathBuf,
    /// The server's socket.
    pub socket: Option<PathBuf>,
    /// What is to be in it: the data directory and all others in which the server has files, without links.
    pub directories: Vec<PathBuf>,
}

/// Whether a path fits into a line, and means the same everywhere.
pub(super) fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.to_str().is_some_and(|text| !text.chars().any(char::is_control))
        && path.components().all(|part| part != std::path::Component::ParentDir)
}

impl SnapshotRequest {
    /// Why it cannot be passed on. It may come from somebody who is not trusted: what it says becomes part of names of volumes.
    pub(super) fn objection(&self) -> Option<String> {
        let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        let name = self.name.as_bytes();
        if name.is_empty()
            || name.len() > LONGEST_NAME
            || name.starts_with(b".")
            || name.starts_with(b"-")
            || !name.iter().all(|letter| is_letter(*letter))
        {
            return Some(
                "the name of the snapshot has other characters than A-Z, a-z, 0-9, '.', '_' and '-'".into(),
            );
        }
        if self.directories.is_empty() || self.directories.len() > MOST {
            return Some(format!("{} directories are none, or too many", self.directories.len()));
        }
        let all = self.directories.iter().chain([&self.datadir]).chain(self.socket.as_ref());
        let odd = all.map(PathBuf::as_path).find(|path| !is_plain(path))?;
        Some(format!(
            "'{}' is not an absolute path of printable UTF-8: such a name cannot be told to snapshot-command",
            odd.as_os_str().to_string_lossy().escape_debug()
        ))
    }

    /// Why the user `uid` is not to have a snapshot of these directories: one is not that user's.
    pub(super) fn belongs_to_another(&self, uid: u32) -> Option<String> {
        if uid == 0 {
            return None;
        }
        self.directories.iter().chain([&self.datadir]).find_map(|directory| {
            match std::fs::symlink_metadata(directory) {
                Ok(metadata) if metadata.is_dir() && metadata.uid() == uid => None,
                Ok(_) => Some(format!(
                    "'{}' is no directory of user {uid}, who asks for a snapshot of it",
                    directory.display()
                )),
                Err(error) => Some(format!("'{}': {error}", directory.display())),
            }
        })
    }

    /// What a command finds in its environment. Nothing else does it find there but a PATH.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut lines = OsString::new();
        for directory in &self.directories {
            if !lines.is_empty() {
                lines.push("\n");
            }
            lines.push(directory);
        }
        vec![
            ("SNAPSHOT_NAME", OsString::from(&self.name)),
            ("SNAPSHOT_DATADIR", self.datadir.clone().into()),
            ("SNAPSHOT_SOCKET", self.socket.clone().unwrap_or_default().into()),
            ("SNAPSHOT_DIRECTORIES", lines),
        ]
    }

    /// The lines by which it is told.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = |path: &Path| String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
        let mut lines = vec![format!("take {}", self.name)];
        lines.extend(self.socket.as_deref().map(|socket| format!("socket {}", text(socket))));
        lines.extend(self.directories.iter().map(|directory| format!("directory {}", text(directory))));
        lines.push(String::new());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SnapshotRequest {
        SnapshotRequest {
            name: "20261120T113452Z_node_1".into(),
            datadir: "/d".into(),
            socket: None,
            directories: vec!["/d".into(), "/log dir".into()],
        }
    }

    #[test]
    fn what_could_be_more_than_a_name_is_not_passed_on() {
        assert_eq!(request().objection(), None);
        for name in ["", "../x", "-f", ".x", "a b", "a/b", "a\nb", "a;b", &"x".repeat(201)] {
            let odd = SnapshotRequest { name: name.into(), ..request() };
            assert!(odd.objection().unwrap().contains("the name of the snapshot"), "{name}");
        }
        for directory in ["d", "/a\nb", "/a/../b", "/a\tb"] {
            let odd = SnapshotRequest { directories: vec![directory.into()], ..request() };
            assert!(odd.objection().unwrap().contains("is not an absolute path"), "{directory}");
        }
        let none = SnapshotRequest { directories: Vec::new(), ..request() };
        assert!(none.objection().unwrap().contains("0 directories"));
    }

    #[test]
    fn a_user_gets_a_snapshot_of_own_directories_only() {
        let folder = tempfile::tempdir().unwrap();
        let own = SnapshotRequest {
            datadir: folder.path().into(),
            directories: vec![folder.path().into()],
            ..request()
        };
        let uid = nix::unistd::geteuid().as_raw();
        assert_eq!(own.belongs_to_another(uid), None);
        let other = own.belongs_to_another(uid + 1).unwrap();
        assert!(other.contains("is no directory of user"), "{other}");
        assert!(request().belongs_to_another(1).unwrap().contains("No such file"));
    }

    #[test]
    fn the_environment_has_one_directory_a_line() {
        let told = request().environment();
        assert!(told.contains(&("SNAPSHOT_DIRECTORIES", "/d\n/log dir".into())), "{told:?}");
        assert_eq!(
            request().lines(),
            ["take 20261120T113452Z_node_1", "directory /d", "directory /log dir", ""]
        );
    }
}
