//! A server of which much changes while it is copied ahead, and little afterwards: the changes are copied ahead, too, and it stands still for what is left.

use super::support::cli::cli;
use super::support::precopy::{RealServer, SERVER_KINDS, ServerKind, assert_same_folder};
use super::support::scripted_mysqld::{PAUSED, Reply, shell};
use super::support::{PATIENCE, ScriptedMysqld, sql, wait_until};

/// What the log says that was read while the server stood still, KiB of pages.
fn pages_kib(said: &str) -> u64 {
    let (_, rest) = said.split_once("files were read again as a whole and ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs MariaDB"]
fn what_changes_while_everything_is_copied_is_copied_ahead_once_more() {
    let mysqld = ScriptedMysqld::new();
    let settings =
        "method=precopy\nuser=root\nprimary-timeout=1s\nlimit-rate=3M\ncompression=none\nbinlogs=none";
    mysqld.configure("wsrep_sst_backup", settings);
    // What is changed is written to the files at once.
    let kind = ServerKind { options: &["--innodb-max-dirty-pages-pct=0"], ..SERVER_KINDS[0] };
    let mut server = RealServer::install(&mysqld, &kind);
    server.start();
    let mut run = mysqld.asks().reply(Reply::never()).error_log().start();
    run.wait_logged("the method is precopy");
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    for statement in [
        "UPDATE d.t SET b = REPEAT(SHA2(a, 256), 4)",
        "CREATE TABLE d.big SELECT * FROM d.t",
        "TRUNCATE TABLE d.e",
        "RENAME TABLE d.s TO d.moved",
        "DROP TABLE d.i",
        // What the server has changed in memory only is left by every round.
        "SET GLOBAL innodb_log_checkpoint_now = ON",
    ] {
        sql::query(&mut session, statement).unwrap();
    }
    drop(session);
    assert!(!run.logged().contains("were copied ahead in"), "it was too slow: nothing is proved");
    assert!(wait_until(PATIENCE, || run.has_said("flush tables") || run.has_ended()), "{}", run.logged());
    assert!(run.has_said("flush tables"), "{}", run.logged());
    server.shut_down();
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    assert_eq!(outcome.manifest_at_done, Some(true), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("they are copied ahead, too (round 1)"), "{}", outcome.stderr);
    assert!(pages_kib(&outcome.stderr) < 8 << 10, "{}", outcome.stderr);

    let backup = mysqld.backup();
    assert_eq!(backup.manifest["damaged_pages"], 0, "{}", outcome.stderr);
    let big = backup.index().into_iter().filter(|line| line["member"]["path"] == "d/big.ibd").count();
    assert_eq!(big, 1, "the new table was copied ahead, and not again");
    cli("verify latest").on(&mysqld.repository()).run().done();
    let by_hand = backup.unpack(&mysqld.path("by hand"));
    shell(&by_hand, "sha256sum --check --quiet SHA256SUMS && sh .wsrep_sst_backup/apply");
    assert_same_folder(&mysqld.datadir(), &by_hand, 0);
    let restored = mysqld.path("restored");
    let outcome = cli("restore latest").on(&mysqld.repository()).to(&restored).run();
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_same_folder(&mysqld.datadir(), &restored, 0);
}
