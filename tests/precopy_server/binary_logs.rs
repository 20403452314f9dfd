//! A server with a binary log: what the flush ends is not read while it stands still, and what is closed is copied ahead.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::auto::changed;
use super::rounds::{MUCH, assert_read_ahead, change, stage_with};
use super::support::cli::cli;
use super::support::precopy::freeze_by_shutdown;
use super::support::scripted_mysqld::{Outcome, Reply, Run};
use super::support::{PATIENCE, ScriptedMysqld, sql, wait_until};

/// Rows come into the log as they were and as they are: that is more than the pages that change.
const OPTIONS: [&str; 5] = [
    "--innodb-max-dirty-pages-pct=0",
    "--innodb-log-file-size=512M",
    "--log-bin=b",
    "--binlog-format=ROW",
    "--sync-binlog=0",
];

/// The flush begins a new log, and a shutdown does not.
fn flush_and_freeze(
    mysqld: &ScriptedMysqld,
    server: &mut super::support::precopy::RealServer,
    run: Run,
) -> Outcome {
    assert!(wait_until(PATIENCE, || run.has_said("flush tables")), "{}", run.logged());
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    sql::query(&mut session, "FLUSH BINARY LOGS").unwrap();
    drop(session);
    freeze_by_shutdown(server, run)
}

/// The numbered logs, oldest first.
fn logs(mysqld: &ScriptedMysqld) -> Vec<PathBuf> {
    let names = fs::read_dir(mysqld.datadir()).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> = names.filter(|path| name(path).starts_with("b.0")).collect();
    logs.sort();
    logs
}

fn name(path: &std::path::Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
#[ignore = "needs MariaDB"]
fn the_log_that_the_flush_ends_keeps_no_change_from_being_copied_ahead() {
    let (mysqld, mut server) = stage_with("60M", "spool-limit=16M", &OPTIONS);
    let mut holder = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    sql::query(&mut holder, "LOCK TABLES d.e WRITE").unwrap();
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    run.wait_logged("the lock of FLUSH TABLES WITH READ LOCK is not to be had");
    change(&mysqld, MUCH.into_iter());
    let running = logs(&mysqld).pop().unwrap();
    let bytes = running.metadata().unwrap().len();
    assert!(bytes > 24 << 20, "{bytes} bytes would have had room: nothing is proved");
    sql::query(&mut holder, "UNLOCK TABLES").unwrap();
    drop(holder);
    let outcome = flush_and_freeze(&mysqld, &mut server, run);
    assert_read_ahead(&outcome.stderr);
    let stored: Vec<String> =
        mysqld.backup().members().into_iter().filter(|path| path.starts_with("b.0")).collect();
    assert_eq!(stored, [name(&logs(&mysqld).pop().unwrap())], "and not {}", running.display());
    cli("verify latest").on(&mysqld.repository()).run().done();
}

#[test]
#[ignore = "needs MariaDB"]
fn closed_logs_are_copied_ahead_where_all_are_wanted() {
    let (mysqld, mut server) = stage_with("none", "binlogs=all", &OPTIONS);
    let closed = logs(&mysqld).into_iter().find(|log| log.metadata().unwrap().len() > 1 << 20).unwrap();
    let rested =
        || SystemTime::now().duration_since(changed(&closed)).unwrap_or_default() > Duration::from_secs(31);
    assert!(wait_until(PATIENCE, rested));
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    let outcome = flush_and_freeze(&mysqld, &mut server, run);
    let backup = mysqld.backup();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for line in backup.index() {
        let Some(path) = line["member"]["path"].as_str().filter(|path| path.starts_with("b.0")) else {
            continue;
        };
        let is_early = line["member"]["early"] == true;
        if is_early { &mut early } else { &mut late }.push(path.to_owned());
    }
    assert_eq!(early, [name(&closed)], "{}", outcome.stderr);
    let others = logs(&mysqld).into_iter().filter(|log| *log != closed);
    assert_eq!(late, others.map(|log| name(&log).to_owned()).collect::<Vec<_>>());
    let unpacked = backup.unpack(&mysqld.path("unpacked"));
    for log in logs(&mysqld) {
        assert!(fs::read(&log).unwrap() == fs::read(unpacked.join(name(&log))).unwrap(), "{}", log.display());
    }
    cli("verify latest").on(&mysqld.repository()).run().done();
}
