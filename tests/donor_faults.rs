//! Whatever goes wrong: the server is thawed, the reason is told, nothing is left that looks like a backup.

#[path = "donor_faults/cut_off.rs"]
mod cut_off;
#[path = "donor_faults/hanging.rs"]
mod hanging;
#[path = "donor_faults/injected.rs"]
mod injected;
#[path = "donor_faults/killed.rs"]
mod killed;
#[path = "donor_faults/one_at_a_time.rs"]
mod one_at_a_time;
#[path = "donor_faults/page_files.rs"]
mod page_files;
#[path = "donor_faults/repository.rs"]
mod repository;
#[path = "donor_faults/stops.rs"]
mod stops;
mod support;

use std::fs;
use std::time::Duration;

use support::scripted_mysqld::{ASKED, Outcome, Reply, UUID};
use support::{Pace, ScriptedMysqld};

/// Asked, and released.
const ASKED_AND_RELEASED: &str = "flush tables\ncontinue\n";

/// Two lines of the freeze, each once and in this order, and no `done`; progress may stand between them.
fn assert_released(outcome: &Outcome) {
    let lines = outcome.stdout.lines();
    let said: Vec<&str> =
        lines.filter(|line| !line.starts_with("total ") && !line.starts_with("complete ")).collect();
    assert_eq!(said, ["flush tables", "continue"], "{}", outcome.stderr);
}

#[test]
fn a_position_that_cannot_be_right_is_refused() {
    for (position, message) in [
        (format!("{UUID}:-1 0"), "the provider was not paused"),
        (format!("{UUID}:4 0"), "the server paused at seqno 4, before the request at 5"),
        ("ffffffff-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0".to_owned(), "the server paused in the history ffffffff-"),
        ("00000000-0000-0000-0000-000000000000:6 0".to_owned(), "the provider was not paused"),
    ] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().reply(Reply::once(&position)).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED, "{position}");
        outcome.assert_refused(&server, 255, message);
        // And what to do about it.
        for cure in ["Its error log says why", "when this node is Primary and Synced", "or from another node"]
        {
            assert!(outcome.stderr.contains(cure), "{}", outcome.stderr);
        }
    }
}

#[test]
fn a_flush_that_fails_is_told() {
    for wait in [0, 300] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().reply(Reply::error().after(Duration::from_millis(wait))).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
        outcome.assert_refused(&server, 255, "mysqld could not flush its tables");
    }
}

#[test]
fn a_flush_that_does_not_end_is_given_up_in_time() {
    let part = format!("{UUID}:6");
    for reply in [Reply::never(), Reply::growing(&[&part])] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", "flush-timeout=1s");
        let pace = Pace::start();
        let outcome = server.asks().reply(reply).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
        outcome.assert_refused(&server, 110, "mysqld did not flush its tables within 1 s (flush-timeout)");
        let waited = outcome.at("continue") - outcome.at("flush tables");
        let limit = Duration::from_secs(1);
        assert!(waited > limit.mul_f32(0.9) && waited < limit + pace.at_once(), "{waited:?}");
    }
}

#[test]
fn what_is_no_transfer_is_refused_without_a_word_to_mysqld() {
    let datadir = "--datadir 'DATADIR'";
    for (form, message) in [
        (format!("--role 'joiner' --address '' {datadir}"), "Unsupported role: 'joiner'"),
        (format!("--role 'arbitrator' {datadir} --gtid '{ASKED}'"), "Unrecognized role: 'arbitrator'"),
        (format!("--role '' {datadir} --gtid '{ASKED}'"), "Unrecognized role: ''"),
        (format!("--role 'donor' {datadir}"), "mysqld did not pass --gtid"),
        (format!("--role 'donor' --gtid '{ASKED}'"), "mysqld did not pass --datadir"),
        (format!("--role 'donor' {datadir} --gtid"), "the option --gtid came without a value"),
        (format!("--role 'donor' {datadir} --gtid 'x:1'"), "'x:1' is not a Galera position"),
        (format!("--role 'donor' {datadir} --gtid '{UUID}:-1'"), "has no position"),
    ] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().form(&form).run();
        assert_eq!(outcome.stdout, "", "{form}");
        outcome.assert_refused_early(22, message);
        assert!(!server.repository().exists(), "{form}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_file_and_line() {
    for (line, message) in [
        ("repositroy=/x", "line 8: unknown option 'repositroy'; did you mean 'repository'?"),
        ("compression=lzma", "line 8: compression: 'lzma' is not one of"),
        ("compression-level=99", "line 8: compression-level: 99 is not a level of zstd"),
        ("repository=backups", "line 8: repository: 'backups' is not an absolute path"),
        ("flush-timeout=soon", "line 8: flush-timeout: 'soon' is not a duration"),
        ("threads=0", "line 8: threads: '0' is not a whole number from 1 to 256"),
        ("binlogs=some", "line 8: binlogs: 'some' is not one of newest, all, none"),
        (
            "method=clairvoyance",
            "line 8: method: 'clairvoyance' is not one of auto, snapshot, precopy, freeze, mariadb-backup",
        ),
    ] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", line);
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "", "{line}");
        outcome.assert_refused_early(22, message);
        assert!(outcome.stderr.contains(&format!("{} line 8", server.cnf().display())), "{}", outcome.stderr);
        assert!(!server.repository().exists(), "{line}");
    }
    let server = ScriptedMysqld::new();
    let outcome = server.asks().env("WSREP_SST_BACKUP_TREADS", Some("1")).run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(22, "WSREP_SST_BACKUP_TREADS: unknown variable");
    fs::remove_file(server.cnf()).unwrap();
    server.asks().run().assert_refused_early(22, "which --defaults-file names");
}

#[test]
fn a_wrong_data_directory_is_refused_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    let missing = server.path("missing");
    let form =
        format!("--role 'donor' --datadir '{}' --defaults-file 'CNF' --gtid '{ASKED}'", missing.display());
    let outcome = server.asks().form(&form).run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(
        &server,
        22,
        &format!("the data directory '{}' cannot be read", missing.display()),
    );
    fs::remove_dir_all(server.repository()).unwrap();
    fs::remove_file(server.datadir().join("ibdata1")).unwrap();
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 22, "holds no InnoDB system tablespace");
}

#[test]
fn myrocks_is_refused_before_the_freeze_unless_it_is_allowed() {
    let server = ScriptedMysqld::new();
    server.write("#rocksdb/000010.sst", "sorted strings");
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 22, "#rocksdb' holds MyRocks tables");
    fs::remove_dir_all(server.repository()).unwrap();
    server.configure("wsrep_sst_backup", "allow-rocksdb");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    assert!(!backup.members().iter().any(|path| path.contains("rocksdb")));
    let warnings = backup.manifest["warnings"].to_string();
    assert!(warnings.contains("MyRocks tables are not in this backup"), "{warnings}");
}
