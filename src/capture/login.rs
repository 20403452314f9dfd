//! How to reach the local server by SQL: where its socket is, and whom to try.

use std::path::PathBuf;

use super::sql::SqlSession;
use crate::config::Settings;
use crate::sst::{Credentials, DonorRequest};

/// The socket and the accounts. Connecting can be tried again at any time.
#[derive(Debug, Clone)]
pub struct Login {
    socket: Option<PathBuf>,
    candidates: Vec<Credentials>,
}

impl Login {
    /// The configured account only, where there is one; else what mysqld passed, then the OS user.
    pub fn new(request: &DonorRequest, settings: &Settings, passed: &Credentials) -> Self {
        let socket = settings.socket.as_deref().or(request.socket.as_deref());
        let socket = socket.map(|socket| request.datadir.join(socket));
        if settings.user.is_some() {
            let password = settings.password.as_ref().map(|secret| secret.expose().to_owned());
            return Self { socket, candidates: vec![Credentials { user: settings.user.clone(), password }] };
        }
        let passed = passed.user.is_some().then(|| passed.clone());
        Self { socket, candidates: passed.into_iter().chain([Credentials::default()]).collect() }
    }

    /// Connects; the text says why not.
    pub fn connect(&self) -> Result<SqlSession, String> {
        let socket = self.socket.as_deref().ok_or("the server has no unix socket")?;
        let mut problems = Vec::new();
        for credentials in &self.candidates {
            match SqlSession::connect(socket, credentials) {
                Ok(session) => return Ok(session),
                Err(why) => problems.push(why),
            }
        }
        Err(problems.join("; "))
    }
}
