//! Taking a node out of its cluster's flow control, and letting it in again.

use super::SqlSession;

impl SqlSession {
    /// Whether the node was desynced by hand (`wsrep_desync`). A state transfer or a lock desyncs it too, and does not show here.
    pub fn is_desynced(&mut self) -> Result<bool, String> {
        let rows: Vec<i64> = self.rows("SELECT @@GLOBAL.wsrep_desync")?;
        rows.first().map(|on| *on != 0).ok_or_else(|| "the server has no wsrep_desync".to_owned())
    }

    /// `SET GLOBAL wsrep_desync`; needs the right SUPER. That it has this value already is no error to the server, and nothing is done
    /// then (`sql/wsrep_var.cc`, `wsrep_desync_check`).
    pub fn set_desync(&mut self, on: bool) -> Result<(), String> {
        let statement = if on { "SET GLOBAL wsrep_desync=ON" } else { "SET GLOBAL wsrep_desync=OFF" };
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
