//! A program that runs as a donor, and what came of it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::ear::{Ear, Heard, Reply};
use super::{ScriptedMysqld, names_in};
use crate::support::wait_until;

/// A run that takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// The program while it runs; it is killed when the test gives up.
#[derive(Debug)]
pub struct Run {
    child: Child,
    ear: Ear,
    stderr: Option<JoinHandle<String>>,
    /// Where stderr goes when it is a file.
    log: Option<PathBuf>,
    /// Where the exit status is written when the child is not the program itself.
    status_file: Option<PathBuf>,
    started: Instant,
    _hold: Hold,
}

/// What keeps the program's stdin open.
struct Hold(#[expect(dead_code, reason = "held, not read")] Vec<Box<dyn Send>>);

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}

impl Run {
    pub(super) fn new(
        mut child: Child,
        ear: Ear,
        status_file: Option<PathBuf>,
        log: Option<PathBuf>,
        hold: Vec<Box<dyn Send>>,
    ) -> Self {
        let stderr = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Self { child, ear, stderr, status_file, log, started: Instant::now(), _hold: Hold(hold) }
    }

    /// The process that was started: the program, or what stands in for mysqld.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that begins like this.
    pub fn wait_for(&self, start: &str) -> Heard {
        let line = self.ear.wait(LIMIT, |notes| {
            let mut found = notes.heard.iter().filter(|heard| heard.line.starts_with(start));
            found.next().cloned().map(Ok).or_else(|| notes.ended.map(|_| Err(notes.heard.clone())))
        });
        match line {
            Some(Ok(heard)) => heard,
            Some(Err(heard)) => panic!("the program ended without '{start}': {heard:?}"),
            None => panic!("no '{start}' within {} s", LIMIT.as_secs()),
        }
    }

    /// Whether a line that begins like this has come.
    pub fn has_said(&self, start: &str) -> bool {
        let said = |heard: &Heard| heard.line.starts_with(start);
        self.ear.wait(Duration::ZERO, |notes| notes.heard.iter().any(said).then_some(())).is_some()
    }

    /// What the program has written to the error log so far; the server's own lines are left out.
    pub fn logged(&self) -> String {
        let text = fs::read(self.log.as_ref().expect("stderr is a pipe")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|line| line.starts_with("WSREP_SST: ")).map(|line| format!("{line}\n")).collect()
    }

    /// Waits until the program has written this to the error log.
    pub fn wait_logged(&self, text: &str) {
        assert!(wait_until(LIMIT, || self.logged().contains(text)), "no '{text}' in {}", self.logged());
    }

    /// Whether the program has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("cannot wait for the program").is_some()
    }

    /// Writes `tables_flushed` now.
    pub fn answer(&self, reply: &Reply) {
        self.ear.answer(reply);
    }

    /// Sends a signal to [`Run::pid`].
    pub fn signal(&self, signal: Signal) -> Instant {
        kill(Pid::from_raw(i32::try_from(self.pid()).expect("a pid")), signal).expect("cannot send a signal");
        Instant::now()
    }

    /// From here on the program's main thread stands still, as in a system call of a dead disk; its other threads do not. The
    /// program must be one that waits for its limit-rate most of the time: there it is stopped, where it holds no lock.
    pub fn hang(&self) {
        let main = Pid::from_raw(i32::try_from(self.pid()).expect("a pid"));
        ptrace::seize(main, ptrace::Options::empty()).expect("cannot seize the program");
        let in_wait = || {
            let call = fs::read_to_string(format!("/proc/{main}/syscall")).unwrap_or_default();
            let number = call.split(' ').next().and_then(|number| number.parse::<i64>().ok());
            number.is_some_and(|number| number == libc::SYS_clock_nanosleep)
        };
        let stopped = wait_until(LIMIT, || {
            ptrace::interrupt(main).expect("cannot interrupt the program");
            waitpid(main, Some(WaitPidFlag::__WALL)).expect("cannot wait for the program");
            let is_there = in_wait();
            if !is_there {
                ptrace::cont(main, None).expect("cannot let the program go on");
            }
            is_there
        });
        assert!(stopped, "the program never waits");
    }

    /// The targets of the program's open descriptors.
    pub fn descriptors(&self) -> Vec<(String, String)> {
        let folder = PathBuf::from(format!("/proc/{}/fd", self.pid()));
        let link = |name: String| {
            let target = fs::read_link(folder.join(&name)).unwrap_or_default();
            (name, target.to_string_lossy().into_owned())
        };
        names_in(&folder).into_iter().map(link).collect()
    }

    /// Waits for the program's end.
    pub fn finish(mut self) -> Outcome {
        let mut status = None;
        let ended = wait_until(LIMIT, || {
            status = self.child.try_wait().expect("cannot wait for the program");
            status.is_some()
        });
        assert!(ended, "the program has not ended within {} s", LIMIT.as_secs());
        let mut code = status.and_then(|status| status.code());
        if let Some(file) = &self.status_file {
            let read = || fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            wait_until(LIMIT, || read().is_some());
            code = read();
        }
        let took = self.started.elapsed();
        let ended = self.ear.wait(LIMIT, |notes| notes.ended);
        assert!(ended.is_some(), "stdout is still open after the program's end");
        let stderr = match self.stderr.take() {
            Some(thread) => thread.join().unwrap_or_default(),
            None => self.logged(),
        };
        // strace wonders about processes that end while it delays them.
        let ours = stderr.split_inclusive('\n').filter(|line| !line.starts_with("strace: "));
        let stderr: String = ours.collect();
        let outcome = self.ear.wait(Duration::ZERO, |notes| {
            Some(Outcome {
                stdout: notes.heard.iter().map(|heard| heard.line.as_str()).collect(),
                heard: notes.heard.clone(),
                stderr: stderr.clone(),
                code,
                manifest_at_done: notes.manifest_at_done,
                stale: notes.stale.clone(),
                took,
            })
        });
        outcome.expect("there are notes")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run has left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Every byte of stdout.
    pub stdout: String,
    /// The same by line.
    pub heard: Vec<Heard>,
    /// Every byte of stderr.
    pub stderr: String,
    /// The exit status; none after a signal.
    pub code: Option<i32>,
    /// Whether a manifest was there when `done` came.
    pub manifest_at_done: Option<bool>,
    /// Reply files that were there when `flush tables` came.
    pub stale: Vec<String>,
    /// From the start to the end.
    pub took: Duration,
}

impl Outcome {
    /// The moment of the first line that begins like this.
    pub fn at(&self, start: &str) -> Instant {
        let heard = self.heard.iter().find(|heard| heard.line.starts_with(start));
        heard.unwrap_or_else(|| panic!("no '{start}' in {:?}\n{}", self.stdout, self.stderr)).at
    }

    /// The messages of one level in stderr, all of whose lines must have the form of the stock scripts.
    pub fn messages(&self, level: &str) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| message(line, level)).collect()
    }

    /// A backup: no fault, `done` behind the manifest, nothing left in the data directory.
    pub fn assert_backed_up(&self, server: &ScriptedMysqld) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert_eq!(self.manifest_at_done, Some(true), "{:?}\n{}", self.stdout, self.stderr);
        assert_eq!(self.messages("ERROR"), Vec::<&str>::new());
        for left in ["tables_flushed", "wsrep_sst.pid"] {
            assert!(!server.datadir().join(left).exists(), "{left} is left");
        }
        let status = server.status();
        assert_eq!(
            (&status["state"], &status["error"]),
            (&"done".into(), &serde_json::Value::Null),
            "{status}"
        );
    }

    /// No backup, and `message` says why: in stderr, and in `status.json` of the one attempt, which is all that is
    /// in the repository.
    pub fn assert_refused(&self, server: &ScriptedMysqld, code: i32, message: &str) {
        self.assert_refused_early(code, message);
        let attempts = server.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}\n{}", self.stderr);
        assert_eq!(names_in(&attempts[0]), ["status.json"], "{}", self.stderr);
        let text = fs::read(attempts[0].join("status.json")).expect("cannot read status.json");
        let status: serde_json::Value = serde_json::from_slice(&text).expect("status.json is JSON");
        assert_eq!(status["state"], "failed", "{status}");
        assert!(status["error"].as_str().is_some_and(|error| error.contains(message)), "{status}");
        for left in ["tables_flushed", "sst_error", "wsrep_sst.pid"] {
            assert!(!server.datadir().join(left).exists(), "{left} is left");
        }
    }

    /// The same, where nothing is known of a repository.
    pub fn assert_refused_early(&self, code: i32, message: &str) {
        let errors = self.messages("ERROR");
        assert!(errors.first().is_some_and(|error| error.contains(message)), "{message}: {}", self.stderr);
        assert_eq!(errors.get(1..), Some(&["no backup was made"][..]), "{}", self.stderr);
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.manifest_at_done, None, "{:?}", self.stdout);
    }
}

/// The message of a line `WSREP_SST: [LEVEL] message (20261120 11:34:52.123)`, if it is of this level.
fn message<'a>(line: &'a str, level: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("WSREP_SST: [").unwrap_or_else(|| panic!("not a log line: {line}"));
    let (found, rest) = rest.split_once("] ").unwrap_or_else(|| panic!("no level: {line}"));
    let (message, date) = rest.rsplit_once(" (").unwrap_or_else(|| panic!("no date: {line}"));
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "99999999 99:99:99.999)", "{line}");
    (found == level).then_some(message)
}
