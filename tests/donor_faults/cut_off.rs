//! No way out leads into a node that is not Primary. SQL does not answer here: the server's error log says it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::assert_released;
use crate::support::scripted_mysqld::{Ask, PAUSED, Reply, Run, Stdin};
use crate::support::{Pace, ScriptedMysqld, wait_until};

/// From the log of a real node (MariaDB 10.11.19, Galera 26.4.23).
pub(crate) const CUT_OFF: &str = "2026-11-20 16:15:03 0 [Note] WSREP: view(view_id(NON_PRIM,6eed7aca-b869,9) memb {\n\
                       \t6f005a41-a284,0\n} joined {\n} left {\n} partitioned {\n\t6eed7aca-b869,0\n})";
const BACK: &str = "2026-11-20 16:15:13 0 [Note] WSREP: view(view_id(PRIM,6eed7aca-b869,11) memb {\n\
                    \t6eed7aca-b869,0\n\t6f005a41-a284,0\n} joined {\n} left {\n} partitioned {\n})";
const SHUTDOWN: &str = "2026-11-20 16:15:20 2 [Note] WSREP: Server status change connected -> disconnecting";
pub(crate) const WAITS: &str = "the node is cut off from its cluster (by its error log)";
/// A wait that ends by itself would be over: without one these runs end within milliseconds.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

fn assert_waits(run: &mut Run) {
    run.wait_logged(WAITS);
    std::thread::sleep(LONG_ENOUGH);
    assert!(!run.has_ended(), "{}", run.logged());
    assert!(!run.has_said("done"), "{}", run.logged());
}

#[test]
fn done_is_said_when_the_node_is_back() {
    let server = ScriptedMysqld::new();
    let mut run = server.asks().error_log().reply(Reply::never()).start();
    run.wait_for("flush tables");
    server.log(CUT_OFF);
    run.answer(&Reply::once(PAUSED));
    assert_waits(&mut run);
    assert_eq!(server.status()["state"], "publishing", "{}", server.status());
    server.log(BACK);
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    assert!(outcome.stderr.contains("the node is Primary again"), "{}", outcome.stderr);
}

#[test]
fn what_the_log_said_before_is_over() {
    for options in ["", "--bypass"] {
        let server = ScriptedMysqld::new();
        server.log(CUT_OFF);
        let outcome = server.asks().error_log().options(options).run();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("cut off"), "{}", outcome.stderr);
    }
}

/// Cuts the node off while the program, which must run, reads the option files.
fn cut_off_at_the_option_files(server: &ScriptedMysqld, asks: Ask<'_>) -> Run {
    let pipe = server.path("included.cnf");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = fs::read_to_string(server.cnf()).unwrap();
    fs::write(server.cnf(), format!("!include {}\n{text}", pipe.display())).unwrap();
    let run = asks.start();
    // Opens when the program does.
    let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
    server.log(CUT_OFF);
    std::io::Write::write_all(&mut writer, b"[other]\n").unwrap();
    run
}

/// The same while it waits for the end of a password on stdin.
fn cut_off_at_stdin(server: &ScriptedMysqld, asks: Ask<'_>) -> Run {
    let run = asks.env("WSREP_SST_OPT_AUTH", None).stdin(Stdin::Endless(String::new())).start();
    let log = server.error_log().display().to_string();
    let opened = || run.descriptors().iter().filter(|(_, target)| *target == log).count() > 1;
    assert!(wait_until(Duration::from_secs(30), opened), "the program does not read its log");
    server.log(CUT_OFF);
    run
}

#[test]
fn failures_before_anything_is_known_wait_too() {
    for (what, code) in
        [("settings", 22), ("repository", 5), ("layout", 22), ("bypass", 0), ("arguments", 22)]
    {
        let server = ScriptedMysqld::new();
        let asks = server.asks().error_log();
        match what {
            "settings" => server.configure("wsrep_sst_backup", "treads=1"),
            "repository" => server.configure("wsrep_sst_backup", "repository=/no/such/place"),
            "layout" => fs::remove_file(server.datadir().join("ibdata1")).unwrap(),
            _ => {}
        }
        let mut run = match what {
            "arguments" => {
                cut_off_at_stdin(&server, asks.form("--role donor --datadir DATADIR --defaults-file CNF"))
            }
            "bypass" => cut_off_at_the_option_files(&server, asks.options("--bypass")),
            _ => cut_off_at_the_option_files(&server, asks),
        };
        assert_waits(&mut run);
        assert!(!run.has_said("continue"), "{what}");
        server.log(BACK);
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(code), "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("the node is Primary again"), "{what}: {}", outcome.stderr);
        if what == "layout" {
            outcome.assert_refused(&server, code, "no InnoDB system tablespace");
        }
    }
}

/// A run that has been given up by a signal and waits.
fn given_up(server: &ScriptedMysqld, under: Option<&Path>) -> Run {
    let asks = server.asks().error_log().reply(Reply::never());
    let mut run = if let Some(path) = under { asks.under(path) } else { asks }.start();
    run.wait_for("flush tables");
    server.log(CUT_OFF);
    if under.is_none() {
        let pace = Pace::start();
        let sent = run.signal(Signal::SIGTERM);
        assert!(run.wait_for("continue").at - sent < pace.at_once(), "a signal thaws at once");
        assert_waits(&mut run);
        assert_eq!(server.status()["state"], "failed", "it is told before the wait");
    }
    run
}

#[test]
fn a_signal_thaws_at_once_and_a_second_one_ends_the_wait() {
    let server = ScriptedMysqld::new();
    let run = given_up(&server, None);
    run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    assert_released(&outcome);
    let last = outcome.messages("WARNING").last().unwrap().to_string();
    assert!(last.starts_with("a second signal: ending"), "{}", outcome.stderr);
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_server_that_shuts_down_is_not_waited_for() {
    let server = ScriptedMysqld::new();
    let run = given_up(&server, None);
    server.log(SHUTDOWN);
    let logged = Instant::now();
    let outcome = run.finish();
    assert!(logged.elapsed() < Duration::from_secs(10), "{:?}", logged.elapsed());
    assert!(outcome.stderr.contains("mysqld is shutting down: nothing to wait for"), "{}", outcome.stderr);
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_server_that_dies_is_not_waited_for() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "flush-timeout=1s");
    let run = given_up(&server, Some(Path::new("timeout")));
    run.wait_logged(WAITS);
    let killed = run.signal(Signal::SIGKILL);
    let outcome = run.finish();
    assert!(killed.elapsed() < Duration::from_secs(9), "{:?}", killed.elapsed());
    outcome.assert_refused(&server, 110, "(flush-timeout)");
}

#[test]
fn the_wait_ends_at_its_limit() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "primary-timeout=1s");
    let run = server.asks().error_log().reply(Reply::never()).start();
    run.wait_for("flush tables");
    server.log(CUT_OFF);
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let errors = outcome.messages("ERROR");
    assert!(errors[0].starts_with("the node was not Primary for 1 s (primary-timeout)"), "{errors:?}");
}

#[test]
fn the_last_resort_of_a_run_that_hangs_waits_too() {
    let server = ScriptedMysqld::new();
    server.make_slow(10);
    server.configure("wsrep_sst_backup", "compression=none\nlimit-rate=1M");
    let mut run = server.asks().progress().error_log().start();
    run.wait_for("total ");
    run.hang();
    server.log(CUT_OFF);
    let pace = Pace::start();
    let sent = run.signal(Signal::SIGTERM);
    assert!(run.wait_for("continue").at - sent < pace.at_once());
    assert_waits(&mut run);
    assert!(run.logged().contains("a disk or the repository hangs"), "{}", run.logged());
    server.log(BACK);
    assert!(wait_until(Duration::from_secs(20), || run.has_ended()), "{}", run.logged());
    let outcome = run.finish();
    assert_released(&outcome);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
}
