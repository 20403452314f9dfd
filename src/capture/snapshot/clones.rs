//! The clones of a server's files, and what was seen of the rest of its list in the same moment.

use std::fs::{File, Metadata};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::super::copy::Contents;
use super::super::entry::Entry;
use super::super::source::{CopyFacts, Opened};

/// Of the file that comes so many files later the beginning is read ahead: a clone is in no cache, and many small files would be waited for one by one.
const AHEAD: usize = 16;
/// So much of each, bytes.
const BEGINNING: i64 = 1 << 20;

/// An entry of the list.
#[derive(Debug)]
pub(super) enum CloneSlot {
    /// A file; its content, and what was known of it.
    Clone(Opened),
    /// A directory or a link.
    Seen(Metadata),
    /// A file that cannot be cloned, and its bytes.
    Live(u64),
    /// Why it could not be opened or looked at.
    Failed(io::Error),
    /// It was read, or never looked at.
    Nothing,
}

impl CloneSlot {
    /// Reads the beginning of a clone into memory, at leisure; where that does not work it is read later.
    fn read_ahead(&self) {
        if let Self::Clone(opened) = self
            && let Ok(offset) = i64::try_from(opened.offset)
        {
            let advice = PosixFadviseAdvice::POSIX_FADV_WILLNEED;
            let bytes = i64::try_from(opened.metadata.len()).unwrap_or(BEGINNING).min(BEGINNING);
            let _ = posix_fadvise(&*opened.file, offset, bytes, advice);
        }
    }

    /// A file whose content is in `file` from `offset` on.
    pub(super) fn clone(file: Arc<File>, offset: u64, metadata: Metadata, listed: Option<bool>) -> Self {
        Self::Clone(Opened { file, offset, metadata, copy: Some(CopyFacts { listed, is_mounted: false }) })
    }
}

/// All of them. A clone is gone when it is read.
#[derive(Debug)]
pub(super) struct Clones {
    held: Mutex<Vec<CloneSlot>>,
    /// What is being read.
    reading: Mutex<Weak<File>>,
}

impl Clones {
    /// In the order of the list.
    pub(super) fn new(held: Vec<CloneSlot>) -> Self {
        Self { held: Mutex::new(held), reading: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Vec<CloneSlot>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers of the files that are to be read while the server stands still, and their bytes.
    pub(super) fn rest(&self) -> (Vec<usize>, u64) {
        let held = self.held();
        let rest = held.iter().enumerate().filter_map(|(number, held)| match held {
            CloneSlot::Live(bytes) => Some((number, *bytes)),
            _ => None,
        });
        let (numbers, bytes): (Vec<usize>, Vec<u64>) = rest.unzip();
        (numbers, bytes.iter().sum())
    }

    /// The clone of a file, which is still to be read.
    pub(super) fn file(&self, number: usize) -> Option<Arc<File>> {
        match self.held().get(number) {
            Some(CloneSlot::Clone(opened)) if opened.offset == 0 => Some(Arc::clone(&opened.file)),
            _ => None,
        }
    }

    /// Frees what the clones hold, also that of the one that is being read.
    pub(super) fn give_up(&self) {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(file) = reading {
            let _ = file.set_len(0);
        }
        self.held().clear();
    }
}

fn gone() -> io::Error {
    io::Error::other("its clone was given up")
}

impl Contents for Clones {
    fn open(&self, number: usize, _: &Entry) -> io::Result<Opened> {
        let mut held = self.held();
        let taken = held.get_mut(number).map(|held| std::mem::replace(held, CloneSlot::Nothing));
        match taken {
            Some(CloneSlot::Clone(opened)) => {
                if let Some(one) = held.get(number + AHEAD) {
                    one.read_ahead();
                }
                *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&opened.file);
                Ok(opened)
            }
            Some(CloneSlot::Failed(error)) => Err(error),
            _ => Err(gone()),
        }
    }

    fn metadata(&self, number: usize, _: &Entry) -> io::Result<Metadata> {
        let mut held = self.held();
        let taken = held.get_mut(number).map(|held| std::mem::replace(held, CloneSlot::Nothing));
        match taken {
            Some(CloneSlot::Seen(metadata)) => Ok(metadata),
            Some(CloneSlot::Failed(error)) => Err(error),
            _ => Err(gone()),
        }
    }
}
