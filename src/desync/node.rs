//! The server of this machine, asked again and again for as long as a command takes.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::load::NodeLoad;
use crate::cluster::Access;
use crate::sql::{Endpoint, SqlSession};

/// Between two tries of what has failed.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// What has failed for so long that it is not tried any more.
pub(super) struct InVain {
    pub(super) tried: Duration,
    pub(super) cause: String,
}

/// The way to the server. A session that is lost is made anew.
pub struct LocalNode {
    access: Access,
    socket: PathBuf,
    session: Option<SqlSession>,
}

impl LocalNode {
    /// Over this socket.
    pub fn new(access: Access, socket: PathBuf) -> Self {
        Self { access, socket, session: None }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// An answer; where an old session has none, that of a new one.
    pub(super) fn ask<T>(
        &mut self,
        question: impl Fn(&mut SqlSession) -> Result<T, String>,
    ) -> Result<T, String> {
        if let Some(mut session) = self.session.take()
            && let Ok(answer) = question(&mut session)
        {
            self.session = Some(session);
            return Ok(answer);
        }
        let mut session = self.access.connect(&Endpoint::Socket(self.socket.clone()))?;
        let answer = question(&mut session)?;
        self.session = Some(session);
        Ok(answer)
    }

    /// An answer of a new session: nothing is said twice.
    pub(super) fn ask_once<T>(
        &mut self,
        question: impl FnOnce(&mut SqlSession) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut session = self.access.connect(&Endpoint::Socket(self.socket.clone()))?;
        let answer = question(&mut session)?;
        self.session = Some(session);
        Ok(answer)
    }

    /// The answer of the server that has run since `started`, asked for again and again for so long. None where that server has ended: what it
    /// was told by SQL has gone with it.
    pub(super) fn insist<T>(
        &mut self,
        started: i64,
        patience: Duration,
        question: impl Fn(&mut SqlSession) -> Result<T, String>,
    ) -> Result<Option<T>, InVain> {
        self.until_answered(patience, |session| {
            // Asked again before it is believed: much depends on it.
            let is_another = !has_started(session, started)? && !has_started(session, started)?;
            if is_another { Ok(None) } else { question(session).map(Some) }
        })
    }

    /// The answer of whichever server listens there, asked for again and again for so long. None where there is none.
    pub(super) fn until_answered<T>(
        &mut self,
        patience: Duration,
        question: impl Fn(&mut SqlSession) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, InVain> {
        let begun = Instant::now();
        loop {
            match self.ask(&question) {
                Ok(answer) => return Ok(answer),
                Err(_) if self.is_down() => return Ok(None),
                Err(cause) if begun.elapsed() >= patience => {
                    return Err(InVain { tried: begun.elapsed(), cause });
                }
                Err(cause) => {
                    log::warn!("{cause}; trying again");
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    /// What the node has to do, and in which state it is.
    pub fn load(&mut self) -> Result<NodeLoad, String> {
        self.ask(|session| session.status("wsrep_")).map(|status| NodeLoad::of(&status))
    }

    /// When the server was started, in seconds since 1970 by its own clock.
    pub fn started_at(&mut self) -> Result<i64, String> {
        self.ask(SqlSession::started_at)
    }

    /// Whether the server that answers now is the one that was started then; one that does not answer may be.
    pub fn has_run_since(&mut self, started: i64) -> bool {
        match self.started_at() {
            Ok(now) => is_same(now, started),
            Err(_) => !self.is_down(),
        }
    }

    /// Whether no server listens there: what a server was told by SQL has gone with it.
    pub fn is_down(&self) -> bool {
        UnixStream::connect(&self.socket)
            .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
    }
}

fn has_started(session: &mut SqlSession, started: i64) -> Result<bool, String> {
    Ok(is_same(session.started_at()?, started))
}

/// Whether two answers are of one server. An earlier version of this program asked for its two numbers one after the other, on either side of the end of
/// a second perhaps.
fn is_same(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= 1
}
