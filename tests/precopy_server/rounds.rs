//! A server of which much changes while it is copied ahead, and little afterwards: the changes are copied ahead, too, and it stands still for what is left.

use super::support::cli::cli;
use super::support::precopy::{RealServer, SERVER_KINDS, ServerKind, freeze_by_shutdown};
use super::support::scripted_mysqld::{Reply, shell};
use super::support::trees::assert_same_server;
use super::support::{PATIENCE, ScriptedMysqld, sql};

/// What the log says that was read while the server stood still, KiB of pages.
fn pages_kib(said: &str) -> u64 {
    let (_, rest) = said.split_once("files were read again as a whole and ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Changes more than a freeze should read, in the files themselves: what the server has changed in memory only is left by every round.
const MUCH: [&str; 4] = [
    "UPDATE d.t SET b = REPEAT(SHA2(a, 256), 4)",
    "CREATE TABLE d.big SELECT * FROM d.t",
    // The purge changes pages once more.
    "SET GLOBAL innodb_max_purge_lag_wait = 0",
    "SET GLOBAL innodb_log_checkpoint_now = ON",
];

/// A server that writes to its files at once what is changed, and runs; its donor copies so fast.
fn stage(rate: &str) -> (ScriptedMysqld, RealServer) {
    let mysqld = ScriptedMysqld::new();
    let settings = format!(
        "method=precopy\nuser=root\nprimary-timeout=1s\nlimit-rate={rate}\ncompression=none\nbinlogs=none"
    );
    mysqld.configure("wsrep_sst_backup", &settings);
    let kind = ServerKind { options: &["--innodb-max-dirty-pages-pct=0"], ..SERVER_KINDS[0] };
    let mut server = RealServer::install(&mysqld, &kind);
    server.start();
    (mysqld, server)
}

fn assert_read_ahead(said: &str) {
    assert!(said.contains("they are copied ahead, too (round 1)"), "{said}");
    assert!(pages_kib(said) < 8 << 10, "{said}");
}

#[test]
#[ignore = "needs MariaDB"]
fn what_changes_while_the_way_to_the_freeze_is_not_clear_is_copied_ahead() {
    let (mysqld, mut server) = stage("60M");
    let [mut holder, mut writer] = [(), ()].map(|()| sql::connect(&mysqld.socket(), PATIENCE).unwrap());
    sql::query(&mut holder, "LOCK TABLES d.e WRITE").unwrap();
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    run.wait_logged("the lock of FLUSH TABLES WITH READ LOCK is not to be had");
    assert!(!run.logged().contains("they are copied ahead, too"), "it was too slow: nothing is proved");
    for statement in MUCH {
        sql::query(&mut writer, statement).unwrap();
    }
    sql::query(&mut holder, "UNLOCK TABLES").unwrap();
    drop((holder, writer));
    let outcome = freeze_by_shutdown(&mut server, run);
    assert_read_ahead(&outcome.stderr);
    cli("verify latest").on(&mysqld.repository()).run().done();
}

#[test]
#[ignore = "needs MariaDB"]
fn what_changes_while_everything_is_copied_is_copied_ahead_once_more() {
    let (mysqld, mut server) = stage("3M");
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    run.wait_logged("the method is precopy");
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    for statement in
        ["TRUNCATE TABLE d.e", "RENAME TABLE d.s TO d.moved", "DROP TABLE d.i"].into_iter().chain(MUCH)
    {
        sql::query(&mut session, statement).unwrap();
    }
    drop(session);
    assert!(!run.logged().contains("were copied ahead in"), "it was too slow: nothing is proved");
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
