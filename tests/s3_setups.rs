//! Buckets as people have them: locked ones, keys that may only put, slow lines, proxies, and servers that are none of S3.

#[path = "storage/contract.rs"]
mod contract;
#[path = "storage/donor.rs"]
mod donor;
#[path = "s3_setups/donors.rs"]
mod donors;
#[path = "s3_setups/lines.rs"]
mod lines;
#[path = "s3_setups/locked.rs"]
mod locked;
#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/server.rs"]
mod server;
mod support;

use proxy::Said;

/// An answer of S3 that refuses.
pub fn refusal(status: &'static str, code: &str, message: &str) -> Option<Said> {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Some(Said { status, headers: String::new(), body })
}
