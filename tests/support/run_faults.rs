//! Faults at each step of a node's backup of itself, and what must be true whatever has happened.
//!
//! `strace` lets the N-th call of a kind fail, or kills the program in it; each thread counts its own calls. Afterwards there is a backup that verifies, or none;
//! the node is Synced, not desynced and takes writes, by itself or (where the program was killed) by the next run; nothing of the
//! backup is left in the server's file system.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::program::{Ran, text, under_strace};
use super::{Cluster, Node, PATIENCE, Program, wait_until};

/// Nothing of a small backup takes longer: what does hangs.
const LONG: Duration = Duration::from_secs(90);

/// Two nodes; the second one backs itself up.
pub struct FaultScene {
    /// The nodes.
    pub cluster: Cluster,
    /// The program.
    pub program: Program,
}

/// What has come of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultOutcome {
    /// Whether the fault has come at all.
    pub injected: bool,
    /// Whether there is a backup.
    pub complete: bool,
    /// Whether the node was left desynced, and the next run has ended that.
    pub cured: bool,
}

impl FaultScene {
    /// The node that backs itself up.
    pub fn node(&self) -> &Node {
        self.cluster.n(2)
    }

    /// `run` by this method.
    pub fn command(&self, method: &str) -> Command {
        let mut command = self.program.on(self.node(), &["run"]);
        command.env("WSREP_SST_BACKUP_METHOD", method);
        command
    }

    /// Lets a call of this kind go wrong: `error=ENOSPC`, or `signal=SIGKILL`.
    pub fn inject(&self, method: &str, call: &str, fault: &str, number: usize) -> FaultOutcome {
        let what = format!("{method}: {fault} in {call} {number}");
        let before = self.program.manifests().len();
        let trace = self.cluster.dir().join("trace");
        let options = format!("-e trace={call} -e inject={call}:{fault}:when={number}");
        let child = under_strace(&self.command(method), &options, &trace).spawn().unwrap();
        let ran = finish(child, &what);
        let traced = fs::read_to_string(&trace).unwrap_or_default();
        let injected = traced.contains("(INJECTED)") || traced.contains("killed by SIGKILL");
        let _ = fs::remove_file(trace);
        let outcome = self.judge(&what, &ran, before);
        FaultOutcome { injected, ..outcome }
    }

    /// What must be true after a run that has ended so. `before` it there were so many backups.
    pub fn judge(&self, what: &str, ran: &Ran, before: usize) -> FaultOutcome {
        let told = || format!("{what}: {:?}\n{}{}", ran.status, ran.out, ran.err);
        let manifests = self.program.manifests();
        let complete = manifests.len() > before;
        assert!(complete || ran.status != Some(0), "success without a backup: {}", told());
        if let Some(manifest) = manifests.last().filter(|_| complete) {
            let id = text(manifest, "/id");
            let verified = self.program.run(&["verify", id]);
            assert_eq!(verified.status, Some(0), "{}\n{}{}", told(), verified.out, verified.err);
        }
        let mut cured = false;
        if ran.status.is_none() {
            let next = finish(self.program.on(self.node(), &["run", "--resync"]).spawn().unwrap(), what);
            assert_eq!(next.status, Some(0), "{}\n{}", told(), next.err);
            cured = next.err.contains("was killed");
        }
        self.assert_back(&told);
        self.take_leases_away();
        FaultOutcome { injected: true, complete, cured }
    }

    /// The node is as if there had been no backup.
    fn assert_back(&self, told: &dyn Fn() -> String) {
        let node = self.node();
        assert_eq!(node.scalar("SELECT @@GLOBAL.wsrep_desync"), "0", "{}", told());
        node.wait_synced(PATIENCE);
        assert!(wait_until(PATIENCE, || node.status("wsrep_desync_count") == "0"), "{}", told());
        let begun = Instant::now();
        node.sql_all(&[
            "SET SESSION lock_wait_timeout=30",
            "CREATE TABLE IF NOT EXISTS test.w (a INT PRIMARY KEY AUTO_INCREMENT)",
            "INSERT INTO test.w VALUES (NULL)",
        ]);
        assert!(begun.elapsed() < Duration::from_secs(20), "writes wait: {}", told());
        let folder = node.socket().parent().unwrap().to_path_buf();
        let notes = || {
            let names = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.file_name());
            names.filter(|name| name.to_string_lossy().contains("desync")).count()
        };
        assert_eq!(notes(), 0, "{}", told());
        assert!(wait_until(PATIENCE, || self.holders().is_empty()), "{:?}: {}", self.holders(), told());
    }

    /// Processes other than servers that hold nameless files of this file system, or work in it: clones, mariadb-backup.
    pub fn holders(&self) -> Vec<String> {
        let dir = self.cluster.dir().to_string_lossy().into_owned();
        let servers: Vec<u32> = self.cluster.nodes().filter_map(|node| node.pid()).collect();
        let mut holders = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
            if servers.contains(&pid) {
                continue;
            }
            let links = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
            let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
            let nameless = targets
                .map(|target| target.to_string_lossy().into_owned())
                .filter(|target| target.starts_with(&dir) && target.ends_with(" (deleted)"));
            holders.extend(nameless.map(|target| format!("{pid}: {target}")));
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if words.starts_with("mariadb-backup") && words.contains(&dir) {
                holders.push(format!("{pid}: {words}"));
            }
        }
        holders
    }

    /// A killed run leaves a lease that others mind for a minute.
    fn take_leases_away(&self) {
        for name in self.program.files().iter().filter(|name| name.contains("asking.")) {
            let _ = fs::remove_file(self.program.repository().join(name));
        }
    }
}

/// Waits for its end, which must come.
pub fn finish(mut child: Child, what: &str) -> Ran {
    let ended = wait_until(LONG, || child.try_wait().unwrap().is_some());
    if !ended {
        let _ = child.kill();
        panic!("{what}: it hangs: {:?}", Ran::finish(child));
    }
    Ran::finish(child)
}
