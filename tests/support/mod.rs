//! A real Galera cluster on loopback, for tests and for the demo.
//!
//! Everything that is started here belongs to a [`Scratch`] folder and dies with it, however the test ends.
//! The settings of the servers follow MariaDB's and Galera's manuals; which lines of the error log prove
//! what is described in [`log`], from logs of MariaDB 10.11.19 with Galera 26.4.23.
//!
//! A test says what it needs and gets a cluster whose nodes are Synced:
//!
//! ```ignore
//! let options = ClusterOptions::new().binary(env!("CARGO_BIN_EXE_wsrep_sst_backup"));
//! let cluster = Cluster::start(3, &options);
//! cluster.n(1).exec("CREATE DATABASE d");
//! ```
//!
//! A helper that cannot do its work panics with the reason and the end of the server's log: that is what a
//! test wants. Environment: `KEEP=1` keeps the folder (the servers are stopped all the same); `WSREP_TEST_METHOD` is the
//! method of all donors ([`method`]).
#![allow(dead_code, unused_imports, reason = "every test binary uses another part of the harness")]
#![allow(unreachable_pub, reason = "the harness is a module of each test binary")]
#![allow(clippy::missing_panics_doc, reason = "a harness reports by panicking")]

pub mod archive;
mod aside;
pub mod asking;
pub mod bad_disk;
mod busy;
pub mod cli;
pub mod clients;
pub mod cluster;
pub mod cnf;
pub mod crash_rows;
pub mod damage;
mod definer;
pub mod donor;
pub mod encryption;
pub mod fixtures;
pub mod garbd;
pub mod log;
pub mod node;
mod pace;
pub mod ports;
pub mod precopy;
pub mod program;
pub mod prometheus;
pub mod replica;
pub mod root;
pub mod rows;
pub mod run_faults;
pub mod scratch;
pub mod scripted_mysqld;
pub mod server;
pub mod sql;
pub mod template;
pub mod trees;
pub mod writer;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub use aside::AsideWatch;
pub use asking::{Administrator, Asking, Told};
pub use busy::BusyCluster;
pub use clients::Clients;
pub use cluster::Cluster;
pub use cnf::ClusterOptions;
pub use definer::Definer;
pub use donor::DonorProgram;
pub use garbd::{Garbd, GarbdOutcome};
pub use log::{Join, Position, assert_joined_by_ist};
pub use node::Node;
pub use pace::Pace;
pub use program::Program;
pub use replica::Replica;
pub use root::Root;
pub use rows::{all_checksums, assert_same_rows, row_checksum};
pub use scratch::Scratch;
pub use scripted_mysqld::ScriptedMysqld;
pub use server::{LogMark, Server};
pub use writer::{Writer, WriterStats};

/// The method that donors back up by: `WSREP_TEST_METHOD`, by which `scripts/test --methods` runs a test once for each. None
/// is the program's own choice.
pub fn method() -> Option<String> {
    std::env::var("WSREP_TEST_METHOD").ok().filter(|method| !method.is_empty())
}

/// A line of settings for a donor that has no account for SQL: the method that needs one is refused, so another takes its place.
pub fn method_without_sql() -> &'static str {
    if method().as_deref() == Some("precopy") { "method=freeze" } else { "" }
}

/// How long a server may take for anything that has no time of its own here; generous, because several
/// clusters share few cores.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Copies a program that is to be started. `cp` does it: had this process written the file, a test beside this one that
/// is just starting something would hold it open for writing, and the system would refuse to run it ("Text file busy").
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let status = Command::new("cp").arg("--").args([from, to]).status().expect("cannot run cp");
    assert!(status.success(), "cannot copy '{}' to '{}'", from.display(), to.display());
}

/// Runs `openssl` with the words of `line` in a folder, for certificates.
pub fn openssl(folder: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
    let output = output.expect("no openssl here: run scripts/install-deps");
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Bytes that do not compress, the same ones for the same seed.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// Asks `condition` every 20 ms until it holds; false when `timeout` has passed without that.
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The peak memory of a process at its end, in KiB. The peak only rises, so the last word before the end is close to it.
pub fn peak_kib_to_the_end(pid: u32) -> u64 {
    let mut peak_kib = 0;
    loop {
        let now = cli::peak_kib(pid);
        if now == 0 && peak_kib > 0 {
            return peak_kib;
        }
        peak_kib = now.max(peak_kib);
        std::thread::sleep(Duration::from_millis(1));
    }
}
