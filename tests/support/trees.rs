//! Comparison of the folder of a server with what was restored of it.

use std::path::Path;
use std::process::Command;

/// Every file of `expected` is in `found` with the same bytes, and nothing else is, but what a backup or a restore adds.
#[track_caller]
pub fn assert_same_files(expected: &Path, found: &Path) {
    let own = [
        "grastate.dat",
        "SHA256SUMS",
        "wsrep_sst_backup.json",
        "tables_flushed",
        "wsrep_sst.pid",
        "backup_sst_complete",
        "*.restored*",
    ];
    let mut diff = Command::new("diff");
    diff.arg("-r").args(own.iter().flat_map(|name| ["-x", name])).arg(expected).arg(found);
    let output = diff.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
