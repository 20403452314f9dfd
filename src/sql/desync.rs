//! Taking a node out of its cluster's flow control, and letting it in again.

use super::SqlSession;

/// `ER_CANNOT_USER`, with which `wsrep_desync_check` tells that the provider has failed.
const PROVIDER_FAILED: u16 = 1396;

/// What came of a desync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesyncAnswer {
    /// The node is desynced.
    Done,
    /// Somebody else had it desynced already.
    Already,
    /// The provider cannot do it now; why. Seen right after an earlier desync had ended, when the node was Synced in its own eyes.
    NotNow(String),
    /// The server refuses; why.
    Refused(String),
}

impl SqlSession {
    /// Whether the node was desynced by hand (`wsrep_desync`). A state transfer or a lock desyncs it too, and does not show here.
    pub fn is_desynced(&mut self) -> Result<bool, String> {
        let rows: Vec<i64> = self.rows("SELECT @@GLOBAL.wsrep_desync")?;
        rows.first().map(|on| *on != 0).ok_or_else(|| "the server has no wsrep_desync".to_owned())
    }

    /// `SET GLOBAL wsrep_desync=ON`; needs the right SUPER. An error means that there was no answer: it may be carried out all the same.
    pub fn desync(&mut self) -> Result<DesyncAnswer, String> {
        let statement = "SET GLOBAL wsrep_desync=ON";
        match self.run_one(statement) {
            Ok(()) => {}
            Err(mysql::Error::MySqlError(error)) => {
                let is_providers = error.code == PROVIDER_FAILED;
                let why = format!("{statement}: {}", self.plain(error.into()));
                return Ok(if is_providers { DesyncAnswer::NotNow(why) } else { DesyncAnswer::Refused(why) });
            }
            Err(error) => return Err(format!("{statement}: {}", self.plain(error))),
        }
        // That it is on already is a warning, and nothing is done then (`sql/wsrep_var.cc`, `wsrep_desync_check`).
        let warnings: Vec<i64> = self.rows("SELECT @@warning_count")?;
        Ok(if warnings.first() == Some(&0) { DesyncAnswer::Done } else { DesyncAnswer::Already })
    }

    /// `SET GLOBAL wsrep_desync=OFF`.
    pub fn resync(&mut self) -> Result<(), String> {
        let statement = "SET GLOBAL wsrep_desync=OFF";
        self.run_one(statement).map_err(|error| format!("{statement}: {}", self.plain(error)))
    }

    /// When the server was started, in seconds since 1970 by its own clock. `Uptime` counts from a moment that the server keeps
    /// (`sql/mysqld.cc`, `show_starttime`), so a clock that is set meanwhile changes nothing; the two questions may lie on either side
    /// of the end of a second.
    pub fn started_at(&mut self) -> Result<i64, String> {
        let uptime = self.status("Uptime")?;
        let now: Vec<i64> = self.rows("SELECT UNIX_TIMESTAMP()")?;
        let uptime: Option<i64> = uptime.get("uptime").and_then(|seconds| seconds.parse().ok());
        match (now.first(), uptime) {
            (Some(now), Some(uptime)) => Ok(now - uptime),
            _ => Err("the server does not say when it was started".to_owned()),
        }
    }
}
