//! Restores that are killed, and restores that are refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::support::program::{self, Ran, text};
use super::support::{Cluster, PATIENCE, Program, Replica, Server, wait_until};

/// Where a restore is killed.
struct Moment {
    what: &'static str,
    there: &'static [&'static str],
    not_there: &'static [&'static str],
}

const MOMENTS: [Moment; 4] = [
    Moment { what: "at the beginning", there: &["ibdata1"], not_there: &["ib_logfile0"] },
    Moment { what: "in bulk data", there: &["bulk/t.ibd"], not_there: &["ib_logfile0"] },
    Moment { what: "in the server's own tables", there: &["mysql"], not_there: &["zoo"] },
    // The redo log comes behind all tables.
    Moment { what: "near the end", there: &["zoo/plain.ibd"], not_there: &["grastate.dat"] },
];

/// kill -9 leaves a directory that no server starts on and no restore writes to; SIGTERM leaves nothing.
pub(super) fn interrupted(cluster: &Cluster, program: &Program, manifest: &Value) {
    for (number, moment) in MOMENTS.iter().enumerate() {
        let server = Replica::prepare(cluster.scratch(), &format!("k{number}"), &[]);
        let datadir = server.datadir();
        stop_midway(program, manifest, &datadir, moment, Signal::SIGKILL);
        // Root's files would keep the server from starting; those of a restore by its own account would not.
        cluster.scratch().user().own_tree(&datadir);
        assert_cannot_start(&server, moment.what);
        let again = program.run(&["restore", "latest", "--to", datadir.to_str().unwrap()]);
        assert_eq!(again.status, Some(1), "{}: {}{}", moment.what, again.out, again.err);
        assert!(again.err.contains("holds a restore that was interrupted"), "{}: {}", moment.what, again.err);
        assert!(datadir.join(moment.there[0]).exists(), "what was there stays");
        if number == 0 {
            // As the message says: empty it and restore again.
            fs::remove_dir_all(&datadir).unwrap();
            program.restore(manifest, &datadir, &["--as", "standalone"]);
            server.start();
            server.stop();
        }
    }
    let target = cluster.make_dir("terminated");
    let ran = stop_midway(program, manifest, &target, &MOMENTS[2], Signal::SIGTERM);
    assert_eq!(ran.status, Some(1), "{}", ran.err);
    assert!(ran.err.contains("interrupted; what had been restored is removed"), "{}", ran.err);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "something is left");
}

/// Starts a restore and signals it at the moment.
fn stop_midway(program: &Program, manifest: &Value, to: &Path, moment: &Moment, signal: Signal) -> Ran {
    let words = ["restore", text(manifest, "/id"), "--to", to.to_str().unwrap(), "--threads", "1"];
    let mut child = program.spawn(&words);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let here = |name: &&str| to.join(name).exists();
    let seen = loop {
        if moment.there.iter().all(here) {
            kill(pid, Signal::SIGSTOP).unwrap();
            break true;
        }
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    assert!(seen, "the restore ended before it could be stopped {}", moment.what);
    // SIGSTOP takes effect at once for a process that is not in a system call, and soon for others.
    std::thread::sleep(Duration::from_millis(20));
    assert!(!moment.not_there.iter().any(here), "stopped too late for '{}'", moment.what);
    kill(pid, signal).unwrap();
    if signal != Signal::SIGKILL {
        kill(pid, Signal::SIGCONT).unwrap();
    }
    Ran::finish(child)
}

/// mysqld, started on what an interrupted restore has left, ends with an error and has changed nothing that counts.
fn assert_cannot_start(server: &Replica, moment: &str) {
    let mark = server.log_mark();
    server.spawn(&[]);
    let ended = wait_until(Duration::from_secs(60), || {
        assert!(server.try_sql("SELECT 1").is_err(), "{moment}: the server answers");
        server.exit_status().is_some()
    });
    assert!(ended, "{moment}: mysqld still runs\n{}", server.log_tail());
    let status = server.wait_ended(PATIENCE);
    assert!(!status.success(), "{moment}: {status}");
    let log = server.log_since(mark);
    let errors: Vec<&str> = log.lines().filter(|l| l.contains("[ERROR]")).collect();
    println!("{moment}: {}", errors.join(" | "));
    assert!(errors.iter().any(|l| l.contains("ibdata1") || l.contains("InnoDB")), "{log}");
}

/// What a restore refuses before it writes anything.
pub(super) fn refused(cluster: &Cluster, program: &Program) {
    let attempt = |to: &Path| {
        let ran = program.run(&["restore", "latest", "--to", to.to_str().unwrap()]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
        ran.err
    };
    // A running server.
    let node = cluster.n(2);
    let in_use = |server: &Server| format!("is in use by mariadbd (pid {})", server.pid().unwrap());
    let said = attempt(&node.datadir());
    assert!(said.contains(&in_use(node)), "{said}");
    // A running server whose files were deleted: the directory is empty, and then a new one.
    let server = Replica::prepare(cluster.scratch(), "deleted", &[]);
    program.restore(&program.newest(), &server.datadir(), &["--as", "standalone"]);
    server.start();
    for entry in fs::read_dir(server.datadir()).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    let said = attempt(&server.datadir());
    assert!(said.contains(&in_use(&server)), "{said}");
    fs::remove_dir(server.datadir()).unwrap();
    fs::create_dir(server.datadir()).unwrap();
    let said = attempt(&server.datadir());
    assert!(said.contains(&in_use(&server)), "{said}");
    assert_eq!(fs::read_dir(server.datadir()).unwrap().count(), 0);
    // A directory with a file of somebody's.
    let full = cluster.make_dir("full");
    fs::write(full.join("precious"), "keep").unwrap();
    let said = attempt(&full);
    assert!(said.contains("is not empty; a restore overwrites nothing"), "{said}");
    assert_eq!(fs::read_to_string(full.join("precious")).unwrap(), "keep");
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    assert!(program::donors_running(cluster).is_empty());
}
