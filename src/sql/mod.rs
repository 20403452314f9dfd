//! SQL to a server: short questions, each with a time limit.
//!
//! SQL is optional everywhere: a donor with `wsrep_sst_donor_rejects_queries=ON` may refuse connections, and a
//! frozen server blocks `SHOW MASTER STATUS` until it is thawed. So every statement has a time limit, which is
//! the socket's, and no answer is an answer: the errors are texts for a person.

mod endpoint;
mod replication;
mod threads;

use std::collections::HashMap;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{ClientIdentity, Conn, OptsBuilder, SslOpts};

pub use endpoint::{Account, Endpoint, Tls};
pub use replication::ReplicaStatus;
pub use threads::{MetadataLock, Thread};

use crate::hosts;
use crate::model::{HostPort, MariadbGtid};

/// Longest wait for one answer of a server that runs.
pub const LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a TCP connection: members of a cluster are near.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// `ER_NO_SUCH_TABLE`.
const NO_SUCH_TABLE: u16 = 1146;

/// A connection to one server.
pub struct SqlSession {
    connection: Conn,
}

/// The server's or the system's own words, without the names of Rust types.
fn plain(error: mysql::Error) -> String {
    match error {
        mysql::Error::MySqlError(error) => format!("{} (error {})", error.message, error.code),
        mysql::Error::IoError(error) => error.to_string(),
        mysql::Error::DriverError(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The host as the driver gets it: addresses, so that the driver asks nobody. Where the server's certificate must bear
/// the name, the driver needs the name, and looks it up by the system's own means: those must be safe in a static binary.
fn hosts_of(address: &HostPort, tls: Option<&Tls>) -> Result<Vec<String>, String> {
    let found = hosts::resolve(&address.host, Endpoint::port(address)).map_err(|error| error.to_string())?;
    let found: Vec<String> = found.iter().map(|found| found.ip().to_string()).collect();
    match tls {
        Some(tls) if tls.verify_name && !found.contains(&address.host) => {
            if hosts::asks_only_builtin() {
                return Ok(vec![address.host.clone()]);
            }
            Err(format!(
                "'{}' cannot be looked up safely for a certificate that bears the name: the line 'hosts:' of /etc/nsswitch.conf \
                 asks a service before 'files' and 'dns' that a static program cannot load. Name the server by the address \
                 that its certificate bears, put 'files dns' first, or set ssl-verify-server-cert=off",
                address.host
            ))
        }
        _ => Ok(found),
    }
}

/// The ways to the server, the best one first.
fn options(endpoint: &Endpoint, account: &Account, limit: Duration) -> Result<Vec<OptsBuilder>, String> {
    let options = OptsBuilder::new()
        .prefer_socket(false)
        .user(account.user.clone())
        .pass(account.password.as_ref().map(|secret| secret.expose().to_owned()))
        .read_timeout(Some(limit))
        .write_timeout(Some(limit));
    Ok(match endpoint {
        Endpoint::Socket(path) => vec![options.socket(Some(path.to_string_lossy().into_owned()))],
        Endpoint::Tcp(address) => {
            let options = options
                .tcp_port(Endpoint::port(address))
                .tcp_connect_timeout(Some(CONNECT_LIMIT))
                .ssl_opts(account.tls.as_ref().map(tls_options));
            let hosts = hosts_of(address, account.tls.as_ref())?;
            hosts.into_iter().map(|host| options.clone().ip_or_hostname(Some(host))).collect()
        }
    })
}

/// A host may have several addresses, of which the server listens at one.
fn first_that_answers(options: Vec<OptsBuilder>) -> Result<Conn, String> {
    let mut outcome = Err("it has no address".to_owned());
    for options in options {
        match Conn::new(options) {
            Err(error @ mysql::Error::IoError(_)) => outcome = Err(plain(error)),
            answer => return answer.map_err(plain),
        }
    }
    outcome
}

fn tls_options(tls: &Tls) -> SslOpts {
    let identity = tls.identity.clone().map(|(cert, key)| ClientIdentity::new(cert, key));
    SslOpts::default()
        .with_root_cert_path(Some(tls.ca.clone()))
        .with_client_identity(identity)
        .with_danger_skip_domain_validation(!tls.verify_name)
}

impl SqlSession {
    /// Connects; the text says why not.
    pub fn connect(endpoint: &Endpoint, account: &Account) -> Result<Self, String> {
        Self::connect_within(endpoint, account, LIMIT)
    }

    /// The same with another limit for each answer.
    pub fn connect_within(endpoint: &Endpoint, account: &Account, limit: Duration) -> Result<Self, String> {
        let connection = options(endpoint, account, limit).and_then(first_that_answers).map_err(|why| {
            let user = account.user.as_deref().unwrap_or_default();
            format!("no SQL as '{user}' over '{endpoint}': {why}")
        })?;
        let mut session = Self { connection };
        // A backup of our own account's sessions must not wait for somebody's lock.
        let _ =
            session.connection.query_drop("SET SESSION lock_wait_timeout=1, SESSION max_statement_time=2");
        Ok(session)
    }

    /// All status variables whose name begins with `prefix` (letters and `_`), names in lower case.
    pub fn status(&mut self, prefix: &str) -> Result<HashMap<String, String>, String> {
        let statement = format!("SHOW GLOBAL STATUS LIKE '{}%'", prefix.replace('_', "\\_"));
        let rows: Vec<(String, String)> = self.connection.query(statement).map_err(plain)?;
        Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Name and incoming address of each member of the group, from `mysql.wsrep_cluster_members`, which
    /// MariaDB 10.4 and later keep with every view (`sql/wsrep_schema.cc`). An error where there is no such table
    /// or no right to read it.
    pub fn cluster_members(&mut self) -> Result<Vec<(String, String)>, String> {
        self.connection
            .query(
                "SELECT node_name, node_incoming_address FROM mysql.wsrep_cluster_members ORDER BY node_name",
            )
            .map_err(plain)
    }

    /// These global variables, those the server has.
    pub fn variables(&mut self, names: &[&str]) -> Result<HashMap<String, String>, String> {
        let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let statement = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", list.join(","));
        let rows: Vec<(String, String)> = self.connection.query(statement).map_err(plain)?;
        Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Names of the active plugins of these types, and of the engines among `engines`.
    pub fn plugins(&mut self, engines: &[&str]) -> Result<Vec<(String, String)>, String> {
        let list: Vec<String> = engines.iter().map(|name| format!("'{name}'")).collect();
        let statement = format!(
            "SELECT PLUGIN_TYPE, PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE' AND \
             (PLUGIN_TYPE = 'ENCRYPTION' OR (PLUGIN_TYPE = 'STORAGE ENGINE' AND UPPER(PLUGIN_NAME) IN ({})))",
            list.join(",")
        );
        self.connection.query(statement).map_err(plain)
    }

    /// The InnoDB tablespaces that the server has, as `database/table` in the form of file names. Needs the right PROCESS.
    pub fn innodb_tablespaces(&mut self) -> Result<Vec<String>, String> {
        self.connection.query("SELECT NAME FROM information_schema.INNODB_SYS_TABLESPACES").map_err(plain)
    }

    /// Addresses in `mysql.wsrep_allowlist` (MariaDB 10.10 and later): others cannot join the group unless it is
    /// empty. Also empty where there is no such table (error 1146).
    pub fn allowlist(&mut self) -> Result<Vec<String>, String> {
        match self.connection.query("SELECT ip FROM mysql.wsrep_allowlist ORDER BY ip") {
            Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_TABLE => Ok(Vec::new()),
            answer => answer.map_err(plain),
        }
    }

    /// `wsrep_cluster_status`: `Primary`, `non-Primary` or `Disconnected`. Answered by a node that is cut off too.
    pub fn cluster_status(&mut self) -> Result<String, String> {
        let row: Option<(String, String)> =
            self.connection.query_first("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'").map_err(plain)?;
        row.map(|(_, status)| status).ok_or_else(|| "the server has no wsrep_cluster_status".into())
    }

    /// MariaDB's three positions; they answer at once in a frozen server too.
    pub fn mariadb_gtid(&mut self) -> Result<MariadbGtid, String> {
        let row: Option<(Option<String>, Option<String>, Option<String>)> = self
            .connection
            .query_first(
                "SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_slave_pos",
            )
            .map_err(plain)?;
        let (binlog_pos, current_pos, slave_pos) = row.unwrap_or_default();
        Ok(MariadbGtid { binlog_pos, current_pos, slave_pos })
    }
}
