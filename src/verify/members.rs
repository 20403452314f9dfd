//! The members one after the other.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::{CHUNK, Report, VerifyError, own};
use crate::archive::{Index, MemberDamage, StreamReader, hex, read_member, sum_line};
use crate::catalog::Source;
use crate::innodb::{PageChecker, PageReport};
use crate::model::{Member, MemberKind};

/// Numbers of damaged pages that are told.
const PAGES_TOLD: usize = 8;

/// The reading of the members.
pub(super) struct Check<'a> {
    report: &'a mut Report,
    source: &'a Source,
    index: &'a Index,
    interrupted: &'a AtomicBool,
    /// What SHA256SUMS must say, from the digests in the index.
    sums: Vec<u8>,
    damaged: u64,
}

struct Content {
    sha256: String,
    pages: Option<PageReport>,
    /// Kept for the small members of our own.
    bytes: Option<Vec<u8>>,
}

impl<'a> Check<'a> {
    /// Before the first member.
    pub(super) fn new(
        report: &'a mut Report,
        source: &'a Source,
        index: &'a Index,
        interrupted: &'a AtomicBool,
    ) -> Self {
        Self { report, source, index, interrupted, sums: Vec::new(), damaged: 0 }
    }

    /// Every member so far is what was written.
    pub(super) fn all_intact(self) -> bool {
        self.damaged == 0
    }

    /// The next member.
    pub(super) fn member(&mut self, stream: &mut StreamReader, member: &Member) -> Result<(), VerifyError> {
        let interrupted = self.interrupted;
        let keep = own::is_own(member, self.sums.len());
        let content = read_member(stream, member, |content| digest(content, member, keep, interrupted));
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        if member.kind == MemberKind::File
            && let Some(sha256) = &member.sha256
        {
            self.sums.extend_from_slice(&sum_line(sha256, &member.path));
        }
        match content.map_err(|cause| self.source.archive_failed(cause))? {
            Ok(content) => self.content(member, &content),
            Err(MemberDamage(what)) => self.damaged(member, what),
        }
        Ok(())
    }

    fn damaged(&mut self, member: &Member, what: String) {
        self.damaged += 1;
        self.report.add(member.path.to_string(), what);
    }

    fn content(&mut self, member: &Member, content: &Content) {
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
        if member.kind == MemberKind::File {
            self.report.files += 1;
            self.report.bytes += member.size;
        }
        self.pages(member, content.pages.as_ref());
        if member.kind == MemberKind::Generated && member.origin.is_none() {
            let (gtid, manifest) = (&self.index.header.gtid, self.source.manifest());
            own::check(member, content.bytes.as_deref(), &self.sums, gtid, manifest, self.report);
        }
    }

    fn pages(&mut self, member: &Member, pages: Option<&PageReport>) {
        let Some(pages) = pages else { return };
        self.report.pages_checked += pages.pages_checked;
        self.report.pages_skipped += pages.pages_skipped.total();
        let damaged = &pages.damaged;
        if damaged.count == 0 || member.changed {
            return;
        }
        let list: Vec<String> =
            damaged.first.iter().take(PAGES_TOLD).map(|page| page.page_no.to_string()).collect();
        let more = if damaged.count > PAGES_TOLD as u64 { ", ..." } else { "" };
        let (subject, they_were) = match damaged.count {
            1 => ("1 InnoDB page has".to_owned(), "it was"),
            many => (format!("{many} InnoDB pages have"), "they were"),
        };
        self.report.add(
            member.path.to_string(),
            format!(
                "{subject} a wrong checksum (page {}{more}); {they_were} so on the donor, the archive holds what was \
                 read there",
                list.join(", ")
            ),
        );
    }
}

fn digest(
    content: &mut dyn Read,
    member: &Member,
    keep: bool,
    interrupted: &AtomicBool,
) -> io::Result<Content> {
    let is_tablespace = member.system_tablespace || PageChecker::is_tablespace(&member.path.file_name());
    let mut pages = (member.kind == MemberKind::File && is_tablespace).then(PageChecker::new);
    let mut sha = Sha256::new();
    let mut bytes = keep.then(Vec::new);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = content.read(&mut chunk)?;
        if count == 0 || interrupted.load(Ordering::Relaxed) {
            break;
        }
        sha.update(&chunk[..count]);
        if let Some(pages) = &mut pages {
            pages.update(&chunk[..count]);
        }
        if let Some(bytes) = &mut bytes {
            bytes.extend_from_slice(&chunk[..count]);
        }
    }
    Ok(Content { sha256: hex(&sha.finalize()), pages: pages.map(PageChecker::finish), bytes })
}
