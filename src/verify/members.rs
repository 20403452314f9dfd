//! The members one after the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::merged::{Merged, PageReader};
use super::program_members;
use super::verify_report::{CHUNK, VerifyError, VerifyReport};
use crate::archive::{
    Index, MemberDamage, PageFault, StreamReader, has_sum, hex, missing_of_system, of_files, page_fault,
    read_member, sum_line,
};
use crate::catalog::{BackupReadError, BackupReader};
use crate::innodb::redo::StoredLog;
use crate::innodb::{PageChecker, PageReport, SystemTablespace};
use crate::model::{Member, MemberKind};

/// Files that no table uses which are told one by one.
const LEFTOVERS_TOLD: u64 = 20;

/// The reading of the members.
pub(super) struct Check<'a> {
    report: &'a mut VerifyReport,
    source: &'a BackupReader,
    index: &'a Index,
    interrupted: &'a AtomicBool,
    /// What is there at the end, by the places of members in the stream.
    at_end: BTreeMap<u64, &'a Member>,
    /// The files of which page members are parts, in the same way.
    patched: BTreeMap<u64, &'a Member>,
    /// Members that stock `tar` leaves where they are: none behind them has their path.
    last: BTreeSet<u64>,
    /// What SHA256SUMS must say, from the digests in the index.
    sums: Vec<u8>,
    damaged: u64,
    leftovers: u64,
    system: SystemTablespace,
}

struct MemberContent {
    sha256: String,
    pages: Option<PageReport>,
    /// Whether a server starts from it, where it is a redo log that is not stored as a whole.
    redo: Option<Result<(), String>>,
    /// Kept for the small members of our own.
    bytes: Option<Vec<u8>>,
}

impl<'a> Check<'a> {
    /// Before the first member.
    pub(super) fn new(
        report: &'a mut VerifyReport,
        source: &'a BackupReader,
        index: &'a Index,
        interrupted: &'a AtomicBool,
    ) -> Self {
        let at_end: BTreeMap<u64, &Member> =
            index.members.iter().map(|member| (member.header_offset, member)).collect();
        let pages =
            |member: &'a Member| index.patches(member).map(move |pages| (pages.header_offset, member));
        let patched = index.members.iter().flat_map(pages).collect();
        let by_path: BTreeMap<_, u64> =
            index.stream_members().iter().map(|member| (&member.path, member.header_offset)).collect();
        let last = by_path.into_values().collect();
        let (sums, system) = (Vec::new(), SystemTablespace::default());
        let (damaged, leftovers) = (0, 0);
        Self { report, source, index, interrupted, at_end, patched, last, sums, damaged, leftovers, system }
    }

    /// Every member so far is what was written.
    pub(super) fn all_intact(self) -> bool {
        self.damaged == 0
    }

    /// The next member of the stream.
    pub(super) fn member(&mut self, stream: &mut StreamReader, member: &Member) -> Result<(), VerifyError> {
        let interrupted = self.interrupted;
        let keep = program_members::is_own(member, self.sums.len());
        let at_end = self.at_end.get(&member.header_offset).copied();
        let failure = Rc::new(RefCell::new(None));
        let mut merged = at_end.and_then(|file| self.merged(member, file, &failure));
        let content = read_member(stream, member, |content| {
            digest(content, at_end.unwrap_or(member), keep, &mut merged, interrupted)
        });
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        drop(merged);
        if let Some(error) = failure.borrow_mut().take() {
            return Err(error.into());
        }
        if has_sum(member)
            && self.last.contains(&member.header_offset)
            && let Some(sha256) = &member.sha256
        {
            self.sums.extend_from_slice(&sum_line(sha256, &member.path));
        }
        match content.map_err(|cause| self.source.archive_failed(cause))? {
            Ok(content) => self.content(member, at_end, &content),
            Err(MemberDamage(what)) => self.damaged(member, what),
        }
        Ok(())
    }

    /// What makes the file at the end of this member, where that is something else.
    fn merged(
        &self,
        member: &Member,
        file: &Member,
        failure: &Rc<RefCell<Option<BackupReadError>>>,
    ) -> Option<Merged<'a>> {
        let (source, index) = (self.source, self.index);
        let patches: Vec<&'a Member> = self
            .at_end
            .get(&file.header_offset)
            .map(|file| index.patches(file).collect())
            .unwrap_or_default();
        if patches.is_empty() && file.size == member.size {
            return None;
        }
        let mut reader = PageReader::new(source, index, patches.clone(), Rc::clone(failure));
        Some(Merged::new(file.size, &patches, Box::new(move |number| reader.load(number))))
    }

    /// Pages are named by the file in which they belong.
    fn damaged(&mut self, member: &Member, what: String) {
        self.damaged += 1;
        match self.patched.get(&member.header_offset) {
            Some(file) => {
                let (file, first) = (file.path.to_string(), first_run(member));
                self.report
                    .add(file, format!("its pages from byte {first} on, in '{}': {what}", member.path));
            }
            None => self.report.add(member.path.to_string(), what),
        }
    }

    fn content(&mut self, member: &Member, at_end: Option<&Member>, content: &MemberContent) {
        match &member.sha256 {
            None => return,
            Some(wanted) if *wanted == content.sha256 => {}
            Some(_) => {
                let what = format!(
                    "its content is not what was backed up (SHA-256 differs); bytes {} to {} of the tar stream",
                    member.header_offset, member.end_offset
                );
                return self.damaged(member, what);
            }
        }
        // Of what is superseded, or was gone, no more is to be said.
        let Some(file) = at_end else { return self.own(member, content, false) };
        if file.kind == MemberKind::File {
            self.report.files += 1;
            self.report.bytes += file.size;
        }
        self.pages(file, content.pages.as_ref());
        if let Some(Err(what)) = &content.redo {
            self.report.add(file.path.to_string(), what.clone());
        }
        self.own(member, content, true);
    }

    /// What the donor program has written; `counts` where no later one takes its place.
    fn own(&mut self, member: &Member, content: &MemberContent, counts: bool) {
        if member.kind != MemberKind::Generated || member.origin.is_some() {
            return;
        }
        let manifest = self.source.manifest();
        let bytes = content.bytes.as_deref();
        if !counts {
            return program_members::check_early(member, bytes, manifest, self.report);
        }
        // `BackupReader::compare` names an index that says something else.
        let gtid = self.index.header.gtid.as_ref();
        program_members::check(member, bytes, &self.sums, gtid, manifest, self.report);
    }

    /// Of a file as it is at the end.
    fn pages(&mut self, member: &Member, pages: Option<&PageReport>) {
        let Some(pages) = pages else { return };
        self.report.pages_checked += pages.pages_checked;
        self.report.pages_skipped += pages.pages_skipped.total();
        if member.changed {
            return;
        }
        if member.system_tablespace {
            self.system.add(member.size, pages);
        }
        let pages = &of_files(self.index.header.files_state, pages.clone());
        match page_fault(member.path.file_name().as_bytes(), member.size, pages, member.listed) {
            None => {}
            Some(PageFault::Lost { what, .. }) => {
                self.report.add(member.path.to_string(), so_on_the_donor(&what));
            }
            Some(PageFault::Leftover { what }) => self.leftover(member, &what),
        }
    }

    /// A file that no table uses is worth a word, and no damage.
    fn leftover(&mut self, member: &Member, what: &str) {
        self.leftovers += 1;
        if self.leftovers <= LEFTOVERS_TOLD {
            self.report.notes.push(format!("{}: {what}", member.path));
        }
    }

    /// Behind the last member.
    pub(super) fn end(&mut self) {
        let more = self.leftovers.saturating_sub(LEFTOVERS_TOLD);
        if more > 0 {
            self.report
                .notes
                .push(format!("{more} more tablespace files that no table uses are not what they should be"));
        }
        let mut system = self.index.members.iter().filter(|member| member.system_tablespace);
        match (system.next_back(), self.system.pages_missing()) {
            (None, _) => self.report.add(
                self.source.manifest().archive.name.clone(),
                "it holds no InnoDB system tablespace: no server can start from it",
            ),
            (Some(last), missing) if missing > 0 => {
                self.report.add(last.path.to_string(), so_on_the_donor(&missing_of_system(missing)));
            }
            _ => {}
        }
    }
}

fn so_on_the_donor(what: &str) -> String {
    let they_were = if what.starts_with(|c: char| c.is_ascii_digit()) && !what.starts_with("1 ") {
        "they were"
    } else {
        "it was"
    };
    format!("{what}; {they_were} so on the donor, the archive holds what was read there")
}

fn first_run(member: &Member) -> u64 {
    member.pages.as_ref().and_then(|pages| pages.runs.first()).map_or(0, |(offset, _)| *offset)
}

/// Reads the content; `member` is what it is at the end. The pages that are checked are those at the end, too.
fn digest(
    content: &mut dyn Read,
    member: &Member,
    keep: bool,
    merged: &mut Option<Merged<'_>>,
    interrupted: &AtomicBool,
) -> io::Result<MemberContent> {
    let is_tablespace = member.system_tablespace || PageChecker::is_tablespace(&member.path.file_name());
    let mut pages = (member.kind == MemberKind::File && is_tablespace).then(PageChecker::new);
    let mut redo = member
        .live_redo
        .filter(|_| member.kind == MemberKind::File)
        .map(|live| StoredLog::new(member.size, live.checkpoint_lsn, live.end_lsn));
    let mut sha = Sha256::new();
    let mut bytes = keep.then(Vec::new);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = content.read(&mut chunk)?;
        if count == 0 || interrupted.load(Ordering::Relaxed) {
            break;
        }
        sha.update(&chunk[..count]);
        match (&mut pages, &mut *merged) {
            (Some(pages), None) => pages.update(&chunk[..count]),
            (Some(pages), Some(merged)) => merged.update(&chunk[..count], &mut |bytes| pages.update(bytes)),
            (None, _) => {}
        }
        if let Some(redo) = &mut redo {
            redo.update(&chunk[..count]);
        }
        if let Some(bytes) = &mut bytes {
            bytes.extend_from_slice(&chunk[..count]);
        }
    }
    // Where a page member cannot be read nothing is known of the file but that.
    let pages = match (pages, merged.take()) {
        (Some(mut pages), Some(merged)) => {
            merged.finish(&mut |bytes| pages.update(bytes)).then(|| pages.finish())
        }
        (pages, _) => pages.map(PageChecker::finish),
    };
    let redo = redo.map(StoredLog::finish);
    Ok(MemberContent { sha256: hex(&sha.finalize()), pages, redo, bytes })
}
