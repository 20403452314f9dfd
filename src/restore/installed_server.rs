//! The server of this machine: whether it can start on what is restored.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::RestoreError;
use crate::config::ServerOptions;
use crate::tool::{ReleaseSeries, places};

const NAMES: [&str; 2] = ["mariadbd", "mysqld"];

/// A MariaDB server that is installed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
}

impl Installed {
    /// The server that `basedir` of the options names, else the first one in PATH or at the usual places; none where
    /// nothing answers, or what answers is no MariaDB.
    pub fn find(options: &ServerOptions) -> Option<Self> {
        let places = places(options.get("basedir"));
        let programs = places.iter().flat_map(|place| NAMES.map(|name| place.join(name)));
        programs.filter(|program| program.is_file()).find_map(|program| Self::at(&program))
    }

    /// The server of this program; none where it is none of MariaDB.
    pub fn at(program: &Path) -> Option<Self> {
        let said = Command::new(program)
            .args(["--no-defaults", "--version"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        // mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)
        let (_, rest) = said.split_once("Ver ")?;
        let version = rest.split_whitespace().next()?.to_owned();
        version.contains("MariaDB").then(|| Self { program: program.to_owned(), version })
    }

    /// Refuses a backup of a newer series than this server: InnoDB and the system tables of an older one do not know
    /// its files. `cure` is what else to do, in words.
    pub fn refuse_newer(&self, id: &str, version: Option<&str>, cure: &str) -> Result<(), RestoreError> {
        let (Some(here), Some(there)) =
            (ReleaseSeries::read(&self.version), version.and_then(ReleaseSeries::read))
        else {
            return Ok(());
        };
        if here >= there {
            return Ok(());
        }
        Err(RestoreError::Refused(format!(
            "the server here ('{}') is MariaDB {here}, backup '{id}' is of {there}: a server of an older series cannot \
             start on its files. Install MariaDB {there}, or {cure}",
            self.program.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_compared_by_number_and_patches_are_not() {
        let refuses = |here: &str, there: Option<&str>| {
            let server = Installed { program: "/usr/sbin/mariadbd".into(), version: here.into() };
            server.refuse_newer("id", there, "leave it").is_err()
        };
        for (here, there, wanted) in [
            ("10.6.16-MariaDB", Some("10.11.19-MariaDB-log"), true),
            ("10.11.2-MariaDB", Some("10.11.19-MariaDB-log"), false),
            ("11.4.2-MariaDB", Some("10.11.19-MariaDB"), false),
            ("10.11.2-MariaDB", Some("11.0.1-MariaDB"), true),
            ("10.11.2-MariaDB", Some("odd"), false),
            ("10.11.2-MariaDB", None, false),
        ] {
            assert_eq!(refuses(here, there), wanted, "{here} {there:?}");
        }
    }
}
