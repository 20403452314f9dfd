//! The method `precopy` on a real server under writes and DDL: what comes of its archive is, byte for byte, what the server has when it stands still.
//!
//! A server cannot be made to stand still more than by a shutdown in good order, and its files can be looked at for as long as one likes then. So a scripted
//! conversation asks for the backup of a real server without Galera, which works while its files are copied ahead, and is shut down at `flush tables`.
//!
//! Run as root: `cargo test --test precopy_server -- --ignored`. `PRECOPY_SERVER_ROUNDS` sets how many backups are taken (2), `PRECOPY_SEED` with which
//! random numbers the first begins.

#[path = "precopy_server/apply.rs"]
mod apply;
#[path = "precopy_server/server.rs"]
mod server;
mod support;

use std::path::Path;
use std::process::Command;

use server::RealServer;
use support::cli::cli;
use support::scripted_mysqld::{PAUSED, Reply, shell};
use support::{PATIENCE, ScriptedMysqld, wait_until};

/// Settings of the server in turn.
const KINDS: [&[&str]; 4] = [
    &[],
    &["--innodb-page-size=4k", "--innodb-undo-tablespaces=3", "--innodb-max-undo-log-size=10M"],
    &[
        "--plugin-load-add=file_key_management",
        "--file-key-management-filename=KEYS",
        "--innodb-encrypt-tables=ON",
        "--innodb-encryption-threads=2",
        "--innodb-encryption-rotate-key-age=1",
    ],
    &[
        "--plugin-load-add=file_key_management",
        "--file-key-management-filename=KEYS",
        "--innodb-encrypt-log=ON",
    ],
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Every file of the server is in the folder with the same bytes, and nothing else is. Of the redo log only what a start reads is stored.
fn assert_same_files(datadir: &Path, found: &Path, seed: u64) {
    let mut diff = Command::new("diff");
    diff.arg("-rq");
    for name in [
        "ib_logfile0",
        "grastate.dat",
        "SHA256SUMS",
        "wsrep_sst_backup.json",
        "tables_flushed",
        "wsrep_sst.pid",
        "backup_sst_complete",
        "multi-master.info",
        "ibtmp1",
        ".wsrep_sst_backup",
    ] {
        diff.args(["-x", name]);
    }
    let output = diff.arg(datadir).arg(found).output().unwrap();
    assert!(output.status.success(), "PRECOPY_SEED={seed}: {}", String::from_utf8_lossy(&output.stdout));
}

/// One backup; what its log says. For stock `tar` alone, where it is plain.
fn round(seed: u64, is_plain: bool) -> String {
    let kind = usize::try_from(seed).unwrap_or(0) % KINDS.len();
    let mysqld = ScriptedMysqld::new();
    let plain = if is_plain { "plain-tar=on" } else { "" };
    mysqld.configure(
        "wsrep_sst_backup",
        &format!("method=precopy\nuser=root\nprimary-timeout=1s\nlimit-rate=16M\ncompression=none\nbinlogs=none\n{plain}"),
    );
    let mut server = RealServer::install(&mysqld, KINDS[kind]);
    server.start();
    server.fill();
    let mut run = mysqld.asks().reply(Reply::never()).error_log().start();
    // While a log is being replaced there are two, which is refused.
    run.wait_logged("the method is precopy");
    let work = server.work(seed);
    assert!(wait_until(PATIENCE, || run.has_said("flush tables") || run.has_ended()), "{}", run.logged());
    assert!(run.has_said("flush tables"), "PRECOPY_SEED={seed}: {}", run.logged());
    let rounds = work.end();
    assert!(rounds > 3, "nothing happened meanwhile: {rounds}");
    server.shut_down();
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    assert_eq!(outcome.manifest_at_done, Some(true), "PRECOPY_SEED={seed}: {}", outcome.stderr);
    let backup = mysqld.backup();
    assert_eq!(backup.manifest["method"], "precopy");
    assert_eq!(backup.manifest["damaged_pages"], 0, "PRECOPY_SEED={seed}: {}", outcome.stderr);
    let unpacked = backup.unpack(&mysqld.path("unpacked"));
    apply::apply(&backup, &unpacked);
    assert_same_files(&mysqld.datadir(), &unpacked, seed);
    if is_plain {
        assert!(!unpacked.join(".wsrep_sst_backup").exists(), "nothing is to be put in its place");
    } else {
        let by_hand = backup.unpack(&mysqld.path("by hand"));
        shell(&by_hand, "sha256sum --check --quiet SHA256SUMS && cp -a . ../unapplied");
        let why = server.refusal(&mysqld.path("unapplied"));
        assert!(why.contains("ibdata1"), "before the script no server starts, for want of this file: {why}");
        shell(&by_hand, "sh .wsrep_sst_backup/apply");
        assert_same_files(&mysqld.datadir(), &by_hand, seed);
    }
    cli("verify latest").on(&mysqld.repository()).run().done();
    let restored = mysqld.path("restored");
    let outcome_of_restore = cli("restore latest").on(&mysqld.repository()).to(&restored).run();
    assert_eq!(outcome_of_restore.status, Some(0), "PRECOPY_SEED={seed}: {}", outcome_of_restore.stderr);
    assert_same_files(&mysqld.datadir(), &restored, seed);
    outcome.stderr
}

#[test]
#[ignore = "needs MariaDB"]
fn what_comes_of_the_archive_is_what_a_server_has_that_has_worked_while_it_was_copied() {
    let first = number("PRECOPY_SEED").unwrap_or(1);
    let (mut by_log, mut by_lsn) = (0, 0);
    for seed in first..first + number("PRECOPY_SERVER_ROUNDS").unwrap_or(2) {
        let said = round(seed, false);
        by_log += u32::from(said.contains("the redo log names"));
        by_lsn += u32::from(said.contains("they are found by their LSN"));
        let told = said
            .lines()
            .filter(|line| line.contains("redo log") || line.contains("ahead") || line.contains("again"));
        eprintln!("round {seed}:\n{}", told.collect::<Vec<_>>().join("\n"));
    }
    eprintln!("{by_log} by the redo log, {by_lsn} by LSN");
    assert!(by_log > 0 || number("PRECOPY_SEED").is_some());
}

/// Files that were dropped meanwhile stay where stock `tar` has put them; the index and the manifest name them.
#[test]
#[ignore = "needs MariaDB"]
fn stock_tar_alone_makes_the_same_of_an_archive_for_it() {
    let said = round(4, true);
    assert!(said.contains("the redo log names"), "{said}");
}
