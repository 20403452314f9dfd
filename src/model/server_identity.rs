//! The server that was backed up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The server that was backed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// `@@version`, or what `mysql_upgrade_info` says.
    pub version: Option<String>,
    /// Data directory on the donor.
    pub datadir: String,
    /// Bytes.
    pub innodb_page_size: Option<u32>,
    /// `wsrep_data_home_dir`, where that is not the data directory: the server looks for `grastate.dat` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wsrep_data_home_dir: Option<String>,
    /// Variables that decide how its files are made, and where it looks for them: those of [`ServerIdentity::OPTIONS`]
    /// that were known and not empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Whose its files are, where the archive does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// The owner of a server's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its number on the donor.
    pub uid: u32,
    /// The number of its group there.
    pub gid: u32,
    /// Its name there, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name of its group there, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl ServerIdentity {
    /// What is recorded of a server.
    pub const OPTIONS: [&str; 20] = [
        "aria_block_size",
        "aria_encrypt_tables",
        "aria_log_dir_path",
        "aws_key_management_key_spec",
        "binlog_storage_engine",
        "encrypt_binlog",
        "file_key_management_encryption_algorithm",
        "hashicorp_key_management_caching_enabled",
        "innodb_checksum_algorithm",
        "innodb_compression_algorithm",
        "innodb_data_file_path",
        "innodb_data_home_dir",
        "innodb_encrypt_log",
        "innodb_encrypt_tables",
        "innodb_log_group_home_dir",
        "innodb_page_size",
        "innodb_undo_directory",
        "innodb_undo_tablespaces",
        "log_bin_basename",
        "lower_case_table_names",
    ];
}
