//! What a dump holds, and which backups count together.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Compression;
use super::content::operator_time;

/// Bytes of a digest that stands for names.
const DIGEST: usize = 8;

/// A dump, as its manifest tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// The databases that were asked for; empty where all were, and where the archive is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Tables that were left out because that was asked for, as `database.table`; empty where the archive is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_tables: Vec<String>,
    /// Everything is in it but `mysql.global_priv`.
    pub whole: bool,
    /// Which part it is, where it is not whole: equal for equal parts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// Tables whose engine takes no part in a consistent snapshot, so that their rows may be of another moment: `database.table`,
    /// no more than [`Dump::MOST_NAMES`]; empty where the archive is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_innodb: Vec<String>,
    /// How many of them there are.
    #[serde(default)]
    pub not_innodb_count: u64,
    /// Whether `mysql.global_priv` is in it, as a table.
    #[serde(default)]
    pub global_priv: bool,
    /// Users and grants as statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersObject>,
    /// The version of the program that has dumped.
    pub program: String,
    /// Arguments that the administrator has added; empty where the archive is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Bytes of the longest statement: what `max_allowed_packet` has to let pass.
    #[serde(default)]
    pub longest_statement: u64,
}

/// The object with users and grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersObject {
    /// File name beside the manifest; compressed and encrypted as the archive is.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub sha256: String,
}

impl Dump {
    /// Most names of tables in a manifest.
    pub const MOST_NAMES: usize = 100;

    /// The name of the object with users and grants, of a run that began then.
    pub fn users_name(began: Timestamp, compression: Compression) -> String {
        compression.file_name(&format!("users.{}.sql", operator_time(began)))
    }

    /// What it is a backup of.
    pub fn class(&self) -> BackupClass {
        if self.whole { BackupClass::Sql } else { BackupClass::PartialSql(self.filter.clone()) }
    }

    /// Names in the words of [`Dump::filter`]: their order makes no other part. Where they must not be read it is a digest of them.
    pub fn part(databases: &[String], ignored: &[String], is_hidden: bool) -> String {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names.join(",")
        };
        let of = if databases.is_empty() { "all".to_owned() } else { sorted(databases) };
        let part = if ignored.is_empty() { of } else { format!("{of} without {}", sorted(ignored)) };
        if !is_hidden {
            return part;
        }
        let digest = Sha256::digest(part.as_bytes());
        digest.iter().take(DIGEST).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What can stand in for what: a newer backup of the same class does for an older one, and one of another class never does.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupClass {
    /// The files of a server.
    #[default]
    Physical,
    /// A dump of everything.
    Sql,
    /// A dump of a part: [`Dump::filter`].
    PartialSql(String),
}

impl BackupClass {
    /// Its name for programs; parts have one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Sql => "dump",
            Self::PartialSql(_) => "partial-dump",
        }
    }

    /// It in words.
    pub fn words(&self) -> String {
        match self {
            Self::Physical => "physical".into(),
            Self::Sql => "dump of everything".into(),
            Self::PartialSql(part) => format!("dump of {part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_names_makes_no_other_class() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let of = |databases: &[&str], ignored: &[&str]| {
            let filter = Dump::part(&names(databases), &names(ignored), false);
            Dump { filter, ..Dump::default() }.class()
        };
        assert_eq!(of(&["a", "b"], &[]), of(&["b", "a", "b"], &[]));
        assert_ne!(of(&["a"], &[]), of(&["a", "b"], &[]));
        assert_ne!(of(&[], &["a.t"]), of(&[], &["a.u"]));
        assert_eq!(of(&["b", "a"], &["a.t"]).words(), "dump of a,b without a.t");
        let hidden = |names: &[String]| Dump::part(names, &[], true);
        let (a, b) = (hidden(&names(&["a"])), hidden(&names(&["b"])));
        assert!(a != b && a.len() == 16 && a == hidden(&names(&["a", "a"])), "{a} {b}");
        assert_eq!(Dump { whole: true, ..Dump::default() }.class(), BackupClass::Sql);
    }

    #[test]
    fn objects_have_the_names_that_the_operator_reads() {
        let began: Timestamp = "2026-11-20T11:34:52.9Z".parse().unwrap();
        let stem = super::super::Content::Sql.stem(began);
        assert_eq!(Compression::Gzip.file_name(&stem), "backup.2026-11-20T11:34:52Z.sql.gz");
        assert_eq!(Compression::None.file_name(&stem), "backup.2026-11-20T11:34:52Z.sql");
        assert_eq!(Dump::users_name(began, Compression::Bzip2), "users.2026-11-20T11:34:52Z.sql.bz2");
    }
}
