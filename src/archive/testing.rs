//! What the tests of the archive have in common.

use std::io::{self, Cursor, Read};

use super::{FileContent, NewMember};
use crate::model::ArchivePath;

/// A file in memory.
pub(crate) struct InMemory {
    content: Cursor<Vec<u8>>,
    /// What it says when it is asked whether it has changed meanwhile.
    changes: bool,
}

impl InMemory {
    pub(crate) fn new(content: &[u8]) -> Self {
        Self { content: Cursor::new(content.to_vec()), changes: false }
    }

    pub(crate) fn that_changes(content: &[u8]) -> Self {
        Self { changes: true, ..Self::new(content) }
    }
}

impl Read for InMemory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer)
    }
}

impl FileContent for InMemory {
    fn changed(&mut self) -> bool {
        self.changes
    }
}

/// A table or another file of the server's.
pub(crate) fn member(path: &str) -> NewMember {
    NewMember {
        path: ArchivePath::new(path),
        mode: 0o640,
        uid: 1,
        gid: 2,
        user: None,
        group: None,
        mtime: 1_700_000_000,
        mtime_nsec: 5,
        system_tablespace: false,
        origin: None,
        listed: Some(true),
        place: None,
    }
}
