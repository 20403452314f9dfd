//! What a server's error log proves.
//!
//! Lines seen in MariaDB 10.11.19 with Galera 26.4.23:
//!
//! - the freeze: `WSREP: Provider paused at <uuid>:<seqno> (<local seqno>)`, once for every pause, whether for a
//!   backup or for an SST that the node donates. Where our program has SQL it takes mysqld's lock for a moment before it asks
//!   for the freeze, and a donor is paused for that, too: of two pauses the last is the freeze;
//! - a node that lacks anything: `WSREP: State transfer required:`, then `Group state: <uuid>:<n>` and
//!   `Local state: <uuid>:<n>`. The server starts the SST script of `wsrep_sst_method` **in either case**;
//! - pure IST: the script says `rsync IST completed on joiner` (it got the donor's `--bypass`), the server
//!   `Installed new state from SST: <its own local state>` and `Receiving IST: <k> writesets, seqnos <a>-<b>` with
//!   a = local seqno + 1;
//! - SST: the script says `rsync SST completed on joiner`. `Receiving IST... 100.0%` (dots, not a colon) appears here
//!   too, for the few write sets since the snapshot, so looking for "Receiving IST" alone proves nothing.
//!
//! A node that leaves misses at least the two configuration changes of its leaving and coming back, so a restart in
//! a living cluster always takes an IST; only a bootstrap has no transfer at all.

use super::server::{LogMark, Server};

/// A position in the cluster's history: `uuid:seqno`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The history's UUID.
    pub uuid: String,
    /// The last write set of the position; -1 for none.
    pub seqno: i64,
}

impl Position {
    /// Parses `uuid:seqno` at the beginning of `text`; what follows the number is not looked at.
    pub fn parse(text: &str) -> Option<Self> {
        let (uuid, rest) = text.trim_start().split_once(':')?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        let seqno = rest.get(..end)?.parse().ok()?;
        (uuid.len() == 36).then(|| Self { uuid: uuid.to_owned(), seqno })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uuid, self.seqno)
    }
}

/// How a node came to the state of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// Nothing was missing.
    NoTransfer,
    /// Only write sets were sent.
    Ist {
        /// What the node had.
        local: Position,
        /// The first write set that it received.
        first: i64,
        /// The last one.
        last: i64,
        /// The server's own line, for people.
        evidence: String,
    },
    /// The data was copied.
    Sst {
        /// The position of the copy, when the server has told it.
        installed: Option<Position>,
    },
    /// A transfer was asked for and none is complete.
    Unfinished,
}

/// Reads from a piece of log how the node joined; the last transfer counts.
pub fn join_in(log: &str) -> Join {
    let Some(start) = log.rfind("WSREP: State transfer required:") else {
        return Join::NoTransfer;
    };
    let log = log.get(start..).unwrap_or_default();
    let after = |text: &str| log.lines().find_map(|l| Some(l.split_once(text)?.1.to_owned()));
    let installed = after("Installed new state from SST: ").and_then(|t| Position::parse(&t));
    if log.contains("SST completed on joiner") {
        return Join::Sst { installed };
    }
    let local = after("Local state: ").and_then(|t| Position::parse(&t));
    let received = log.lines().find(|l| l.contains("WSREP: Receiving IST: "));
    let range = after("writesets, seqnos ").and_then(|t| parse_range(&t));
    match (local, received, range, installed) {
        (Some(local), Some(evidence), Some((first, last)), Some(installed))
            if log.contains("IST completed on joiner") && installed == local =>
        {
            Join::Ist { local, first, last, evidence: evidence.to_owned() }
        }
        _ => Join::Unfinished,
    }
}

fn parse_range(text: &str) -> Option<(i64, i64)> {
    let (first, last) = text.trim().split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Every position at which the provider was paused, oldest first.
pub fn paused_in(log: &str) -> Vec<Position> {
    log.lines().filter_map(|l| Position::parse(l.split_once("WSREP: Provider paused at ")?.1)).collect()
}

/// What SST scripts, ours among them, have written: the lines `WSREP_SST: …`.
pub fn script_lines(log: &str) -> Vec<String> {
    log.lines().filter(|l| l.starts_with("WSREP_SST: ")).map(str::to_owned).collect()
}

/// Panics unless the node joined by IST alone since the mark; gives the server's own line about it.
pub fn assert_joined_by_ist(server: &Server, since: LogMark) -> String {
    let log = server.log_since(since);
    match join_in(&log) {
        Join::Ist { local, first, evidence, .. } if first == local.seqno + 1 => evidence,
        other => panic!("{} did not join by IST alone: {other:?}\n{}", server.name(), server.log_tail()),
    }
}
