//! The server of this machine, asked again and again for as long as a command takes.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::load::NodeLoad;
use crate::cluster::Access;
use crate::sql::{Endpoint, SqlSession};

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

    /// What the node has to do, and in which state it is.
    pub fn load(&mut self) -> Result<NodeLoad, String> {
        self.ask(|session| session.status("wsrep_")).map(|status| NodeLoad::of(&status))
    }

    /// Whether no server listens there: what a server was told by SQL has gone with it.
    pub(super) fn is_down(&self) -> bool {
        UnixStream::connect(&self.socket)
            .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
    }
}
