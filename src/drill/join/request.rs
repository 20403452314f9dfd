//! How a drilled server is to join.

use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::{Access, Coordinates};
use crate::config::ServerOptions;
use crate::model::HostPort;
use crate::priority::KeptPriority;

/// The options of the server that decide how it speaks to the group, where the group's TLS is the server's (`wsrep_ssl_mode`, MariaDB 10.6 and
/// later).
const TLS: [&str; 8] =
    ["ssl-ca", "ssl-capath", "ssl-cert", "ssl-cipher", "ssl-crl", "ssl-key", "tls-version", "wsrep-ssl-mode"];

/// The longest time until it must be Synced, unless another one is wanted.
const JOIN_TIMEOUT: Duration = Duration::from_secs(600);

/// How a drilled server is to join.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// How members are asked.
    pub access: Access,
    /// What the option files of this machine's server say of the cluster.
    pub files: Coordinates,
    /// The library of Galera that they name.
    pub provider: Option<PathBuf>,
    /// Their options of TLS between members.
    pub tls: Vec<(String, String)>,
    /// A later backup of the same history at a lower position, and that position.
    pub later: Option<(String, i64)>,
    /// Where the members reach it.
    pub listen: Option<HostPort>,
    /// Where its donor reaches it.
    pub ist_listen: Option<HostPort>,
    /// The member that is to be the donor; the one whose gcache reaches back furthest where none is named.
    pub donor: Option<String>,
    /// More provider options, such as those of TLS.
    pub provider_options: Option<String>,
    /// The longest time until it must be Synced.
    pub timeout: Duration,
    /// Who starts the server, at the priority from before this program was lowered.
    pub priority: KeptPriority,
}

impl JoinRequest {
    /// By what the option files of the server of this machine say.
    pub fn new(
        access: Access,
        server: &ServerOptions,
        later: Option<(String, i64)>,
        priority: KeptPriority,
    ) -> Self {
        let given = |name: &&str| Some(((*name).to_owned(), server.get(name)?.to_owned()));
        let is_servers =
            server.get("wsrep-ssl-mode").is_some_and(|mode| !mode.eq_ignore_ascii_case("PROVIDER"));
        let provider = server.get("wsrep-provider").filter(|path| !["", "none"].contains(path));
        Self {
            access,
            files: Coordinates::from_options(server),
            provider: provider.map(PathBuf::from),
            tls: if is_servers { TLS.iter().filter_map(given).collect() } else { Vec::new() },
            later,
            listen: None,
            ist_listen: None,
            donor: None,
            provider_options: None,
            timeout: JOIN_TIMEOUT,
            priority,
        }
    }
    /// By such options of a server here, for tests.
    #[cfg(test)]
    pub(super) fn for_tests(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let server = ServerOptions::from(&crate::config::OptionFiles::default(), &args, None);
        let access = Access::to_members(&crate::config::Settings::default(), None);
        Self::new(access, &server, None, KeptPriority::keep().unwrap())
    }
}
