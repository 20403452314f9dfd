//! What a backup may leave behind: in mysqld, around it, and in its folders.
//!
//! mysqld itself comes and goes with threads and files a little, so a difference counts only when it stays. What each run
//! is meant to leave is left out: the new binary log, as every freeze rotates it, and `backup_sst_complete`, for which
//! wrappers of garbd wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::common::machine;
use crate::common::proc;
use crate::support::{Node, wait_until};

/// How long a difference may stay before it counts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Things of one kind, and how many there are of each name.
type Counts = BTreeMap<String, usize>;

/// The state of a server's process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Process {
    descriptors: Counts,
    threads: Counts,
    locks: Counts,
}

impl Process {
    /// Looks at a running server.
    pub(crate) fn of(node: &Node) -> Self {
        let pid = node.pid().unwrap_or_default();
        Self { descriptors: descriptors(pid), threads: threads(pid), locks: locks(pid) }
    }

    /// What there is more of now, after some patience.
    pub(crate) fn growth(&self, node: &Node) -> Vec<String> {
        let mut growth = Vec::new();
        wait_until(PATIENCE, || {
            let now = Self::of(node);
            growth = [
                more("descriptor", &self.descriptors, &now.descriptors),
                more("thread", &self.threads, &now.threads),
                more("lock", &self.locks, &now.locks),
            ]
            .concat();
            growth.is_empty()
        });
        growth
    }

    /// How many there are.
    pub(crate) fn told(&self) -> String {
        let sum = |counts: &Counts| counts.values().sum::<usize>();
        format!(
            "{} descriptors, {} threads, {} locks",
            sum(&self.descriptors),
            sum(&self.threads),
            sum(&self.locks)
        )
    }
}

/// The files in a node's folder: data directory, temporary files, and what lies beside them.
#[derive(Debug, Clone)]
pub(crate) struct Files(Counts);

impl Files {
    /// Lists them.
    pub(crate) fn of(node: &Node) -> Self {
        Self(listing(node.dir()))
    }

    /// What there is more of now, after some patience.
    pub(crate) fn growth(&self, node: &Node) -> Vec<String> {
        let mut growth = Vec::new();
        wait_until(PATIENCE, || {
            growth = more("file", &self.0, &Self::of(node).0);
            growth.is_empty()
        });
        growth
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Processes that mysqld has started and that have not ended, after some patience.
pub(crate) fn children(node: &Node) -> Vec<String> {
    let mut left = Vec::new();
    wait_until(PATIENCE, || {
        left = proc::descendants(node.pid().unwrap_or_default())
            .into_iter()
            .map(|(pid, name)| format!("process {pid} {name}: {}", proc::command_line(pid)))
            .collect();
        left.is_empty()
    });
    left
}

/// Processes that have to do with a folder: it is in their arguments, their environment, or around their working directory.
/// mysqld's PATH names the folder, so whatever a donor has started is found also where init has become its parent.
#[derive(Debug, Clone)]
pub(crate) struct Around(BTreeSet<u32>);

impl Around {
    /// Those of now.
    pub(crate) fn of(dir: &Path) -> Self {
        let name = dir.as_os_str().as_bytes();
        let mentions = |pid: &u32, file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(name.len()).any(|window| window == name)
        };
        let works_there =
            |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        Self(
            proc::pids()
                .filter(|pid| mentions(pid, "cmdline") || mentions(pid, "environ") || works_there(pid))
                .collect(),
        )
    }

    /// What there is more of now, after some patience.
    pub(crate) fn growth(&self, dir: &Path) -> Vec<String> {
        let mut growth = Vec::new();
        wait_until(PATIENCE, || {
            let now = Self::of(dir).0;
            growth = now
                .difference(&self.0)
                .map(|pid| format!("process {pid}: {}", proc::command_line(*pid)))
                .collect();
            growth.is_empty()
        });
        growth
    }
}

/// What a process has open, by name: `pipe`, `socket`, files by their path.
fn descriptors(pid: u32) -> Counts {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let mut counts = Counts::new();
    for target in targets {
        let target = target.to_string_lossy().into_owned();
        // A file that was removed since it was opened is the same descriptor.
        let target = target.trim_end_matches(" (deleted)");
        // "pipe:[12345]": which one it is does not matter.
        let name = target.split_once(":[").map_or(target, |(kind, _)| kind);
        *counts.entry(without_number(name)).or_default() += 1;
    }
    counts
}

/// By name, without the kernel's own helpers for `io_uring`, which it starts and ends as the server's I/O needs them.
fn threads(pid: u32) -> Counts {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    let mut counts = Counts::new();
    for name in names.filter(|name| !name.starts_with("iou-wrk-")) {
        *counts.entry(name.trim().to_owned()).or_default() += 1;
    }
    counts
}

/// Locks on files: `1: POSIX  ADVISORY  WRITE 123 fe:00:42 0 EOF`.
fn locks(pid: u32) -> Counts {
    let pid = pid.to_string();
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut counts = Counts::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.get(4) == Some(&pid.as_str()) {
            *counts.entry(fields.get(1..4).unwrap_or_default().join(" ")).or_default() += 1;
        }
    }
    counts
}

fn listing(dir: &Path) -> Counts {
    let mut find = std::process::Command::new("find");
    find.arg(dir).args(["-printf", "%P\\n"]);
    let found = machine::output(&mut find).unwrap_or_default();
    let mut counts = Counts::new();
    for name in found.lines().filter(|name| *name != "data/backup_sst_complete") {
        let name = without_number(name);
        // Each freeze begins a new one.
        if name != "data/binlog.#" && name != "data/binlog.#.idx" {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

/// Binary logs are numbered: all are one.
fn without_number(name: &str) -> String {
    let Some((head, tail)) = name.rsplit_once("binlog.") else { return name.to_owned() };
    let digits = tail.chars().take_while(char::is_ascii_digit).count();
    let rest = tail.get(digits..).unwrap_or_default();
    if digits == 0 { name.to_owned() } else { format!("{head}binlog.#{rest}") }
}

fn more(kind: &str, before: &Counts, after: &Counts) -> Vec<String> {
    let count = |name: &String| before.get(name).copied().unwrap_or_default();
    let grown = after.iter().filter(|(name, now)| **now > count(name));
    grown.map(|(name, now)| format!("{kind} '{name}': {} before, {now} now", count(name))).collect()
}
