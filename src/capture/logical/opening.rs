//! When the server may run again: the consistent snapshot of the dump is open.
//!
//! Two things prove it, and both are asked for. **What the program has written**: it sends its statements one after the other, ends where one fails, and writes
//! the name of the first database behind `START TRANSACTION WITH CONSISTENT SNAPSHOT` (`main`, `start_transaction`, `init_dumping` in
//! `client/mysqldump.c`). **The server**: a session that has come since the program was started reads from a snapshot. A program that has come to its end
//! while the server stood still needs neither.
//!
//! Nothing waits for a time to pass: what is not seen within the limit is an error.

use std::time::{Duration, Instant};

use super::super::error::CaptureError;
use super::super::watch::Watch;
use super::program::{Dumping, Seen};
use crate::sql::SqlSession;

/// How long it may take: it is a matter of milliseconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(5);

/// What is known beforehand.
pub(super) struct Opening<'a> {
    pub(super) watch: &'a Watch,
    /// The number of a session that came before the program was started.
    pub(super) last_session: u32,
}

/// Whether a new session of another program can ask a server that stands still.
pub(super) fn admits(sql: &mut SqlSession) -> Result<(), String> {
    match sql.global_sync_wait() {
        Ok(0) => Ok(()),
        Ok(_) => Err(
            "wsrep_sync_wait is set for all sessions of this server: under the freeze mariadb-dump would wait for the cluster in vain. SET GLOBAL \
             wsrep_sync_wait=0, and let the sessions set it that need it"
                .into(),
        ),
        Err(why) => Err(why),
    }
}

impl Opening<'_> {
    /// Until it is open; the inner error is that of a dump that another try may make good.
    pub(super) fn wait(
        &self,
        dumping: &mut Dumping,
        sql: &mut SqlSession,
    ) -> Result<Result<(), String>, CaptureError> {
        let begun = Instant::now();
        let mut is_begun = false;
        loop {
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            if !is_begun {
                match dumping.look()? {
                    Seen::Ended => return dumping.ended(),
                    Seen::Begun => is_begun = true,
                    Seen::Nothing => {}
                }
            }
            if is_begun && self.is_seen_by_server(sql)? {
                return Ok(Ok(()));
            }
            if begun.elapsed() > LIMIT {
                let what =
                    if is_begun { "the server does not show it" } else { "mariadb-dump has written nothing" };
                return Err(CaptureError::Program(format!(
                    "whether the dump reads from a consistent snapshot is not known after {} s: {what}",
                    LIMIT.as_secs()
                )));
            }
            if is_begun {
                // The program may have come to its end, and its session with it.
                if dumping.has_exited()? {
                    return Ok(Ok(()));
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    fn is_seen_by_server(&self, sql: &mut SqlSession) -> Result<bool, CaptureError> {
        let found = sql.snapshots().map_err(|why| {
            CaptureError::Program(format!("the server does not tell which snapshots are open: {why}"))
        })?;
        // A server with so many transactions that it does not list them all tells nothing; the program has.
        Ok(found.is_none_or(|sessions| sessions.iter().any(|session| *session > self.last_session)))
    }
}
