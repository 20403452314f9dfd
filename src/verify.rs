//! Reads a whole backup back: sizes, SHA-256, tar structure, InnoDB page checksums.
//!
//! Damage does not end the reading: every damaged file is named, with the place of the damage where
//! one is known. The index says where each member lies, so a block that cannot be read costs the
//! files in it and nothing behind it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::archive::{
    BlockReader, GRASTATE_MEMBER, IDENTITY_MEMBER, Index, MemberDamage, SUMS_MEMBER, StreamReader, hex,
    read_member, sum_line,
};
use crate::catalog::{Source, SourceError};
use crate::innodb::{PageChecker, PageReport};
use crate::model::{Manifest, Member, MemberKind, WsrepGtid};

/// Bytes looked at between two looks at the interruption.
const CHUNK: usize = 256 << 10;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object or the member of the archive.
    pub file: String,
    /// What is wrong, and where.
    pub what: String,
}

/// What the whole backup turned out to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing if all is well.
    pub findings: Vec<Finding>,
    /// Files whose content was read and compared.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// InnoDB pages whose checksum was computed.
    pub pages_checked: u64,
    /// InnoDB pages that cannot be checked without the server (encrypted ones, for example).
    pub pages_skipped: u64,
}

impl Report {
    fn add(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { file: file.into(), what: what.into() });
    }
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The storage failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The archive could not be read on.
    #[error("cannot read the archive: {0}")]
    Read(#[from] io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; nothing can be said about the rest")]
    Interrupted,
}

/// Reads everything. `progress` is told the position in the tar stream.
pub fn verify(
    source: &Source,
    threads: usize,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let manifest = source.manifest();
    match source.check_sizes() {
        Ok(()) => {}
        Err(error) if error.is_damage() => report.add(&manifest.archive.name, reason(&error)),
        Err(error) => return Err(error.into()),
    }
    let index = match source.read_index() {
        Ok(index) => index,
        Err(error) if error.is_damage() => {
            // Without the index nothing says what the archive must hold; its digest alone still counts.
            report.add(&manifest.index.name, reason(&error));
            check_object(source, &mut report, interrupted)?;
            return Ok(report);
        }
        Err(SourceError::Storage(error)) if error.is_not_found() => return Ok(report),
        Err(error) => return Err(error.into()),
    };
    let archive = match source.open_archive() {
        Ok(archive) => archive,
        Err(SourceError::Storage(error)) if error.is_not_found() => return Ok(report),
        Err(error) => return Err(error.into()),
    };
    let blocks: Arc<[_]> = index.blocks.clone().into();
    let mut stream =
        StreamReader::new(BlockReader::open(archive, blocks, index.header.compression, threads)?);
    let mut check = Check { report: &mut report, sums: Vec::new(), manifest, interrupted };
    for member in &index.members {
        progress(member.header_offset);
        check.member(&mut stream, member)?;
    }
    check_completeness(&index, &mut report);
    check_end(stream, &index, manifest, &mut report)?;
    Ok(report)
}

fn reason(error: &SourceError) -> String {
    match error {
        SourceError::Damaged { what, .. } => what.clone(),
        SourceError::Index { cause, .. } => cause.to_string(),
        SourceError::Storage(error) => error.to_string(),
    }
}

/// The digest of an archive whose index is lost.
fn check_object(source: &Source, report: &mut Report, interrupted: &AtomicBool) -> Result<(), VerifyError> {
    let manifest = source.manifest();
    let mut object = match source.open_archive() {
        Ok(object) => object,
        Err(SourceError::Storage(error)) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        match object.read(&mut chunk)? {
            0 => break,
            count => sha.update(&chunk[..count]),
        }
    }
    let found = hex(&sha.finalize());
    if found == manifest.archive.sha256 {
        report.add(&manifest.archive.name, "it is whole; stock tools can unpack it (see doc/format.md)");
    } else {
        report.add(
            &manifest.archive.name,
            format!("its SHA-256 is {found}, the manifest says {}", manifest.archive.sha256),
        );
    }
    Ok(())
}

struct Check<'a> {
    report: &'a mut Report,
    /// What SHA256SUMS must say, from the digests in the index.
    sums: Vec<u8>,
    manifest: &'a Manifest,
    interrupted: &'a AtomicBool,
}

struct Content {
    sha256: String,
    pages: Option<PageReport>,
    /// Kept for the small members of our own.
    bytes: Vec<u8>,
}

impl Check<'_> {
    fn member(&mut self, stream: &mut StreamReader, member: &Member) -> Result<(), VerifyError> {
        let path = member.path.to_string();
        let interrupted = self.interrupted;
        let content = read_member(stream, member, |content| digest(content, member, interrupted));
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        if member.kind == MemberKind::File
            && let Some(sha256) = &member.sha256
        {
            self.sums.extend_from_slice(&sum_line(sha256, &member.path));
        }
        let content = match content? {
            Ok(content) => content,
            Err(MemberDamage(what)) => {
                self.report.add(path, what);
                return Ok(());
            }
        };
        match &member.sha256 {
            Some(wanted) if *wanted == content.sha256 => {
                if member.kind == MemberKind::File {
                    self.report.files += 1;
                    self.report.bytes += member.size;
                }
            }
            Some(_) => {
                self.report
                    .add(path, place_of(member, "its content is not what was backed up (SHA-256 differs)"));
                return Ok(());
            }
            None => return Ok(()),
        }
        self.pages(member, content.pages.as_ref());
        self.own_member(member, &content.bytes);
        Ok(())
    }

    fn pages(&mut self, member: &Member, pages: Option<&PageReport>) {
        let Some(pages) = pages else { return };
        self.report.pages_checked += pages.pages_checked;
        self.report.pages_skipped += pages.pages_skipped.total();
        if pages.damaged.count == 0 || member.changed {
            return;
        }
        let list: Vec<String> =
            pages.damaged.first.iter().take(8).map(|page| page.page_no.to_string()).collect();
        let more = if pages.damaged.count > 8 { ", ..." } else { "" };
        self.report.add(
            member.path.to_string(),
            format!(
                "{} InnoDB pages have a wrong checksum (page {}{more}); they were so on the donor, the archive holds \
                 what was read there",
                pages.damaged.count,
                list.join(", ")
            ),
        );
    }

    /// The members that this program wrote must tell the manifest's story.
    fn own_member(&mut self, member: &Member, bytes: &[u8]) {
        if member.kind != MemberKind::Generated || member.origin.is_some() {
            return;
        }
        let name = member.path.to_string();
        match name.as_str() {
            IDENTITY_MEMBER => {
                #[derive(serde::Deserialize)]
                struct Identity {
                    id: String,
                    gtid: WsrepGtid,
                }
                match serde_json::from_slice::<Identity>(bytes) {
                    Ok(own) if own.id == self.manifest.id.as_str() && own.gtid == self.manifest.gtid => {}
                    Ok(own) => self.report.add(
                        name,
                        format!(
                            "it says {} at {}, the manifest {} at {}",
                            own.id, own.gtid, self.manifest.id, self.manifest.gtid
                        ),
                    ),
                    Err(error) => self.report.add(name, error.to_string()),
                }
            }
            GRASTATE_MEMBER if bytes != self.manifest.gtid.grastate(false).as_bytes() => {
                self.report.add(
                    name,
                    format!(
                        "it does not say the position of the manifest, {}",
                        self.manifest.gtid.position()
                    ),
                );
            }
            SUMS_MEMBER if bytes != self.sums => {
                self.report.add(name, "its digests are not those of the index");
            }
            _ => {}
        }
    }
}

/// A damage that only the digest shows lies somewhere in the member.
fn place_of(member: &Member, what: &str) -> String {
    format!("{what}; bytes {} to {} of the tar stream", member.header_offset, member.end_offset)
}

fn digest(content: &mut dyn Read, member: &Member, interrupted: &AtomicBool) -> io::Result<Content> {
    let is_tablespace = member.system_tablespace || PageChecker::is_tablespace(&member.path.file_name());
    let mut pages = (member.kind == MemberKind::File && is_tablespace).then(PageChecker::new);
    let keep = member.kind == MemberKind::Generated;
    let mut sha = Sha256::new();
    let mut bytes = Vec::new();
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
        if keep {
            bytes.extend_from_slice(&chunk[..count]);
        }
    }
    Ok(Content { sha256: hex(&sha.finalize()), pages: pages.map(PageChecker::finish), bytes })
}

/// An index that is whole but names no grastate.dat is not that of a backup.
fn check_completeness(index: &Index, report: &mut Report) {
    for name in [IDENTITY_MEMBER, GRASTATE_MEMBER, SUMS_MEMBER] {
        if !index.members.iter().any(|member| member.path.as_bytes() == name.as_bytes()) {
            report.add(name, "the archive does not hold it");
        }
    }
}

/// What lies behind the last member, and the digest of the whole object.
fn check_end(
    mut stream: StreamReader,
    index: &Index,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let end = index.members.last().map_or(0, |member| member.end_offset);
    if stream.skip_to(end)? {
        let mut rest = Vec::new();
        let limit = index.raw_bytes.saturating_sub(end);
        match (&mut stream).take(limit).read_to_end(&mut rest) {
            Ok(_) if rest.len() >= 1024 && rest.iter().all(|byte| *byte == 0) => {}
            Ok(_) => report.add(&manifest.archive.name, "the tar has no proper end"),
            // The block is named among the damage below.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (digest, damage) = stream.finish()?;
    let named = !report.findings.is_empty();
    for block in damage.iter().filter(|_| !named) {
        report.add(&manifest.archive.name, block.to_string());
    }
    if digest.sha256 != manifest.archive.sha256 && damage.is_empty() {
        let what = format!("its SHA-256 is {}, the manifest says {}", digest.sha256, manifest.archive.sha256);
        report.add(&manifest.archive.name, what);
    }
    Ok(())
}
