//! `run` by clones under the settings of other people's servers, two combinations of most of them; `scripts/soak crash` has all.

mod support;

use support::crash_rows::{CRASH_CORE, try_crash_row};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn what_is_in_memory_only_and_what_was_just_rotated_is_in_the_backup() {
    try_crash_row(BINARY, &CRASH_CORE[0], 1);
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn an_encrypted_server_without_a_binary_log_recovers_to_the_position() {
    try_crash_row(BINARY, &CRASH_CORE[1], 1);
}
