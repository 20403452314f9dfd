//! `drill.json`: what came of starting a server on the backup.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ToolIdentity;

/// The content of `drill.json`. For information: nothing that reads a backup needs it, and nothing that chooses one heeds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// When the drill ended.
    pub drilled: Timestamp,
    /// Who: `user@host`.
    pub by: String,
    /// What it came to.
    pub outcome: DrillOutcome,
    /// The step that the backup has not passed; none where it has passed all.
    #[serde(default)]
    pub failed_at: Option<DrillStep>,
    /// Why, in words; none of an encrypted backup.
    #[serde(default)]
    pub reason: Option<String>,
    /// The version of the server that was started.
    pub server: String,
    /// What it has found and measured.
    #[serde(flatten)]
    pub measured: DrillMeasures,
    /// Milliseconds from the beginning to the end.
    pub took_ms: u64,
    /// The program that did it.
    pub tool: ToolIdentity,
}

/// What a drill has found and measured, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillMeasures {
    /// Where the server found its files to stand; none where they tell no position, as those of a dump.
    #[serde(default)]
    pub position: Option<String>,
    /// How many tables the server has, and how many of them were checked.
    pub tables: TableCount,
    /// Rows that were counted in the tables that were checked.
    pub rows: u64,
    /// Questions of the administrator's that had the expected answers.
    pub queries: u64,
    /// Milliseconds until the files were restored, or the dump was loaded.
    pub restore_ms: u64,
    /// Milliseconds from then on until the server had recovered and answered.
    pub start_ms: u64,
    /// Milliseconds for tables and questions.
    pub check_ms: u64,
    /// How the server joined its cluster, where it was to join; after all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Box<DrilledJoin>>,
}

/// How a drilled server has joined its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledJoin {
    /// Milliseconds from the order to join until it was Synced.
    pub ms: u64,
    /// Write sets that it received by IST; 0 where it lacked none.
    pub writesets: u64,
    /// Where it stood then.
    pub position: String,
}

/// Tables of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCount {
    /// All of them, views left out.
    pub all: u64,
    /// Those that were checked.
    pub checked: u64,
}

/// Whether a backup has passed its drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrillOutcome {
    /// A server ran on it, and everything was as expected.
    Proved,
    /// It has not passed a step.
    Failed,
}

/// What a drill does, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrillStep {
    /// The files are restored, or the dump is loaded.
    Restore,
    /// The files are recovered, and their position is compared with the manifest.
    Position,
    /// The server starts.
    Start,
    /// Its tables are checked.
    Tables,
    /// The administrator's questions have the expected answers.
    Query,
    /// The server is shut down.
    Stop,
    /// It joins its cluster by IST, and leaves it.
    Join,
}

impl DrillStep {
    /// Its name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Position => "position",
            Self::Start => "start",
            Self::Tables => "tables",
            Self::Query => "query",
            Self::Stop => "stop",
            Self::Join => "join",
        }
    }
}

impl DrillRecord {
    /// How long it takes from nothing to a server that answers, as it was measured, milliseconds.
    pub fn recovery_ms(&self) -> u64 {
        self.measured.restore_ms.saturating_add(self.measured.start_ms)
    }

    /// What it has not passed and when, in words.
    pub fn failure(&self) -> String {
        let step = self.failed_at.map_or("", DrillStep::name);
        format!("it has failed the drill of {} at the step '{step}'", self.drilled.strftime("%Y-%m-%d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(outcome: &str, failed_at: &str) -> DrillRecord {
        let text = format!(
            r#"{{"drilled": "2026-11-20T11:34:52Z", "by": "root@db1", "outcome": "{outcome}", "failed_at": {failed_at},
                "server": "10.11.19-MariaDB", "tables": {{"all": 57, "checked": 50}}, "rows": 9, "queries": 1,
                "restore_ms": 1200, "start_ms": 300, "check_ms": 50, "took_ms": 1700, "tool": {{"version": "0.1.0"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_failure_names_its_step() {
        for step in ["restore", "position", "start", "tables", "query", "stop", "join"] {
            assert_eq!(
                record("failed", &format!("\"{step}\"")).failure(),
                format!("it has failed the drill of 2026-11-20 at the step '{step}'")
            );
        }
        assert_eq!(record("proved", "null").recovery_ms(), 1500);
    }
}
