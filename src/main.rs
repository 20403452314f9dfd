//! `wsrep_sst_backup`: mysqld starts it on a donor, administrators start its commands.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use wsrep_sst_backup::{cli, donate, sst};

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let status = if sst::DonorRequest::is_meant(&args) { donate::main(&args) } else { cli::main() };
    ExitCode::from(status)
}
