//! What the server's error log says of the node, where SQL does not answer: a best effort.
//!
//! mysqld's stderr is its error log, and ours. Where that is a regular file, what was appended since this
//! program began can be read; at that moment the node was Primary, or the cluster would not have made it a donor.
//! Seen in MariaDB 10.11 with Galera 26.4, when a node is cut off and comes back:
//!
//! ```text
//! 2026-11-20 16:15:03 0 [Note] WSREP: view(view_id(NON_PRIM,6eed7aca-b869,9) memb {
//! 2026-11-20 16:15:13 0 [Note] WSREP: view(view_id(PRIM,6eed7aca-b869,11) memb {
//! ```
//!
//! and when it is shut down: `WSREP: Shutdown replication`, `WSREP: Server status change donor -> disconnecting`, and then
//! `view(view_id(NON_PRIM,…` once more, which is the node leaving and nothing that could be waited for.
//! A log that goes to a pipe, the journal or syslog tells nothing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use nix::sys::stat::{SFlag, fstat};

/// Longest piece of a line that is kept until the rest of it comes.
const LONGEST_LINE: usize = 64 << 10;

/// The last word of the log on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedNodeState {
    /// In the Primary component.
    Primary,
    /// Cut off.
    NonPrimary,
    /// mysqld is shutting down.
    ShuttingDown,
}

/// A log that is read on from where it ended when this program began.
#[derive(Debug)]
pub struct ErrorLog {
    file: File,
    position: u64,
    /// A line without its end.
    rest: Vec<u8>,
    state: LoggedNodeState,
}

impl ErrorLog {
    /// The file behind stderr; none where it is no regular file or may not be read.
    pub fn of_stderr() -> Option<Self> {
        let is_file = fstat(io::stderr().as_fd())
            .is_ok_and(|data| SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG);
        if !is_file {
            return None;
        }
        // Opened anew: a place of our own in the file, and the right to read it.
        let file = File::open("/proc/self/fd/2").ok()?;
        let position = file.metadata().ok()?.len();
        Some(Self { file, position, rest: Vec::new(), state: LoggedNodeState::Primary })
    }

    /// Reads on; the last word so far.
    pub fn state(&mut self) -> io::Result<LoggedNodeState> {
        if self.file.metadata()?.len() < self.position {
            // It was truncated: what it holds now is new.
            self.position = 0;
            self.rest.clear();
        }
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut chunk = [0; 16 << 10];
        loop {
            let got = self.file.read(&mut chunk)?;
            if got == 0 {
                return Ok(self.state);
            }
            self.position += got as u64;
            self.take(&chunk[..got]);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            // A server that shuts down leaves its cluster, and says that last.
            if self.state != LoggedNodeState::ShuttingDown {
                self.state = said(&String::from_utf8_lossy(&line)).unwrap_or(self.state);
            }
        }
        if self.rest.len() > LONGEST_LINE {
            self.rest.clear();
        }
    }
}

/// What one line says of the node, if anything.
fn said(line: &str) -> Option<LoggedNodeState> {
    // Our own lines, and those of other scripts, may quote anything.
    let (_, said) = line.split_once("WSREP: ").filter(|_| !line.starts_with("WSREP_SST: "))?;
    if said.starts_with("view(view_id(PRIM") {
        Some(LoggedNodeState::Primary)
    } else if said.starts_with("view(view_id(NON_PRIM") {
        Some(LoggedNodeState::NonPrimary)
    } else if said.starts_with("Shutdown replication")
        || said.starts_with("Server status change") && said.trim_end().ends_with("-> disconnecting")
    {
        Some(LoggedNodeState::ShuttingDown)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_a_real_log() {
        for (line, wanted) in [
            (
                "2026-11-20 16:15:03 0 [Note] WSREP: view(view_id(NON_PRIM,6eed7aca-b869,9) memb {",
                Some(LoggedNodeState::NonPrimary),
            ),
            (
                "2026-11-20 16:15:13 0 [Note] WSREP: view(view_id(PRIM,6eed7aca-b869,11) memb {",
                Some(LoggedNodeState::Primary),
            ),
            ("2026-11-20 16:15:13 2 [Note] WSREP: Server status change connected -> joiner", None),
            (
                "2026-11-20 16:15:13 2 [Note] WSREP: Server status change donor -> disconnecting",
                Some(LoggedNodeState::ShuttingDown),
            ),
            ("WSREP_SST: [INFO] WSREP: view(view_id(NON_PRIM, (20261120 16:15:13.000)", None),
            ("2026-11-20 16:15:03 9 [Warning] Aborted connection 9: WSREP", None),
        ] {
            assert_eq!(said(line), wanted, "{line}");
        }
    }

    #[test]
    fn the_last_whole_line_counts_also_in_a_log_that_is_truncated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        let mut log = ErrorLog { file, position: 0, rest: Vec::new(), state: LoggedNodeState::Primary };
        assert_eq!(log.state().unwrap(), LoggedNodeState::Primary);
        writer.write_all(b"x\n0 [Note] WSREP: view(view_id(NON_PR").unwrap();
        assert_eq!(log.state().unwrap(), LoggedNodeState::Primary);
        writer.write_all(b"IM,a-b,1) memb {\n\tb,0\n").unwrap();
        assert_eq!(log.state().unwrap(), LoggedNodeState::NonPrimary);
        writer.set_len(0).unwrap();
        writer.seek(SeekFrom::Start(0)).unwrap();
        writer.write_all(b"0 [Note] WSREP: view(view_id(PRIM,\n").unwrap();
        assert_eq!(log.state().unwrap(), LoggedNodeState::Primary);
        // The order in which a server that is stopped says it.
        writer.write_all(b"0 [Note] WSREP: Shutdown replication\n").unwrap();
        writer.write_all(b"0 [Note] WSREP: Server status change donor -> disconnecting\n").unwrap();
        writer.write_all(b"0 [Note] WSREP: view(view_id(NON_PRIM,a-b,8) memb {\n").unwrap();
        assert_eq!(log.state().unwrap(), LoggedNodeState::ShuttingDown);
    }
}
