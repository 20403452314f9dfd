//! Signals, time limits, a hanging disk and the death of mysqld, in every state of the conversation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::assert_released;
use crate::support::scratch::ServerUser;
use crate::support::scripted_mysqld::{Ask, PAUSED, Reply, names_in};
use crate::support::{Pace, ScriptedMysqld};

/// Less than the whole copy would take and than the last resort waits. On an idle machine it is half a second, for
/// the block that is being compressed; where others keep cores and disk busy it is seconds.
const SOON: Duration = Duration::from_secs(9);

#[test]
fn a_signal_before_the_freeze_leaves_the_server_alone() {
    let server = ScriptedMysqld::new();
    // A server that takes the connection and does not answer holds the program where it looks for the files.
    let _silent = UnixListener::bind(server.socket()).unwrap();
    let run = server.asks().start();
    std::thread::sleep(Duration::from_millis(500));
    run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_signal_while_the_server_flushes_releases_it() {
    for (signal, name) in
        [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT"), (Signal::SIGHUP, "SIGHUP")]
    {
        let server = ScriptedMysqld::new();
        let run = server.asks().reply(Reply::never()).start();
        run.wait_for("flush tables");
        std::thread::sleep(Duration::from_millis(50));
        let pace = Pace::start();
        let sent = run.signal(signal);
        let released = run.wait_for("continue").at - sent;
        assert!(released < pace.at_once(), "{released:?}");
        let outcome = run.finish();
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

/// Not waited for is not kept waiting: the answer that came meanwhile counts, and nobody is named who would have held it up.
#[test]
fn a_program_that_was_stopped_itself_takes_the_answer_and_blames_nobody() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "flush-timeout=1s");
    let run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    run.signal(Signal::SIGSTOP);
    run.answer(&Reply::once(PAUSED));
    // Longer than the limit, and than any look is late on a busy machine.
    std::thread::sleep(Duration::from_secs(3));
    run.signal(Signal::SIGCONT);
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    assert!(outcome.stderr.contains("this program was stopped for "), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("KILL"), "{}", outcome.stderr);
}

#[test]
fn a_program_that_is_stopped_stays_until_the_server_has_answered() {
    let server = ScriptedMysqld::new();
    let mut run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    let sent = run.signal(Signal::SIGTERM);
    run.wait_for("continue");
    std::thread::sleep(Duration::from_secs(1));
    assert!(!run.has_ended(), "mysqld is still on its way into the freeze");
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    assert!(sent.elapsed() < Duration::from_secs(4), "the answer was not seen");
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_signal_while_files_are_copied_releases_the_server() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        let server = ScriptedMysqld::new();
        server.make_slow(90);
        let run = server.asks().progress().start();
        run.wait_for("total ");
        std::thread::sleep(Duration::from_millis(300));
        let pace = Pace::start();
        let sent = run.signal(signal);
        let released = run.wait_for("continue").at - sent;
        assert!(released < pace.at_once(), "{released:?}");
        let outcome = run.finish();
        let ended = sent.elapsed();
        assert!(ended < SOON, "it went on for {ended:?}");
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

#[test]
fn a_signal_behind_the_freeze_ends_the_backup() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGHUP, "SIGHUP")] {
        let server = ScriptedMysqld::new();
        server.make_slow(20);
        // What has the lowest priority may not come to its end in time beside others, and is given up then.
        server.configure("wsrep_sst_backup", "low-priority=off");
        let run = server.asks().start();
        run.wait_for("continue");
        run.signal(signal);
        let outcome = run.finish();
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

#[test]
fn a_program_that_is_killed_leaves_no_backup() {
    let server = ScriptedMysqld::new();
    server.make_slow(30);
    let run = server.asks().progress().start();
    run.wait_for("total ");
    std::thread::sleep(Duration::from_millis(300));
    run.signal(Signal::SIGKILL);
    let outcome = run.finish();
    assert_eq!((outcome.code, outcome.manifest_at_done), (None, None));
    let left = names_in(&server.attempts()[0]);
    assert!(left.iter().all(|name| name == "status.json" || name.starts_with('.')), "{left:?}");
    // The next transfer is not disturbed by what is left.
    fs::remove_file(server.datadir().join("db/noise.MYD")).unwrap();
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
}

#[test]
fn a_freeze_ends_at_its_limit() {
    let server = ScriptedMysqld::new();
    server.make_slow(30);
    server.configure("wsrep_sst_backup", "freeze-timeout=1s");
    let pace = Pace::start();
    let outcome = server.asks().run();
    assert_released(&outcome);
    outcome.assert_refused(&server, 110, "frozen for 1 s, the limit set by freeze-timeout");
    let frozen = outcome.at("continue") - outcome.at("flush tables");
    assert!(
        frozen > Duration::from_millis(900) && frozen < Duration::from_secs(1) + pace.at_once(),
        "{frozen:?}"
    );
}

#[test]
fn a_disk_that_hangs_does_not_keep_the_node_a_donor() {
    let server = ScriptedMysqld::new();
    server.make_slow(10);
    server.configure("wsrep_sst_backup", "compression=none\nlimit-rate=1M");
    let run = server.asks().progress().start();
    run.wait_for("total ");
    run.hang();
    let pace = Pace::start();
    let sent = run.signal(Signal::SIGTERM);
    let released = run.wait_for("continue").at - sent;
    assert!(released < pace.at_once(), "{released:?}");
    let outcome = run.finish();
    assert_released(&outcome);
    assert!(sent.elapsed() < Duration::from_secs(13), "{:?}", sent.elapsed());
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(
        outcome.messages("ERROR")[0].starts_with("stopped by SIGTERM, and a disk or the repository hangs")
    );
    assert_eq!(
        names_in(&server.datadir()).iter().filter(|name| name.starts_with("tables_flushed")).count(),
        0
    );
    assert!(!server.attempts()[0].join("manifest.json").exists());
    assert!(!server.datadir().join("wsrep_sst.pid").exists());
    assert_eq!(server.status()["state"], "failed", "{}", server.status());
}

/// The program ends soon after its server, without a backup.
fn assert_ends_with_mysqld(server: &ScriptedMysqld, asks: Ask<'_>, copying: bool) {
    let asks = asks.progress();
    let run = if copying { asks.start() } else { asks.reply(Reply::never()).start() };
    run.wait_for(if copying { "total " } else { "flush tables" });
    std::thread::sleep(Duration::from_millis(200));
    let mysqld = run.pid();
    let pace = Pace::start();
    let killed = run.signal(Signal::SIGKILL);
    let released = run.wait_for("continue").at - killed;
    assert!(released < pace.at_once(), "{released:?}");
    let outcome = run.finish();
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    outcome.assert_refused(server, 32, &format!("mysqld (pid {mysqld}) has gone away"));
}

#[test]
fn the_program_ends_with_its_server() {
    for copying in [false, true] {
        let server = ScriptedMysqld::new();
        server.make_slow(90);
        assert_ends_with_mysqld(&server, server.asks().under(Path::new("timeout")), copying);
    }
}

#[test]
fn a_server_that_hides_its_directory_is_watched_too() {
    // mysqld started by root with --user=mysql: the kernel hides /proc/PID/cwd from mysql's other processes. So it
    // does for a program that mysql may run and not read.
    let server = ScriptedMysqld::new();
    server.make_slow(40);
    let asks = server.asks().run_as(&ServerUser::current());
    let which = Command::new("sh").args(["-c", "command -v timeout"]).output().unwrap();
    let hidden = server.path("hidden");
    fs::copy(String::from_utf8(which.stdout).unwrap().trim(), &hidden).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o711)).unwrap();
    assert_ends_with_mysqld(&server, asks.under(&hidden), true);
}
