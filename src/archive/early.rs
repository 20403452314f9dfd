//! Files that are stored while the server writes to them, and what makes of them what they are when it stands still.
//!
//! ```text
//! append_early ──> EarlyMember { offset, again } ── append_pages, change ──> the file at the end
//! ```
//!
//! The archive grows only, so a file that has changed is made right by what comes behind it: members with pages that replace its own, a
//! member with the same path that replaces it as a whole, and lines of the index that remove, rename or resize it. Each names the file by
//! the offset of its headers, since its name may change.

use std::collections::BTreeMap;

use super::member::Segment;
use super::pages::PageFaults;
use crate::innodb::LivePages;
use crate::model::{ArchivePath, EarlyChange, PageRuns};

/// A file that was stored while the server ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyMember {
    /// Where its headers begin in the tar stream: its name in what follows.
    pub offset: u64,
    /// What of it must be read again, whatever the redo log says.
    pub again: ReadAgain,
}

/// What of a file must be read again when the server stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAgain {
    /// Pages that did not verify: where they begin, in bytes, ascending, and their size. They may have been read while they were written.
    Pages {
        /// Bytes of a page; 0 where the file is no tablespace.
        page_size: u64,
        /// Where they begin.
        at: Vec<u64>,
    },
    /// All of it: it is a tablespace whose pages could not be told.
    Whole,
}

pub(super) struct EarlyFile {
    pub(super) path: ArchivePath,
    pub(super) is_system: bool,
    pub(super) listed: Option<bool>,
    pub(super) size: u64,
    pub(super) pages: Option<LivePages>,
}

/// The early files of an archive that still count.
#[derive(Default)]
pub(super) struct EarlyFiles {
    files: BTreeMap<u64, EarlyFile>,
    /// Where they are by their paths in the tar stream.
    paths: BTreeMap<ArchivePath, u64>,
}

/// How many they were at the end.
pub(super) struct EarlyTotal {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl EarlyFiles {
    /// A member of this path comes: what was there before is replaced. Whether there was anything.
    pub(super) fn replace(&mut self, path: &ArchivePath) -> bool {
        let offset = self.paths.remove(path);
        if let Some(offset) = &offset {
            self.files.remove(offset);
        }
        offset.is_some()
    }

    /// A file of this path stands there.
    pub(super) fn add(&mut self, offset: u64, path: ArchivePath, file: EarlyFile) {
        self.files.insert(offset, file);
        self.paths.insert(path, offset);
    }

    /// The file that stands there, unless it counts no more.
    pub(super) fn get(&mut self, offset: u64) -> Option<&mut EarlyFile> {
        self.files.get_mut(&offset)
    }

    /// The error is the file that counts no more.
    pub(super) fn change(&mut self, change: &EarlyChange) -> Result<(), u64> {
        match change {
            // A directory may be removed as well, or a file that was replaced.
            EarlyChange::Removed(offset) => {
                self.files.remove(offset);
            }
            EarlyChange::Moved { member, to } => {
                self.files.get_mut(member).ok_or(*member)?.path = to.clone();
            }
            EarlyChange::Resized { member, size } => {
                let file = self.files.get_mut(member).ok_or(*member)?;
                file.size = *size;
                if let Some(pages) = &mut file.pages {
                    pages.resize(*size);
                }
            }
        }
        Ok(())
    }

    /// What is wrong with them at the end.
    pub(super) fn end(self, faults: &mut PageFaults) -> EarlyTotal {
        let mut total = EarlyTotal { files: 0, bytes: 0 };
        for file in self.files.into_values() {
            total.files += 1;
            total.bytes += file.size;
            if let Some(pages) = file.pages {
                faults.take_file(&file.path, (file.is_system, file.listed), file.size, pages.finish());
            }
        }
        total
    }
}

/// What the checks of its pages want to be read again.
pub(super) fn read_again(pages: Option<&LivePages>) -> ReadAgain {
    let Some(pages) = pages else { return ReadAgain::Pages { page_size: 0, at: Vec::new() } };
    match pages.page_size() {
        None => ReadAgain::Whole,
        Some(page_size) => ReadAgain::Pages { page_size, at: pages.damaged_at().collect() },
    }
}

/// The runs in portions that one member may have each; none is cut within a page.
pub(super) fn portions(runs: &[Segment], page: u64) -> Vec<Vec<Segment>> {
    let most = PageRuns::MOST_BYTES / page * page;
    let mut portions = Vec::new();
    let (mut portion, mut bytes): (Vec<Segment>, u64) = (Vec::new(), 0);
    for run in runs {
        let mut rest = *run;
        while rest.len > 0 {
            if bytes == most || portion.len() == PageRuns::MOST {
                portions.push(std::mem::take(&mut portion));
                bytes = 0;
            }
            let len = rest.len.min(most - bytes);
            portion.push(Segment { offset: rest.offset, len });
            bytes += len;
            rest = Segment { offset: rest.offset + len, len: rest.len - len };
        }
    }
    portions.push(portion);
    portions.retain(|portion| !portion.is_empty());
    portions
}
