//! A donor whose repository is a bucket, and the commands of who looks after its backups.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use crate::server::{KEY_ID, SECRET};
use crate::support::ScriptedMysqld;
use crate::support::cli::{Cli, cli};

/// A server whose donors write into the bucket.
pub fn donor(endpoint: &str, more: &str) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", &format!("{}\n{more}", bucket_settings(endpoint)));
    server
}

/// The settings of such a donor.
pub fn bucket_settings(endpoint: &str) -> String {
    format!(
        "repository=s3://bucket/backups\ns3-endpoint={endpoint}\ns3-access-key-id={KEY_ID}\n\
         s3-secret-access-key={SECRET}"
    )
}

/// An operator's command with the donor's option file.
pub fn command(line: &str, server: &ScriptedMysqld) -> Cli {
    cli(line).own_defaults().arg("--defaults-file").arg(server.cnf())
}

/// The same by a line of its own.
pub fn command_by(endpoint: &str, line: &str, server: &ScriptedMysqld) -> Cli {
    command(line, server).env("WSREP_SST_BACKUP_S3_ENDPOINT", endpoint)
}
