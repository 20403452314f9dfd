//! Programs of MariaDB that lie on this machine, and their versions.

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

/// mariadb-backup, as it lies here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariadbBackup {
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// Its series.
    pub series: ReleaseSeries,
}

impl MariadbBackup {
    /// Looks for it; the text says what is missing, and what to do.
    pub fn find(basedir: Option<&str>) -> Result<Self, String> {
        let program =
            find(&MARIADB_BACKUP, basedir).or_else(|| find(&MARIADB_BACKUP, None)).ok_or_else(|| {
                "mariadb-backup is not installed here: install it (package mariadb-backup or MariaDB-backup)"
                    .to_owned()
            })?;
        let (version, series) = ask_version(&program)?;
        Ok(Self { program, version, series })
    }

    /// Why it cannot serve a server, or a backup of one, of this version. Its formats are those of its own series.
    pub fn objection(&self, version: Option<&str>) -> Option<String> {
        let wanted = version.and_then(ReleaseSeries::read)?;
        let how = match self.series.cmp(&wanted) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Less => "too old",
            std::cmp::Ordering::Greater => "too new",
        };
        Some(format!(
            "'{}' is of MariaDB {} ({}), {how} for the files of a server of {wanted}: install mariadb-backup {wanted}",
            self.program.display(),
            self.series,
            self.version
        ))
    }
}

/// mariadb-dump, as it lies here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariadbDump {
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// Its series.
    pub series: ReleaseSeries,
}

impl MariadbDump {
    /// Looks for it; the text says what is missing, and what to do.
    pub fn find() -> Result<Self, String> {
        let program = find(&MARIADB_DUMP, None).ok_or_else(|| {
            "mariadb-dump is not installed here: install it (package mariadb-client or MariaDB-client)"
                .to_owned()
        })?;
        let (version, series) = ask_version(&program)?;
        Ok(Self { program, version, series })
    }

    /// Why it cannot dump a server of this version: what that has and an older program does not know would be missing.
    pub fn objection(&self, version: Option<&str>) -> Option<String> {
        let wanted = version.and_then(ReleaseSeries::read)?;
        (self.series < wanted).then(|| {
            format!(
                "'{}' is of MariaDB {} ({}), too old for a server of {wanted}: install that of {wanted}, or a newer one",
                self.program.display(),
                self.series,
                self.version
            )
        })
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
    fn only_the_same_series_serves() {
        let tool = |version: &str| MariadbBackup {
            program: "/x/mariadb-backup".into(),
            version: version.into(),
            series: ReleaseSeries::read(version).unwrap(),
        };
        for (here, there, wanted) in [
            ("10.11.2-MariaDB", Some("10.11.19-MariaDB-log"), None),
            ("10.11.2-MariaDB", None, None),
            ("10.6.16-MariaDB", Some("10.11.19-MariaDB"), Some("too old")),
            ("11.4.2-MariaDB", Some("10.11.19-MariaDB"), Some("too new")),
        ] {
            let objection = tool(here).objection(there);
            assert_eq!(objection.is_some(), wanted.is_some(), "{here} {there:?}");
            assert!(objection.unwrap_or_default().contains(wanted.unwrap_or_default()));
        }
    }
}
