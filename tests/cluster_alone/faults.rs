//! A replica that is to be behind, a server that was started anew, a repository that gets full, no server at all.

use std::fs;
use std::path::Path;
use std::time::Instant;

use mysql::prelude::Queryable;

use super::scene::{Scene, applies, command, settled};
use super::support::cli::{Answer, Cli, SmallDisk};
use super::support::{PATIENCE, Replica, Server, wait_until};

fn run(server: &Server, words: &[&str]) -> Cli {
    words.iter().fold(command("run", server), Cli::arg)
}

/// Seconds until the next event of the default connection is due, where one is waited for.
fn remaining_delay(replica: &Server) -> Option<u64> {
    let row: Option<mysql::Row> = replica.session().query_first("SHOW SLAVE STATUS").unwrap();
    row?.get_opt("SQL_Remaining_Delay")?.ok()
}

pub(super) fn a_delayed_replica_is_not_waited_for_longer_than_its_delay(scene: &Scene, replica: &Replica) {
    let caught_up = || {
        replica.scalar("SELECT @@GLOBAL.gtid_slave_pos")
            == scene.master.scalar("SELECT @@GLOBAL.gtid_binlog_pos")
    };
    replica.wait_for("all of the master", PATIENCE, caught_up);
    replica.sql_all(&["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=5000", "START SLAVE"]);
    scene.master.exec("INSERT INTO d.log VALUES (1, 1)");
    replica.wait_for("an event that is not due", PATIENCE, || remaining_delay(replica).is_some());
    let begun = Instant::now();
    let ran = run(replica, &["--resync-timeout", "20s", "--", "true"]).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("up to its delay of 5,000 s (MASTER_DELAY)"), "{}", ran.stderr);
    assert!(begun.elapsed() < PATIENCE && applies(replica));
    assert_eq!(replica.scalar("SELECT COUNT(*) FROM d.log WHERE id = 1"), "0", "the delay is kept");
    replica.sql_all(&["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=0", "START SLAVE"]);
    replica.wait_for("all of the master", PATIENCE, caught_up);
    let ran = run(replica, &["--", "true"]).run();
    assert!(ran.status == Some(0) && !ran.stderr.contains("MASTER_DELAY"), "{ran:?}");
}

/// Of a replica whose threads stood, and of a server for which nothing is stopped.
pub(super) fn a_server_that_was_started_anew_meanwhile_fails_the_command(scene: &Scene, replica: &Replica) {
    for server in [replica, &scene.master] {
        assert!(wait_until(PATIENCE, || server.status("Uptime").parse::<u64>().unwrap() > 2));
        let mark = scene.scratch.make_dir("marks").join(server.name());
        let script = format!("touch {0}; while [ -e {0} ]; do sleep 0.05; done", mark.display());
        let mut running = run(server, &["--", "sh", "-c", &script]).start();
        running.wait_for("the command", || mark.exists());
        server.kill9();
        server.start();
        fs::remove_file(&mark).unwrap();
        let ran = running.finish();
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("the server has ended or was started anew meanwhile"), "{}", ran.stderr);
    }
    // Its own status is told all the same, where it has failed.
    let ran = run(&scene.master, &["--", "sh", "-c", "exit 9"]).run();
    assert_eq!(ran.status, Some(9), "{ran:?}");
    replica.exec("START SLAVE");
    replica.wait_for("its SQL thread", PATIENCE, || applies(replica));
}

fn ballast(disk: &Path, left: u64) {
    let _ = fs::remove_file(disk.join("ballast"));
    let stat = nix::sys::statvfs::statvfs(disk).unwrap();
    let free = stat.blocks_available() * stat.fragment_size();
    let bytes = usize::try_from(free.saturating_sub(left)).unwrap();
    fs::write(disk.join("ballast"), vec![0; bytes]).unwrap();
}

/// A real disk, by both methods that stream.
pub(super) fn a_repository_that_gets_full_leaves_no_backup_and_a_replica_that_runs(
    scene: &Scene,
    replica: &Replica,
) {
    let place = scene.scratch.make_dir("small");
    let _disk = SmallDisk::mount(&place, 16);
    let into = |settings: &[(&str, &str)]| settled(command("run", replica).on(&place), settings);
    let full = |ran: &Answer, what: &str| {
        assert_eq!(ran.status, Some(1), "{what}: {ran:?}");
        assert!(ran.stderr.contains("No space left on device"), "{what}: {}", ran.stderr);
        let listed = cli_list(&place);
        assert_eq!(listed["backups"], serde_json::json!([]), "{what}: {listed}");
        assert!(applies(replica), "{what}");
    };
    // What is expected without an earlier backup is known too little to refuse it.
    ballast(&place, 256 << 10);
    full(&into(&[("COMPRESSION", "gzip")]).run(), "mariadb-backup");
    ballast(&place, 40 << 10);
    full(&into(&[("METHOD", "logical"), ("COMPRESSION", "none")]).run(), "logical");
    fs::remove_file(place.join("ballast")).unwrap();
    let ran = into(&[("COMPRESSION", "gzip")]).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    // A dump is not judged by the size of the files, of which a physical backup in the same compression tells.
    ballast(&place, 384 << 10);
    let refused = into(&[("COMPRESSION", "gzip")]).run();
    assert!(refused.status == Some(1) && refused.stderr.contains("it does not fit"), "{refused:?}");
    let ran = into(&[("METHOD", "logical"), ("DATABASES", "e")]).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(applies(replica));
}

fn cli_list(repository: &Path) -> serde_json::Value {
    super::support::cli::cli("list --json").on(repository).run().json()
}

pub(super) fn where_no_server_runs_resync_says_so(scene: &Scene) {
    let quiet = run(&scene.master, &["--resync"]).run();
    assert_eq!((quiet.done(), quiet.stderr.as_str()), ("", ""), "a server that runs, and nothing to do");
    scene.master.stop();
    let ran = run(&scene.master, &["--resync"]).run();
    let socket = scene.master.socket();
    let told = format!("no server listens at '{}', and no run has left anything there\n", socket.display());
    assert_eq!((ran.status, ran.stderr), (Some(0), told));
}
