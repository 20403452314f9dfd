//! Accounts that exist only because the snapshot was taken in the middle of a state transfer.
//!
//! From MariaDB 11.6 on, a server without `wsrep_sst_auth` creates `'wsrep.sst.<time>_<node>'@localhost`
//! with all privileges for the transfer and drops it afterwards (`sql/wsrep_sst.cc`), so every snapshot
//! holds it. The accounts are rows of the Aria table `mysql.global_priv`, whose user names stand in
//! plain bytes in its data file.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::{RestoreError, SystemError};
use super::no_follow;

/// What such a name starts with.
const PREFIX: &[u8] = b"wsrep.sst.";
/// Longest name of an account.
const LONGEST: usize = 128;

/// What is looked at of a table, bytes: room for tens of thousands of accounts.
const LARGEST: u64 = 32 << 20;

/// A file for mysqld's `init_file` that drops these accounts before the server takes its first connection. It goes with the restore
/// that it was to be written for.
pub struct InitFile {
    path: PathBuf,
    file: Option<File>,
}

impl InitFile {
    /// Makes it, before anything is restored; what is there already is never overwritten.
    pub fn create(path: &Path) -> Result<Self, RestoreError> {
        // The server's user reads it, and there is no secret in it.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
        let file = made.map_err(SystemError::of("make", path))?;
        Ok(Self { path: path.to_path_buf(), file: Some(file) })
    }

    /// Writes the statements. Without accounts there is nothing to do, and a server that is told to read the file starts all the same.
    pub fn finish(mut self, accounts: &[String]) -> Result<(), RestoreError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let written = file.write_all(statements(accounts).as_bytes()).and_then(|()| file.sync_all());
        Ok(written.map_err(SystemError::of("write", &self.path))?)
    }
}

impl Drop for InitFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Nothing of it is for the other nodes, which have not these accounts. mysqld reads one statement from each line.
fn statements(accounts: &[String]) -> String {
    let mut lines =
        vec!["SET SESSION wsrep_on = OFF;".to_owned(), "SET SESSION sql_log_bin = OFF;".to_owned()];
    lines.extend(accounts.iter().map(|account| format!("DROP USER IF EXISTS '{account}'@'localhost';")));
    lines.join("\n") + "\n"
}

/// Names of the accounts in a restored data directory.
pub(super) fn sst_accounts(datadir: &Path) -> Vec<String> {
    let mut found = BTreeSet::new();
    for table in ["mysql/global_priv.MAD", "mysql/user.MYD"] {
        // It belongs to the server's user by now.
        if let Ok(content) = no_follow::read_file(&datadir.join(table), LARGEST) {
            found.extend(names_in(&content));
        }
    }
    found.into_iter().collect()
}

fn names_in(content: &[u8]) -> Vec<String> {
    let starts =
        content.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX).map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let rest = &content[at..content.len().min(at + LONGEST)];
            // A row goes on with JSON or with the length of the next field: neither is part of a name.
            let end = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
            let name = &rest[..end];
            (name.len() > PREFIX.len()).then(|| String::from_utf8_lossy(name).into_owned())
        })
        .collect()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_between_other_bytes() {
        let content =
            b"\x00\x09localhost\x14wsrep.sst.171_n-1.x\xee\x00{\"access\":1}\x00wsrep.sst.\x00wsrep.ss";
        assert_eq!(names_in(content), ["wsrep.sst.171_n-1.x"]);
        assert_eq!(names_in(b""), Vec::<String>::new());
    }

    #[test]
    fn an_init_file_overwrites_nothing_and_goes_with_a_restore_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drop.sql");
        drop(InitFile::create(&path).unwrap());
        assert!(!path.exists());
        InitFile::create(&path).unwrap().finish(&["wsrep.sst.1_n1".into()]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("\nDROP USER IF EXISTS 'wsrep.sst.1_n1'@'localhost';\n"), "{text}");
        let error = InitFile::create(&path).err().unwrap().to_string();
        assert!(error.contains("drop.sql"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
