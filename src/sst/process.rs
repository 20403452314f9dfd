//! The server's process and what it leaves to its children.
//!
//! mysqld starts the program through `sh -c`, so the parent may be a shell. The child holds spare
//! copies of the pipes and of `grastate.dat` (they are not close-on-exec), which has two effects:
//! closing stdout gives mysqld no end of file, and after mysqld's death writes still succeed.

use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Pid, close, getppid};

use crate::regular_file;

/// Names of a server's process.
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];
/// More bytes than a pid file has.
const LONGEST_PID: u64 = 32;

/// Closes every inherited descriptor above stderr.
///
/// To be called first in `main`, before the program has opened anything of its own.
pub fn close_inherited() {
    let Ok(listing) = fs::read_dir("/proc/self/fd") else { return };
    let inherited: Vec<RawFd> = listing
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    // The listing's own descriptor is among them and closed already: that error means nothing.
    for fd in inherited {
        let _ = close(fd);
    }
}

/// The mysqld that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mysqld {
    /// Its process id.
    pub pid: i32,
    /// Start time in clock ticks since boot: tells it from a later process with the same number.
    started: String,
}

impl Mysqld {
    /// The nearest ancestor whose working directory is the data directory and that is no shell.
    ///
    /// A mysqld that root has started with `--user` has changed its user, so the kernel hides its working
    /// directory from processes of that user (`man 2 prctl`, `PR_SET_DUMPABLE`): an ancestor that hides it is
    /// taken for the server.
    pub fn find(datadir: &Path) -> Option<Self> {
        let datadir = fs::canonicalize(datadir).ok()?;
        let mut pid = getppid();
        for _ in 0..4 {
            let process = PathBuf::from(format!("/proc/{pid}"));
            let (comm, parent, started) = stat(pid)?;
            let is_shell = matches!(comm.as_str(), "sh" | "dash" | "bash" | "busybox");
            let may_be_server = match fs::read_link(process.join("cwd")) {
                Ok(cwd) => cwd == datadir,
                Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
            };
            if !is_shell && may_be_server {
                return Some(Self { pid: pid.as_raw(), started });
            }
            pid = parent;
        }
        None
    }

    /// The one whose number stands in this file, where that is a server's.
    pub fn written_in(pid_file: &Path) -> Option<Self> {
        let text = regular_file::read(pid_file, LONGEST_PID).ok()?;
        let pid = Pid::from_raw(std::str::from_utf8(&text).ok()?.trim().parse().ok()?);
        let (comm, _, started) = stat(pid)?;
        SERVERS.contains(&comm.as_str()).then_some(Self { pid: pid.as_raw(), started })
    }

    /// Whether it still runs (a zombie does not). A look that fails for a reason of this program (no descriptor is free,
    /// say) is no sign of its death.
    pub fn is_alive(&self) -> bool {
        match fs::read_to_string(stat_file(Pid::from_raw(self.pid))) {
            Ok(text) => read_stat(&text).is_some_and(|(_, _, started)| started == self.started),
            Err(error) => !matches!(Errno::try_from(error), Ok(Errno::ENOENT | Errno::ESRCH)),
        }
    }
}

/// Name, parent and start time of a process that runs (`man 5 proc`, `/proc/pid/stat`).
fn stat(pid: Pid) -> Option<(String, Pid, String)> {
    read_stat(&fs::read_to_string(stat_file(pid)).ok()?)
}

fn stat_file(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/stat"))
}

fn read_stat(text: &str) -> Option<(String, Pid, String)> {
    let (head, tail) = text.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some((comm, Pid::from_raw(fields.get(1)?.parse().ok()?), (*fields.get(19)?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_or_reused_pid_is_not_the_server() {
        let me = Pid::this();
        let (_, _, started) = stat(me).unwrap();
        assert!(Mysqld { pid: me.as_raw(), started }.is_alive());
        assert!(!Mysqld { pid: me.as_raw(), started: "1".into() }.is_alive());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = stat(Pid::from_raw(pid)).map_or_else(|| "gone".to_owned(), |s| s.2);
        child.wait().unwrap();
        assert!(!Mysqld { pid, started }.is_alive());
    }
}
