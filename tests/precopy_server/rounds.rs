//! A server of which much changes while it is copied ahead, and little afterwards: the changes are copied ahead, too, and it stands still for what is left.

use mysql::Conn;
use nix::sys::signal::Signal;

use super::support::cli::cli;
use super::support::precopy::{RealServer, SERVER_KINDS, ServerKind, freeze_by_shutdown};
use super::support::scripted_mysqld::{Reply, shell};
use super::support::trees::assert_same_server;
use super::support::{PATIENCE, ScriptedMysqld, sql, wait_until};

/// What the log says that was read while the server stood still, KiB of pages.
fn pages_kib(said: &str) -> u64 {
    let (_, rest) = said.split_once("files were read again as a whole and ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Changes more than a freeze should read, in the files themselves: what the server has changed in memory only is left by every round.
pub(super) const MUCH: [&str; 4] = [
    "UPDATE d.t SET b = REPEAT(SHA2(a, 256), 4)",
    "CREATE TABLE d.big SELECT * FROM d.t",
    // The purge changes pages once more.
    "SET GLOBAL innodb_max_purge_lag_wait = 0",
    "SET GLOBAL innodb_log_checkpoint_now = ON",
];

/// A server that writes to its files at once what is changed, and runs; its donor copies so fast. All that is written in a test has room in
/// its redo log, so that whoever follows it is not overtaken, however slow it is.
fn stage(rate: &str) -> (ScriptedMysqld, RealServer) {
    stage_with(rate, "binlogs=none", &["--innodb-max-dirty-pages-pct=0", "--innodb-log-file-size=512M"])
}

/// The same with these settings more, and these options.
pub(super) fn stage_with(
    rate: &str,
    settings: &str,
    options: &'static [&'static str],
) -> (ScriptedMysqld, RealServer) {
    let mysqld = ScriptedMysqld::new();
    let settings = format!(
        "method=precopy\nuser=root\nprimary-timeout=1s\nflush-timeout=10m\nlimit-rate={rate}\ncompression=none\n{settings}"
    );
    mysqld.configure("wsrep_sst_backup", &settings);
    let kind = ServerKind { options, ..SERVER_KINDS[0] };
    let mut server = RealServer::install(&mysqld, &kind);
    server.start();
    (mysqld, server)
}

/// How far the redo log has come, and how much it holds.
fn lsn_and_size(session: &mut Conn) -> [u64; 2] {
    let question = "SELECT VARIABLE_VALUE, @@innodb_log_file_size FROM information_schema.GLOBAL_STATUS \
                    WHERE VARIABLE_NAME = 'INNODB_LSN_CURRENT'";
    let row = sql::query(session, question).unwrap().remove(0);
    [0, 1].map(|column: usize| row[column].parse().unwrap())
}

/// Says these, all of which the redo log holds at once.
pub(super) fn change<'a>(mysqld: &ScriptedMysqld, statements: impl Iterator<Item = &'a str>) {
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    let [before, size] = lsn_and_size(&mut session);
    for statement in statements {
        sql::query(&mut session, statement).unwrap();
    }
    let written = lsn_and_size(&mut session)[0] - before;
    eprintln!("{} MiB of redo log were written", written >> 20);
    assert!(written < size / 2, "{written} bytes may not stay in a redo log of {size}");
}

pub(super) fn assert_read_ahead(said: &str) {
    assert!(said.contains("they are copied ahead, too (round 1)"), "{said}");
    assert!(pages_kib(said) < 8 << 10, "{said}");
}

#[test]
#[ignore = "needs MariaDB"]
fn what_changes_while_the_way_to_the_freeze_is_not_clear_is_copied_ahead() {
    let (mysqld, mut server) = stage("60M");
    let mut holder = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    sql::query(&mut holder, "LOCK TABLES d.e WRITE").unwrap();
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    run.wait_logged("the lock of FLUSH TABLES WITH READ LOCK is not to be had");
    assert!(!run.logged().contains("they are copied ahead, too"), "it was too slow: nothing is proved");
    change(&mysqld, MUCH.into_iter());
    sql::query(&mut holder, "UNLOCK TABLES").unwrap();
    drop(holder);
    let outcome = freeze_by_shutdown(&mut server, run);
    assert_read_ahead(&outcome.stderr);
    cli("verify latest").on(&mysqld.repository()).run().done();
}

#[test]
#[ignore = "needs MariaDB"]
fn what_changes_while_everything_is_copied_is_copied_ahead_once_more() {
    let (mysqld, mut server) = stage("6M");
    let mut run = mysqld.asks().reply(Reply::never()).error_log().start();
    let is_ahead = || {
        let status = mysqld.status();
        status["state"] == "ahead" && status["bytes_done"].as_u64() > Some(0)
    };
    assert!(wait_until(PATIENCE, || is_ahead() || run.has_ended()), "{}", run.logged());
    // Its own clock does not run meanwhile, however long the server takes.
    run.signal(Signal::SIGSTOP);
    assert!(!run.logged().contains("were copied ahead in"), "it was too fast: nothing is proved");
    let gone = ["TRUNCATE TABLE d.e", "RENAME TABLE d.s TO d.moved", "DROP TABLE d.i"];
    change(&mysqld, gone.into_iter().chain(MUCH));
    run.signal(Signal::SIGCONT);
    let outcome = freeze_by_shutdown(&mut server, run);
    assert_read_ahead(&outcome.stderr);

    let backup = mysqld.backup();
    assert_eq!(backup.manifest["damaged_pages"], 0, "{}", outcome.stderr);
    let big = backup.index().into_iter().filter(|line| line["member"]["path"] == "d/big.ibd").count();
    assert_eq!(big, 1, "the new table was copied ahead, and not again");
    cli("verify latest").on(&mysqld.repository()).run().done();
    let by_hand = backup.unpack(&mysqld.path("by hand"));
    shell(&by_hand, "sha256sum --check --quiet SHA256SUMS && sh .wsrep_sst_backup/apply");
    assert_same_server(&mysqld.datadir(), &by_hand);
    let restored = mysqld.path("restored");
    let outcome = cli("restore latest").on(&mysqld.repository()).to(&restored).run();
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_same_server(&mysqld.datadir(), &restored);
}
