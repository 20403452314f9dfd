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

use std::process::{self, ExitCode};

use wsrep_sst_backup::{cli, donate, sst};

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let is_donor = sst::DonorRequest::is_meant(&args);
    ExitCode::from(if is_donor { donate::main(&args, end_now) } else { cli::main() })
}

/// For a donor whose main thread hangs in a disk: the return from `main` would never come.
#[expect(clippy::exit, reason = "the one place that ends the process otherwise than by returning")]
fn end_now(status: u8) {
    process::exit(i32::from(status));
}
