//! What the writer does with files that the server writes to meanwhile: see [`super::early`].

use std::io::{self, Read, Write};

use super::apply::{PAGES_PREFIX, RUNS_SUFFIX, runs_text};
use super::early::{EarlyFile, EarlyMember, portions, read_again};
use super::member::{FileContent, NewMember, Segment};
use super::stages::{ContentPages, read_full};
use super::writer::{ArchiveError, ArchiveWriter};
use crate::innodb::LivePages;
use crate::model::{ArchivePath, EarlyChange, IndexLine, MemberKind, PageRuns};

impl<W: Write + Send + 'static, I: Write + Send + 'static> ArchiveWriter<W, I> {
    /// A file that the server may write to meanwhile. What was torn while it was read is no damage yet: the caller reads it again.
    pub fn append_early(
        &mut self,
        member: NewMember,
        size: u64,
        segments: Option<&[Segment]>,
        source: &mut dyn FileContent,
    ) -> Result<EarlyMember, ArchiveError> {
        let offset = self.stream.raw_written();
        let (stored, pages) = self.store(&member, size, segments, source, ContentPages::live(&member))?;
        let pages = pages.finish_live();
        let again = read_again(pages.as_ref());
        let file = EarlyFile {
            path: member.name().clone(),
            is_system: member.system_tablespace,
            listed: member.listed,
            size,
            pages,
        };
        let path = member.path.clone();
        self.note(member, MemberKind::File, offset, |line| {
            stored.fill(line);
            line.early = true;
        })?;
        self.early.add(offset, path, file);
        Ok(EarlyMember { offset, again })
    }

    /// Pages that replace those of the early file `of`: these runs of it, ascending, which `source` yields one behind the other. `like` is the
    /// member that they are stored as, but for its name.
    pub fn append_pages(
        &mut self,
        like: &NewMember,
        of: u64,
        runs: &[Segment],
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let file = self.early.get(of).ok_or_else(|| unknown(of))?;
        let (path, page) = (file.path.clone(), file.pages.as_ref().and_then(LivePages::page_size));
        for portion in portions(runs, page.unwrap_or(1)) {
            let bytes = portion.iter().map(|run| run.len).sum::<u64>();
            let mut content = vec![0; usize::try_from(bytes).unwrap_or(0)];
            let failed = |cause| ArchiveError::Read { path: path.clone(), cause };
            if read_full(source, &mut content).map_err(failed)? < content.len() {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            self.append_portion(like, of, &portion, &content)?;
        }
        Ok(())
    }

    fn append_portion(
        &mut self,
        like: &NewMember,
        of: u64,
        runs: &[Segment],
        content: &[u8],
    ) -> Result<(), ArchiveError> {
        if let Some(pages) = self.early.get(of).and_then(|file| file.pages.as_mut()) {
            let mut rest = content;
            for run in runs {
                let (own, others) = rest.split_at(usize::try_from(run.len).unwrap_or(0).min(rest.len()));
                pages.retake(run.offset, own);
                rest = others;
            }
        }
        let number = self.page_members;
        self.page_members += 1;
        let runs: Vec<(u64, u64)> = runs.iter().map(|run| (run.offset, run.len)).collect();
        let path = ArchivePath::new(format!("{PAGES_PREFIX}/{number}{RUNS_SUFFIX}"));
        self.append_generated(NewMember { path, ..like.clone() }, &runs_text(&runs))?;
        let path = ArchivePath::new(format!("{PAGES_PREFIX}/{number}"));
        let member = NewMember { path, ..like.clone() };
        self.append_bytes(member, MemberKind::Pages, content, |line| line.pages = Some(PageRuns { of, runs }))
    }

    /// What became of an early member. To be told behind the last member with its pages.
    pub fn change(&mut self, change: EarlyChange) -> Result<(), ArchiveError> {
        self.early.change(&change).map_err(unknown)?;
        if let Some(unpacked) = &mut self.unpacked {
            unpacked.change(&change);
        }
        Ok(self.tell(&IndexLine::Change(change))?)
    }

    /// The script that makes a data directory of the unpacked members, where stock `tar` alone does not: behind all that it is about.
    /// `like` is the member that it is stored as. An error where what was stored early does not fit together, so that no reader would
    /// take the index.
    pub fn append_apply(&mut self, like: NewMember) -> Result<(), ArchiveError> {
        let Some(unpacked) = &mut self.unpacked else { return Ok(()) };
        let script = unpacked.script().map_err(|what| {
            let early = "what was stored while the server ran does not fit what is there now";
            io::Error::other(format!("{early}: {what}; take the backup again"))
        })?;
        script.map_or(Ok(()), |script| self.append_generated(like, &script))
    }
}

fn unknown(offset: u64) -> ArchiveError {
    ArchiveError::Write(io::Error::other(format!("no file that counts was stored early at offset {offset}")))
}

#[cfg(test)]
#[path = "early_tests.rs"]
mod tests;
