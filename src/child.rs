//! Programs that this one starts, none of which outlives it.
//!
//! A child is this program once more, which asks the kernel to end it with its parent (`PR_SET_PDEATHSIG`; a child must ask
//! for itself) and then becomes the program that is wanted. The kernel looks at the thread that has started the child, so
//! that has to be one that stays until the child is gone.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// The first argument of a child that has not become its program yet.
const BECOME: &str = "--become-child-of";
/// Beginnings of names of variables that may hold secrets.
const SECRET: [&[u8]; 2] = [b"WSREP_SST_", b"AWS_"];
/// Between two looks at a child that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A command that runs `program` as a child of this process, with its environment.
pub fn bound<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Command {
    // Also after an upgrade, which has put another program in the place of this one.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("wsrep_sst_backup").arg(BECOME).arg(std::process::id().to_string()).arg(program).args(args);
    command
}

/// The same without what is secret in the environment.
pub fn command<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = bound(program, args);
    without_secrets(&mut command);
    command
}

/// Takes what is secret out of the environment of a command: what the server, or whoever has started this program, has passed in secret is not
/// for others.
pub fn without_secrets(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if SECRET.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// Whether this process was started by [`command`].
pub fn is_meant(args: &[OsString]) -> bool {
    args.first().is_some_and(|first| first == BECOME)
}

/// Becomes the program; comes back with the reason where that is not possible.
pub fn become_program(args: &[OsString]) -> io::Error {
    let [_, parent, program, args @ ..] = args else {
        return io::Error::other("a child was started without its program");
    };
    if let Err(errno) = set_pdeathsig(Signal::SIGKILL) {
        return errno.into();
    }
    // It may have ended before it was asked for.
    if parent.to_str().and_then(|parent| parent.parse().ok()) != Some(getppid().as_raw()) {
        return io::Error::other("the program that has started it is gone");
    }
    let error = Command::new(program).args(args).exec();
    io::Error::new(error.kind(), format!("cannot start '{}': {error}", Path::new(program).display()))
}

/// A child that is ended when this value goes.
#[derive(Debug)]
pub struct Leashed(pub Child);

impl Leashed {
    /// Waits until it has ended, as long as `goes_on` says so. None where it was not waited for any longer; it is ended then.
    pub fn wait(&mut self, mut goes_on: impl FnMut(Duration) -> bool) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if !goes_on(begun.elapsed()) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Longest line that is kept, bytes.
const LONGEST: u64 = 4 << 10;

/// The last lines that a child says on its stderr.
#[derive(Debug)]
pub struct LastWords(JoinHandle<VecDeque<String>>);

impl LastWords {
    /// Listens in a thread, and keeps so many lines.
    pub fn of(stderr: ChildStderr, most: usize) -> io::Result<Self> {
        let listen = move || {
            let mut lines = BufReader::new(stderr);
            let mut kept = VecDeque::new();
            loop {
                let mut line = Vec::new();
                match lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return kept,
                    Ok(_) => kept.push_back(String::from_utf8_lossy(&line).trim_end().to_owned()),
                }
                if kept.len() > most {
                    kept.pop_front();
                }
            }
        };
        std::thread::Builder::new().name("child".into()).spawn(listen).map(Self)
    }

    /// What a child that has ended said last.
    pub fn finish(self) -> Vec<String> {
        self.0.join().unwrap_or_default().into()
    }
}
