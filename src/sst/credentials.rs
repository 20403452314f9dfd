//! The user and password for the server, as mysqld hands them over; never logged.
//!
//! Up to MariaDB 11.5 (and in mysql-wsrep) they come as `user:password` in the environment variable
//! `WSREP_SST_OPT_AUTH`, which is always set, maybe empty. From 11.6 on it is not set; lines
//! `sst_user=…` and `sst_password=…` come on stdin, then its end. stdin of the older servers is
//! mysqld's own and must not be read: it may be a terminal that never ends.

use std::fmt;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

/// A login of the local server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Account name.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Longest time that mysqld may take to write a few lines and close.
const STDIN_LIMIT: Duration = Duration::from_secs(2);

/// The credentials from the environment, else from stdin if that is a pipe.
pub fn read_credentials(auth: Option<String>) -> Credentials {
    match auth {
        Some(auth) => from_auth(&auth),
        None => from_lines(&read_stdin(STDIN_LIMIT)),
    }
}

fn from_auth(auth: &str) -> Credentials {
    match auth.split_once(':') {
        Some((user, password)) if !user.is_empty() => {
            Credentials { user: Some(user.to_owned()), password: Some(password.to_owned()) }
        }
        None if !auth.is_empty() => Credentials { user: Some(auth.to_owned()), password: None },
        _ => Credentials::default(),
    }
}

fn from_lines(text: &str) -> Credentials {
    let value = |name: &str| {
        text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(ToOwned::to_owned)
    };
    Credentials { user: value("sst_user").filter(|user| !user.is_empty()), password: value("sst_password") }
}

/// What comes on a piped stdin until its end or the limit.
fn read_stdin(limit: Duration) -> String {
    let stdin = std::io::stdin();
    let is_pipe = fstat(stdin.as_fd())
        .is_ok_and(|data| SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO);
    if !is_pipe {
        return String::new();
    }
    let deadline = Instant::now() + limit;
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while text.len() < 64 << 10 {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut fds, timeout).is_ok_and(|ready| ready > 0) {
            break;
        }
        match stdin.lock().read(&mut chunk) {
            Ok(count) if count > 0 => text.extend_from_slice(&chunk[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_are_read() {
        let old = from_auth("backup:pa:ss");
        assert_eq!((old.user.as_deref(), old.password.as_deref()), (Some("backup"), Some("pa:ss")));
        assert_eq!(from_auth(""), Credentials::default());
        let new = from_lines("sst_user=wsrep.sst.1_n1\nsst_password=x=y\nsst_remote_user=r\n");
        assert_eq!((new.user.as_deref(), new.password.as_deref()), (Some("wsrep.sst.1_n1"), Some("x=y")));
        assert_eq!(from_lines(""), Credentials::default());
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", from_auth("backup:hunter2")).contains("hunter2"));
    }
}
