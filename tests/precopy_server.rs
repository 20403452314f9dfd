//! The method `precopy` on a real server under writes and DDL ([`support::precopy`] says how), a few rounds of what `scripts/soak precopy` does for hours.
//!
//! Run as root: `cargo test --test precopy_server -- --ignored`. `PRECOPY_SERVER_ROUNDS` sets how many backups are taken (2), `PRECOPY_SEED` with which
//! random numbers the first begins.

#[path = "precopy_server/auto.rs"]
mod auto;
#[path = "precopy_server/binary_logs.rs"]
mod binary_logs;
#[path = "precopy_server/links.rs"]
mod links;
#[path = "precopy_server/rounds.rs"]
mod rounds;
mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::precopy::PrecopyStage;
use support::{PATIENCE, wait_until};

/// Bytes of a page where nothing else is said.
const PAGE: u64 = 16 << 10;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[ignore = "needs MariaDB"]
fn what_comes_of_the_archive_is_what_a_server_has_that_has_worked_while_it_was_copied() {
    let first = number("PRECOPY_SEED").unwrap_or(1);
    let stage = PrecopyStage::new(PROGRAM);
    let (mut by_log, mut by_lsn) = (0, 0);
    for seed in first..first + number("PRECOPY_SERVER_ROUNDS").unwrap_or(2) {
        let seen = stage.round(seed, false);
        by_log += u32::from(seen.is_by_log);
        by_lsn += u32::from(!seen.is_by_log);
        let is_told = |line: &&str| ["redo log", "ahead", "again"].iter().any(|word| line.contains(word));
        let told: Vec<&str> = seen.said.lines().filter(is_told).collect();
        let kind = PrecopyStage::kind(seed).name;
        eprintln!("round {seed} ({kind}): {:?}\n{}", seen.compared, told.join("\n"));
    }
    eprintln!("{by_log} by the redo log, {by_lsn} by LSN");
    assert!(by_log > 0 || number("PRECOPY_SEED").is_some());
}

/// Files that were dropped meanwhile stay where stock `tar` has put them; the index and the manifest name them.
#[test]
#[ignore = "needs MariaDB"]
fn stock_tar_alone_makes_the_same_of_an_archive_for_it() {
    let seen = PrecopyStage::new(PROGRAM).round(9, true);
    assert!(seen.is_by_log, "{}", seen.said);
}

/// Pages go bad on the disk behind the early copy: those that are read again, since the log names them, are told.
#[test]
#[ignore = "needs MariaDB"]
fn a_page_that_goes_bad_before_the_server_stands_still_is_told_where_it_is_read_again() {
    let backup = PrecopyStage::new(PROGRAM).back_up(9, "", |mysqld, _| {
        let path = mysqld.datadir().join("d/t.ibd");
        let file = File::options().write(true).open(path).unwrap();
        for page in 4..file.metadata().unwrap().len() / PAGE {
            file.write_all_at(b"not what the server wrote", page * PAGE + 100).unwrap();
        }
    });
    assert!(backup.said.contains("the redo log names"), "{}", backup.said);
    let told = backup.manifest()["damaged_pages"].as_u64().unwrap();
    assert!(told > 0, "{}", backup.said);
    assert!(backup.said.contains("d/t.ibd"), "{}", backup.said);
    let damaged = backup.cli("verify latest").run();
    assert!(damaged.stdout.contains("d/t.ibd"), "{}", damaged.stdout);
}

/// Killed when every file is there, and while pages are put over them.
#[test]
#[ignore = "needs MariaDB"]
fn on_a_restore_that_was_killed_among_its_pages_no_server_starts() {
    let backup = PrecopyStage::new(PROGRAM).back_up(9, "", |_, _| {});
    let mut among_pages = 0;
    for wait_ms in [0, 100, 300, 600, 1000] {
        let target = backup.mysqld.path(&format!("killed after {wait_ms}"));
        let restore = backup.cli("restore latest --limit-rate 24M").to(&target).start();
        // The definitions stand behind every early copy, and before all pages.
        assert!(wait_until(PATIENCE, || target.join("d/t.frm").exists()), "it does not get there");
        std::thread::sleep(Duration::from_millis(wait_ms));
        restore.signal(Signal::SIGKILL);
        if restore.finish().status.is_none() {
            among_pages += 1;
            let why = backup.refusal(&target);
            // The redo log comes just before the pages.
            let is_known = ["ibdata1", "ib_logfile0 was not found"].iter().any(|name| why.contains(name));
            assert!(is_known, "killed after {wait_ms} ms: {why}");
        }
    }
    assert!(among_pages > 2, "it was too fast: {among_pages}");
}
