//! Looking from where the donor program will stand: as the server's user, in its mount namespace, with its
//! environment.
//!
//! Modes and owners do not tell whether a user may write: there are ACLs, read-only mounts, sandboxes of systemd,
//! and servers of other machines. So it is tried. A process can give up root only for good, and a file system may
//! hang; therefore a child tries, under a time limit. It is this program once more, with the request on stdin and
//! the answer on stdout, both JSON: a password never shows in a command line.

use std::io::{Read, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::{FilesSeen, Measured};
use super::probe_request::ProbeRequest;
use super::program::FoundProgram;
use super::repository::RepositoryView;
use super::sql::LoginTrial;
use crate::config::RepositoryUrl;
use crate::model::not_understood;

/// The command that the child runs; no person types it.
pub const COMMAND: &str = "check-from-server";
/// The longest wait for the child.
const LIMIT: Duration = Duration::from_secs(60);

/// The donor's settings, as far as they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DonorSettings {
    pub(super) repository: RepositoryUrl,
    pub(super) cluster: Option<String>,
    /// As it is set.
    pub(super) method: String,
    pub(super) allow_rocksdb: bool,
    /// Whether the archive is compressed at all.
    pub(super) compressed: bool,
    pub(super) limit_rate: Option<NonZeroU64>,
    pub(super) freeze_timeout: Duration,
    pub(super) flush_timeout: Duration,
    pub(super) allow_sync_donor: bool,
    /// Option files that were passed over, and the like.
    pub(super) warnings: Vec<String>,
}

/// The answer of the child.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Why it could not enter the namespace or become the user. What follows is then seen from here.
    pub(super) astray: Option<String>,
    /// What the donor will read.
    pub(super) settings: Option<Result<DonorSettings, String>>,
    /// Regular files of the program's name, in the order of the search.
    pub(super) programs: Vec<FoundProgram>,
    pub(super) repository: RepositoryView,
    pub(super) data: Option<Measured>,
    pub(super) login: Option<LoginTrial>,
    /// Bytes that are free for page files.
    pub(super) gcache_free: Option<u64>,
    /// The data directory has files of a server that replicates from another one.
    pub(super) is_replica: bool,
    /// Directories of engines that are not frozen: where they are, and whose.
    pub(super) unfrozen: Vec<(PathBuf, String)>,
    /// How the repository and the server's files lie in each other, if they do.
    pub(super) overlap: Option<String>,
    /// What became of a look at all files; none where this process is not the server's user.
    pub(super) files: Option<FilesSeen>,
}

/// Starts the child and waits for its answer; the text says why there is none.
pub(super) fn ask(request: &ProbeRequest) -> Result<ProbeAnswer, String> {
    let system = |error: std::io::Error| format!("cannot start '{COMMAND}': {error}");
    let mut child = Command::new("/proc/self/exe")
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map_err(system)?;
    let bytes = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&bytes).map_err(system)?;
    }
    let text = read_within(&mut child, LIMIT)?;
    serde_json::from_str(&text)
        .map_err(|error| format!("'{COMMAND}' has ended without an answer: {}", not_understood(&error)))
}

/// What a child writes until its end. At the limit it is killed, and not waited for: a process that hangs in a disk
/// cannot be.
pub(super) fn read_within(child: &mut Child, limit: Duration) -> Result<String, String> {
    let Some(mut stdout) = child.stdout.take() else { return Ok(String::new()) };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = sender.send(stdout.read_to_string(&mut text).map(|_| text));
    });
    let Ok(text) = receiver.recv_timeout(limit) else {
        let _ = child.kill();
        return Err(format!("no answer within {} s", limit.as_secs()));
    };
    let _ = child.wait();
    text.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_hangs_is_given_up() {
        let start =
            |script: &str| Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut hangs = start("exec sleep 60");
        let told = read_within(&mut hangs, Duration::from_millis(50));
        assert_eq!(told, Err("no answer within 0 s".into()));
        assert!(!hangs.wait().unwrap().success());
        assert_eq!(read_within(&mut start("echo x"), Duration::from_secs(60)), Ok("x\n".into()));
    }
}
