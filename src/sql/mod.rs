//! SQL to a server: short questions, each with a time limit.
//!
//! SQL is optional everywhere: a donor with `wsrep_sst_donor_rejects_queries=ON` may refuse connections, and a
//! frozen server blocks `SHOW MASTER STATUS` until it is thawed. So every statement has a time limit, which is
//! the socket's, and no answer is an answer: the errors are texts for a person.
//!
//! With a global `wsrep_sync_wait` every SELECT and SHOW of a new session waits until its node has applied what the
//! cluster has written, 5 s in vain where it is frozen. So the first statement of each session takes that back, and the
//! driver, which would ask for `max_allowed_packet` before, is told it. An answer has limits as a whole too, of bytes and of time (`bounded`).

mod blockers;
mod bounded;
mod desync;
mod drill;
mod dumping;
mod endpoint;
mod error_text;
mod global_lock;
mod load;
mod option_file;
mod own;
mod read_lock;
mod replication;
mod tablespaces;
#[cfg(test)]
pub(crate) mod testing;
mod threads;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use mysql::prelude::FromRow;
use mysql::{ClientIdentity, Conn, OptsBuilder, SslOpts};

use bounded::Bounds;
pub use desync::DesyncAnswer;
pub use drill::ServedTable;
pub use endpoint::{Account, Endpoint, Tls};
pub use global_lock::{Availability, LockPatience, look_for_lock};
pub use option_file::{inherited, option_file, option_value};
use own::OwnSession;
pub use read_lock::{ReadLockTry, RedoPosition};
pub use replication::ReplicaStatus;
pub use tablespaces::{ClosedTable, TablespaceFiles};
pub use threads::{MetadataLock, Thread};

use crate::hosts;
use crate::model::{HostPort, MariadbGtid, PROVIDER_OPTIONS, SYNC_DONOR, TLS_VARIABLES, effective_options};

/// Longest wait for one answer of a server that runs.
pub const LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a TCP connection: members of a cluster are near.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// `ER_NO_SUCH_TABLE`.
const NO_SUCH_TABLE: u16 = 1146;

/// What the driver takes for the longest packet, as every client of MariaDB does unless it is told otherwise.
const LARGEST_PACKET: usize = 16 << 20;

/// What each session begins with; a server that does not know a variable has no need of it. A backup of our own account's sessions
/// must not wait for somebody's lock.
const BEGIN: [&str; 3] =
    ["SET SESSION wsrep_sync_wait=0", "SET SESSION lock_wait_timeout=1", "SET SESSION max_statement_time=2"];

/// A connection to one server.
pub struct SqlSession {
    /// None after an answer that did not come to its end.
    connection: Option<Conn>,
    own: OwnSession,
    limit: Duration,
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
        .write_timeout(Some(limit))
        .max_allowed_packet(Some(LARGEST_PACKET));
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

/// The driver's own word for what has not come in time is the better one.
fn with_margin(limit: Duration) -> Duration {
    limit + limit / 5
}

/// A host may have several addresses, of which the server listens at one.
fn first_that_answers(options: Vec<OptsBuilder>, limit: Duration) -> Result<Conn, String> {
    let mut outcome = Err("it has no address".to_owned());
    for options in options {
        match Conn::new(options) {
            Err(error @ mysql::Error::IoError(_)) => outcome = Err(error_text::plain(error, limit)),
            answer => return answer.map_err(|error| error_text::plain(error, limit)),
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

/// Those of RELOAD and PROCESS that no line of `SHOW GRANTS` gives.
fn missing_rights(grants: &[String]) -> Vec<&'static str> {
    let gives = |right: &str| {
        grants.iter().filter_map(|line| line.strip_prefix("GRANT ")?.split_once(" ON *.* TO ")).any(
            |(rights, _)| {
                rights.split(',').map(str::trim).any(|given| given == right || given == "ALL PRIVILEGES")
            },
        )
    };
    ["RELOAD", "PROCESS"].into_iter().filter(|right| !gives(right)).collect()
}

impl SqlSession {
    /// Connects; the text says why not.
    pub fn connect(endpoint: &Endpoint, account: &Account) -> Result<Self, String> {
        Self::connect_within(endpoint, account, LIMIT)
    }

    /// The same with another limit for each answer.
    pub fn connect_within(endpoint: &Endpoint, account: &Account, limit: Duration) -> Result<Self, String> {
        let no_sql = |why: String| {
            let user = account.user.as_deref().unwrap_or_default();
            format!("no SQL as '{user}' over '{endpoint}': {why}")
        };
        let ways = options(endpoint, account, limit).map_err(no_sql)?;
        let count = u32::try_from(ways.len()).unwrap_or(u32::MAX);
        let time = with_margin((CONNECT_LIMIT + limit).saturating_mul(count));
        let connection = bounded::within(time, move || first_that_answers(ways, limit))
            .unwrap_or_else(|error| Err(error_text::plain(error, limit)))
            .map_err(no_sql)?;
        let own = OwnSession::new(endpoint, connection.connection_id());
        let mut session = Self { own, connection: Some(connection), limit };
        for statement in BEGIN {
            match session.run_one(statement) {
                Ok(()) | Err(mysql::Error::MySqlError(_)) => {}
                Err(error) => return Err(no_sql(error_text::plain(error, limit))),
            }
        }
        Ok(session)
    }

    /// The server's number of it.
    pub fn id(&self) -> u32 {
        self.own.id()
    }

    fn rows<T: FromRow + Send + 'static>(&mut self, statement: &str) -> Result<Vec<T>, String> {
        self.answer(statement, bounded::USUAL).map_err(|error| self.plain(error))
    }

    /// Keeps a session in which nothing is asked for as long as a copy takes: mysqld closes one that is silent for `wait_timeout`, which some set to minutes. For the server
    /// of this machine, to which no line can die.
    pub fn outlast_silence(&mut self) -> Result<(), String> {
        self.run_one("SET SESSION wait_timeout=604800").map_err(|error| self.plain(error))
    }

    /// A statement without an answer.
    fn run_one(&mut self, statement: &str) -> Result<(), mysql::Error> {
        self.answer::<mysql::Row>(statement, bounded::USUAL).map(drop)
    }

    /// The rows of an answer, which takes no more bytes than these, and no more time than a single read may.
    fn answer<T: FromRow + Send + 'static>(
        &mut self,
        statement: &str,
        bytes: usize,
    ) -> Result<Vec<T>, mysql::Error> {
        let Some(mut connection) = self.connection.take() else {
            let text = "the server has not come to the end of an earlier answer";
            return Err(mysql::Error::IoError(io::Error::new(ErrorKind::NotConnected, text)));
        };
        let (statement, bounds) = (statement.to_owned(), Bounds { bytes, time: self.limit });
        let (answer, connection) = bounded::within(with_margin(self.limit), move || {
            match bounded::rows(&mut connection, &statement, bounds) {
                Ok(rows) => (Ok(rows), Some(connection)),
                Err((error, bounded::Usable::Yes)) => (Err(error), Some(connection)),
                Err((error, bounded::Usable::No)) => (Err(error), None),
            }
        })?;
        self.connection = connection;
        answer
    }

    fn plain(&self, error: mysql::Error) -> String {
        error_text::plain(error, self.limit)
    }

    /// All status variables whose name begins with `prefix` (letters and `_`), names in lower case.
    pub fn status(&mut self, prefix: &str) -> Result<HashMap<String, String>, String> {
        let statement = format!("SHOW GLOBAL STATUS LIKE '{}%'", prefix.replace('_', "\\_"));
        let rows: Vec<(String, String)> = self.rows(&statement)?;
        Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Name and incoming address of each member of the group, from `mysql.wsrep_cluster_members`, which
    /// MariaDB 10.4 and later keep with every view (`sql/wsrep_schema.cc`). An error where there is no such table
    /// or no right to read it.
    pub fn cluster_members(&mut self) -> Result<Vec<(String, String)>, String> {
        self.rows(
            "SELECT node_name, node_incoming_address FROM mysql.wsrep_cluster_members ORDER BY node_name",
        )
    }

    /// These global variables, those the server has. The options of Galera are those that hold ([`effective_options`]), whatever they were
    /// set by.
    pub fn variables(&mut self, names: &[&str]) -> Result<HashMap<String, String>, String> {
        if !names.contains(&PROVIDER_OPTIONS) {
            return self.global_variables(names.iter().copied());
        }
        let mut beside =
            self.global_variables(names.iter().copied().chain([SYNC_DONOR]).chain(TLS_VARIABLES))?;
        let has_plugin = beside.contains_key(SYNC_DONOR);
        let set = if has_plugin { self.plugin_options()? } else { Vec::new() };
        let told = beside.get(PROVIDER_OPTIONS).cloned();
        let options = told.map(|told| {
            let set = set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            effective_options(&told, set, |name| beside.get(name).map(String::as_str))
        });
        beside.retain(|name, _| names.contains(&name.as_str()));
        beside.extend(options.map(|options| (PROVIDER_OPTIONS.to_owned(), options)));
        Ok(beside)
    }

    fn global_variables<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, String>, String> {
        let list: Vec<String> = names.map(|name| format!("'{name}'")).collect();
        let statement = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", list.join(","));
        let rows: Vec<(String, String)> = self.rows(&statement)?;
        Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// The variables of the plugin `wsrep_provider` that do not have their default.
    fn plugin_options(&mut self) -> Result<Vec<(String, String)>, String> {
        self.rows(
            "SELECT VARIABLE_NAME, GLOBAL_VALUE FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME LIKE \
             'WSREP\\_PROVIDER\\_%' AND GLOBAL_VALUE <> DEFAULT_VALUE ORDER BY VARIABLE_NAME",
        )
    }

    /// Names of the active plugins that encrypt.
    pub fn encryption_plugins(&mut self) -> Result<Vec<String>, String> {
        self.rows(
            "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_TYPE = \
             'ENCRYPTION'",
        )
    }

    /// Addresses in `mysql.wsrep_allowlist` (MariaDB 10.10 and later): others cannot join the group unless it is
    /// empty. Also empty where there is no such table (error 1146).
    pub fn allowlist(&mut self) -> Result<Vec<String>, String> {
        match self.answer("SELECT ip FROM mysql.wsrep_allowlist ORDER BY ip", bounded::USUAL) {
            Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_TABLE => Ok(Vec::new()),
            answer => answer.map_err(|error| self.plain(error)),
        }
    }

    /// Whether this account may take the lock of the freeze by itself, and see who else holds one: what
    /// [`look_for_lock`] needs. Roles that are on count.
    pub fn may_lock(&mut self) -> Result<(), String> {
        let grants: Vec<String> = self.rows("SHOW GRANTS")?;
        let missing = missing_rights(&grants);
        if missing.is_empty() { Ok(()) } else { Err(format!("no right {}", missing.join(", "))) }
    }

    /// `wsrep_cluster_status`: `Primary`, `non-Primary` or `Disconnected`. Answered by a node that is cut off too.
    pub fn cluster_status(&mut self) -> Result<String, String> {
        let rows: Vec<(String, String)> = self.rows("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'")?;
        rows.into_iter()
            .next()
            .map(|(_, status)| status)
            .ok_or_else(|| "the server has no wsrep_cluster_status".into())
    }

    /// MariaDB's three positions; they answer at once in a frozen server too.
    pub fn mariadb_gtid(&mut self) -> Result<MariadbGtid, String> {
        let rows: Vec<(Option<String>, Option<String>, Option<String>)> =
            self.rows("SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_slave_pos")?;
        let (binlog_pos, current_pos, slave_pos) = rows.into_iter().next().unwrap_or_default();
        Ok(MariadbGtid { binlog_pos, current_pos, slave_pos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_rights_are_read_from_the_grants() {
        let missing = |lines: &[&str]| {
            missing_rights(&lines.iter().map(ToString::to_string).collect::<Vec<_>>()).join(",")
        };
        assert_eq!(missing(&["GRANT USAGE ON *.* TO `x`@`localhost`"]), "RELOAD,PROCESS");
        assert_eq!(missing(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]), "");
        assert_eq!(missing(&["GRANT ALL PRIVILEGES ON `d`.* TO `x`@`%`"]), "RELOAD,PROCESS");
        let role = ["GRANT `r` TO `x`@`localhost`", "GRANT SELECT, RELOAD, SUPER ON *.* TO `r`"];
        assert_eq!(missing(&role), "PROCESS");
    }
}
