//! What a drilled server is given of this machine's own option files: keys, and where programs have their parts.

use crate::config::ServerOptions;

/// How the names of options of key plugins begin.
const KEYS: [&str; 3] = ["file-key-management", "hashicorp-key-management", "aws-key-management"];
/// Where a server finds what was installed with it, and which plugins it may load.
const PROGRAM: [&str; 5] =
    ["basedir", "character-sets-dir", "lc-messages-dir", "plugin-dir", "plugin-maturity"];
/// The account of servers.
const USER: &str = "mysql";

/// Options for a drilled server.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// Names and values.
    pub(super) options: Vec<(String, String)>,
    /// The account that the server of this machine runs as.
    pub(super) user: String,
}

impl std::fmt::Debug for LocalOptions {
    /// Names only: a value may be the password of the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.options.iter().map(|(name, _)| name)).finish()
    }
}

impl LocalOptions {
    /// Those among the options of the server of this machine.
    pub fn of(server: &ServerOptions) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let keys = KEYS.iter().flat_map(|start| server.beginning_with(start)).map(owned);
        let program = PROGRAM.iter().filter_map(|name| Some(owned((name, server.get(name)?))));
        Self { options: keys.chain(program).collect(), user: server.get("user").unwrap_or(USER).to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptionFiles;

    #[test]
    fn keys_come_along_and_places_of_the_live_server_do_not() {
        let args = [
            "--datadir=/live",
            "--log-bin=/live/binlog",
            "--file-key-management-filekey=FILE:/etc/key",
            "--plugin_dir=/plugins",
            "--init-file=/live/init.sql",
            "--user=db",
        ]
        .map(str::to_owned);
        let local = LocalOptions::of(&ServerOptions::from(&OptionFiles::default(), &args, None));
        let names: Vec<&str> = local.options.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, local.user.as_str()), (vec!["file-key-management-filekey", "plugin-dir"], "db"));
        assert!(!format!("{local:?}").contains("/etc/key"));
    }
}
