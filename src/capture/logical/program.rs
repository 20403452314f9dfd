//! `mariadb-dump` while it runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::error::CaptureError;
use super::super::watch::Watch;
use super::words;
use crate::archive::{ArchiveError, DumpScanner};
use crate::child::{self, LastWords, Leashed};
use crate::config::DumpSettings;
use crate::output::StreamArchive;
use crate::sql::SqlSession;
use crate::throttle::Limiter;
use crate::tool::MariadbTool;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Milliseconds between two looks at whether the backup is still wanted.
const LOOK: u16 = 20;
/// The first line behind `START TRANSACTION WITH CONSISTENT SNAPSHOT`.
const BEGUN: &[u8] = b"\n-- Current Database: ";
/// What comes before it.
const LONGEST_HEAD: usize = 64 << 10;
/// Last lines that are kept for an error.
const KEPT: usize = 8;
/// The same for users, each of which may be one.
const KEPT_OF_USERS: usize = 2000;
/// What the server says of an account that stands in its table and is not in use (`ER_PASSWORD_NO_MATCH`, `ER_NONEXISTING_GRANT`).
const NOT_IN_USE: [&str; 2] = ["(1133)", "(1141)"];
/// Statements of users and grants, at most.
const MOST_USERS: u64 = 64 << 20;
/// The system's own databases.
const SYSTEM: [&str; 2] = ["mysql", "sys"];

/// What is to be dumped, and how.
pub(super) struct DumpOrder<'a> {
    pub(super) program: &'a MariadbTool,
    pub(super) options: &'a File,
    pub(super) databases: &'a [String],
    pub(super) settings: &'a DumpSettings,
}

/// The databases that are dumped, of those that there are now.
pub(super) fn databases(sql: &mut SqlSession, settings: &DumpSettings) -> Result<Vec<String>, String> {
    let found = sql.databases_with_data()?;
    if let Some(missing) = settings.databases.iter().find(|name| !found.contains(name)) {
        return Err(format!("there is no database '{missing}' on this server (setting databases)"));
    }
    let is_wanted = |name: &String| match settings.databases.as_slice() {
        [] => !settings.ignore_global_priv || !SYSTEM.contains(&name.as_str()),
        wanted => wanted.contains(name),
    };
    let wanted: Vec<String> = found.into_iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Err("there is no database to dump on this server but its own".into());
    }
    Ok(wanted)
}

impl DumpOrder<'_> {
    fn dump(&self) -> Vec<String> {
        let fixed = [
            "--single-transaction",
            "--skip-lock-tables",
            "--skip-add-locks",
            // A Galera node that loads it takes no transaction as large as a table; on by default since 11.8.
            "--skip-no-autocommit",
            "--quick",
            "--routines",
            "--events",
            "--triggers",
            "--hex-blob",
            "--default-character-set=utf8mb4",
        ];
        let fixed = fixed.iter().map(|word| (*word).to_owned());
        let ignored = self.settings.ignore_tables.iter().map(|table| format!("--ignore-table={table}"));
        let own = self.settings.ignore_global_priv.then(|| "--ignore-table=mysql.global_priv".to_owned());
        let behind = ["--databases", "--"].iter().map(|word| (*word).to_owned());
        let args = fixed.chain(ignored).chain(own).chain(self.settings.args.iter().cloned());
        args.chain(behind).chain(self.databases.iter().cloned()).collect()
    }

    /// Starts the program. What it needs to log in stands in a file without a name, which is its stdin: nothing of it is in its
    /// arguments or its environment.
    fn start(&self, arguments: Vec<String>, kept: usize) -> Result<(Leashed, LastWords), CaptureError> {
        let failed = |error: io::Error| {
            CaptureError::Program(format!("cannot start '{}': {error}", self.program.program.display()))
        };
        // Each open has a place of its own in the file.
        let options = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(self.options)));
        let arguments = std::iter::once("--defaults-file=/proc/self/fd/0".to_owned()).chain(arguments);
        let mut command = child::command(&self.program.program, arguments);
        command.stdin(options.map_err(failed)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Leashed(command.current_dir("/").spawn().map_err(failed)?);
        let stderr = child.0.stderr.take().ok_or_else(|| failed(io::Error::other("it has no stderr")))?;
        Ok((child, LastWords::of(stderr, kept).map_err(failed)?))
    }
}

/// What the program has shown.
pub(super) enum Seen {
    Nothing,
    /// It reads from its snapshot.
    Begun,
    /// It has closed its output.
    Ended,
}

/// The dump.
pub(super) struct Dumping {
    child: Leashed,
    words: Option<LastWords>,
    stdout: Option<ChildStdout>,
    /// What was read before the server ran again.
    head: Vec<u8>,
}

impl Dumping {
    pub(super) fn start(order: &DumpOrder<'_>) -> Result<Self, CaptureError> {
        let program = order.program;
        log::info!("'{}' ({}) dumps the server", program.program.display(), program.version);
        let (mut child, words) = order.start(order.dump(), KEPT)?;
        let stdout = child.0.stdout.take();
        Ok(Self { child, words: Some(words), stdout, head: Vec::new() })
    }

    /// Reads what there is, for a moment.
    pub(super) fn look(&mut self) -> Result<Seen, CaptureError> {
        let mut chunk = vec![0; CHUNK];
        match self.read(&mut chunk)? {
            None => return Ok(Seen::Nothing),
            Some(0) => return Ok(Seen::Ended),
            Some(count) => self.head.extend_from_slice(&chunk[..count]),
        }
        if self.head.windows(BEGUN.len()).any(|window| window == BEGUN) {
            return Ok(Seen::Begun);
        }
        if self.head.len() > LONGEST_HEAD {
            return Err(CaptureError::Program(
                "what mariadb-dump writes has not the form of a dump: there is no '-- Current Database'"
                    .into(),
            ));
        }
        Ok(Seen::Nothing)
    }

    /// Whether the process is over.
    pub(super) fn has_exited(&mut self) -> Result<bool, CaptureError> {
        self.child.0.try_wait().map(|status| status.is_some()).map_err(|error| waiting(&error))
    }

    /// Bytes that have come, 0 at the end; none where nothing has come for a moment.
    fn read(&mut self, chunk: &mut [u8]) -> Result<Option<usize>, CaptureError> {
        let Some(stdout) = &mut self.stdout else { return Ok(Some(0)) };
        match poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], PollTimeout::from(LOOK)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => Ok(None),
            Ok(_) => stdout.read(chunk).map(Some).map_err(|error| reading(&error)),
            Err(errno) => Err(reading(&errno.into())),
        }
    }

    /// Waits for the program, which has closed its output; its exit status and last words.
    fn end(&mut self) -> Result<(ExitStatus, Vec<String>), CaptureError> {
        let status = self.child.0.wait().map_err(|error| waiting(&error))?;
        Ok((status, self.words.take().map(LastWords::finish).unwrap_or_default()))
    }

    /// How the program has ended, which has closed its output; the inner error is that of a dump that another try may make good.
    pub(super) fn ended(&mut self) -> Result<Result<(), String>, CaptureError> {
        let (status, words) = self.end()?;
        let words = words.join(" | ");
        if status.success() {
            return Ok(Ok(()));
        }
        let said =
            if words.is_empty() { "it has said nothing".to_owned() } else { format!("it says: {words}") };
        match words::of_ddl(&words) {
            Some(why) => Ok(Err(format!("{why}: the dump is not of one moment; mariadb-dump: {words}"))),
            None => Err(CaptureError::Program(format!("mariadb-dump has failed ({status}); {said}"))),
        }
    }

    /// Stores the whole stream, and waits for the program's end.
    pub(super) fn store(
        &mut self,
        scanner: &mut DumpScanner,
        archive: &mut StreamArchive<'_>,
        watch: &Watch,
        limiter: &Limiter,
        stall_timeout: Duration,
    ) -> Result<Result<(), String>, CaptureError> {
        let mut put = |bytes: &[u8]| {
            scanner.take(bytes);
            let stored = watch.read(bytes.len() as u64).and_then(|()| archive.write_all(bytes));
            limiter.take(bytes.len() as u64);
            stored.map_err(|cause| match watch.aborted() {
                Some(abort) => abort.into(),
                None => CaptureError::from(ArchiveError::Write(cause)),
            })
        };
        put(&std::mem::take(&mut self.head))?;
        let mut chunk = vec![0; CHUNK];
        let mut heard = Instant::now();
        loop {
            if let Some(abort) = watch.aborted() {
                return Err(abort.into());
            }
            match self.read(&mut chunk)? {
                Some(0) => return self.ended(),
                Some(count) => {
                    put(&chunk[..count])?;
                    heard = Instant::now();
                }
                None if heard.elapsed() >= stall_timeout => {
                    return Err(CaptureError::Program(format!(
                        "mariadb-dump has written nothing for {} s (stall-timeout), and was ended",
                        stall_timeout.as_secs()
                    )));
                }
                None => {}
            }
        }
    }
}

/// Users and grants as statements, of a server that stands still, and a warning where accounts are missing. With `skip_name_resolve` the server does not know those
/// that have a name of a host; the program would stop at the first of them, and goes on with `--force`.
pub(super) fn users(order: &DumpOrder<'_>, watch: &Watch) -> Result<(Vec<u8>, Option<String>), CaptureError> {
    let arguments = ["--system=users", "--default-character-set=utf8mb4", "--insert-ignore", "--force"];
    let (mut child, words) =
        order.start(arguments.iter().map(|word| (*word).to_owned()).collect(), KEPT_OF_USERS)?;
    let stdout = child.0.stdout.take();
    let mut dumping = Dumping { child, words: Some(words), stdout, head: Vec::new() };
    let mut chunk = vec![0; CHUNK];
    let mut scanner = DumpScanner::default();
    loop {
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        match dumping.read(&mut chunk)? {
            None => {}
            Some(0) => break,
            Some(count) => dumping.head.extend_from_slice(&chunk[..count]),
        }
        if dumping.head.len() as u64 > MOST_USERS {
            let text = format!("users and grants are more than {} MiB", MOST_USERS >> 20);
            return Err(CaptureError::Program(text));
        }
    }
    let (status, words) = dumping.end()?;
    let unused = unused_accounts(status.success(), &words).map_err(CaptureError::Program)?;
    scanner.take(&dumping.head);
    scanner
        .finish()
        .map_err(|error| CaptureError::Program(format!("users and grants are not whole: {error}")))?;
    Ok((dumping.head, unused))
}

/// Whether nothing else went wrong than accounts that are not in use; they are told.
fn unused_accounts(is_success: bool, words: &[String]) -> Result<Option<String>, String> {
    if is_success {
        return Ok(None);
    }
    let is_unused = |line: &String| NOT_IN_USE.iter().any(|code| line.contains(code));
    if words.is_empty() || words.len() >= KEPT_OF_USERS || !words.iter().all(is_unused) {
        return Err(format!(
            "users and grants could not be dumped; mariadb-dump says: {}",
            words.join(" | ")
        ));
    }
    for line in words {
        log::info!("{line}");
    }
    let accounts = words.iter().filter(|line| line.contains(NOT_IN_USE[0])).count();
    Ok(Some(format!(
        "accounts that stand in mysql.global_priv and that the server does not use (with skip_name_resolve: those with the name of a host) are not in \
         users: {accounts}; the log names them"
    )))
}

fn reading(error: &io::Error) -> CaptureError {
    CaptureError::Program(format!("cannot read what mariadb-dump writes: {error}"))
}

fn waiting(error: &io::Error) -> CaptureError {
    CaptureError::Program(format!("cannot wait for mariadb-dump: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_are_not_in_use_are_told_and_any_other_error_is_one() {
        let line = |text: &str| text.to_owned();
        let unused = [
            line(
                "mariadb-dump: Couldn't execute 'SHOW CREATE USER 'a'@'h'': Can't find any matching row in the user table (1133)",
            ),
            line(
                "mariadb-dump: Couldn't execute 'SHOW GRANTS FOR 'a'@'h'': There is no such grant defined for user 'a' on host 'h' (1141)",
            ),
        ];
        assert_eq!(unused_accounts(true, &[]), Ok(None));
        assert!(unused_accounts(false, &unused).unwrap().unwrap().contains("not in users: 1;"));
        let other = line(
            "mariadb-dump: Couldn't execute 'SHOW GRANTS': Lost connection to server during query (2013)",
        );
        assert!(unused_accounts(false, &[unused[0].clone(), other]).unwrap_err().contains("2013"));
        assert!(unused_accounts(false, &[]).is_err());
    }
}
