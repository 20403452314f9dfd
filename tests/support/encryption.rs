//! Keys of a server whose tables and redo log are encrypted.

use tempfile::NamedTempFile;

use super::scratch::ServerUser;

const KEYS: &str = "1;770A8A65DA156D24EE2A093277530142F7D2F0A6B1C8E94B5A6F0D7C3E1B2A49\n";

/// A file with keys, which the account of the servers may read; it goes with this value.
pub struct ServerKeys(NamedTempFile);

impl ServerKeys {
    /// Writes it.
    pub fn new() -> Self {
        let file = NamedTempFile::new().expect("a file for the keys");
        std::fs::write(file.path(), KEYS).expect("a file for the keys");
        std::os::unix::fs::chown(file.path(), Some(ServerUser::current().uid), None).expect("chown");
        Self(file)
    }

    /// Lines of `[mysqld]`: tables and redo log are encrypted by it.
    pub fn lines(&self) -> [String; 4] {
        [
            "plugin_load_add=file_key_management".to_owned(),
            format!("file_key_management_filename={}", self.0.path().display()),
            "innodb_encrypt_log=ON".to_owned(),
            "innodb_encrypt_tables=ON".to_owned(),
        ]
    }
}
