//! What is learnt about a file while its content passes by.

use sha2::{Digest, Sha256};

use super::digest::hex;
use super::member::NewMember;
use crate::innodb::{PageChecker, PageReport};

/// Digest and page checksums of one file's content.
pub(super) struct Content {
    sha: Sha256,
    pages: Option<PageChecker>,
}

impl Content {
    /// Before the first byte.
    pub(super) fn new(member: &NewMember) -> Self {
        let pages = (member.system_tablespace || PageChecker::is_tablespace(&member.path.file_name()))
            .then(PageChecker::new);
        Self { sha: Sha256::new(), pages }
    }

    /// Bytes of data.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        if let Some(pages) = &mut self.pages {
            pages.update(bytes);
        }
    }

    /// Bytes of a hole.
    pub(super) fn zeros(&mut self, mut count: u64) {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        while count > 0 {
            let now = count.min(ZEROS.len() as u64);
            self.update(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())]);
            count -= now;
        }
    }

    /// SHA-256 in hexadecimal, and what was found in the pages of a tablespace.
    pub(super) fn finish(self) -> (String, Option<PageReport>) {
        (hex(&self.sha.finalize()), self.pages.map(PageChecker::finish))
    }
}
