//! A cluster whose nodes run commands, and what is left of those.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::program::Ran;
use super::support::{self, Cluster, Node, PATIENCE, Program, Server};

/// A cluster whose nodes run commands.
pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) program: Program,
}

impl Scene {
    /// The words of a command line on a node, by its option file.
    pub(super) fn words(&self, number: usize, words: &[&str]) -> Command {
        self.words_for(self.cluster.n(number), words)
    }

    pub(super) fn words_for(&self, server: &Server, words: &[&str]) -> Command {
        self.program.on(server, words)
    }

    pub(super) fn run(&self, number: usize, words: &[&str]) -> Ran {
        Ran::finish(self.words(number, words).spawn().unwrap())
    }

    pub(super) fn run_for(&self, server: &Server, words: &[&str]) -> Ran {
        Ran::finish(self.words_for(server, words).spawn().unwrap())
    }

    pub(super) fn endless(&self, number: usize, mark: &str) -> (Child, PathBuf) {
        self.endless_for(self.cluster.n(number), mark)
    }

    /// A command of the shell that runs until it is ended; returns when it has begun. It has a child in the background.
    pub(super) fn endless_for(&self, server: &Server, mark: &str) -> (Child, PathBuf) {
        let pids = self.cluster.make_dir("marks").join(mark);
        let script =
            format!("trap '' HUP; sleep 4711 & echo $$ $! >{0}.new; mv {0}.new {0}; wait", pids.display());
        let mut child = self.words_for(server, &["run", "--", "sh", "-c", &script]).spawn().unwrap();
        let has_ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        support::wait_until(PATIENCE, || pids.exists() || has_ended(&mut child));
        if !pids.exists() {
            let _ = child.kill();
            panic!("the command has not begun: {:?}", Ran::finish(child));
        }
        (child, pids)
    }

    pub(super) fn desync(&self, number: usize) -> String {
        self.cluster.n(number).scalar("SELECT @@GLOBAL.wsrep_desync")
    }
}

#[track_caller]
pub(super) fn assert_back(node: &Node) {
    assert_eq!(node.scalar("SELECT @@GLOBAL.wsrep_desync"), "0");
    node.wait_synced(PATIENCE);
    assert_eq!(node.status("wsrep_desync_count"), "0");
    let beside = fs::read_dir(node.socket().parent().unwrap()).unwrap().flatten();
    let left: Vec<_> = beside.map(|entry| entry.file_name()).filter(|name| is_note(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
pub(super) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(support::wait_until(PATIENCE, condition), "{what}");
}

pub(super) fn is_note(name: &OsStr) -> bool {
    name.to_string_lossy().contains("desync")
}

pub(super) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
pub(super) fn assert_all_end(pids: &Path) {
    let pids: Vec<i32> =
        fs::read_to_string(pids).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    wait_until("the command and its child have ended", || !pids.iter().any(|pid| is_alive(*pid)));
}

pub(super) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}
