//! Listens to the program's stdout and answers `flush tables`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ScriptedMysqld;

/// One act of the answer.
#[derive(Debug, Clone)]
enum Act {
    Wait(Duration),
    /// Aside, then renamed, as MariaDB does.
    Write(String),
    /// Into the file that is read, as older servers do.
    WriteInPlace(String),
    Touch(&'static str),
}

/// What the server does after `flush tables`.
#[derive(Debug, Clone)]
pub struct Reply(Vec<Act>);

impl Reply {
    /// `tables_flushed` with this position.
    pub fn once(position: &str) -> Self {
        Self(vec![Act::Write(format!("{position}\n"))])
    }

    /// As MariaDB 10.11 does it: with an extra newline first, then again without.
    pub fn twice(position: &str) -> Self {
        let wait = Act::Wait(Duration::from_millis(10));
        Self(vec![Act::Write(format!("{position}\n\n")), wait, Act::Write(format!("{position}\n"))])
    }

    /// These texts one after the other in the same file, 60 ms apart.
    pub fn growing(texts: &[&str]) -> Self {
        let wait = Act::Wait(Duration::from_millis(60));
        let pairs = texts.iter().map(|text| [Act::WriteInPlace((*text).to_owned()), wait.clone()]);
        Self(pairs.flatten().collect())
    }

    /// Nothing at all.
    pub fn never() -> Self {
        Self(Vec::new())
    }

    /// `sst_error`.
    pub fn error() -> Self {
        Self(vec![Act::Touch("sst_error")])
    }

    /// The same, this much later.
    pub fn after(mut self, wait: Duration) -> Self {
        self.0.insert(0, Act::Wait(wait));
        self
    }

    fn play(&self, datadir: &Path) {
        let file = datadir.join("tables_flushed");
        for act in &self.0 {
            match act {
                Act::Wait(time) => std::thread::sleep(*time),
                Act::Write(text) => {
                    let aside = datadir.join("tables_flushed.tmp");
                    fs::write(&aside, text).expect("cannot write tables_flushed.tmp");
                    fs::rename(aside, &file).expect("cannot rename tables_flushed.tmp");
                }
                Act::WriteInPlace(text) => fs::write(&file, text).expect("cannot write tables_flushed"),
                Act::Touch(name) => fs::write(datadir.join(name), "").expect("cannot write sst_error"),
            }
        }
    }
}

/// A line, with its end, and when it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The bytes.
    pub line: String,
    /// When they were complete.
    pub at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) heard: Vec<Heard>,
    /// Whether a manifest was there when `done` came.
    pub(super) manifest_at_done: Option<bool>,
    /// Reply files that were there when `flush tables` came.
    pub(super) stale: Vec<String>,
    /// When stdout ended.
    pub(super) ended: Option<Instant>,
}

/// The listening thread.
#[derive(Debug)]
pub(super) struct Ear {
    notes: Arc<(Mutex<Notes>, Condvar)>,
    datadir: PathBuf,
    _thread: JoinHandle<()>,
}

impl Ear {
    pub(super) fn listen(
        stdout: impl Read + Send + 'static,
        server: &ScriptedMysqld,
        reply: Reply,
        deaf_after: Option<&'static str>,
    ) -> Self {
        let notes = Arc::new((Mutex::new(Notes::default()), Condvar::new()));
        let shared = Arc::clone(&notes);
        let (datadir, repository) = (server.datadir(), server.repository());
        let at = datadir.clone();
        let thread = std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut bytes = Vec::new();
            while lines.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let line = String::from_utf8_lossy(&bytes).into_owned();
                bytes.clear();
                note(&shared, &line, &datadir, &repository);
                if line == "flush tables\n" {
                    let (reply, datadir) = (reply.clone(), datadir.clone());
                    std::thread::spawn(move || reply.play(&datadir));
                }
                if deaf_after.is_some_and(|last| line.starts_with(last)) {
                    break;
                }
            }
            drop(lines);
            change(&shared, |notes| notes.ended = Some(Instant::now()));
        });
        Self { notes, datadir: at, _thread: thread }
    }

    /// Writes `tables_flushed` now.
    pub(super) fn answer(&self, reply: &Reply) {
        reply.play(&self.datadir);
    }

    /// Waits until `found` finds something in the notes.
    pub(super) fn wait<T>(&self, timeout: Duration, mut found: impl FnMut(&Notes) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut notes = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = found(&notes) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            notes = self.notes.1.wait_timeout(notes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn note(shared: &(Mutex<Notes>, Condvar), line: &str, datadir: &Path, repository: &Path) {
    let at = Instant::now();
    let stale: Vec<String> = ["tables_flushed", "sst_error"]
        .iter()
        .filter(|name| line == "flush tables\n" && datadir.join(name).exists())
        .map(ToString::to_string)
        .collect();
    let manifest = line.starts_with("done").then(|| has_manifest(repository));
    change(shared, |notes| {
        notes.heard.push(Heard { line: line.to_owned(), at });
        notes.stale.extend(stale);
        notes.manifest_at_done = manifest.or(notes.manifest_at_done);
    });
}

fn has_manifest(repository: &Path) -> bool {
    let folders = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    folders(repository).flat_map(|cluster| folders(&cluster)).any(|id| id.join("manifest.json").is_file())
}

fn change(shared: &(Mutex<Notes>, Condvar), change: impl FnOnce(&mut Notes)) {
    change(&mut shared.0.lock().unwrap_or_else(PoisonError::into_inner));
    shared.1.notify_all();
}
