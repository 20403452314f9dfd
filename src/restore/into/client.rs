//! The `mariadb` client, which carries statements out on a server.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use crate::child::{self, LastWords, Leashed};
use crate::restore::feed::{Fed, Feed};
use crate::sql::{Account, Endpoint, inherited, option_file};
use crate::tool;

/// Its names.
const NAMES: [&str; 2] = ["mariadb", "mysql"];
/// Lines that it says last.
const WORDS: usize = 12;
/// The largest packet that the protocol has: the server's own limit is another one, and is looked at before.
const LARGEST_PACKET: u64 = 1 << 30;

/// Looks for it; the text says what is missing, and what to do.
pub(super) fn find() -> Result<PathBuf, String> {
    tool::find(&NAMES, None).ok_or_else(|| {
        "the client 'mariadb', which carries out the statements of a dump, is not installed here: install it (package \
         mariadb-client or MariaDB-client)"
            .to_owned()
    })
}

/// A client that runs.
pub(super) struct Client {
    program: PathBuf,
    child: Leashed,
    feed: Option<Feed>,
    words: LastWords,
    /// Read when it begins; kept as long as it runs.
    _options: File,
}

impl Client {
    /// Starts it. It stops at the first error, takes nothing in the dump for a command to itself (`--binary-mode`), changes no byte
    /// of it, and never goes on in a second session, which would lack the settings of the first.
    pub(super) fn start(
        program: PathBuf,
        endpoint: &Endpoint,
        account: &Account,
        database: Option<&str>,
    ) -> io::Result<Self> {
        let options = option_file("client", endpoint, account)?;
        let mut args = vec![
            inherited(&options)?,
            "--batch".into(),
            "--binary-mode".into(),
            "--comments".into(),
            "--no-auto-rehash".into(),
            "--skip-reconnect".into(),
            "--local-infile=0".into(),
            "--default-character-set=utf8mb4".into(),
            format!("--max-allowed-packet={LARGEST_PACKET}"),
            "--init-command=SET SESSION max_statement_time=0".into(),
        ];
        args.extend(database.map(|name| format!("--database={name}")));
        let mut command = child::command(&program, &args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Leashed(command.spawn()?);
        let missing = || io::Error::other("it has no pipes");
        let feed = Feed::new(child.0.stdin.take().ok_or_else(missing)?)?;
        let words = LastWords::of(child.0.stderr.take().ok_or_else(missing)?, WORDS)?;
        Ok(Self { program, child, feed: Some(feed), words, _options: options })
    }

    /// Hands statements on while `goes_on`.
    pub(super) fn write(&mut self, bytes: &[u8], goes_on: impl Fn() -> bool) -> io::Result<Fed> {
        self.feed.as_mut().map_or(Ok(Fed::Closed), |feed| feed.write(bytes, goes_on))
    }

    /// Tells it that there is no more, and waits for its end while `goes_on`.
    pub(super) fn end(&mut self, goes_on: impl Fn() -> bool) -> Option<ExitStatus> {
        self.feed = None;
        self.child.wait(|_| goes_on()).ok().flatten()
    }

    /// Ends it, where it has not ended, and gives its last words. It must not see the end of its input before: it would take half a
    /// statement for a whole one.
    pub(super) fn kill(self) -> (PathBuf, Vec<String>) {
        let Self { program, child, feed, words, _options } = self;
        drop(child);
        drop(feed);
        (program, words.finish())
    }
}

/// The line of the dump that the server refuses, by the client's last words.
pub(super) fn refused_line(words: &[String]) -> Option<u64> {
    words.iter().rev().find_map(|line| {
        let (_, rest) = line.strip_prefix("ERROR ")?.split_once(" at line ")?;
        rest.split(':').next()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_error_is_read() {
        let line = |text: &str| refused_line(&["warning".to_owned(), text.to_owned()]);
        assert_eq!(line("ERROR 1062 (23000) at line 69: Duplicate entry '1' for key 'PRIMARY'"), Some(69));
        assert_eq!(line("ERROR 2013 (HY000) at line 7: Lost connection to server during query"), Some(7));
        assert_eq!(line("ERROR 2002 (HY000): Can't connect to local server"), None);
    }
}
