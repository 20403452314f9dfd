//! What is read of a list of files, while the server stands still or behind it.

use std::collections::HashSet;
use std::path::Path;

use super::super::copy::{Contents, Copied, Copier};
use super::super::entry::EntryKind;
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::watch::Watch;
use super::clones::Clones;
use super::ground::REST_LIMIT;
use crate::output::Writer;
use crate::quiesce::Files;
use crate::throttle::Limiter;

/// Bytes that may be read while the server stands still. A server that only holds its statements back changes what is read: nothing.
pub(super) fn rest_limit(worth: Files) -> u64 {
    if worth == Files::Clean { REST_LIMIT } else { 0 }
}

/// A list of files that is read from somewhere.
pub(super) struct Reading<'a> {
    pub(super) list: &'a FileList,
    pub(super) datadir: &'a Path,
    pub(super) watch: &'a Watch,
    pub(super) limiter: &'a Limiter,
}

impl Reading<'_> {
    /// What is to be read while the server stands still: what cannot be cloned, and, so that its members do not come before their
    /// directories, these.
    pub(super) fn rest(&self, clones: &Clones, worth: Files) -> Result<HashSet<usize>, CaptureError> {
        let (files, bytes) = clones.rest();
        if bytes > rest_limit(worth) {
            let path = files.first().map(|number| self.list.entries[*number].belongs(self.datadir));
            return Err(CaptureError::Uncloned { path: path.unwrap_or_default(), bytes });
        }
        if files.is_empty() {
            return Ok(HashSet::new());
        }
        log::info!("{} files ({} KiB) cannot be cloned: they are read now", files.len(), bytes >> 10);
        let is_directory = |number: &usize| self.list.entries[*number].kind == EntryKind::Directory;
        let directories = (0..self.list.entries.len()).filter(is_directory);
        Ok(files.into_iter().chain(directories).collect())
    }

    /// Reads the part that is wanted into the archive.
    pub(super) fn copy(
        &self,
        contents: &dyn Contents,
        part: &dyn Fn(usize) -> bool,
        writer: &mut Writer,
    ) -> Result<Copied, CaptureError> {
        let Self { list, datadir, watch, limiter } = *self;
        let count = |bytes| {
            watch.read(bytes)?;
            limiter.take(bytes);
            Ok(())
        };
        let mut copied = Copier { list, datadir, contents, count: &count, watch, part }.copy(writer)?;
        copied.store_rest(writer)?;
        Ok(copied)
    }
}
