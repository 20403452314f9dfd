//! What mariadb-backup says on its stderr: how far it is, for how long it holds up the server, and whether it ends well.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::error::CaptureError;

/// Last lines that are kept for an error.
const KEPT: usize = 12;
/// Longest line that is looked at.
const LONGEST: u64 = 4 << 10;
/// From here on the provider is paused, and then commits wait (`BackupStages` of mariadb-backup 10.11 and later).
const HOLDS_UP: [&str; 2] = ["BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"];
/// It has let the server go.
const LETS_GO: &str = "All tables unlocked";
/// Its last words when all went well (`mariabackup_main`).
const COMPLETED: &str = "completed OK!";
/// What it says of each file.
const OF_FILES: [&str; 4] = ["Streaming ", "...done", "is copied successfully", "Copied file "];

/// What was heard so far.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    lines: VecDeque<String>,
    /// When it spoke last.
    spoke: Instant,
    held_up: Option<Instant>,
    let_go: Option<Instant>,
    /// The time at which it let the server go.
    pub(super) resumed_at: Option<Timestamp>,
    /// It has said that all went well.
    pub(super) is_completed: bool,
}

impl Heard {
    fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            spoke: Instant::now(),
            held_up: None,
            let_go: None,
            resumed_at: None,
            is_completed: false,
        }
    }

    fn take(&mut self, line: &str) {
        self.spoke = Instant::now();
        if self.held_up.is_none() && HOLDS_UP.iter().any(|words| line.contains(words)) {
            self.held_up = Some(self.spoke);
        }
        if self.let_go.is_none() && line.contains(LETS_GO) {
            self.let_go = Some(self.spoke);
            self.resumed_at = Some(Timestamp::now());
        }
        self.is_completed = line.trim_end().ends_with(COMPLETED);
        if OF_FILES.iter().any(|words| line.contains(words)) {
            return;
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.trim_end().to_owned());
    }

    /// How long the server was held up, where both ends were heard.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.let_go?.checked_duration_since(self.held_up?)
    }

    /// An error with the program's last words.
    pub(super) fn failure(&self, what: &str) -> CaptureError {
        let words: Vec<&str> = self.lines.iter().map(|line| without_head(line)).collect();
        let words = words.join(" | ");
        CaptureError::Program(if words.is_empty() {
            format!("{what}; it has said nothing")
        } else {
            format!("{what}; its last words: {words}")
        })
    }
}

/// Without the thread and the time: `[00] 2026-11-27 06:42:17 `.
fn without_head(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
    let is_time = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | ':' | ' ');
    match rest.split_at_checked(20) {
        Some((time, words)) if time.chars().all(is_time) && time.ends_with(' ') => words,
        _ => rest,
    }
}

/// The thread that listens.
pub(super) struct Listener {
    heard: Arc<Mutex<Heard>>,
    thread: JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(stderr: ChildStderr) -> io::Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::new()));
        let into = Arc::clone(&heard);
        let thread = std::thread::Builder::new().name("backup program".into()).spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            loop {
                line.clear();
                match lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => lock(&into).take(&String::from_utf8_lossy(&line)),
                }
            }
        })?;
        Ok(Self { heard, thread })
    }

    /// Since when the server is held up, where it is, and when the program spoke last.
    pub(super) fn now(&self) -> (Option<Instant>, Instant) {
        let heard = lock(&self.heard);
        (heard.held_up.filter(|_| heard.let_go.is_none()), heard.spoke)
    }

    /// What was heard so far.
    pub(super) fn so_far(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// All that a program has said that has ended.
    pub(super) fn finish(self) -> Heard {
        let _ = self.thread.join();
        lock(&self.heard).clone()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_and_the_end_are_heard() {
        let mut heard = Heard::new();
        for line in [
            "[00] 2026-11-27 06:42:17 Starting BACKUP STAGE START",
            "[00] 2026-11-27 06:42:17 Acquiring BACKUP LOCKS...",
            "[01] 2026-11-27 06:42:17 Streaming ./d/t.frm to <STDOUT>",
        ] {
            heard.take(line);
            assert!(heard.held_up.is_none());
        }
        heard.take("[00] 2026-11-27 06:42:17 Started BACKUP STAGE BLOCK_DDL");
        assert!(heard.held_up.is_some() && heard.paused().is_none());
        heard.take("[00] 2026-11-27 06:42:18 All tables unlocked\n");
        assert!(heard.paused().is_some() && !heard.is_completed);
        heard.take("[00] 2026-11-27 06:42:18 completed OK!\n");
        assert!(heard.is_completed);
        heard.take("[00] FATAL ERROR: 2026-11-27 07:06:22 failed\n");
        assert!(!heard.is_completed, "words that follow are the last ones");
        let error = heard.failure("it has failed").to_string();
        assert!(
            error.starts_with("it has failed; its last words: Starting BACKUP STAGE START | Acquiring"),
            "{error}"
        );
        assert!(
            error.ends_with("completed OK! | FATAL ERROR: 2026-11-27 07:06:22 failed")
                && !error.contains("t.frm"),
            "{error}"
        );
    }
}
