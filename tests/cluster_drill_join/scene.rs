//! A cluster, a repository, and drills on the machine of its second node that join it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::support::program::{Ran, text, with_program};
use super::support::{Cluster, ClusterOptions, PATIENCE, Program, wait_until};

/// A gcache that holds a few of the large write sets of `fill_bulk`.
const SMALL_GCACHE: &str = "gcache.size=24M";

pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) program: Program,
    pub(super) scratch: PathBuf,
}

impl Scene {
    pub(super) fn new(nodes: usize) -> Self {
        let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
        let cluster = Cluster::start(nodes, &options.provider(SMALL_GCACHE));
        let program = Program::of(&cluster);
        cluster.n(1).exec("CREATE DATABASE d");
        cluster.n(1).exec("CREATE TABLE d.t (i INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB");
        let scratch = cluster.dir().join("scratch");
        fs::create_dir(&scratch).unwrap();
        Self { cluster, program, scratch }
    }

    /// A backup behind a hundred write sets: Galera gives none of the oldest 1/128 of what it has, and it must not be among that after minutes of writing
    /// either.
    pub(super) fn back_up_late(&self) -> Value {
        let first = self.cluster.n(1);
        while first.position().seqno <= 100 {
            first.exec("INSERT INTO d.t VALUES ()");
        }
        first.exec("DELETE FROM d.t");
        self.program.back_up(&self.cluster, 2)
    }

    pub(super) fn words(&self, backup: &Value, more: &[&str]) -> Command {
        let scratch = self.scratch.display().to_string();
        let members = format!("127.0.0.1:{}", self.cluster.n(1).port());
        let words =
            ["drill", text(backup, "/id"), "--scratch", &scratch, "--json", "--join", "--members", &members];
        self.program.on(self.cluster.n(2), &[&words, more].concat())
    }

    pub(super) fn drill(&self, backup: &Value, more: &[&str]) -> Ran {
        Ran::finish(self.words(backup, more).spawn().unwrap())
    }

    pub(super) fn log_of_drill(&self) -> String {
        fs::read_to_string(self.scratch.join("wsrep_sst_backup-drill/home/error.log")).unwrap_or_default()
    }

    /// The server of a drill, which runs.
    pub(super) fn guest(&self) -> Pid {
        let scratch = self.scratch.display().to_string();
        let mut processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let program = line.split('\0').next()?.rsplit('/').next()?;
            (line.contains(&scratch) && ["mariadbd", "mysqld"].contains(&program))
                .then_some(Pid::from_raw(pid))
        });
        processes.next().expect("the drill has a server")
    }

    /// A drill that stands still while its server is a Synced member of the cluster.
    pub(super) fn joined(&self, backup: &Value) -> Child {
        let child = self.stopped_at(backup, "WSREP: Receiving IST: ");
        let is_synced = || self.log_of_drill().contains("WSREP: Shifting JOINED -> SYNCED");
        assert!(wait_until(PATIENCE, is_synced), "{}", self.log_of_drill());
        assert_ne!(self.cluster.n(1).status("wsrep_cluster_size"), self.cluster.nodes().count().to_string());
        child
    }

    /// A drill that stands still since its server has said that.
    pub(super) fn stopped_at(&self, backup: &Value, said: &str) -> Child {
        let mut child = self.words(backup, &["--tables", "none"]).spawn().unwrap();
        let mut has_ended = false;
        wait_until(PATIENCE, || {
            has_ended = child.try_wait().unwrap().is_some();
            has_ended || self.log_of_drill().contains(said)
        });
        assert!(!has_ended, "it has ended before it joined: {:?}", Ran::finish(child));
        send(&child, Signal::SIGSTOP);
        child
    }

    /// Nothing runs that has the scratch folder in its command line.
    pub(super) fn runs(&self) -> bool {
        let scratch = self.scratch.display().to_string();
        let mut lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
            let line = fs::read(process.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).into_owned())
        });
        lines.any(|line| line.contains(&scratch))
    }

    /// The cluster is as it was.
    #[track_caller]
    pub(super) fn assert_calm(&self, size: usize) {
        for node in self.cluster.nodes().take(size) {
            assert_eq!(node.status("wsrep_cluster_size"), size.to_string(), "{}", node.name());
            assert_eq!((node.state().as_str(), node.flow_control_sent()), ("Synced", 0), "{}", node.name());
            assert_eq!(node.status("wsrep_flow_control_recv"), "0", "{}", node.name());
            assert_eq!(node.status("wsrep_cluster_status"), "Primary", "{}", node.name());
        }
    }
}

pub(super) fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}
