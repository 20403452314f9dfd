//! The server whose files are backed up, as mysqld or an administrator names it.
//!
//! mysqld names it in the arguments of a state transfer ([`crate::sst::DonorRequest`]), an administrator by a running
//! process and its option files ([`crate::check`]). What reads a server's files knows neither: it takes this.

use std::path::PathBuf;

use crate::config::DefaultsArgs;

/// The data directory of a server that is told nothing, as MariaDB's packages build it.
pub const DEFAULT_DATADIR: &str = "/var/lib/mysql";

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Its data directory, as it was named.
    pub datadir: PathBuf,
    /// Its unix socket.
    pub socket: Option<PathBuf>,
    /// Where its option files are.
    pub defaults: DefaultsArgs,
    /// Its other arguments.
    pub arguments: Vec<String>,
    /// Base name of the binary logs.
    pub binlog: Option<String>,
    /// Index file of the binary logs.
    pub binlog_index: Option<String>,
    /// Directories that were named as options of ours, which win over every file and answer: (variable, value).
    pub directories: Vec<(&'static str, String)>,
    /// `INNODB_DATA_HOME_DIR` of the environment, which mysqld sets where it has the variable.
    pub data_home: Option<String>,
}
