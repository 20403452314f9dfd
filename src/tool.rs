//! Programs of MariaDB that lie on this machine, and their versions.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a program lies when PATH does not say so, as cron's and a service's do not.
const PLACES: [&str; 6] = [
    "/usr/sbin",
    "/usr/libexec",
    "/usr/bin",
    "/usr/local/sbin",
    "/usr/local/mariadb/bin",
    "/usr/local/mysql/bin",
];

/// The names of the program that takes physical backups.
const MARIADB_BACKUP: [&str; 2] = ["mariadb-backup", "mariabackup"];

/// The names of the program that dumps.
const MARIADB_DUMP: [&str; 2] = ["mariadb-dump", "mysqldump"];

/// A release series, such as 10.11: within one a program may be older than the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseSeries {
    major: u32,
    minor: u32,
}

impl ReleaseSeries {
    /// This one.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From `10.11.19-MariaDB-log` and its like.
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }
}

impl std::fmt::Display for ReleaseSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The folders that programs are looked for in: those of the base directory where there is one, else PATH and the usual places.
pub fn places(basedir: Option<&str>) -> Vec<PathBuf> {
    match basedir {
        Some(base) => ["sbin", "bin", "libexec"].iter().map(|folder| Path::new(base).join(folder)).collect(),
        None => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .filter(|place| place.is_absolute())
            .chain(PLACES.map(PathBuf::from))
            .collect(),
    }
}

/// The first file with one of these names.
pub fn find(names: &[&str], basedir: Option<&str>) -> Option<PathBuf> {
    let places = places(basedir);
    places.iter().flat_map(|place| names.iter().map(|name| place.join(name))).find(|file| file.is_file())
}

/// A program of MariaDB that reads servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    /// mariadb-backup, which takes physical backups, and prepares them.
    Backup,
    /// mariadb-dump.
    Dump,
}

impl ToolKind {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Backup => &MARIADB_BACKUP,
            Self::Dump => &MARIADB_DUMP,
        }
    }

    /// Where it comes from, in words.
    fn packages(self) -> &'static str {
        match self {
            Self::Backup => "mariadb-backup or MariaDB-backup",
            Self::Dump => "mariadb-client or MariaDB-client",
        }
    }
}

/// One of them, as it lies here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariadbTool {
    kind: ToolKind,
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// Its series.
    series: ReleaseSeries,
}

impl MariadbTool {
    /// Looks for it; the text says what is missing, and what to do.
    pub fn find(kind: ToolKind) -> Result<Self, String> {
        let names = kind.names();
        let program = find(names, None).ok_or_else(|| {
            format!("{} is not installed here: install it (package {})", names[0], kind.packages())
        })?;
        let (version, series) = ask_version(&program)?;
        Ok(Self { kind, program, version, series })
    }

    /// Why it cannot serve a server, or a backup of one, of this version. The formats of mariadb-backup are those of its own series; what a server has and
    /// an older mariadb-dump does not know would be missing.
    pub fn objection(&self, version: Option<&str>) -> Option<String> {
        let wanted = version.and_then(ReleaseSeries::read)?;
        let (how, cure) = match (self.kind, self.series.cmp(&wanted)) {
            (_, Ordering::Equal) | (ToolKind::Dump, Ordering::Greater) => return None,
            (ToolKind::Backup, Ordering::Less) => ("too old for the files of", ""),
            (ToolKind::Backup, Ordering::Greater) => ("too new for the files of", ""),
            (ToolKind::Dump, Ordering::Less) => ("too old for", ", or a newer one"),
        };
        Some(format!(
            "'{}' is of MariaDB {} ({}), {how} a server of {wanted}: install {} {wanted}{cure}",
            self.program.display(),
            self.series,
            self.version,
            self.kind.names()[0]
        ))
    }
}

/// What a program of MariaDB says of its version; an error where it is none, or says none.
fn ask_version(program: &Path) -> Result<(String, ReleaseSeries), String> {
    let said = Command::new(program)
        .args(["--no-defaults", "--version"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("'{}' cannot be started: {error}", program.display()))?;
    // mariadb-backup says it where it logs.
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    version_of(&said).ok_or_else(|| {
        format!(
            "'{}' does not say that it is of MariaDB, and of which version: it says '{}'",
            program.display(),
            said.trim()
        )
    })
}

/// `… Ver 10.19 Distrib 10.11.19-MariaDB, for …`, `… from 11.4.2-MariaDB, client 10.19 for …`, or `… based on MariaDB server 10.11.19-MariaDB debian-linux-gnu …`.
fn version_of(said: &str) -> Option<(String, ReleaseSeries)> {
    let version = said.split([' ', ',']).find(|word| word.contains("-MariaDB"))?;
    Some((version.to_owned(), ReleaseSeries::read(version)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_its_version_in_one_of_three_ways() {
        for (said, wanted) in [
            ("mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)", "10.11"),
            ("mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", "10.11"),
            ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)", "11.4"),
        ] {
            assert_eq!(version_of(said).unwrap().1.to_string(), wanted);
        }
        assert_eq!(version_of("mysqldump  Ver 8.0.36 for Linux on x86_64"), None);
    }

    #[test]
    fn only_the_same_series_serves_and_for_dumps_a_newer_one() {
        let tool = |kind, version: &str| MariadbTool {
            kind,
            program: "/x/tool".into(),
            version: version.into(),
            series: ReleaseSeries::read(version).unwrap(),
        };
        for (here, there, backup, dump) in [
            ("10.11.2-MariaDB", Some("10.11.19-MariaDB-log"), None, None),
            ("10.11.2-MariaDB", None, None, None),
            (
                "10.6.16-MariaDB",
                Some("10.11.19-MariaDB"),
                Some("too old for the files of a server of 10.11: install mariadb-backup 10.11"),
                Some("too old for a server of 10.11: install mariadb-dump 10.11, or a newer one"),
            ),
            ("11.4.2-MariaDB", Some("10.11.19-MariaDB"), Some("too new for the files"), None),
        ] {
            for (kind, wanted) in [(ToolKind::Backup, backup), (ToolKind::Dump, dump)] {
                let objection = tool(kind, here).objection(there);
                assert_eq!(objection.is_some(), wanted.is_some(), "{kind:?} {here} {there:?}");
                let said = objection.unwrap_or_default();
                assert!(said.contains(wanted.unwrap_or_default()), "{said}");
            }
        }
    }
}
