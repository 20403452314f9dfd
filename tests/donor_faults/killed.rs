//! `kill -9` in every state: nothing that looks complete and is not, and the next run takes over.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cut_off::{CUT_OFF, WAITS};
use crate::support::ScriptedMysqld;
use crate::support::cli::cli;
use crate::support::scripted_mysqld::{PAUSED, Reply, Run, names_in};

/// Kills the program; what is left is a backup that verifies, or none. Whether it is one. The next run works at once.
fn kill_and_follow(server: &ScriptedMysqld, run: Run, state: &str) -> bool {
    run.signal(Signal::SIGKILL);
    let outcome = run.finish();
    let too_late = outcome.stdout.contains("done");
    assert!(outcome.code.is_none() || too_late, "{state}: it has ended before: {}", outcome.stderr);
    let list = cli("list --json").on(&server.repository()).run().json();
    let complete = !list["backups"].as_array().unwrap().is_empty();
    if complete {
        cli("verify latest").on(&server.repository()).run().done();
    }
    // What is left of it harms nobody: not even a stale answer of the server.
    let _ = fs::remove_file(server.datadir().join("db/noise.MYD"));
    let next = server.asks().run();
    next.assert_backed_up(server);
    assert!(!next.stderr.contains("waiting for it to exit"), "{state}: {}", next.stderr);
    complete
}

#[test]
fn a_run_that_is_killed_while_it_waits_for_another_or_for_the_flush() {
    let server = ScriptedMysqld::new();
    server.write("wsrep_sst.pid", "4194305\n");
    let run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    // A second one waits for the first.
    let waits = server.asks().error_log().start();
    waits.wait_logged("waiting for it to exit");
    waits.signal(Signal::SIGKILL);
    assert_eq!(waits.finish().code, None);
    assert!(server.datadir().join("wsrep_sst.pid").exists(), "it is the first one's");
    assert!(!kill_and_follow(&server, run, "freezing"));
}

#[test]
fn a_run_that_is_killed_while_it_copies() {
    let server = ScriptedMysqld::new();
    server.make_slow(30);
    let run = server.asks().progress().start();
    run.wait_for("total ");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!kill_and_follow(&server, run, "copying"));
    let left = names_in(&server.attempts()[0]);
    assert!(left.iter().all(|name| name == "status.json" || name.starts_with('.')), "{left:?}");
}

/// Each sync takes a while, so that the steps behind the freeze can be told apart.
#[test]
#[ignore = "needs strace"]
fn a_run_that_is_killed_behind_the_freeze() {
    for milliseconds in (0..1600).step_by(130) {
        let server = ScriptedMysqld::new();
        let run = server.asks().strace("-e trace=fsync -e inject=fsync:delay_enter=200ms:when=4+").start();
        run.wait_for("continue");
        std::thread::sleep(Duration::from_millis(milliseconds));
        if run.has_said("done") {
            break;
        }
        kill_and_follow(&server, run, "publishing");
    }
}

#[test]
fn a_run_that_is_killed_while_it_waits_for_the_cluster_has_made_its_backup() {
    let server = ScriptedMysqld::new();
    let run = server.asks().error_log().reply(Reply::never()).start();
    run.wait_for("flush tables");
    server.log(CUT_OFF);
    run.answer(&Reply::once(PAUSED));
    run.wait_logged(WAITS);
    assert!(kill_and_follow(&server, run, "waiting"));
}
