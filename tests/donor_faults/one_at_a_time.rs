//! One state transfer at a time for a data directory: `wsrep_sst.pid`, shared with the stock scripts.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::{PAUSED, Reply};

const WAITING: &str = "Previous SST is not completed, waiting for it to exit";

/// A stock script that runs until it is dropped; its number stands in the file.
struct Script(Child);

impl Script {
    fn start(server: &ScriptedMysqld, datadir: &Path) -> Self {
        let script = server.write_outside("wsrep_sst_rsync", "while sleep 0.1; do :; done\n");
        let command = Command::new("bash").arg(script).arg("--datadir").arg(datadir).spawn();
        let script = Self(command.unwrap());
        server.write("wsrep_sst.pid", format!("{}\n", script.0.id()));
        script
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_second_waits_for_the_first() {
    let server = ScriptedMysqld::new();
    let first = server.asks().reply(Reply::never()).start();
    first.wait_for("flush tables");
    let pid_file = server.datadir().join("wsrep_sst.pid");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", first.pid()));
    let second = server.asks().error_log().start();
    second.wait_logged(WAITING);
    assert!(!second.has_said("flush tables"));
    first.answer(&Reply::once(PAUSED));
    assert_eq!(first.finish().code, Some(0));
    let outcome = second.finish();
    outcome.assert_backed_up(&server);
    for folder in server.attempts() {
        assert!(folder.join("manifest.json").exists(), "{}", folder.display());
        let archive = crate::support::scripted_mysqld::Backup::open(&folder);
        assert!(!archive.members().iter().any(|path| path.contains("wsrep_sst.pid")));
    }
}

#[test]
fn what_a_killed_one_has_left_is_taken_over_at_once() {
    let server = ScriptedMysqld::new();
    let first = server.asks().reply(Reply::never()).start();
    first.wait_for("flush tables");
    first.signal(Signal::SIGKILL);
    first.finish();
    assert!(server.datadir().join("wsrep_sst.pid").exists());
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert!(!outcome.stderr.contains(WAITING), "{}", outcome.stderr);
}

#[test]
fn a_script_of_another_server_and_a_reused_number_are_not_waited_for() {
    let server = ScriptedMysqld::new();
    let _script = Script::start(&server, &server.path(""));
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert!(!outcome.stderr.contains(WAITING), "{}", outcome.stderr);
}

#[test]
fn a_stock_script_that_runs_is_waited_for() {
    let server = ScriptedMysqld::new();
    let script = Script::start(&server, &server.datadir());
    let run = server.asks().error_log().start();
    run.wait_logged(WAITING);
    drop(script);
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
}

#[test]
fn a_transfer_that_does_not_end_is_given_up_with_its_own_number() {
    let server = ScriptedMysqld::new();
    let script = Script::start(&server, &server.datadir());
    let pid = script.0.id();
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    assert!(outcome.took >= Duration::from_secs(30), "{:?}", outcome.took);
    let left = fs::read_to_string(server.datadir().join("wsrep_sst.pid")).unwrap();
    assert_eq!(left, format!("{pid}\n"), "the file is not ours");
    fs::remove_file(server.datadir().join("wsrep_sst.pid")).unwrap();
    outcome.assert_refused(
        &server,
        114,
        &format!("another state transfer of this data directory runs (process {pid}"),
    );
}

#[test]
fn a_signal_and_the_death_of_mysqld_end_the_wait() {
    for dies in [false, true] {
        let server = ScriptedMysqld::new();
        let _script = Script::start(&server, &server.datadir());
        let asks = server.asks().error_log();
        let run = if dies { asks.under(Path::new("timeout")) } else { asks }.start();
        run.wait_logged(WAITING);
        let mysqld = run.pid();
        run.signal(if dies { Signal::SIGKILL } else { Signal::SIGTERM });
        let sent = Instant::now();
        let outcome = run.finish();
        assert!(sent.elapsed() < Duration::from_secs(9), "{:?}", sent.elapsed());
        fs::remove_file(server.datadir().join("wsrep_sst.pid")).unwrap();
        let (code, message) = if dies {
            (32, format!("mysqld (pid {mysqld}) has gone away"))
        } else {
            (4, "stopped by SIGTERM".into())
        };
        outcome.assert_refused(&server, code, &message);
    }
}
