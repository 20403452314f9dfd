//! Taking a node out of its cluster's flow control, and letting it in again.

use super::SqlSession;

/// `ER_CANNOT_USER`, with which `wsrep_desync_check` tells that the provider has failed.
const PROVIDER_FAILED: u16 = 1396;

/// When the server was started.
const STARTED: &str = "SELECT UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED) FROM information_schema.GLOBAL_STATUS \
                       WHERE VARIABLE_NAME = 'UPTIME'";

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

    /// Whether the account has the right that [`Self::desync`] needs.
    pub fn may_desync(&mut self) -> Result<bool, String> {
        let grants: Vec<String> = self.rows("SHOW GRANTS")?;
        Ok(grants.iter().any(|grant| gives_super(grant)))
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

    /// When the server was started, in seconds since 1970 by its own clock. `Uptime` is the beginning of the statement less a moment that the
    /// server keeps (`sql/mysqld.cc`, `show_starttime`), and `UNIX_TIMESTAMP()` is the same beginning: in one statement neither a clock that is
    /// set meanwhile nor a machine that stands still changes anything.
    pub fn started_at(&mut self) -> Result<i64, String> {
        let started: Vec<i64> = self.rows(STARTED)?;
        started.first().copied().ok_or_else(|| "the server does not say when it was started".to_owned())
    }
}

/// Whether a line of `SHOW GRANTS` gives the right SUPER.
fn gives_super(grant: &str) -> bool {
    let rights = grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON *.* TO "));
    rights.is_some_and(|(rights, _)| {
        rights.split(", ").any(|right| ["ALL PRIVILEGES", "SUPER"].contains(&right))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_is_a_right_on_all() {
        for (grant, gives) in [
            ("GRANT ALL PRIVILEGES ON *.* TO `mysql`@`localhost` IDENTIFIED VIA unix_socket", true),
            ("GRANT RELOAD, SUPER, PROCESS ON *.* TO `m`@`localhost`", true),
            ("GRANT RELOAD, PROCESS ON *.* TO `m`@`localhost`", false),
            ("GRANT ALL PRIVILEGES ON `SUPER`.* TO `m`@`localhost`", false),
            ("GRANT `SUPER` TO `m`@`localhost`", false),
        ] {
            assert_eq!(gives_super(grant), gives, "{grant}");
        }
    }
}
