//! One node of a Galera cluster: a [`Server`] that knows its state in the group.

use std::fmt::Display;
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::PATIENCE;
use super::log::{self, Join, Position};
use super::ports::Ports;
use super::scratch::ServerUser;
use super::server::{LogMark, Server};

/// A node; everything of [`Server`] can be called on it.
#[derive(Debug)]
pub struct Node {
    server: Server,
    ports: Ports,
    user: ServerUser,
    outside: Vec<String>,
}

impl Deref for Node {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Node {
    pub(super) fn new(server: Server, ports: Ports, user: ServerUser, outside: Vec<String>) -> Self {
        Self { server, ports, user, outside }
    }

    /// The port for SQL.
    pub fn port(&self) -> u16 {
        self.ports.port(0)
    }

    /// `127.0.0.1:<group port>`, where members of the group connect.
    pub fn group_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.port(1))
    }

    /// Starts the server, as the first of a new cluster or as a member; does not wait.
    pub fn start(&self, new_cluster: bool) {
        self.spawn(if new_cluster { &["--wsrep-new-cluster"] } else { &[] });
    }

    /// Starts the server as a member and waits until it is Synced; gives how it joined.
    pub fn rejoin(&self) -> Join {
        let mark = self.log_mark();
        self.start(false);
        self.wait_synced(PATIENCE);
        self.join_since(mark)
    }

    /// The same for a node that died or was stopped in the middle of something, as often as Galera itself asks for it:
    /// an IST after a crash may fail with "node restart required" (seen with 26.4.23: `IST started with wrong seqno`).
    /// Gives how it joined, and how many restarts were asked for.
    pub fn come_back(&self) -> (Join, u32) {
        for restarts in 0..3 {
            let mark = self.log_mark();
            self.start(false);
            let is_refused = || self.log_since(mark).contains("node restart required");
            let is_back = || self.state() == "Synced" && self.status("wsrep_ready") == "ON";
            self.wait_for("state Synced", PATIENCE, || is_refused() || is_back());
            if !is_refused() {
                self.wait_synced(PATIENCE);
                return (self.join_since(mark), restarts);
            }
            self.kill9();
        }
        panic!("{} does not come back\n{}", self.name(), self.log_tail());
    }

    /// How the node joined, from the log after the mark.
    pub fn join_since(&self, mark: LogMark) -> Join {
        log::join_in(&self.log_since(mark))
    }

    /// `wsrep_local_state_comment`: `Synced`, `Donor/Desynced`, `Joining…`; empty when the server does not answer.
    pub fn state(&self) -> String {
        self.status("wsrep_local_state_comment")
    }

    /// Waits for a state.
    pub fn wait_state(&self, state: &str, timeout: Duration) {
        self.wait_for(&format!("state {state}"), timeout, || self.state() == state);
    }

    /// Waits until the node is a Synced member of a primary component and takes queries.
    pub fn wait_synced(&self, timeout: Duration) {
        self.wait_for("state Synced", timeout, || {
            self.state() == "Synced"
                && self.status("wsrep_ready") == "ON"
                && self.status("wsrep_cluster_status") == "Primary"
        });
    }

    /// Waits until the node, a donor since the mark, is done with it: the state goes to Donor and back within
    /// milliseconds, so only the log can tell.
    pub fn wait_donor_done(&self, mark: LogMark, timeout: Duration) {
        self.wait_log(mark, "WSREP: Shifting DONOR/DESYNCED -> JOINED", timeout);
        self.wait_synced(timeout);
    }

    /// The last committed write set: `wsrep_last_committed` with the history's UUID.
    pub fn position(&self) -> Position {
        let seqno = self.status("wsrep_last_committed").parse();
        let seqno = seqno.unwrap_or_else(|_| panic!("{} does not answer", self.name()));
        Position { uuid: self.status("wsrep_cluster_state_uuid"), seqno }
    }

    /// Every position at which the server itself says it was paused, oldest first.
    pub fn paused_positions(&self) -> Vec<Position> {
        log::paused_in(&self.log())
    }

    /// The same, after the mark.
    pub fn paused_since(&self, mark: LogMark) -> Vec<Position> {
        log::paused_in(&self.log_since(mark))
    }

    /// Where the server itself says it was paused last, after the mark: the freeze of one backup.
    pub fn frozen_since(&self, mark: LogMark) -> Option<Position> {
        self.paused_since(mark).pop()
    }

    /// The lines of the SST scripts (`WSREP_SST: …`), ours among them, after the mark.
    pub fn script_lines(&self, mark: LogMark) -> Vec<String> {
        log::script_lines(&self.log_since(mark))
    }

    /// Sets an option of Galera, such as `gcs.fc_limit`, while the server runs. Where the plugin `wsrep_provider` is loaded
    /// (Debian's 11.8) it is a variable of its own, and `wsrep_provider_options` cannot be set.
    pub fn set_provider_option(&self, option: &str, value: impl Display) {
        let variable = format!("wsrep_provider_{}", option.replace('.', "_"));
        if self.sql(&format!("SHOW GLOBAL VARIABLES LIKE '{variable}'")).is_empty() {
            self.exec(&format!("SET GLOBAL wsrep_provider_options = '{option}={value}'"));
        } else {
            self.exec(&format!("SET GLOBAL {variable} = {value}"));
        }
    }

    /// Flow control messages that this node has sent.
    pub fn flow_control_sent(&self) -> u64 {
        self.status("wsrep_flow_control_sent")
            .parse()
            .unwrap_or_else(|_| panic!("{} does not answer", self.name()))
    }

    /// A folder of the node's own, outside of the data directory; `wipe_datadir` empties it.
    pub fn outside_dir(&self, name: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("cannot make '{}': {e}", path.display()));
        self.user.own(&path);
        path
    }

    /// Removes everything that the stopped server had: the data directory's content and the folders outside of it.
    pub fn wipe_datadir(&self) {
        assert!(!self.is_running(), "{} is running", self.name());
        let outside = self.outside.iter().map(String::as_str).chain([super::fixtures::OUTSIDE]);
        for name in outside.chain(["data"]) {
            let _ = fs::remove_dir_all(self.dir().join(name));
            self.outside_dir(name);
        }
    }

    /// Takes over the files of another stopped node, data directory and folders outside; this node then lacks only
    /// what comes later, and joins by IST.
    pub fn copy_data_of(&self, other: &Self) {
        self.wipe_datadir();
        for name in self.outside.iter().map(String::as_str).chain(["data"]) {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(other.dir().join(name).join("."))
                .arg(self.dir().join(name))
                .status();
            assert!(copied.is_ok_and(|s| s.success()), "cannot copy '{name}' of {}", other.name());
        }
        for own in ["galera.cache", "gvwstate.dat"] {
            let _ = fs::remove_file(self.datadir().join(own));
        }
        let state = self.datadir().join("grastate.dat");
        let text = fs::read_to_string(&state).expect("the other node has a grastate.dat");
        let text = text.replace("safe_to_bootstrap: 1", "safe_to_bootstrap: 0");
        fs::write(&state, text).expect("cannot write grastate.dat");
    }

    /// Gives a restored data directory to the server's account.
    pub fn own_datadir(&self) {
        self.user.own_tree(&self.datadir());
    }
}
