//! What the archive of a backup is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The format that suffices for the files of a data directory at a known position.
pub const FORMAT: u32 = 1;
/// The newest format that this program reads; it is written where [`FORMAT`] does not suffice.
pub const NEWEST_FORMAT: u32 = 2;

/// What comes out of the blocks of an archive when they are decompressed one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A tar with the files of a data directory.
    #[default]
    Datadir,
    /// The stream of `mariadb-backup --stream=xbstream`.
    Xbstream,
    /// Statements that a server carries out: what `mariadb-dump` writes.
    Sql,
}

impl Content {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Datadir, Self::Xbstream, Self::Sql];

    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Datadir => "datadir",
            Self::Xbstream => "xbstream",
            Self::Sql => "sql",
        }
    }

    /// The oldest format that has it.
    pub fn format(self) -> u32 {
        match self {
            Self::Datadir => FORMAT,
            Self::Xbstream | Self::Sql => 2,
        }
    }

    /// Whether it is what a manifest of format 1 can only have; for serde.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
    pub(super) fn is_datadir(&self) -> bool {
        *self == Self::Datadir
    }

    /// Why `what` cannot be done with a backup, where that needs the single files of an archive.
    pub fn refuses(self, what: &str, id: &super::BackupId) -> Option<String> {
        match self {
            Self::Datadir => None,
            Self::Xbstream => Some(format!(
                "backup '{id}' is a stream of mariadb-backup (content xbstream), whose files cannot be reached one by one: \
                 {what} is not possible; restore it as a whole"
            )),
            Self::Sql => Some(format!(
                "backup '{id}' is a dump (content sql): statements, and no files of a server: {what} is not possible; take a \
                 physical backup for that; a dump is loaded into a running server by its client (mariadb)"
            )),
        }
    }

    /// What the name of an archive begins with, of a run that began then. That of a dump is what MariaDB's operator for Kubernetes reads.
    pub fn stem(self, began: Timestamp) -> String {
        match self {
            Self::Datadir => "backup.tar".into(),
            Self::Xbstream => "backup.xb".into(),
            Self::Sql => format!("backup.{}.sql", operator_time(began)),
        }
    }
}

/// `2006-01-02T15:04:05Z`.
pub(super) fn operator_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What the files of a data directory are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilesState {
    /// Those of a server that was shut down: nothing is to be recovered.
    #[default]
    Clean,
    /// Those of a server that crashed at the position: it recovers when it is started, and needs the whole redo log for that.
    Crashed,
}

impl FilesState {
    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Crashed => "crashed",
        }
    }

    /// The oldest format that has it.
    pub fn format(self) -> u32 {
        match self {
            Self::Clean => FORMAT,
            Self::Crashed => 2,
        }
    }

    /// Whether it is what a manifest of format 1 can only have; for serde.
    pub fn is_clean(&self) -> bool {
        *self == Self::Clean
    }

    /// Why `what` cannot be done with a backup, where that needs files without the rest of their server.
    pub fn refuses(self, what: &str, id: &super::BackupId) -> Option<String> {
        match self {
            Self::Clean => None,
            Self::Crashed => Some(format!(
                "the files of backup '{id}' are those of a server that recovers when it is started (it was taken under a lock, not in a \
                 state transfer), so that single ones are of no use without all the others: {what} is not possible; restore it as a whole"
            )),
        }
    }
}
