//! How to reach the local server by SQL: where its socket is, and whom to try.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::CaptureError;
use crate::config::{Secret, Settings};
use crate::sql::{Account, Endpoint, LIMIT, SqlSession, option_file};
use crate::sst::Credentials;
use crate::users::user_name;

/// The socket and the accounts. Connecting can be tried again at any time.
#[derive(Debug, Clone)]
pub struct Login {
    socket: Option<PathBuf>,
    candidates: Vec<Account>,
}

impl Login {
    /// The configured account only, where there is one; else what mysqld passed, then the OS user. Without settings
    /// the latter two, over the socket that mysqld named.
    pub fn new(
        datadir: &Path,
        socket: Option<&Path>,
        settings: Option<&Settings>,
        passed: &Credentials,
    ) -> Self {
        let socket = settings.and_then(|settings| settings.socket.as_deref()).or(socket);
        let socket = socket.map(|socket| datadir.join(socket));
        if let Some(settings) = settings.filter(|settings| settings.user.is_some()) {
            let (user, password) = (settings.user.clone(), settings.password.clone());
            return Self { socket, candidates: vec![Account { user, password, tls: None }] };
        }
        let passed = passed.user.is_some().then(|| Account {
            user: passed.user.clone(),
            password: passed.password.clone().map(Secret::from),
            tls: None,
        });
        let own = Account { user: user_name(nix::unistd::geteuid().as_raw()), ..Account::default() };
        Self { socket, candidates: passed.into_iter().chain([own]).collect() }
    }

    /// The server's socket; empty where it has none.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_default()
    }

    /// The account that the server takes now; where it takes none, the one that would be tried first.
    fn account(&self) -> Account {
        let Some(socket) = self.socket.clone().map(Endpoint::Socket) else {
            return self.candidates.first().cloned().unwrap_or_default();
        };
        let works = |account: &&Account| SqlSession::connect_within(&socket, account, LIMIT).is_ok();
        let mut candidates = self.candidates.iter();
        candidates.find(works).or(self.candidates.first()).cloned().unwrap_or_default()
    }

    /// The option file with which a program of MariaDB logs in as that account; `group` is the one that the program reads.
    pub(super) fn option_file(&self, group: &str) -> Result<File, CaptureError> {
        option_file(group, &Endpoint::Socket(self.socket()), &self.account())
            .map_err(|error| CaptureError::Program(format!("cannot make an option file: {error}")))
    }

    /// Connects; the text says why not.
    pub fn connect(&self) -> Result<SqlSession, String> {
        self.connect_within(LIMIT)
    }

    /// Whether a server that has failed like this may answer soon: there is its socket, and it has not refused the account
    /// (`ER_ACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`).
    pub(super) fn is_worth_another_try(&self, why: &str) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.exists())
            && !["(error 1045)", "(error 1698)"].iter().any(|code| why.contains(code))
    }

    /// The same with a limit for each answer. A server that lets one account wait so long is not asked with another.
    pub fn connect_within(&self, limit: Duration) -> Result<SqlSession, String> {
        let started = Instant::now();
        let socket = Endpoint::Socket(self.socket.clone().ok_or("the server has no unix socket")?);
        let mut problems = Vec::new();
        for account in &self.candidates {
            if started.elapsed() >= limit {
                break;
            }
            match SqlSession::connect_within(&socket, account, limit) {
                Ok(session) => return Ok(session),
                Err(why) => problems.push(why),
            }
        }
        Err(problems.join("; "))
    }
}
