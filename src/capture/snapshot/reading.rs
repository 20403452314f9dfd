//! What is read of a list of files, while the server stands still or behind it.

use std::collections::HashSet;
use std::path::Path;

use super::super::copy::{Contents, Copied, Copier};
use super::super::entry::EntryKind;
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::objection::shown;
use super::super::watch::Watch;
use super::clones::Clones;
use super::ground::REST_LIMIT;
use crate::output::Writer;
use crate::quiesce::Files;
use crate::throttle::Limiter;

/// Bytes that may be read while the server stands still, as it is known before. A server that only holds its statements back changes what is read: nothing.
pub(super) fn rest_limit(worth: Files) -> u64 {
    if worth == Files::Clean { REST_LIMIT } else { 0 }
}

/// What is to be read while the server stands still.
pub(super) struct Rest {
    /// Entries of the list.
    pub(super) numbers: HashSet<usize>,
    /// What is to be told where that is more than it was meant to be.
    pub(super) warning: Option<String>,
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
    ///
    /// Where a clone fails that had worked on trial (a quota), more may be left than is read here by design. A server that has been frozen for a state transfer cannot be frozen once more,
    /// by another method: so with `reads_all`, where nobody has asked for this one by its name, it is read all the same.
    pub(super) fn rest(&self, clones: &Clones, worth: Files, reads_all: bool) -> Result<Rest, CaptureError> {
        let (files, bytes) = clones.rest();
        let mut warning = None;
        if bytes > rest_limit(worth) {
            let path = files.first().map(|number| self.list.entries[*number].belongs(self.datadir));
            let path = path.unwrap_or_default();
            if worth != Files::Clean || !reads_all {
                return Err(CaptureError::Uncloned { path, bytes });
            }
            warning = Some(format!(
                "{bytes} bytes, among them '{}', could not be cloned although that had worked on trial, and were read while the server stood \
                 still: the log says of each file why",
                shown(&path)
            ));
        }
        if files.is_empty() {
            return Ok(Rest { numbers: HashSet::new(), warning });
        }
        log::info!("{} files ({} KiB) cannot be cloned: they are read now", files.len(), bytes >> 10);
        let is_directory = |number: &usize| self.list.entries[*number].kind == EntryKind::Directory;
        let directories = (0..self.list.entries.len()).filter(is_directory);
        Ok(Rest { numbers: files.into_iter().chain(directories).collect(), warning })
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
