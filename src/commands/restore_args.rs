//! The arguments of `restore`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use jiff::Timestamp;

use super::id_args::{selector, target_time};
use super::reading_args::ReadingArgs;
use super::{CommandError, CommonArgs};
use crate::catalog::Selector;
use crate::config::{Flag, SettingsOverrides, flag};

/// What the data directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum As {
    /// A node that joins its cluster by IST
    Node,
    /// The first node of a cluster that starts anew
    Cluster,
    /// A server outside any cluster
    Standalone,
    /// An asynchronous replica
    Replica,
}

const MEMBERS: Flag = flag("members", "restore");

/// Arguments of `restore`.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["to", "into"]))]
pub struct RestoreArgs {
    #[command(flatten)]
    pub(super) id: RestoreIdArgs,
    /// The new data directory: missing or empty (with --delta: that of a stopped node)
    #[arg(long, value_name = "DIR")]
    pub(super) to: Option<PathBuf>,
    /// Into the data directory of a stopped node of the same cluster: replace there what differs from the backup, and keep the rest
    #[arg(long, conflicts_with_all = ["only", "into"])]
    pub(super) delta: bool,
    /// With --delta: only say what would be kept, replaced and removed
    #[arg(long, requires = "delta")]
    pub(super) dry_run: bool,
    /// With --delta: files of the backup that are in DIR, outside of the data directory, may be replaced, although no option file says that they
    /// are of the same server; repeatable
    #[arg(long, value_name = "DIR", requires = "delta")]
    pub(super) replace: Vec<String>,
    /// Load a dump into the server that runs there: a socket (with a '/' in it), or HOST[:PORT]
    #[arg(long, value_name = "SOCKET|HOST")]
    pub(super) into: Option<String>,
    /// With --into: only this database of the dump; repeatable. For a dump that names none, the database to load it into
    #[arg(long = "database", value_name = "NAME", conflicts_with = "to")]
    pub(super) databases: Vec<String>,
    /// With --into: users and grants, too; an account that the server has stays as it is
    #[arg(long, conflicts_with = "to")]
    pub(super) users: bool,
    /// With --into: drop tables of the dump that the server has, and make them anew; with --users accounts, too
    #[arg(long, conflicts_with = "to")]
    pub(super) overwrite: bool,
    /// With --into: the tables of the database mysql, too; for a server of the same series that is no Galera node
    #[arg(long, conflicts_with_all = ["to", "databases"])]
    pub(super) system_tables: bool,
    /// What the data directory is for [default: node; with --only no server at all, but the files of the tables]
    #[arg(long = "as", value_enum, value_name = "PURPOSE", conflicts_with = "into")]
    pub(super) purpose: Option<As>,
    /// Only this table, or 'DATABASE.*'; * is any text; repeatable. With '--as standalone' a server that has no other
    /// tables; without '--as' the files of the table alone
    #[arg(long, value_name = "DATABASE.TABLE", conflicts_with_all = ["maps", "into"])]
    pub(super) only: Vec<String>,
    /// Put the files of VAR, which were outside the data directory, into DIR; VAR is a server variable,
    /// 'data_directory' or 'symlink'
    #[arg(long = "map", value_name = "VAR=DIR", conflicts_with = "into")]
    pub(super) maps: Vec<String>,
    /// Put files that were outside the data directory back to where they were, where that is DIR or below it; repeatable.
    /// Without it and --map they are listed, and nothing is restored
    #[arg(long, value_name = "DIR", conflicts_with = "into")]
    pub(super) external: Vec<String>,
    /// Write statements into FILE, which must not exist, that drop the account which MariaDB 11.6 and later make for a state transfer: for
    /// mysqld's init_file, at the first start
    #[arg(long, value_name = "FILE", conflicts_with_all = ["into", "only"])]
    pub(super) init_file: Option<PathBuf>,
    /// Restore also where the MariaDB of this machine (with --into: the server there) is of an older series than the backup, or
    /// would not start on its files
    #[arg(long)]
    pub(super) any_server: bool,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help)]
    members: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print JSON for programs
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// Which backup is meant, or which file.
#[derive(Debug, Args)]
pub(super) struct RestoreIdArgs {
    /// Backup ID, or 'latest'
    #[arg(value_name = "ID|latest", required_unless_present_any = ["target_time", "file"])]
    id: Option<String>,
    /// The newest backup taken at or before this time, e.g. 2026-11-20T11:30:00Z
    #[arg(long, value_name = "RFC3339", conflicts_with = "id")]
    target_time: Option<String>,
    /// With --into: a dump that we did not make, in place of a backup: plain, .gz, .bz2 or .zst; or a folder of dumps named as
    /// mariadb-operator names them, of which the newest one is taken
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["id", "to"])]
    pub(super) file: Option<PathBuf>,
}

impl RestoreIdArgs {
    pub(super) fn selector(&self) -> Result<Selector, CommandError> {
        selector(self.id.as_deref(), self.target_time.as_deref())
    }

    /// The time that is wanted.
    pub(super) fn target_time(&self) -> Result<Option<Timestamp>, CommandError> {
        self.target_time.as_deref().map(target_time).transpose()
    }
}

impl RestoreArgs {
    /// The settings that have flags here.
    pub(super) fn set(&self, flags: &mut SettingsOverrides) {
        self.reading.set(flags);
        flags.set(MEMBERS, self.members.as_deref());
    }
}
