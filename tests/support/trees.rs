//! Comparison of the folder of a server with what was restored of it.

use std::path::Path;
use std::process::Command;

/// What a backup or a restore adds.
const OWN: [&str; 7] = [
    "grastate.dat",
    "SHA256SUMS",
    "wsrep_sst_backup.json",
    "tables_flushed",
    "wsrep_sst.pid",
    "backup_sst_complete",
    "*.restored*",
];
/// What is not stored as it is of a server that runs: of its redo log only what a start reads, and nothing that ends with it.
const OF_A_SERVER: [&str; 4] = ["ib_logfile0", "multi-master.info", "ibtmp1", ".wsrep_sst_backup"];

/// Every file of `expected` is in `found` with the same bytes, and nothing else is, but what a backup or a restore adds.
#[track_caller]
pub fn assert_same_files(expected: &Path, found: &Path) {
    compare(expected, found, &[]);
}

/// The same for the data directory of a server that has been shut down.
#[track_caller]
pub fn assert_same_server(expected: &Path, found: &Path) {
    compare(expected, found, &OF_A_SERVER);
}

#[track_caller]
fn compare(expected: &Path, found: &Path, besides: &[&str]) {
    let mut diff = Command::new("diff");
    diff.arg("-rq").args(OWN.iter().chain(besides).flat_map(|name| ["-x", name])).arg(expected).arg(found);
    let output = diff.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
