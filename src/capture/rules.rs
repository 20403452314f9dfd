//! Which names in a data directory are not data.
//!
//! Everything else is copied, known or not: a file too many costs space, one too few costs a restore.

use std::path::Path;

use super::class::{innodb_binlog, is_log_number};
use super::layout::{BinlogFiles, ServerLayout};
use super::nameless::NAMELESS_FILE;
use super::resolve::{is_same_directory, is_same_entry};
use crate::archive::{EXTERNAL_PREFIX, IDENTITY_MEMBER, SUMS_MEMBER};
use crate::config::BinlogChoice;

/// Files at the top of the data directory that belong to one run of one node. Only files: `core` and
/// the like are good names for a database.
const TOP_FILES: [&str; 11] = [
    "auto.cnf",
    "backup_sst_complete",
    "core",
    "galera.cache",
    "grastate.dat",
    "gvwstate.dat",
    "ib_buffer_pool.incomplete",
    "sst_error",
    "sst_in_progress",
    "tc.log",
    "wsrep_sst.pid",
];

/// What our own archives put there, and a restore leaves.
const OURS: [&str; 3] = [EXTERNAL_PREFIX, IDENTITY_MEMBER, SUMS_MEMBER];

/// Directories at the top that hold no data; none of them can be a database (mysqld encodes `#` and `+`).
const TOP_DIRECTORIES: [&str; 2] = ["#innodb_temp", "lost+found"];

/// Snapshot directories of file systems, wherever they show up.
const ANYWHERE: [&str; 2] = [".snapshot", ".zfs"];

/// A file that whoever has it open has removed: NFS keeps it under such a name until then (kernel: `nfs_sillyrename`), and where there are no files without a name
/// ours had one for a moment.
fn is_removed(name: &str) -> bool {
    let silly = name.strip_prefix(".nfs").map(str::as_bytes);
    name == NAMELESS_FILE
        || silly.is_some_and(|digits| digits.len() == 24 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// What is done with a name at the top of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Copied.
    Take,
    /// Not data.
    Leave,
    /// Of an engine that nothing freezes that mysqld does for a state transfer.
    Unfrozen(&'static str),
}

/// Judges a path; `relative` counts from the data directory.
pub(super) fn judge(
    layout: &ServerLayout,
    binlogs: BinlogChoice,
    path: &Path,
    relative: &Path,
    is_directory: bool,
) -> Verdict {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if ANYWHERE.contains(&name.as_str()) || layout.excluded.has(path, is_directory) {
        return Verdict::Leave;
    }
    let is_top = relative.components().count() == 1;
    if !is_directory {
        if is_removed(&name) {
            return Verdict::Leave;
        }
        // Before the relay logs: their base name may be the beginning of this one.
        if let Some(log) = layout.binlog.as_ref().filter(|log| is_binlog(log, path)) {
            // The walk leaves the binary logs out; what is wanted of them is added by its own rule.
            let whole = binlogs == BinlogChoice::All && numbered(&log.base, path);
            return if whole { Verdict::Take } else { Verdict::Leave };
        }
        if layout.relay.has(path, is_top) {
            return Verdict::Leave;
        }
        if let Some(number) = innodb_binlog(&name).filter(|_| is_top) {
            return of_innodb_binlog(binlogs, path, number);
        }
    }
    if let Some(engine) = unfrozen_engine(&name, is_top) {
        return Verdict::Unfrozen(engine);
    }
    if !is_top {
        return Verdict::Take;
    }
    let of_one_run =
        if is_directory { TOP_DIRECTORIES.contains(&name.as_str()) } else { is_of_one_run(&name) };
    if of_one_run || OURS.contains(&name.as_str()) { Verdict::Leave } else { Verdict::Take }
}

/// How many binary logs of InnoDB are the newest: the one that is written, the one that is made ahead, and the one before, to
/// which a server that starts may look back.
const NEWEST_OF_INNODB: usize = 3;

/// A binary log that InnoDB keeps, with this number.
fn of_innodb_binlog(binlogs: BinlogChoice, path: &Path, number: u64) -> Verdict {
    let siblings = || {
        let names = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
        names.flatten().filter_map(|entry| innodb_binlog(entry.file_name().to_str()?))
    };
    let is_wanted = match binlogs {
        BinlogChoice::All => true,
        BinlogChoice::Newest => siblings().filter(|other| *other > number).count() < NEWEST_OF_INNODB,
        BinlogChoice::None => false,
    };
    if is_wanted { Verdict::Take } else { Verdict::Leave }
}

/// The engine whose file or folder of this name nothing freezes. MyRocks keeps all in one folder (MariaDB's name, and that of others); TokuDB has `*.tokudb` in the data
/// directory or in those of the databases, and its logs beside.
pub fn unfrozen_engine(name: &str, is_top: bool) -> Option<&'static str> {
    let is_toku = suffix(name, "tokudb")
        || is_top
            && (["tokudb.", "__tokudb_lock"].iter().any(|start| name.starts_with(start))
                || name.contains(".tokulog"));
    if is_toku {
        Some("TokuDB")
    } else {
        (is_top && ["#rocksdb", ".rocksdb"].contains(&name)).then_some("MyRocks")
    }
}

/// Whether a file of this name, at the top of a data directory, belongs to one run of one node.
pub fn is_of_one_run(name: &str) -> bool {
    TOP_FILES.contains(&name) || is_run_file(name)
}

/// Names with a number or a suffix in them.
fn is_run_file(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    name.starts_with("ibtmp")
        // Temporary tables on the disk, where tmpdir is the data directory; tables lie in databases.
        || name.starts_with("#sql")
        || name.starts_with("gcache.page.")
        || name.starts_with("tables_flushed")
        || name.strip_prefix("core.").is_some_and(digits)
        || ["pid", "err", "sock", "lock"].iter().any(|end| suffix(name, end))
}

fn suffix(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == end)
}

/// A binary log, its index, or its state file.
fn is_binlog(log: &BinlogFiles, path: &Path) -> bool {
    let beside = |suffix: &str| is_same_entry(path, &suffixed(&log.base, suffix));
    numbered(&log.base, path) || is_same_entry(path, &log.index) || beside(".index") || beside(".state")
}

fn suffixed(base: &Path, suffix: &str) -> std::path::PathBuf {
    let mut text = base.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

/// `<base>.<number>`, and MariaDB's `<base>.<number>.idx` beside it.
pub(super) fn numbered(base: &Path, path: &Path) -> bool {
    let (Some(base_name), Some(name)) = (base.file_name(), path.file_name()) else { return false };
    let (base_name, name) = (base_name.to_string_lossy(), name.to_string_lossy());
    let is_numbered = name
        .strip_prefix(&*base_name)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| is_log_number(rest.strip_suffix(".idx").unwrap_or(rest)));
    is_numbered
        && matches!((base.parent(), path.parent()), (Some(one), Some(other)) if is_same_directory(one, other))
}

/// A numbered binary log of this server, or the index of GTIDs that MariaDB keeps beside one.
pub(super) fn is_numbered_log(layout: &ServerLayout, path: &Path) -> bool {
    layout.binlog.as_ref().is_some_and(|log| numbered(&log.base, path))
}

/// The number of such a file.
pub(super) fn log_number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".idx").unwrap_or(name).rsplit_once('.')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::excluded::Excluded;

    fn layout() -> ServerLayout {
        let mut layout = ServerLayout::bare("/d");
        layout.binlog = Some(BinlogFiles { base: "/d/mysql-bin".into(), index: "/d/mysql-bin.index".into() });
        // Its relay logs begin like its binary logs.
        layout.relay.bases = vec!["/d/relay-bin".into(), "/d/mysql".into()];
        layout.excluded = Excluded::of(&["/d/general.log", "/d/db/slow.log"]);
        layout
    }

    fn verdict(name: &str, is_directory: bool, binlogs: BinlogChoice) -> Verdict {
        judge(&layout(), binlogs, &Path::new("/d").join(name), Path::new(name), is_directory)
    }

    #[test]
    fn what_belongs_to_one_run_is_left() {
        for name in [
            "ibtmp1",
            "galera.cache",
            "gcache.page.000001",
            "gvwstate.dat",
            "grastate.dat",
            "n1.pid",
            "n1.err",
            "general.log",
            "tables_flushed",
            "tables_flushed.tmp",
            "sst_error",
            "wsrep_sst.pid",
            "sst_in_progress",
            "backup_sst_complete",
            "tc.log",
            "auto.cnf",
            "core",
            "core.123",
            "#sql-temptable-9dd-3-1.MAI",
            "master.info",
            "master-a.info",
            "relay-log-a.info",
            "multi-master.info",
            "mysql-a.000001",
            "h-relay-bin-a.000001",
            "relay-bin.000001",
            "relay-bin.index",
            "db/slow.log",
            ".nfs000000000123abcd00000007",
            "db/.nfs000000000123abcd00000007",
            ".wsrep_sst_backup.nameless",
            "db/.wsrep_sst_backup.nameless",
            "mysql-bin.000007",
            "mysql-bin.index",
            "mysql-bin.state",
            "mysql-bin.000007.idx",
        ] {
            assert_eq!(verdict(name, false, BinlogChoice::Newest), Verdict::Leave, "{name}");
        }
        for name in ["#innodb_temp", "lost+found", ".snapshot", "db/.zfs", ".wsrep_sst_backup"] {
            assert_eq!(verdict(name, true, BinlogChoice::Newest), Verdict::Leave, "{name}");
        }
    }

    #[test]
    fn data_and_what_is_not_known_is_taken() {
        for name in [
            "ibdata1",
            "undo001",
            "ib_logfile0",
            "aria_log_control",
            "aria_log.00000001",
            "ib_buffer_pool",
            "mysql_upgrade_info",
            "db/t.ibd",
            "db/core",
            "db/galera.cache",
            "db/master.info",
            "db/multi-master.info",
            "db/h-relay-bin.000001",
            "anything",
            ".nfs",
            ".nfs000000000123abcd0000000x",
            "mysql-bin.old",
        ] {
            assert_eq!(verdict(name, false, BinlogChoice::Newest), Verdict::Take, "{name}");
        }
    }

    #[test]
    fn binary_logs_of_innodb_follow_the_choice() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=5 {
            std::fs::write(folder.path().join(format!("binlog-00000{number}.ibb")), "").unwrap();
        }
        let layout = ServerLayout::bare(folder.path());
        let taken = |choice| {
            let is_taken = |number: &u32| {
                let name = format!("binlog-00000{number}.ibb");
                judge(&layout, choice, &folder.path().join(&name), Path::new(&name), false) == Verdict::Take
            };
            (1..=5).filter(is_taken).collect::<Vec<_>>()
        };
        assert!(taken(BinlogChoice::None).is_empty());
        assert_eq!(taken(BinlogChoice::Newest), [3, 4, 5]);
        assert_eq!(taken(BinlogChoice::All), [1, 2, 3, 4, 5]);
        let elsewhere = judge(
            &layout,
            BinlogChoice::None,
            &folder.path().join("db/binlog-1.ibb"),
            Path::new("db/binlog-1.ibb"),
            false,
        );
        assert_eq!(elsewhere, Verdict::Take);
    }

    #[test]
    fn a_database_may_have_any_name() {
        for name in ["core", "sst_error", "tables_flushed", "ibtmp_old", "sst_in_progress", "db"] {
            assert_eq!(verdict(name, true, BinlogChoice::Newest), Verdict::Take, "{name}");
        }
    }

    #[test]
    fn all_binary_logs_only_when_asked() {
        assert_eq!(verdict("mysql-bin.000007", false, BinlogChoice::All), Verdict::Take);
        assert_eq!(verdict("relay-bin.000001", false, BinlogChoice::All), Verdict::Leave);
    }

    #[test]
    fn a_log_and_its_index_of_gtids_have_one_number() {
        for (name, number) in [
            ("/d/mysql-bin.000007", Some(7)),
            ("/d/mysql-bin.1000007", Some(1_000_007)),
            ("/d/mysql-bin.000007.idx", Some(7)),
            ("/d/mysql-bin.index", None),
        ] {
            assert_eq!(log_number(Path::new(name)), number, "{name}");
            assert_eq!(is_numbered_log(&layout(), Path::new(name)), number.is_some(), "{name}");
        }
        assert!(!is_numbered_log(&ServerLayout::bare("/d"), Path::new("/d/mysql-bin.000007")));
    }

    #[test]
    fn engines_that_are_not_frozen_are_known_by_their_files() {
        for (name, wanted) in [
            ("#rocksdb", Verdict::Unfrozen("MyRocks")),
            (".rocksdb", Verdict::Unfrozen("MyRocks")),
            ("db/#rocksdb", Verdict::Take),
            ("tokudb.environment", Verdict::Unfrozen("TokuDB")),
            ("log000000000000.tokulog29", Verdict::Unfrozen("TokuDB")),
            ("__tokudb_lock_dont_delete_me_data", Verdict::Unfrozen("TokuDB")),
            ("_db_t_main_3_1_1d.tokudb", Verdict::Unfrozen("TokuDB")),
            ("db/t_main_3_1_1d.tokudb", Verdict::Unfrozen("TokuDB")),
            ("db/tokudb.frm", Verdict::Take),
        ] {
            assert_eq!(verdict(name, false, BinlogChoice::Newest), wanted, "{name}");
        }
    }
}
