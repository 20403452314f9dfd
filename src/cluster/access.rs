//! How members are asked: the account, the local socket, the addresses that the administrator has named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{ServerOptions, Settings};
use crate::model::HostPort;
use crate::sql::{Account, Endpoint, SqlSession, Tls};

/// Sockets of servers that are told nothing, by distribution.
const SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/// The ways to ask.
#[derive(Debug, Clone)]
pub struct Access {
    account: Account,
    /// The local server's socket, where there is one.
    pub socket: Option<PathBuf>,
    /// Members that the administrator has named, or others that may be some.
    pub members: Vec<HostPort>,
    /// Whether he has named some.
    has_named: bool,
}

impl Access {
    /// By our own settings; the socket by `socket`, else by the server's own option, else at its usual places.
    /// `user` is the user of the operating system.
    pub fn new(settings: &Settings, server: &ServerOptions, user: Option<String>) -> Self {
        let configured = settings.socket.clone().or_else(|| {
            let datadir = Path::new(server.get("datadir").unwrap_or("/var/lib/mysql"));
            server.get("socket").map(|socket| datadir.join(socket))
        });
        let usual = || SOCKETS.iter().map(PathBuf::from).find(|socket| socket.exists());
        Self { socket: configured.or_else(usual), ..Self::to_members(settings, user) }
    }

    /// To members over TCP alone.
    pub fn to_members(settings: &Settings, user: Option<String>) -> Self {
        let tls = settings.ssl_ca.clone().map(|ca| Tls {
            ca,
            identity: settings.ssl_cert.clone().zip(settings.ssl_key.clone()),
            verify_name: settings.ssl_verify_server_cert,
        });
        let account =
            Account { user: settings.user.clone().or(user), password: settings.password.clone(), tls };
        let has_named = !settings.members.is_empty();
        Self { account, socket: None, members: settings.members.clone(), has_named }
    }

    /// Whether the administrator has named members, so that nobody else is meant.
    pub(super) fn has_named_members(&self) -> bool {
        self.has_named
    }

    /// The user that asks.
    pub fn user(&self) -> &str {
        self.account.user.as_deref().unwrap_or_default()
    }

    /// Who asks.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether connections over TCP are encrypted.
    pub fn has_tls(&self) -> bool {
        self.account.tls.is_some()
    }

    /// The local server.
    pub fn local(&self) -> Option<Endpoint> {
        self.socket.clone().map(Endpoint::Socket)
    }

    /// Connects; the text says why not.
    pub fn connect(&self, endpoint: &Endpoint) -> Result<SqlSession, String> {
        SqlSession::connect(endpoint, &self.account)
    }

    /// The same with another limit for each answer.
    pub fn connect_within(&self, endpoint: &Endpoint, limit: Duration) -> Result<SqlSession, String> {
        SqlSession::connect_within(endpoint, &self.account, limit)
    }
}
