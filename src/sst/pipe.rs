//! The pipe to mysqld and the files in which it answers.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::protocol;
use crate::quiesce::Release;

/// What mysqld has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    FlushTables,
    Continue,
}

/// The pipe to mysqld; the lock makes a line and the memory of it one step.
#[derive(Debug)]
pub(super) struct Pipe {
    out: Mutex<(File, Said)>,
    datadir: PathBuf,
}

impl Pipe {
    pub(super) fn new(out: File, datadir: &Path) -> Self {
        Self { out: Mutex::new((out, Said::Nothing)), datadir: datadir.to_path_buf() }
    }

    fn lock(&self) -> MutexGuard<'_, (File, Said)> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, line: &str) -> io::Result<()> {
        self.lock().0.write_all(line.as_bytes())
    }

    pub(super) fn ask_flush(&self) -> io::Result<()> {
        let mut guard = self.lock();
        guard.1 = Said::FlushTables;
        guard.0.write_all(protocol::FLUSH_TABLES.as_bytes())
    }

    /// Says a line of the freeze unless it is over.
    pub(super) fn say_while_frozen(&self, line: &str) {
        let mut guard = self.lock();
        if guard.1 == Said::FlushTables {
            // mysqld reads these for its progress display only.
            let _ = guard.0.write_all(line.as_bytes());
        }
    }

    /// Says `continue` after a `flush tables`, once, from the thread that comes first; true for the call that said it.
    pub(super) fn thaw(&self) -> bool {
        let mut guard = self.lock();
        if guard.1 != Said::FlushTables {
            return false;
        }
        guard.1 = Said::Continue;
        if let Err(error) = guard.0.write_all(protocol::CONTINUE.as_bytes()) {
            log::warn!("cannot tell mysqld to continue ({error}); it does so when this program ends");
        }
        true
    }

    pub(super) fn reply_file(&self) -> PathBuf {
        self.datadir.join("tables_flushed")
    }

    pub(super) fn error_file(&self) -> PathBuf {
        self.datadir.join("sst_error")
    }

    /// Takes the answer away, so that no later transfer takes it for its own.
    pub(super) fn remove_reply(&self) {
        match fs::remove_file(self.reply_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove '{}': {error}", self.reply_file().display());
            }
            _ => {}
        }
    }
}

impl Release for Pipe {
    fn release(&self) -> bool {
        let thawed = self.thaw();
        if thawed {
            self.remove_reply();
        }
        thawed
    }
}
