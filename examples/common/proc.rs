//! What `/proc` tells of processes (`man 5 proc`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// `utime` and its like are counted in ticks of `USER_HZ`, 100 a second on every Linux of the common architectures.
const TICK: Duration = Duration::from_millis(10);

/// What is in `/proc/<pid>/stat`, as far as it is needed here.
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    /// The program's name, at most 15 bytes.
    pub(crate) name: String,
    /// The parent.
    pub(crate) parent: u32,
    /// User and system time of the process and of the children that it has waited for.
    pub(crate) cpu: Duration,
}

/// Reads the state of a process; none when there is no such process (any more).
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    stat_in(Path::new(&format!("/proc/{pid}")))
}

/// The threads of a process by their ids, with the time of each; none when there is no such process (any more).
pub(crate) fn threads(pid: u32) -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, stat_in(&entry.path())?)))
        .collect()
}

fn stat_in(folder: &Path) -> Option<Stat> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    // "pid (name) state ppid …": a name may hold blanks and brackets, so the last bracket counts.
    let (head, rest) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Behind the name begins field 3; utime, stime, cutime, cstime are the fields 14 to 17.
    let ticks: u32 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u32>().ok()).sum();
    Some(Stat { name: name.to_owned(), parent: fields.get(1)?.parse().ok()?, cpu: TICK * ticks })
}

/// The most memory that the process ever had resident since its `exec` (`VmHWM`), in bytes; none for a process that
/// has ended.
pub(crate) fn peak_resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// All children of a process, their children, and so on, with their names.
pub(crate) fn descendants(root: u32) -> BTreeMap<u32, String> {
    let all: BTreeMap<u32, Stat> = pids().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut family = BTreeMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            if family.insert(*pid, stat.name.clone()).is_none() {
                parents.push(*pid);
            }
        }
    }
    family
}

/// Every process of the machine.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The arguments of a process, for messages; empty for one that has ended.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}
