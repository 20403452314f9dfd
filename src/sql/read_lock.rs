//! `FLUSH TABLES WITH READ LOCK`, held by a session of our own.

use std::time::Duration;

use super::SqlSession;
use super::error_text;

/// `ER_LOCK_WAIT_TIMEOUT`, `ER_STATEMENT_TIMEOUT`.
const LATE: [u16; 2] = [1205, 1969];
/// What the server may take for its tables beyond the wait for the lock, seconds.
const CLOSING_S: u64 = 30;
/// How long the server waits for a word of the session that holds the lock, seconds. A program that was stopped (SIGSTOP, a frozen control group)
/// says none, and must not keep the server locked.
const IDLE_S: u32 = 20;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadLockTry {
    /// The session holds it.
    Had,
    /// Somebody was in the way all the time.
    Late,
    /// No answer; the session is lost, and the server may be about to give it the lock.
    Silent,
    /// The server refuses; why.
    Refused(String),
}

/// Where InnoDB's redo log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedoPosition {
    /// `Innodb_lsn_current`.
    pub current: u64,
    /// `Innodb_lsn_flushed`: up to here it is on the disk.
    pub flushed: u64,
}

impl SqlSession {
    /// Longest time for an answer that [`SqlSession::try_read_lock`] needs of its session.
    pub fn read_lock_limit(wait: Duration) -> Duration {
        Duration::from_secs(whole(wait) + CLOSING_S + 5)
    }

    /// Takes the lock, and waits no longer than so many whole seconds for who is in the way: the limit is the session's own, so that a
    /// try ends in the server as well.
    pub fn try_read_lock(&mut self, wait: Duration) -> ReadLockTry {
        let seconds = whole(wait);
        let limits = format!(
            "SET SESSION lock_wait_timeout={seconds}, SESSION max_statement_time={}, SESSION wait_timeout={IDLE_S}",
            seconds + CLOSING_S
        );
        // Without these limits it is not asked at all.
        let done = [limits.as_str(), "FLUSH TABLES WITH READ LOCK"]
            .iter()
            .try_for_each(|statement| self.run_one(statement));
        match done {
            Ok(()) => ReadLockTry::Had,
            Err(mysql::Error::MySqlError(error)) if LATE.contains(&error.code) => ReadLockTry::Late,
            Err(error) if error_text::is_silence(&error) => ReadLockTry::Silent,
            Err(error) => ReadLockTry::Refused(self.plain(error)),
        }
    }

    /// Says that the session is there: it is ended where it says nothing for [`IDLE_S`].
    pub fn stay(&mut self) -> Result<(), String> {
        self.run_one("DO 1").map_err(|error| self.plain(error))
    }

    /// `UNLOCK TABLES`.
    pub fn unlock_tables(&mut self) -> Result<(), String> {
        self.run_one("UNLOCK TABLES").map_err(|error| self.plain(error))
    }

    /// Ends another session, and with it what it holds or waits for.
    pub fn kill(&mut self, id: u32) -> Result<(), String> {
        self.run_one(&format!("KILL CONNECTION {id}")).map_err(|error| self.plain(error))
    }

    /// How far InnoDB's redo log has come.
    pub fn redo_position(&mut self) -> Result<RedoPosition, String> {
        let status = self.status("Innodb_lsn_")?;
        let number = |name: &str| {
            let value = status.get(name).and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("the server does not tell its {name}"))
        };
        Ok(RedoPosition { current: number("innodb_lsn_current")?, flushed: number("innodb_lsn_flushed")? })
    }

    /// Whether this account has the right RELOAD, where it can see its own rights.
    pub fn may_flush(&mut self) -> Result<(), String> {
        match self.may_lock() {
            Err(why) if why.starts_with("no right ") && why.contains("RELOAD") => {
                Err("the account has not the right that FLUSH TABLES WITH READ LOCK needs: GRANT RELOAD ON *.* TO it".into())
            }
            _ => Ok(()),
        }
    }
}

fn whole(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}
