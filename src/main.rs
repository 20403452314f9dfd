//! `wsrep_sst_backup`: mysqld starts it on a donor, administrators start its commands.
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{self, ExitCode};

use wsrep_sst_backup::{child, cli, donate, exit, sst};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if child::is_meant(&args) {
        let error = child::become_program(&args);
        let _ = writeln!(std::io::stderr(), "error: {error}");
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        return ExitCode::from(if is_missing { exit::NO_PROGRAM } else { exit::NOT_RUNNABLE });
    }
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let is_donor = sst::DonorRequest::is_meant(&args);
    ExitCode::from(if is_donor { donate::main(&args, end_now) } else { cli::main() })
}

/// For a donor whose main thread hangs in a disk: the return from `main` would never come.
#[expect(clippy::exit, reason = "the one place that ends the process otherwise than by returning")]
fn end_now(status: u8) {
    process::exit(i32::from(status));
}
