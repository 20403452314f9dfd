//! The program that a donor's mysqld has started: found, held at a moment of its work, killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::PATIENCE;
use super::cluster::Cluster;
use super::cnf::CLUSTER_NAME;
use super::wait_until;

/// How far a program that is held goes from one look to the next.
const STEP: Duration = Duration::from_millis(1);

/// States of `status.json` in their order, but for the last word.
const STATES: [&str; 6] = ["starting", "ahead", "freezing", "copying", "thawed", "publishing"];

/// A process of the donors' program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DonorProgram(Pid);

impl DonorProgram {
    /// The one that runs now. The administrator's commands run from elsewhere.
    pub fn find(cluster: &Cluster) -> Option<Self> {
        let program = cluster.program();
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_ours = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        pids.find(is_ours).map(|pid| Self(Pid::from_raw(pid)))
    }

    /// Its process.
    pub fn pid(self) -> i32 {
        self.0.as_raw()
    }

    /// Waits until there is one.
    pub fn wait(cluster: &Cluster) -> Self {
        Self::wait_while(cluster, || true).expect("no donor has started the program")
    }

    /// The same, as long as `goes_on`.
    pub fn wait_while(cluster: &Cluster, mut goes_on: impl FnMut() -> bool) -> Option<Self> {
        let mut found = None;
        let end = Instant::now() + PATIENCE;
        // Without a pause: its first moments are short.
        while found.is_none() && Instant::now() < end && goes_on() {
            found = Self::find(cluster);
        }
        found
    }

    /// Waits for the next run and lets it go on in small steps until its `status.json` has this state; it stands still
    /// then. Nothing when it went past that state between two looks: it runs on.
    pub fn hold_at(cluster: &Cluster, repository: &Path, state: &str) -> Option<Self> {
        let program = Self::wait(cluster);
        let place = |name: &str| STATES.iter().position(|known| *known == name);
        let wanted = place(state).unwrap_or_else(|| panic!("'{state}' is no state"));
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            program.stop();
            let status = program.status(repository);
            match status.as_ref().and_then(|status| place(status["state"].as_str()?)) {
                Some(now) if now == wanted => return Some(program),
                Some(now) if now < wanted => {}
                None if status.is_none() && program.runs() => {}
                _ => {
                    program.go_on();
                    return None;
                }
            }
            program.go_on();
            std::thread::sleep(STEP);
        }
        panic!("the donor program does not come to the state '{state}'");
    }

    /// Its `status.json`, if it has written one.
    pub fn status(self, repository: &Path) -> Option<Value> {
        let folders = fs::read_dir(repository.join(CLUSTER_NAME)).ok()?.flatten();
        let mut found = folders.filter_map(|folder| {
            let status = fs::read(folder.path().join("status.json")).ok()?;
            serde_json::from_slice::<Value>(&status).ok()
        });
        found.find(|status| status["pid"].as_i64() == Some(self.0.as_raw().into()))
    }

    /// SIGSTOP.
    pub fn stop(self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn go_on(self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends a signal; a process that is gone needs none.
    pub fn signal(self, signal: Signal) {
        let _ = kill(self.0, signal);
    }

    /// Whether it lives; one that has ended and was not waited for does not.
    pub fn runs(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| !"ZX".contains(state))
    }

    /// Waits for its end; how long that took.
    #[track_caller]
    pub fn wait_gone(self, limit: Duration) -> Duration {
        let begun = Instant::now();
        assert!(wait_until(limit, || !self.runs()), "the program still runs after {limit:?}");
        begun.elapsed()
    }

    /// Whether it has a file with this name open.
    pub fn reads(self, name: &str) -> bool {
        let open = fs::read_dir(format!("/proc/{}/fd", self.0)).into_iter().flatten().flatten();
        let mut targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.any(|target| target.file_name().is_some_and(|found| found == name))
    }

    /// Processes that any of its threads has started.
    pub fn children(self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).expect("the program runs").flatten();
        let lists = threads.map(|thread| {
            fs::read_to_string(thread.path().join("children")).expect("the kernel tells children")
        });
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}
