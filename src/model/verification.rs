//! `verify.json`: what the last look at the whole backup has found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ToolIdentity;

/// The content of `verify.json`. For information: nothing that reads a backup needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When the look ended.
    pub verified: Timestamp,
    /// Who: `user@host`.
    pub by: String,
    /// The command that looked.
    pub command: String,
    /// What it came to.
    pub outcome: VerifyOutcome,
    /// How many things are wrong.
    pub findings: u64,
    /// The first of them, in words.
    #[serde(default)]
    pub first_finding: Option<String>,
    /// Files whose content was read and compared.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// InnoDB pages whose checksum was computed.
    pub pages_checked: u64,
    /// InnoDB pages that cannot be checked without the server.
    pub pages_skipped: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// The program that looked.
    pub tool: ToolIdentity,
}

impl Verification {
    /// How much was found, by which command and when.
    pub fn damage(&self) -> String {
        let findings =
            if self.findings == 1 { "1 finding".to_owned() } else { format!("{} findings", self.findings) };
        format!("{findings} of '{}' on {}", self.command, self.verified.strftime("%Y-%m-%d"))
    }
}

/// Whether a backup is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyOutcome {
    /// Everything was read, and nothing is wrong.
    Intact,
    /// Something is wrong.
    Damaged,
}
