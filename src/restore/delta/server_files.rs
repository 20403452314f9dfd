//! Names that a server itself gives to files at the top of its data directory. Only these go by their name; what merely looks like one of
//! them is somebody's own.

use std::collections::BTreeSet;
use std::path::Path;

use crate::archive::{IDENTITY_MEMBER, SUMS_MEMBER};
use crate::capture::{innodb_binlog, is_replication_state, is_same_directory};
use crate::config::ServerOptions;
use crate::restore::destinations::Destinations;
use crate::restore::no_follow;
use crate::restore::replication::REPLICA_FILE;
use crate::restore::start_file::{StartMark, start_mark};

/// Names without a number. What an interrupted DDL statement has noted would be carried out on other files.
const EXACT: [&str; 24] = [
    IDENTITY_MEMBER,
    SUMS_MEMBER,
    REPLICA_FILE,
    "aria_log_control",
    "auto.cnf",
    "backup_sst_complete",
    "ddl_log.log",
    "ddl_recovery-backup.log",
    "ddl_recovery.log",
    "galera.cache",
    "grastate.dat",
    "gvwstate.dat",
    "ib_buffer_pool",
    "ib_buffer_pool.incomplete",
    "ibtmp1",
    "mariadb_upgrade_info",
    "mysql.sock",
    "mysql.sock.lock",
    "mysql_upgrade_info",
    "sst_error",
    "sst_in_progress",
    "tables_flushed",
    "tc.log",
    "wsrep_sst.pid",
];
/// Options that name one file; where they are not set their file has a name that is known, or none.
const NAMED_BY: [&str; 3] = ["log-ddl-recovery", "pid-file", "socket"];
/// An index of logs that is larger is none, bytes.
const LARGEST_INDEX: u64 = 16 << 20;
/// A server gives its logs numbers of at least so many digits.
const LOG_DIGITS: usize = 6;

/// What stands for the base name of the binary logs that InnoDB keeps (`binlog-000001.ibb`): no other log is called so.
pub(super) const OF_INNODB: &str = "binlog-";

/// An index file and a base name of logs that it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogFamily {
    index: String,
    base: String,
}

impl LogFamily {
    /// Whether this stands beside the logs.
    fn has_beside(&self, name: &str) -> bool {
        self.index == name || name.strip_suffix(".state") == Some(&self.base)
    }
}

/// The names in one directory.
#[derive(Debug, Default)]
pub(super) struct ServerFiles {
    named: BTreeSet<String>,
    logs: Vec<LogFamily>,
}

impl ServerFiles {
    /// Those in this directory as it is now. A restore that was interrupted may have removed some of them.
    pub(super) fn of(places: &Destinations, folder: &Path, options: Option<&ServerOptions>) -> Self {
        let mark = places.start_file().and_then(start_mark);
        Self::look(folder, options, matches!(mark, Some(StartMark::Delta(_))))
    }

    /// Those of the server of these options; logs are those that an index in `folder` names. An index of whose logs none is there counts only
    /// where a restore `is_resumed` that may have removed them.
    fn look(folder: &Path, options: Option<&ServerOptions>, is_resumed: bool) -> Self {
        let single = |value: &str| Path::new(value).file_name().is_some_and(|name| name == value);
        let mut named: BTreeSet<String> = options
            .iter()
            .flat_map(|options| NAMED_BY.iter().filter_map(|name| options.get(name)))
            .map(|value| value.strip_prefix("./").unwrap_or(value).to_owned())
            .collect();
        let data_files = options.and_then(|options| options.get("innodb_data_file_path")).unwrap_or_default();
        named
            .extend(data_files.split(';').filter_map(|file| Some(file.split(':').next()?.trim().to_owned())));
        named.retain(|name| single(name));
        named
            .extend(nix::unistd::gethostname().ok().and_then(|name| Some(format!("{}.pid", name.to_str()?))));
        Self { named, logs: log_families(folder, is_resumed) }
    }

    /// Whether a file at the top of a data directory is a server's.
    pub(super) fn has(&self, name: &str) -> bool {
        EXACT.contains(&name)
            || self.named.contains(name)
            || is_engine_file(name)
            || name.strip_prefix("gcache.page.").is_some_and(|number| digits(number, LOG_DIGITS))
            || is_temporary_table(name)
            || is_replication_state(name)
                && Path::new(name).extension().is_some_and(|ending| ending == "info")
            || self.is_log(name)
            || self.logs.iter().any(|log| log.has_beside(name))
    }

    /// The names of what stands beside the logs of this base name: their index and their state, whether they are there or not.
    pub(super) fn beside(&self, base: &str) -> impl Iterator<Item = String> {
        let of_base = self.logs.iter().filter(move |log| log.base == base);
        of_base.flat_map(|log| [log.index.clone(), format!("{}.state", log.base)])
    }

    /// Whether it is a binary log or relay log, or the file that goes with one.
    pub(super) fn is_log(&self, name: &str) -> bool {
        self.log_number(name).is_some()
            || name.strip_suffix(".idx").is_some_and(|log| self.log_number(log).is_some())
    }

    /// Base name and number of a log that an index beside it lists, or of one that InnoDB keeps, which needs no index.
    pub(super) fn log_number<'a>(&self, name: &'a str) -> Option<(&'a str, u64)> {
        if let Some(number) = innodb_binlog(name) {
            return Some((OF_INNODB, number));
        }
        let (base, number) = name.rsplit_once('.').filter(|(_, number)| digits(number, LOG_DIGITS))?;
        self.logs.iter().any(|log| log.base == base).then_some((base, number.parse().ok()?))
    }
}

/// A file of InnoDB or Aria by its default name: the system tablespace, undo tablespaces, redo logs, InnoDB's binary logs.
pub(super) fn is_engine_file(name: &str) -> bool {
    let numbered = |start: &str, most: usize| {
        name.strip_prefix(start).is_some_and(|number| number.len() <= most && digits(number, 1))
    };
    let exactly = |start: &str, count: usize| {
        name.strip_prefix(start).is_some_and(|number| number.len() == count && digits(number, count))
    };
    let between = |start: &str, end: &str| name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    let is_kept_redo = |lsn: &str| lsn.len() == 16 && lsn.bytes().all(|digit| digit.is_ascii_hexdigit());
    numbered("ibdata", 4)
        || numbered("ib_logfile", 3)
        || exactly("undo", 3)
        || name == "aria_log_control"
        || exactly("aria_log.", 8)
        || between("ib_", ".log").is_some_and(is_kept_redo)
        || innodb_binlog(name).is_some()
}

/// Files of tables that the server has on the disk for a while, where `tmpdir` is the data directory.
fn is_temporary_table(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    name.starts_with("#sql") && ["MAD", "MAI", "MYD", "MYI", "frm", "ibd"].contains(&ending)
}

fn digits(text: &str, least: usize) -> bool {
    text.len() >= least && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// The index files of a directory that name a log beside them, whichever line does: the first ones may have been purged by hand.
fn log_families(folder: &Path, is_resumed: bool) -> Vec<LogFamily> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let families = |index: String| {
        let bases = bases_in(folder, &index, is_resumed).into_iter();
        bases.map(|base| LogFamily { base, index: index.clone() }).collect::<Vec<_>>()
    };
    names.flat_map(families).collect()
}

/// The base names of the logs in this index; none where it is no index.
fn bases_in(folder: &Path, index: &str, is_resumed: bool) -> BTreeSet<String> {
    let Some(stem) = index.strip_suffix(".index") else { return BTreeSet::new() };
    let text = no_follow::read_file(&folder.join(index), LARGEST_INDEX).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let base = |line: &str| {
        let log = Path::new(line);
        let name = log.file_name()?.to_str()?;
        let (base, _) = name.rsplit_once('.').filter(|(_, number)| digits(number, LOG_DIGITS))?;
        let is_there = folder.join(name).symlink_metadata().is_ok();
        // The index has the path that the server was given, which may lead through a link to this directory.
        let is_beside = || log.parent().is_none_or(|of| is_same_directory(&folder.join(of), folder));
        ((is_there || is_resumed && base == stem) && is_beside()).then(|| base.to_owned())
    };
    text.lines().filter_map(base).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A data directory with indexes of logs, and logs; it is in the folder.
    fn data_with_logs(folder: &tempfile::TempDir) -> PathBuf {
        let root = folder.path().canonicalize().unwrap().join("data");
        // As where /var/lib/mysql leads to another disk.
        let link = folder.path().join("link");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&root, &link).unwrap();
        let linked = format!("{}/linked.000003\n", link.display());
        for (index, line) in [
            ("mysql-bin.index", "./mysql-bin.000007\n"),
            ("linked.index", &linked),
            ("books.index", "chapter one\n"),
            ("gone.index", "./gone.000001\n"),
            ("far.index", "/elsewhere/far.000001\n"),
            // The first one was purged by hand; and two names in one index, since the option was changed.
            ("purged.index", "./purged.000001\n./purged.000002\n"),
            ("two.index", "./one.000001\n./two.000002\n"),
        ] {
            std::fs::write(root.join(index), line).unwrap();
        }
        for log in [
            "mysql-bin.000007",
            "linked.000003",
            "far.000001",
            "books.000001",
            "purged.000002",
            "one.000001",
            "two.000002",
        ] {
            std::fs::write(root.join(log), "x").unwrap();
        }
        root
    }

    #[test]
    fn files_of_a_server_go_and_what_only_looks_like_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = data_with_logs(&folder);
        let files = ServerFiles::look(&root, None, false);
        for (name, goes) in [
            ("ib_logfile1", true),
            ("undo003", true),
            ("ibdata2", true),
            ("aria_log.00000002", true),
            ("tc.log", true),
            ("ddl_log.log", true),
            ("ddl_recovery.log", true),
            ("galera.cache", true),
            ("gcache.page.000001", true),
            ("grastate.dat", true),
            ("multi-master.info", true),
            ("master-a.info", true),
            ("mysql-bin.000007", true),
            ("mysql-bin.000008", true),
            ("mysql-bin.000007.idx", true),
            ("mysql-bin.index", true),
            ("mysql-bin.state", true),
            ("linked.000003", true),
            ("linked.000004", true),
            ("linked.index", true),
            ("purged.000002", true),
            ("purged.index", true),
            ("one.000001", true),
            ("one.state", true),
            ("two.000002", true),
            ("two.index", true),
            ("two.state", true),
            ("wsrep_sst_backup_replica.sql", true),
            ("ibdata1.old", false),
            ("ibdata1-before-upgrade", false),
            ("ib_logfile0.bak", false),
            ("undo001.save", false),
            ("undo_notes.txt", false),
            ("undo1", false),
            ("aria_log_control.bak", false),
            ("aria_log.1", false),
            ("backup.lock", false),
            ("my-agent.pid", false),
            ("books.index", false),
            ("books.000001", false),
            ("gone.index", false),
            ("far.index", false),
            ("far.000001", false),
            ("dump.000001", false),
            ("host.err", false),
            ("slow.log", false),
            ("core.4711", false),
            ("export.CSV", false),
            ("notes.txt", false),
        ] {
            assert_eq!(files.has(name), goes, "{name}");
        }
        assert!(ServerFiles::look(&root, None, true).has("gone.index"));
        assert_eq!(files.beside("one").collect::<Vec<_>>(), ["two.index", "one.state"]);
    }
}
