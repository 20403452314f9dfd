//! The redo log of real servers: what is stored of it, and servers that start on that.
//!
//! Run as root (the server runs as `mysql`): `cargo test --test redo_log -- --ignored`.

#![cfg(test)]

#[path = "redo_log/pages.rs"]
mod pages;
#[path = "redo_log/server.rs"]
mod server;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::sys::signal::Signal;
use server::{ENCRYPTED, Server};
use wsrep_sst_backup::innodb::redo::{LiveLog, LogHead, RedoError, pin_checkpoint};

/// Starts a server on a log of which only the live part is left, and looks at its rows and at its words.
fn assert_starts(server: &mut Server, rows: &str) {
    server.start();
    assert_eq!(server.rows(), rows);
    let log = server.error_log();
    for word in ["ERROR", "in the future", "crash recovery", "corrupt"] {
        assert!(!log.contains(word), "{log}");
    }
    server.fill(3000);
    server.end(Signal::SIGTERM);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn a_server_starts_on_the_live_part_of_its_log_wherever_that_lies_in_the_ring() {
    for options in [&[][..], &ENCRYPTED] {
        let mut server = Server::install(8, options);
        server.start();
        for round in 0..3 {
            server.fill(9000 + 4000 * round);
            let lsn = server.number("Innodb_lsn_current");
            let rows = server.rows();
            server.end(Signal::SIGTERM);
            let live = LiveLog::read(&File::open(server.log()).unwrap()).unwrap();
            // Purge goes on behind the statements, for longer on a busy machine.
            assert!(live.end_lsn() >= lsn, "{} {lsn}", live.end_lsn());
            assert!(server.trim() < 64 << 10);
            assert_starts(&mut server, &rows);
            server.start();
        }
        assert!(server.number("Innodb_lsn_current") > 16 << 20, "it went round");
    }
}

#[test]
#[ignore = "needs a MariaDB server"]
fn an_idle_log_of_a_gibibyte_is_a_few_blocks_and_damage_makes_it_whole() {
    let mut server = Server::install(1024, &[]);
    server.start();
    server.fill(2000);
    let rows = server.rows();
    server.end(Signal::SIGTERM);
    let stored = server.trim();
    assert!(stored <= 20 << 10, "{stored} bytes");
    assert_eq!(fs::metadata(server.log()).unwrap().len(), 1 << 30);
    let checkpoint = LiveLog::read(&File::open(server.log()).unwrap()).unwrap().checkpoint();
    // The damaged places are those that a start would read, and the server refuses them as well.
    for place in [100, checkpoint.lsn + 3] {
        let file = File::options().read(true).write(true).open(server.log()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 16], place).unwrap();
        let error = LiveLog::read(&file).err().expect("the damage is seen");
        assert!(matches!(error, RedoError::Head(_) | RedoError::Short { .. }), "{error}");
        file.write_all_at(&byte, place).unwrap();
    }
    assert_starts(&mut server, &rows);
}

/// Copies made while the server writes pages and checkpoints, the log last: a server that starts on them recovers.
#[test]
#[ignore = "needs a MariaDB server"]
fn a_checkpoint_between_the_copies_is_taken_out_of_that_of_the_log() {
    let mut server =
        Server::install(16, &["--innodb-max-dirty-pages-pct=90", "--innodb-max-dirty-pages-pct-lwm=0"]);
    server.start();
    server.fill(12_000);
    let head = LogHead::read(&File::open(server.log()).unwrap()).unwrap();
    let (rows, lsn) = (server.rows(), server.number("Innodb_lsn_flushed"));
    // The data files as they are on the disk: most pages are in memory only.
    let mut copy = server.copy();
    server.sql("SET GLOBAL innodb_max_dirty_pages_pct=0, GLOBAL innodb_log_checkpoint_now=ON");
    let newer = LogHead::read(&File::open(server.log()).unwrap()).unwrap().newest();
    assert!(newer.lsn > head.newest().lsn, "there is a newer checkpoint");
    fs::copy(server.log(), copy.log()).unwrap();
    // As it is now, the server's checkpoint would hide what the copied files lack.
    let file = File::options().read(true).write(true).open(copy.log()).unwrap();
    assert_eq!(LogHead::read(&file).unwrap().newest(), newer);
    let pinned = pin_checkpoint(&head, &file, lsn).unwrap();
    assert_eq!((pinned.checkpoint, pinned.taken_out), (head.newest(), Some(newer)));
    assert!(pinned.end_lsn >= lsn);
    copy.start();
    assert_eq!(copy.rows(), rows);
    let log = copy.error_log();
    assert!(log.contains("crash recovery") && !log.contains("ERROR"), "{log}");
    // When the ring has gone round there is nothing left to recover from.
    for _ in 0..3 {
        server.fill(20_000);
    }
    fs::copy(server.log(), copy.root.path().join("late")).unwrap();
    let late = File::options().read(true).write(true).open(copy.root.path().join("late")).unwrap();
    let error = pin_checkpoint(&head, &late, lsn).unwrap_err().to_string();
    assert!(error.contains("has written over it"), "{error}");
}
