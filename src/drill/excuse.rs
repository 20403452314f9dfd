//! What a server says, or how it ends, that speaks of this machine and not of its files.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

/// Why nothing is said of a backup whose server has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerExcuse {
    /// Somebody has killed it.
    Killed,
    /// It had no memory.
    NoMemory,
    /// It had no room.
    NoRoom,
    /// It lacks a key, or the plugin that gives keys.
    NoKey,
    /// It is of a series that does not recover the redo log of an older one.
    OlderRedo,
}

/// What servers and the C library say, from the message files and the sources of MariaDB 10.11.
const SAID: [(ServerExcuse, &[&str]); 4] = [
    (
        ServerExcuse::NoRoom,
        &["No space left on device", "Disk is full", "Disk full", "rrcode: 28 ", "errno: 28 "],
    ),
    (ServerExcuse::NoMemory, &["Cannot allocate memory", "Out of memory", "rrcode: 12 ", "errno: 12 "]),
    (
        ServerExcuse::NoKey,
        &[
            " is encrypted but ",
            "decrypt failed",
            "Obtaining redo log encryption key version",
            "Cannot decrypt log",
            "Plugin 'file_key_management' init function returned error",
            "Plugin 'hashicorp_key_management' init function returned error",
            "Plugin 'aws_key_management' init function returned error",
        ],
    ),
    (
        ServerExcuse::OlderRedo,
        &[
            "Upgrade after a crash is not supported",
            "Unsupported redo log format",
            "redo log was created with",
        ],
    ),
];

impl ServerExcuse {
    /// Of a server that has ended so, by its log.
    pub(super) fn of(status: ExitStatus, log: &str) -> Option<Self> {
        let is_killed = status.signal() == Some(Signal::SIGKILL as i32);
        Self::in_text(log).or_else(|| is_killed.then_some(Self::Killed))
    }

    /// Of what a server says, a line of its log or an answer.
    pub(super) fn in_text(text: &str) -> Option<Self> {
        let is_said = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        SAID.iter().find(|(_, parts)| is_said(parts)).map(|(excuse, _)| *excuse)
    }

    /// What it is, and what to do.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Killed => {
                "the server was killed, by the kernel for want of memory (its log tells) or by somebody: see to that, and drill again"
            }
            Self::NoMemory => {
                "the server had too little memory: drill it when there is more, or on another machine"
            }
            Self::NoRoom => "the server had no room left: name a place with more (--scratch DIR)",
            Self::NoKey => {
                "the server could not read what is encrypted: a key, or the plugin that gives keys, is missing here or has no right options in the \
                 server's option files. Only where a page itself is damaged does it say the same: 'verify' tells the two apart"
            }
            Self::OlderRedo => {
                "a server of this series cannot recover the redo log of an older one: name a server of the backup's own series (--mysqld PATH)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_and_the_words_of_a_server_are_told_apart() {
        let ended = |raw: i32, log: &str| ServerExcuse::of(ExitStatus::from_raw(raw), log);
        assert_eq!(ended(9, "all is well"), Some(ServerExcuse::Killed));
        assert_eq!(ended(6, "[ERROR] mysqld got signal 6"), None);
        assert_eq!(ended(1 << 8, "[ERROR] InnoDB: Corrupted page"), None);
        for (log, excuse) in [
            ("[ERROR] InnoDB: Error number 28 means 'No space left on device'", ServerExcuse::NoRoom),
            ("[ERROR] mariadbd: Error writing file '/x' (Errcode: 28 \"x\")", ServerExcuse::NoRoom),
            ("[ERROR] InnoDB: Cannot allocate memory for the buffer pool", ServerExcuse::NoMemory),
            (
                "InnoDB: Upgrade after a crash is not supported. The redo log was created with MariaDB 10.5",
                ServerExcuse::OlderRedo,
            ),
            (
                "Table d.t in file ./d/t.ibd is encrypted but encryption service or used key_id is not available.",
                ServerExcuse::NoKey,
            ),
        ] {
            assert_eq!(ended(1 << 8, log), Some(excuse), "{log}");
        }
    }
}
