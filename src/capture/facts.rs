//! The server's variables: from itself, else from what it was started with.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::login::Login;
use crate::config::{OptionFiles, ServerOptions};
use crate::model::{PROVIDER_OPTIONS, ServerIdentity};
use crate::regular_file;
use crate::server::Server;
use crate::sql::SqlSession;

/// More bytes than `mysql_upgrade_info` has.
const LONGEST_VERSION: u64 = 4 << 10;
/// What is needed to find the files and to name the backup.
const VARIABLES: [&str; 39] = [
    "aria_log_dir_path",
    "datadir",
    "file_key_management_filekey",
    "file_key_management_filename",
    "general_log_file",
    "innodb_buffer_pool_filename",
    "innodb_data_file_path",
    "innodb_data_home_dir",
    "innodb_encrypt_log",
    "innodb_encrypt_tables",
    "innodb_log_group_home_dir",
    "innodb_page_size",
    "innodb_temp_data_file_path",
    "innodb_tmpdir",
    "innodb_undo_directory",
    "log_bin",
    "log_bin_basename",
    "log_bin_index",
    "log_error",
    "log_slow_query_file",
    "pid_file",
    "relay_log",
    "relay_log_basename",
    "relay_log_index",
    "relay_log_info_file",
    "rocksdb_datadir",
    "rocksdb_wal_dir",
    "slave_load_tmpdir",
    "slow_query_log_file",
    "socket",
    "tmpdir",
    "tokudb_data_dir",
    "tokudb_log_dir",
    "version",
    "wsrep_cluster_name",
    "wsrep_data_home_dir",
    "wsrep_node_name",
    "wsrep_provider_options",
    "wsrep_sst_donor_rejects_queries",
];

/// Options that no variable of a running server tells, or not with every version.
const OPTIONS: [&str; 3] =
    ["file_key_management_filekey", "file_key_management_filename", "master_info_file"];
/// These, and what is recorded for a restore.
fn variables() -> Vec<&'static str> {
    VARIABLES.into_iter().chain(ServerIdentity::OPTIONS).collect()
}

/// How long a server that refuses an answer, but not the account, is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// What a backup is called after: known before anything is known of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNames {
    /// wsrep_cluster_name.
    pub cluster: String,
    /// wsrep_node_name.
    pub node: String,
}

/// The variables, and the connection they came from.
pub struct Facts {
    variables: HashMap<String, String>,
    /// Names of the relay logs that are applied.
    pub(super) relay_logs: Vec<String>,
    /// How many masters the server replicates from, where it has told.
    pub(super) masters: Option<usize>,
    /// Open while the server answers.
    pub sql: Option<SqlSession>,
    /// What the administrator should know.
    pub warnings: Vec<String>,
}

impl Facts {
    /// A variable's value, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable's value, where empty is a value of its own.
    pub fn get_raw(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The names of cluster and node; where one is not set, what mysqld takes: its default, and the host's name.
    pub fn names(&self) -> NodeNames {
        let host = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let node = self.get("wsrep_node_name").map(ToOwned::to_owned).or_else(host);
        NodeNames {
            cluster: self.get("wsrep_cluster_name").unwrap_or("my_wsrep_cluster").to_owned(),
            node: node.unwrap_or_else(|| "node".into()),
        }
    }

    /// Facts without a server, for tests and for the fallback.
    pub fn from_variables(variables: HashMap<String, String>) -> Self {
        Self { variables, relay_logs: Vec::new(), masters: None, sql: None, warnings: Vec::new() }
    }
}

/// Asks the server; where it does not answer, the option files and mysqld's own arguments.
pub fn gather(server: &Server, files: &OptionFiles, login: &Login) -> Facts {
    let mut facts = match ask(login) {
        Ok(mut facts) => {
            add_options(&mut facts, server, files);
            facts
        }
        Err(why) => {
            log::info!("{why}; the option files and mysqld's arguments say where its files are");
            from_options(server, files)
        }
    };
    // What mysqld said on the command line of this very transfer wins over every file.
    for (variable, value) in &server.directories {
        facts.variables.insert((*variable).to_owned(), value.clone());
    }
    facts
}

/// What a server that answers does not tell.
fn add_options(facts: &mut Facts, server: &Server, files: &OptionFiles) {
    let options = ServerOptions::from(files, &server.arguments, facts.get("version"));
    for name in OPTIONS {
        if let (None, Some(value)) = (facts.get(name), options.get(name)) {
            facts.variables.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// One of some hundred donors had no answer, within milliseconds, for a reason that was not seen; the next one had. The
/// server still runs now, so that no client waits.
fn ask(login: &Login) -> Result<Facts, String> {
    let started = Instant::now();
    loop {
        match login.connect().and_then(read_server) {
            Err(why) if login.is_worth_another_try(&why) && started.elapsed() < AGAIN => {
                log::info!("{why}; asking again");
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn read_server(mut session: SqlSession) -> Result<Facts, String> {
    let variables = session.variables(&variables())?;
    let mut facts = Facts::from_variables(variables);
    match session.encryption_plugins() {
        Ok(plugins) => facts.warnings.extend(plugins.iter().map(|name| {
            format!(
                "the encryption plugin {name} is active: its keys are not in the backup; a restore needs them"
            )
        })),
        Err(why) => log::info!("cannot ask for the server's plugins: {why}"),
    }
    match session.replica_status() {
        Ok(status) => {
            facts.masters = Some(status.len());
            facts.relay_logs = status.into_iter().map(|status| status.relay_log).collect();
        }
        Err(why) => log::info!("the server does not tell its masters ({why}); its files do"),
    }
    facts.sql = Some(session);
    Ok(facts)
}

fn from_options(server: &Server, files: &OptionFiles) -> Facts {
    let version = upgrade_info_version(&server.datadir);
    let options = ServerOptions::from(files, &server.arguments, version.as_deref());
    let mut variables: HashMap<String, String> = variables()
        .into_iter()
        .chain(OPTIONS)
        .filter_map(|name| Some((name.to_owned(), options.get(name)?.to_owned())))
        .collect();
    variables.insert("datadir".into(), server.datadir.to_string_lossy().into_owned());
    if let Some(version) = version {
        variables.insert("version".into(), version);
    }
    variables.extend(options.provider_options().map(|all| (PROVIDER_OPTIONS.to_owned(), all)));
    // An option file names the base; the variables of a running server are complete paths.
    variables.remove("log_bin");
    if let Some(base) = &server.binlog {
        variables.insert("log_bin".into(), "ON".into());
        variables.insert("log_bin_basename".into(), base.clone());
    }
    if let Some(index) = &server.binlog_index {
        variables.insert("log_bin_index".into(), index.clone());
    }
    if let Some(base) = options.get("relay_log") {
        variables.insert("relay_log_basename".into(), base.to_owned());
    }
    if !variables.contains_key("innodb_data_home_dir")
        && let Some(directory) = &server.data_home
    {
        variables.insert("innodb_data_home_dir".into(), directory.clone());
    }
    Facts::from_variables(variables)
}

/// `mysql_upgrade_info` in the data directory holds the version that last upgraded it.
fn upgrade_info_version(datadir: &Path) -> Option<String> {
    ["mariadb_upgrade_info", "mysql_upgrade_info"]
        .iter()
        .find_map(|name| regular_file::read(&datadir.join(name), LONGEST_VERSION).ok())
        .map(|text| {
            String::from_utf8_lossy(&text).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
        })
        .filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_names_has_those_that_mysqld_gives_it() {
        let names = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            Facts::from_variables(pairs.collect()).names()
        };
        let named = names(&[("wsrep_node_name", "n1"), ("wsrep_cluster_name", "c")]);
        assert_eq!((named.cluster.as_str(), named.node.as_str()), ("c", "n1"));
        let unnamed = names(&[("wsrep_node_name", "")]);
        assert_eq!(unnamed.cluster, "my_wsrep_cluster");
        assert!(!unnamed.node.is_empty());
    }
}
