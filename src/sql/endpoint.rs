//! Where a server listens, and as whom it is asked.

use std::fmt;
use std::path::PathBuf;

use crate::config::Secret;
use crate::model::HostPort;

/// The port of a server that names none.
const PORT: u16 = 3306;

/// Where a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket of this machine.
    Socket(PathBuf),
    /// A host; port 3306 where none is named.
    Tcp(HostPort),
}

impl Endpoint {
    /// The port to connect to.
    pub(super) fn port(address: &HostPort) -> u16 {
        address.port.unwrap_or(PORT)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{}", address.clone().or_port(PORT)),
        }
    }
}

/// TLS for connections over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authority that has signed the server's certificate (PEM).
    pub ca: PathBuf,
    /// Certificate and key of the client (PEM), where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the certificate must bear the name of the host.
    pub verify_name: bool,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Encryption of TCP connections; none without it.
    pub tls: Option<Tls>,
}
