//! `backup` as an administrator runs it: started, interrupted, and what it said.
//!
//! It runs from a copy of the program beside the donors' own, so that a process of the donors' program is a donor, and
//! with a folder of its own for garbd's files, so that what is left of them can be seen.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::cluster::Cluster;
use super::{copy_program, wait_until};

/// `backup` ends by itself long before, whatever happens.
const LIMIT: Duration = Duration::from_secs(300);

/// The machine that `backup` is run on.
#[derive(Debug)]
pub struct Administrator {
    program: PathBuf,
    temporary: PathBuf,
    repository: PathBuf,
    members: String,
}

impl Administrator {
    /// With a copy of this program, on the machine that all nodes of the cluster are on.
    pub fn new(cluster: &Cluster, program: impl AsRef<Path>) -> Self {
        let folder = cluster.make_dir("administrator");
        let copy = folder.join("wsrep_sst_backup");
        copy_program(program, &copy);
        Self {
            program: copy,
            temporary: cluster.make_dir("administrator/tmp"),
            repository: cluster.make_dir("repository"),
            members: cluster.members(),
        }
    }

    /// `backup` on node n`number`, which knows everything by the node's option files.
    pub fn on(&self, cluster: &Cluster, number: usize, more: &[&str]) -> Asking {
        let file = format!("--defaults-file={}", cluster.n(number).cnf().display());
        self.start(&[&["backup", &file, "--json"], more].concat())
    }

    /// `backup` on a machine that is no node: by the group's address alone, without SQL.
    pub fn outside(&self, more: &[&str]) -> Asking {
        let address = format!("--address=gcomm://{}", self.members);
        self.elsewhere(&[&["--cluster=wsb_test", &address], more].concat())
    }

    /// The same with an address of the caller's own.
    pub fn elsewhere(&self, more: &[&str]) -> Asking {
        let repository = format!("--repository={}", self.repository.display());
        self.start(&[&["backup", "--defaults-file=/dev/null", "--json", &repository], more].concat())
    }

    fn start(&self, words: &[&str]) -> Asking {
        let mut child = Command::new(&self.program)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", &self.temporary)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run '{}': {e}", self.program.display()));
        let mut out = child.stdout.take().expect("stdout is a pipe");
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            // It closes its stdout when it ends, whenever somebody asks for it.
            (text, Instant::now())
        });
        let said = Arc::new(Mutex::new(String::new()));
        let (err, heard) = (child.stderr.take().expect("stderr is a pipe"), Arc::clone(&said));
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Asking { child: Some(child), begun: Instant::now(), out: Some(out), said, listener: Some(listener) }
    }

    /// Folders of garbd that are left.
    pub fn leftovers(&self) -> Vec<String> {
        let listing = fs::read_dir(&self.temporary).expect("the folder for temporary files");
        listing.flatten().map(|entry| entry.path().display().to_string()).collect()
    }
}

/// A `backup` that runs. It is told to end, and then killed, when the test gives up.
#[derive(Debug)]
pub struct Asking {
    child: Option<Child>,
    begun: Instant,
    out: Option<JoinHandle<(String, Instant)>>,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Asking {
    /// What it has said on stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says this; it must not end before.
    #[track_caller]
    pub fn wait_said(&mut self, text: &str) {
        let mut ended = false;
        let heard = wait_until(LIMIT, || {
            ended = self.has_ended();
            self.said().contains(text) || ended
        });
        assert!(heard && !ended, "'backup' does not say '{text}' but:\n{}", self.said());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().expect("cannot wait for 'backup'").is_some())
    }

    /// Sends a signal, as Ctrl-C does.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()) {
            kill(Pid::from_raw(pid), signal).expect("cannot send a signal");
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Told {
        assert!(wait_until(LIMIT, || self.has_ended()), "'backup' does not end:\n{}", self.said());
        let status =
            self.child.take().and_then(|mut child| child.wait().ok()).and_then(|status| status.code());
        let out = self.out.take().and_then(|thread| thread.join().ok());
        let (out, ended) = out.expect("the reading thread does not panic");
        let took = ended.duration_since(self.begun);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let err = self.said();
        assert!(!err.contains("panicked"), "{err}");
        let json = serde_json::from_str(&out).unwrap_or_else(|e| panic!("no JSON ({e}): {out}\n{err}"));
        Told { status, json, err, took }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        // garbd leaves the group in good order.
        self.signal(Signal::SIGINT);
        wait_until(Duration::from_secs(30), || self.has_ended());
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What came of a `backup`.
#[derive(Debug)]
pub struct Told {
    /// Exit status; none after a signal.
    pub status: Option<i32>,
    /// What it printed.
    pub json: Value,
    /// What it said on stderr.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Told {
    /// A word of the JSON; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    /// There is a backup, and its donor is Synced; its id.
    #[track_caller]
    pub fn complete(&self) -> &str {
        assert_eq!((self.status, self.text("outcome")), (Some(0), "complete"), "{self}");
        assert_eq!(self.json["donor_synced"], true, "{self}");
        self.text("id")
    }

    /// It did not come to a backup, and says why, as JSON and on stderr.
    #[track_caller]
    pub fn ended(&self, outcome: &str, why: &str) {
        assert_eq!((self.status, self.text("outcome")), (Some(1), outcome), "{self}");
        assert!(self.text("error").contains(why), "no '{why}' in: {self}");
        let last = self.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains(why), "no '{why}' in: {last}");
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {:?} after {:?}\n{:#}\n{}", self.status, self.took, self.json, self.err)
    }
}
