//! wsrep_sst_backup.
#![forbid(unsafe_code)]
fn main() {}
