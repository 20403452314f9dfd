//! The form of a log line.
//!
//! In the donor role stderr is the server's error log, and a line has the form of the other SST
//! scripts (`wsrep_sst_common.sh`, `wsrep_log`): `WSREP_SST: [INFO] message (20261120 11:34:52.123)`,
//! local time as there. An operator sees warnings and errors only.

use std::io::Write;

use jiff::Zoned;
use log::{Level, LevelFilter};

use super::visible;

/// A library that logs the error that it returns.
const TOLD_TWICE: &str = "rustls_platform_verifier";

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

/// Lines for mysqld's error log.
pub fn init_donor() {
    let _ = env_logger::Builder::new()
        .filter(None, LevelFilter::Warn)
        .filter(Some("wsrep_sst_backup"), LevelFilter::Info)
        .filter(Some(TOLD_TWICE), LevelFilter::Off)
        .format(|out, record| {
            let now = Zoned::now().strftime("%Y%m%d %H:%M:%S.%3f");
            // One line each, whatever a library or a file name puts into a message.
            let message = record.args().to_string().replace(['\n', '\r'], " ");
            writeln!(out, "WSREP_SST: [{}] {} ({now})", level_name(record.level()), visible(&message))
        })
        .target(env_logger::Target::Stderr)
        .try_init();
}

/// Lines for a person.
pub fn init_operator() {
    let _ = env_logger::Builder::new()
        .filter(None, LevelFilter::Warn)
        .filter(Some(TOLD_TWICE), LevelFilter::Off)
        .format(|out, record| {
            let message = record.args().to_string();
            writeln!(out, "{}: {}", level_name(record.level()).to_lowercase(), visible(&message))
        })
        .target(env_logger::Target::Stderr)
        .try_init();
}
