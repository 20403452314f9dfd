//! mysqld's command line as one validated value.
//!
//! Sources: MariaDB `sql/wsrep_sst.cc` (`sst_donate_other`, `sst_prepare_other`) and
//! `scripts/wsrep_sst_common.sh`, which reads the same options. mysql-wsrep and Percona XtraDB
//! Cluster pass more of them and now and then an empty positional: what is not known is named in
//! [`DonorRequest::ignored`] and skipped, never fatal.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::DefaultsArgs;
use crate::model::{DRILL_ADDRESS, GtidError, WsrepGtid, parse_domain_id};
use crate::server::Server;

/// What mysqld wants to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Give a state transfer: take a backup.
    Donor,
    /// Receive one: that is not what this program does.
    Joiner,
}

/// A command line that cannot be served (errno 22, as the stock scripts have it).
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgsError {
    /// Neither donor nor joiner.
    #[error("Unrecognized role: '{0}'")]
    Role(String),
    /// An option without its value.
    #[error("the option {0} came without a value")]
    NoValue(String),
    /// An option that a donor needs.
    #[error("mysqld did not pass {0}; this program is started by mysqld on a donor (garbd --sst backup)")]
    Missing(&'static str),
    /// A drilled server has asked for IST, and the write sets are here no more.
    #[error(
        "the state transfer is for a drilled server (drill --join), which takes none: nothing was done, and the drill ends; a newer backup joins by IST"
    )]
    Drill,
    /// The position of the request.
    #[error("--gtid: {0}")]
    Gtid(#[from] GtidError),
}

/// Everything that mysqld said on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DonorRequest {
    /// Donor or joiner.
    pub role: Role,
    /// Request id and labels: what followed the first `:` of `garbd --sst backup:…`.
    pub request: Option<String>,
    /// The server that asks.
    pub server: Server,
    /// mysqld understands `total` and `complete` lines and wants them.
    pub progress: bool,
    /// Position of the state request, with the domain of `--gtid-domain-id`.
    pub gtid: WsrepGtid,
    /// No data is wanted.
    pub bypass: bool,
    /// Names of options that were not understood, for the log. Never their values: one may be a password.
    pub ignored: Vec<String>,
}

/// Options with a value that say nothing to a backup.
const WITH_VALUE: [&str; 20] = [
    "--local-port",
    "--parent",
    "--host",
    "--port",
    "--log-basename",
    "--innodb-buffer-pool-filename",
    "--innodb-buffer-pool-size",
    "--basedir",
    "--plugindir",
    "--plugin-dir",
    "--mysqld-version",
    "--version",
    "--local-gtid",
    "--server-id",
    "--server-uuid",
    "--user",
    "--password",
    "--user-param",
    "--donor-gtid",
    "--pid-file",
];

/// Directory options of the stock scripts and the variables they stand for.
const DIRECTORIES: [(&str, &str); 4] = [
    ("--innodb-data-home-dir", "innodb_data_home_dir"),
    ("--innodb-log-group-home-dir", "innodb_log_group_home_dir"),
    ("--innodb-undo-directory", "innodb_undo_directory"),
    ("--aria-log-dir-path", "aria_log_dir_path"),
];

/// The options as they come, before anything is checked.
#[derive(Default)]
struct Raw {
    role: Option<String>,
    address: String,
    datadir: Option<String>,
    socket: Option<String>,
    progress: Option<String>,
    gtid: Option<String>,
    domain: Option<String>,
    binlog: Option<String>,
    binlog_index: Option<String>,
    bypass: bool,
    defaults: DefaultsArgs,
    directories: Vec<(&'static str, String)>,
    mysqld_args: Vec<String>,
    ignored: Vec<String>,
}

impl DonorRequest {
    /// Whether a command line is mysqld's and not an operator's: no command starts with a dash.
    pub fn is_meant(args: &[String]) -> bool {
        args.iter().any(|arg| arg == "--role" || arg.starts_with("--role="))
            && args.first().is_some_and(|arg| arg.starts_with("--") || arg.is_empty())
    }

    /// Data directory and socket of a command line, whatever else may be wrong with it.
    pub fn places(args: &[String]) -> (Option<PathBuf>, Option<PathBuf>) {
        let raw = Raw::read(args).unwrap_or_default();
        (raw.datadir.map(PathBuf::from), raw.socket.map(PathBuf::from))
    }

    /// Reads the arguments after the program's name.
    pub fn parse(args: &[String]) -> Result<Self, ArgsError> {
        let raw = Raw::read(args)?;
        let role = match raw.role.as_deref() {
            Some("donor") => Role::Donor,
            Some("joiner") => Role::Joiner,
            other => return Err(ArgsError::Role(other.unwrap_or_default().to_owned())),
        };
        if role == Role::Donor && !raw.bypass && raw.address == DRILL_ADDRESS {
            return Err(ArgsError::Drill);
        }
        let mut gtid = match (&raw.gtid, role) {
            (Some(text), Role::Donor) => text.parse::<WsrepGtid>()?,
            (None, Role::Donor) => return Err(ArgsError::Missing("--gtid")),
            // A joiner has no position; it is refused anyway.
            (_, Role::Joiner) => WsrepGtid { uuid: String::new(), seqno: 0, domain_id: None },
        };
        if let Some(domain) = raw.domain.and_then(|text| parse_domain_id(&text)) {
            gtid.domain_id = Some(domain);
        }
        let datadir = match raw.datadir {
            Some(datadir) => PathBuf::from(datadir),
            None if role == Role::Joiner => PathBuf::new(),
            None => return Err(ArgsError::Missing("--datadir")),
        };
        let request = raw.address.rsplit_once('@').map_or(raw.address.as_str(), |(_, host)| host);
        Ok(Self {
            role,
            request: (!request.is_empty()).then(|| request.to_owned()),
            server: Server {
                datadir,
                socket: raw.socket.map(PathBuf::from),
                defaults: raw.defaults,
                arguments: raw.mysqld_args,
                binlog: raw.binlog,
                binlog_index: raw.binlog_index,
                directories: raw.directories,
                data_home: None,
            },
            progress: raw.progress.is_some_and(|value| value.parse().is_ok_and(|number: i64| number != 0)),
            gtid,
            bypass: raw.bypass,
            ignored: raw.ignored,
        })
    }
}

impl Raw {
    fn read(args: &[String]) -> Result<Self, ArgsError> {
        let mut raw = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            if name == "--mysqld-args" {
                raw.mysqld_args = rest.map(Clone::clone).collect();
                break;
            }
            if name == "--bypass" {
                raw.bypass = true;
            } else if takes_value(name) {
                let value = inline.or_else(|| rest.next().cloned());
                let value = value.ok_or_else(|| ArgsError::NoValue(name.to_owned()))?;
                raw.set(name, value.trim().to_owned());
            } else if name.starts_with("--") {
                raw.ignored.push(name.to_owned());
            }
        }
        Ok(raw)
    }

    fn set(&mut self, name: &str, value: String) {
        if name == "--role" {
            self.role = Some(value);
            return;
        }
        if value.is_empty() {
            return;
        }
        match name {
            "--address" => self.address = value,
            "--datadir" => self.datadir = Some(value),
            "--socket" => self.socket = Some(value),
            "--progress" => self.progress = Some(value),
            "--gtid" => self.gtid = Some(value),
            "--gtid-domain-id" => self.domain = Some(value),
            "--binlog" | "--log-bin" => self.binlog = Some(value),
            "--binlog-index" | "--log-bin-index" => self.binlog_index = Some(value),
            "--defaults-file" => self.defaults.defaults_file = Some(value.into()),
            "--defaults-extra-file" => self.defaults.defaults_extra_file = Some(value.into()),
            "--defaults-group-suffix" => self.defaults.group_suffix = Some(value),
            other => {
                if let Some((_, variable)) = DIRECTORIES.iter().find(|(option, _)| *option == other) {
                    self.directories.push((variable, value));
                }
            }
        }
    }
}

fn takes_value(name: &str) -> bool {
    matches!(
        name,
        "--role"
            | "--address"
            | "--datadir"
            | "--socket"
            | "--progress"
            | "--gtid"
            | "--gtid-domain-id"
            | "--binlog"
            | "--log-bin"
            | "--binlog-index"
            | "--log-bin-index"
            | "--defaults-file"
            | "--defaults-extra-file"
            | "--defaults-group-suffix"
    ) || WITH_VALUE.contains(&name)
        || DIRECTORIES.iter().any(|(option, _)| *option == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    fn args(text: &str) -> Vec<String> {
        text.replace("UUID", UUID).split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    #[test]
    fn mariadb_10_11_calls_like_this() {
        let line = "--role 'donor' --address 'req-7f3a/label.x' --local-port 3306 --socket '/run/s.sock' --progress 0 \
                    --datadir '/var/lib/mysql/' --defaults-file '/etc/my.cnf' --gtid 'UUID:5' --gtid-domain-id 7 \
                    --binlog 'mysql-bin' --binlog-index '/var/lib/mysql/mysql-bin' --mysqld-args --datadir=/elsewhere --bypass";
        let request = DonorRequest::parse(&args(&line.replace("                    ", ""))).unwrap();
        assert_eq!(request.role, Role::Donor);
        assert_eq!(request.request.as_deref(), Some("req-7f3a/label.x"));
        assert_eq!(request.server.datadir, PathBuf::from("/var/lib/mysql/"));
        assert_eq!(request.gtid, WsrepGtid { uuid: UUID.into(), seqno: 5, domain_id: Some(7) });
        assert_eq!(request.server.defaults.defaults_file, Some("/etc/my.cnf".into()));
        assert!(!request.bypass && !request.progress, "mysqld's own arguments are not ours");
        assert_eq!(request.server.arguments, ["--datadir=/elsewhere", "--bypass"]);
        assert_eq!(request.ignored, Vec::<String>::new());
    }

    #[test]
    fn a_drill_gets_no_state_transfer_but_one_without_data() {
        let line = format!("--role donor --address {DRILL_ADDRESS} --datadir /d --gtid UUID:5");
        assert_eq!(DonorRequest::parse(&args(&line)), Err(ArgsError::Drill));
        assert!(DonorRequest::parse(&args(&format!("{line} --bypass"))).unwrap().bypass);
    }

    #[test]
    fn a_domain_from_2_to_the_31_on_comes_as_a_negative_number() {
        for line in ["--gtid-domain-id -1 --datadir /d", "--gtid-domain-id=-1 --datadir=/d"] {
            let request = DonorRequest::parse(&args(&format!("--role donor --gtid UUID:5 {line}"))).unwrap();
            assert_eq!(request.gtid.domain_id, Some(u32::MAX), "{line}");
            assert_eq!(request.server.datadir, PathBuf::from("/d"), "{line}");
        }
    }

    #[test]
    fn other_families_pass_more_and_nothing_is_fatal() {
        let line = "--role 'donor' --address '' --socket '/s' --datadir '/d/' --basedir '/usr' --plugindir '/usr/lib' \
                    --mysqld-version '8.0.35' --defaults-group-suffix '' --gtid 'UUID:5' '' --brand-new=1 --other 3";
        let request = DonorRequest::parse(&args(&line.replace("                    ", ""))).unwrap();
        assert_eq!(request.request, None);
        assert_eq!(request.server.defaults.group_suffix, None);
        assert_eq!(request.gtid.domain_id, None);
        assert_eq!(request.ignored, ["--brand-new", "--other"]);
    }

    #[test]
    fn credentials_in_the_address_are_not_the_request() {
        let line = "--role donor --address user:secret@req-1 --datadir /d --gtid UUID:5";
        assert_eq!(DonorRequest::parse(&args(line)).unwrap().request.as_deref(), Some("req-1"));
    }

    #[test]
    fn what_a_donor_needs_is_named() {
        let cases = [
            ("--role sender --datadir /d --gtid UUID:1", "Unrecognized role: 'sender'"),
            ("--role donor --gtid UUID:1", "--datadir"),
            ("--role donor --datadir /d", "--gtid"),
            ("--role donor --datadir /d --gtid", "without a value"),
            ("--role donor --datadir /d --gtid nonsense", "not a Galera position"),
            ("--role donor --datadir /d --gtid UUID:-1", "no position"),
        ];
        for (line, wanted) in cases {
            let error = DonorRequest::parse(&args(line)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }

    #[test]
    fn an_operators_command_is_not_mysqlds() {
        for (line, meant) in [
            ("--role donor", true),
            ("--address x --role=donor", true),
            ("list --role", false),
            ("list", false),
        ] {
            assert_eq!(DonorRequest::is_meant(&args(line)), meant, "{line}");
        }
    }
}
