//! The server's own variables, learnt from its option files and its argument list, without SQL.
//!
//! SQL may be refused or blocked while the server is frozen, so paths such as `innodb_undo_directory` are read from
//! where mysqld has read them. Names are compared as `mysys/my_getopt.c` does: any case, `-` for `_`, the prefixes
//! `loose-`, `skip-`, `disable-`, `enable-` and `plugin-`, and cut short (`--innodb-undo-dir`), all of which was
//! tried with mariadbd 10.11. Of several settings the last counts, and the argument list comes after the files.

mod args;
mod groups;

use std::collections::BTreeMap;
use std::fmt;

pub use groups::server_groups;

use crate::config::files::OptionFiles;
use crate::config::names::{Prefix, bool_value, normalise, split_prefix};
use crate::model::{PLUGIN_PREFIX, PROVIDER_OPTIONS, effective_options};

/// Options whose whole name is the beginning of another one's, from `mariadbd --help --verbose` of 10.11: they are
/// never that other option cut short.
#[rustfmt::skip]
const NOT_CUT_SHORT: [&str; 49] = [
    "aria-group-commit", "debug", "feedback", "flush", "general-log", "innodb", "innodb-adaptive-flushing",
    "innodb-adaptive-hash-index", "innodb-buffer-page", "innodb-buffer-pool-size", "innodb-cmp",
    "innodb-cmp-per-index", "innodb-cmpmem", "innodb-defragment", "innodb-defragment-fill-factor",
    "innodb-io-capacity", "innodb-max-dirty-pages-pct", "innodb-max-purge-lag", "innodb-monitor-reset",
    "innodb-read-only", "innodb-stats-persistent", "innodb-status-output", "innodb-sys-foreign",
    "innodb-sys-tables", "lc-messages", "log-bin", "log-bin-compress", "log-slow-query", "log-tc", "old",
    "optimizer-trace", "performance-schema", "performance-schema-consumer-events-stages-history",
    "performance-schema-consumer-events-statements-history",
    "performance-schema-consumer-events-transactions-history",
    "performance-schema-consumer-events-waits-history", "plugin-load", "port", "relay-log",
    "slow-query-log", "ssl", "ssl-ca", "ssl-crl", "sync-relay-log", "table-open-cache", "user", "version",
    "wsrep-provider", "wsrep-sst-donor",
];

/// How an option was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// `name=value`; the value may be empty.
    Value(&'a str),
    /// `name` alone, or `enable-name`.
    Bare,
    /// `skip-name` or `disable-name`.
    Off,
}

struct GivenOption {
    name: String,
    given: Owned,
}

enum Owned {
    Value(String),
    Bare,
    Off,
}

/// The server's options, from its files and arguments.
pub struct ServerOptions {
    entries: Vec<GivenOption>,
}

impl fmt::Debug for ServerOptions {
    /// Names only: values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}

impl ServerOptions {
    /// Collects the options: from `files` the groups of [`server_groups`] (with the suffix), then `mysqld_args`,
    /// mysqld's arguments without its name. Groups of other versions than `version` are not read.
    pub fn from(files: &OptionFiles, mysqld_args: &[String], version: Option<&str>) -> Self {
        let mut options = Self { entries: Vec::new() };
        let groups = server_groups(version);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        for setting in files.group_settings(&groups) {
            options.add(&setting.name, setting.value.as_deref());
        }
        for argument in args::options(mysqld_args) {
            options.add(&normalise(argument.name), argument.value);
        }
        options
    }

    /// Whether there is none, as where no option file is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last word on an option; `None` if there was none, and the server's default holds.
    pub fn lookup(&self, name: &str) -> Option<Given<'_>> {
        let name = normalise(name);
        let last = self.entries.iter().rev().find(|entry| means(&entry.name, &name))?;
        Some(match &last.given {
            Owned::Value(value) => Given::Value(value),
            Owned::Bare => Given::Bare,
            Owned::Off => Given::Off,
        })
    }

    /// The value of an option. `None` if it was never given, or last without a value or switched off: see
    /// [`ServerOptions::lookup`] for options such as `log-bin`, where that makes a difference.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.lookup(name)? {
            Given::Value(value) => Some(value),
            Given::Bare | Given::Off => None,
        }
    }

    /// The state of a boolean option; `None` if it was never given. A value that is no boolean is off, as mysqld
    /// takes it (with a warning).
    pub fn flag(&self, name: &str) -> Option<bool> {
        Some(match self.lookup(name)? {
            Given::Value(value) => bool_value(value).unwrap_or(false),
            Given::Bare => true,
            Given::Off => false,
        })
    }

    /// The options whose whole name begins so, with the values that hold, as an option file has them.
    pub fn beginning_with(&self, start: &str) -> BTreeMap<&str, &str> {
        let named = self.entries.iter().filter(|entry| entry.name.starts_with(start));
        let given = named.map(|entry| {
            let value = match &entry.given {
                Owned::Value(value) => value.as_str(),
                Owned::Bare => "ON",
                Owned::Off => "OFF",
            };
            (entry.name.as_str(), value)
        });
        given.collect()
    }

    /// The options of Galera's provider, whatever they are set by ([`effective_options`]); none where nothing is set.
    pub fn provider_options(&self) -> Option<String> {
        let prefix = normalise(PLUGIN_PREFIX);
        let set = self.beginning_with(&prefix);
        let told = self.get(PROVIDER_OPTIONS).unwrap_or_default();
        let options = effective_options(told, set, |name| self.get(name));
        (!options.is_empty()).then_some(options)
    }

    /// Adds an option under its name, and under the name behind each of its prefixes: without the table of all
    /// options `skip-name-resolve` cannot be told from `skip-` + `name-resolve`. No option of mysqld is called like
    /// another one behind a prefix, so the wrong reading is never asked for.
    fn add(&mut self, name: &str, value: Option<&str>) {
        let plain = || value.map_or(Owned::Bare, |value| Owned::Value(value.to_owned()));
        self.entries.push(GivenOption { name: name.to_owned(), given: plain() });
        if let Some(rest) = name.strip_prefix("plugin-") {
            self.entries.push(GivenOption { name: rest.to_owned(), given: plain() });
        }
        match split_prefix(name) {
            None => {}
            Some((Prefix::Loose, rest)) => self.add(rest, value),
            Some((prefix, rest)) => {
                let on = prefix.state(value).unwrap_or_default();
                let given = if on { Owned::Bare } else { Owned::Off };
                self.entries.push(GivenOption { name: rest.to_owned(), given });
            }
        }
    }
}

/// Whether a given name stands for `wanted`: it is the same, or it is cut short.
fn means(given: &str, wanted: &str) -> bool {
    given == wanted || (!given.is_empty() && wanted.starts_with(given) && !NOT_CUT_SHORT.contains(&given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn files(lines: &[(&str, &str, Option<&str>)]) -> OptionFiles {
        let mut files = OptionFiles::default();
        for (group, name, value) in lines {
            let value = value.map(str::as_bytes);
            files.add(group, name.as_bytes(), value, Path::new("/etc/my.cnf"), 1);
        }
        files
    }

    fn from_args(args: &[&str]) -> ServerOptions {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        ServerOptions::from(&OptionFiles::default(), &args, None)
    }

    #[test]
    fn only_the_groups_of_this_version_count_and_arguments_come_last() {
        let files = files(&[
            ("mysqld", "datadir", Some("/a")),
            ("galera", "wsrep_on", Some("ON")),
            ("mariadb-10.6", "datadir", Some("/old")),
            ("MariaDB-10.11", "tmpdir", Some("/t")),
            ("mariadb-11.4", "datadir", Some("/new")),
            ("client", "socket", Some("/c")),
            ("client-server", "socket", Some("/cs")),
        ]);
        let options = ServerOptions::from(&files, &[], Some("10.11.19-MariaDB-log"));
        assert_eq!(options.get("datadir"), Some("/a"));
        assert_eq!(options.get("tmpdir"), Some("/t"));
        assert_eq!(options.get("socket"), Some("/cs"));
        assert_eq!(options.flag("wsrep_on"), Some(true));
        assert_eq!(options.flag("wsrep-recover"), None);
        let options = ServerOptions::from(&files, &["--datadir=/arg".to_owned()], Some("10.11.19-MariaDB"));
        assert_eq!(options.get("datadir"), Some("/arg"));
    }

    #[test]
    fn a_name_that_is_an_option_of_its_own_is_not_another_one_cut_short() {
        let options = from_args(&["--log-bin=x", "--innodb-undo-dir=/u", "--plugin-innodb-data-home-dir=/d"]);
        assert_eq!(options.get("log-bin"), Some("x"));
        assert_eq!(options.get("log-bin-index"), None);
        assert_eq!(options.get("innodb_undo_directory"), Some("/u"));
        assert_eq!(options.get("innodb-data-home-dir"), Some("/d"));
    }

    #[test]
    fn a_bare_name_is_not_an_empty_value() {
        let options = from_args(&["--log-bin=x", "--log-bin"]);
        assert_eq!(options.lookup("log-bin"), Some(Given::Bare));
        assert_eq!(from_args(&["--log-bin="]).lookup("log-bin"), Some(Given::Value("")));
        assert_eq!(from_args(&["--log-bin", "--skip-log-bin"]).lookup("log-bin"), Some(Given::Off));
        assert_eq!(options.get("log-bin"), None);
    }

    #[test]
    fn options_of_one_plugin_are_found_by_their_beginning() {
        let options = from_args(&[
            "--file_key_management_filename=/old",
            "--loose-file-key-management-filename=/k",
            "--skip-file-key-management-x",
            "--file-key",
        ]);
        let found = options.beginning_with("file-key-management");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("file-key-management-filename", "/k"), ("file-key-management-x", "OFF")]
        );
    }

    #[test]
    fn options_of_the_provider_come_from_three_places() {
        let options = from_args(&[
            "--plugin-wsrep-provider=ON",
            "--wsrep-provider-options=gcache.size=1G;gcs.sync_donor=no",
            "--loose-wsrep_provider_gcs_sync_donor=ON",
            "--wsrep-provider-evs-suspect-timeout=PT9S",
            "--wsrep-ssl-mode=SERVER_X509",
            "--ssl-cert=/c",
            "--ssl-key=/k",
        ]);
        assert_eq!(
            options.provider_options().unwrap(),
            "gcache.size=1G;gcs.sync_donor=no; evs.suspect_timeout = PT9S; gcs.sync_donor = ON; socket.ssl = YES; \
             socket.ssl_cert = /c; socket.ssl_key = /k"
        );
        assert_eq!(
            from_args(&["--wsrep-provider=/usr/lib/galera/libgalera_smm.so"]).provider_options(),
            None
        );
    }

    #[test]
    fn values_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", from_args(&["--wsrep-sst-auth=u:hunter2"])), "[\"wsrep-sst-auth\"]");
    }
}
