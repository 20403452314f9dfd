//! Writes the members of an archive: headers, holes, digests, page checksums, index lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tar::EntryType;
use thiserror::Error;

use super::block_writer::{BlockWriter, WriterOptions};
use super::digest::hex;
use super::early::EarlyFiles;
use super::index::{IndexWriter, lock};
use super::inspection::{Filling, Inspector};
use super::member::{FileContent, NewMember, Segment, fill_tar_blocks, stored_bytes};
use super::pages::PageFaults;
use super::stages::{ContentPages, Pieces, Stage, Store};
use super::sums::{Sums, has_sum};
use super::tar_header::{Headers, TAR_BLOCK, padding};
use super::unpacked::Unpacked;
use crate::model::{ArchivePath, FORMAT, IndexHeader, IndexLine, LiveRedo, Member, MemberKind, WsrepGtid};
use crate::seal::Recipient;

/// Why an archive could not be written on.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file could not be read. What was written for it is padded, so the archive stays a tar.
    #[error("cannot read '{path}': {cause}")]
    Read {
        /// The file.
        path: ArchivePath,
        /// What the system said.
        cause: io::Error,
    },
    /// The storage did not take the bytes; the archive is lost.
    #[error("cannot write the archive: {0}")]
    Write(#[from] io::Error),
}

/// Both streams at their end.
#[derive(Debug)]
pub struct Finished<W, I> {
    /// The archive's sink, to be made durable.
    pub archive: W,
    /// The index's sink, to be made durable.
    pub index: I,
    /// What is in them.
    pub summary: ArchiveSummary,
}

/// What is in a finished archive.
#[derive(Debug)]
pub struct ArchiveSummary {
    /// Bytes of the archive object.
    pub archive_bytes: u64,
    /// Its SHA-256.
    pub archive_sha256: String,
    /// Bytes of the index object.
    pub index_bytes: u64,
    /// Its SHA-256.
    pub index_sha256: String,
    /// Bytes of all data files, holes included.
    pub data_bytes: u64,
    /// Number of data files.
    pub files: u64,
    /// InnoDB pages that are not what the server wrote.
    pub damaged_pages: u64,
    /// InnoDB pages that should be there and are not.
    pub missing_pages: u64,
    /// The files that lack them, and in words what is wrong.
    pub lost: Vec<(ArchivePath, String)>,
    /// Tablespace files that no table uses, as far as is known, and what is wrong with them.
    pub leftovers: Vec<(ArchivePath, String)>,
    /// Of a redo log that is not stored as a whole.
    pub live_redo: Option<LiveRedo>,
}

/// A file's content in the archive.
pub(super) struct StoredFile {
    size: u64,
    bytes: u64,
    keeps_holes: bool,
    digest: String,
    /// The source has ended early.
    pub(super) is_short: bool,
}

impl StoredFile {
    /// Says so in the index.
    pub(super) fn fill(self, line: &mut Member) {
        line.size = self.size;
        line.stored = self.bytes;
        line.sparse = self.keeps_holes;
        line.sha256 = Some(self.digest);
    }
}

/// Writes one archive and its index. Dropping it unfinished abandons both.
pub struct ArchiveWriter<W, I: Write> {
    pub(super) stream: BlockWriter<W>,
    index: Arc<Mutex<IndexWriter<I>>>,
    sums: Sums,
    inspector: Inspector,
    data_bytes: u64,
    files: u64,
    pages: PageFaults,
    live_redo: Option<LiveRedo>,
    pub(super) early: EarlyFiles,
    /// Members of pages so far.
    pub(super) page_members: u64,
    /// What decides about the script in the archive, where the format has one.
    pub(super) unpacked: Option<Unpacked>,
}

impl<W: Write + Send + 'static, I: Write + Send + 'static> ArchiveWriter<W, I> {
    /// Starts an archive that goes to `archive`, and its index that goes to `index`; both are sealed for the recipients,
    /// if there are any.
    pub fn create(
        archive: W,
        index: I,
        header: IndexHeader,
        options: WriterOptions,
        recipients: &[Recipient],
    ) -> Result<Self, ArchiveError> {
        let files = header.files_state;
        let unpacked = (header.format > FORMAT).then(Unpacked::default);
        let index = Arc::new(Mutex::new(IndexWriter::create(index, header, recipients)?));
        let stream = BlockWriter::create(archive, Arc::clone(&index), options, recipients)?;
        Ok(Self {
            stream,
            index,
            sums: Sums::default(),
            inspector: Inspector::new(),
            data_bytes: 0,
            files: 0,
            pages: PageFaults::of(files),
            live_redo: None,
            early: EarlyFiles::default(),
            page_members: 0,
            unpacked,
        })
    }

    /// A directory.
    pub fn append_directory(&mut self, member: NewMember) -> Result<(), ArchiveError> {
        let start = self.stream.raw_written();
        let mut name = member.path.as_bytes().to_vec();
        name.push(b'/');
        self.stream.write_all(&Headers::new(&member, EntryType::Directory, 0).plain(&name, b""))?;
        self.note(member, MemberKind::Directory, start, |_| {})
    }

    /// A symbolic link to `target`.
    pub fn append_symlink(&mut self, member: NewMember, target: ArchivePath) -> Result<(), ArchiveError> {
        let start = self.stream.raw_written();
        let headers = Headers::new(&member, EntryType::Symlink, 0);
        self.stream.write_all(&headers.plain(member.path.as_bytes(), target.as_bytes()))?;
        self.note(member, MemberKind::Symlink, start, |line| line.target = Some(target))
    }

    /// A file of this program's own making; a digest line only where the script in the archive goes by it ([`has_sum`]).
    pub fn append_generated(&mut self, member: NewMember, content: &[u8]) -> Result<(), ArchiveError> {
        self.append_bytes(member, MemberKind::Generated, content, |_| {})
    }

    /// A member whose content is at hand; `fill` adds what its line has besides.
    pub(super) fn append_bytes(
        &mut self,
        member: NewMember,
        kind: MemberKind,
        content: &[u8],
        fill: impl FnOnce(&mut Member),
    ) -> Result<(), ArchiveError> {
        let start = self.stream.raw_written();
        let headers = Headers::new(&member, EntryType::Regular, content.len() as u64);
        self.stream.write_all(&headers.plain(member.path.as_bytes(), b""))?;
        self.stream.write_all(content)?;
        self.pad()?;
        let digest = hex(&Sha256::digest(content));
        self.note(member, kind, start, |line| {
            line.size = content.len() as u64;
            line.stored = line.size;
            line.sha256 = Some(digest);
            fill(line);
        })
    }

    /// A file of the server: `size` bytes, of which `segments` hold data (all of it where `None`).
    ///
    /// The header has promised a length, so a source that ends early is filled up with zeros and one
    /// that has grown is cut: the archive stays readable, its digests are those of what it holds, and
    /// the index line says `changed`.
    ///
    /// Segments that do not fill whole tar blocks cannot be told in tar; their holes are stored as zeros.
    pub fn append_file(
        &mut self,
        member: NewMember,
        size: u64,
        segments: Option<&[Segment]>,
        source: &mut dyn FileContent,
    ) -> Result<(), ArchiveError> {
        let start = self.stream.raw_written();
        let (stored, pages) = self.store(&member, size, segments, source, ContentPages::new(&member))?;
        let changed = stored.is_short || source.changed();
        if let Some(report) = pages.finish().filter(|_| !changed) {
            self.pages.take(&member, size, report);
        }
        let live_redo = source.live_redo();
        self.live_redo = self.live_redo.or(live_redo);
        self.files += 1;
        self.data_bytes += size;
        self.note(member, MemberKind::File, start, |line| {
            stored.fill(line);
            line.changed = changed;
            line.live_redo = live_redo;
        })
    }

    /// Writes headers and content; the pages of a tablespace go to `pages`, which comes back.
    pub(super) fn store(
        &mut self,
        member: &NewMember,
        size: u64,
        segments: Option<&[Segment]>,
        source: &mut dyn FileContent,
        pages: ContentPages,
    ) -> Result<(StoredFile, ContentPages), ArchiveError> {
        let sparse = segments.filter(|segments| fill_tar_blocks(segments));
        let stored = sparse.map_or(size, stored_bytes);
        match sparse {
            None => {
                let headers = Headers::new(member, EntryType::Regular, size);
                self.stream.write_all(&headers.plain(member.path.as_bytes(), b""))?;
            }
            Some(segments) => {
                let headers = Headers::new(member, EntryType::GNUSparse, stored);
                self.stream.write_all(&headers.sparse(member.path.as_bytes(), size, segments))?;
            }
        }
        let whole = [Segment { offset: 0, len: size }];
        let keeps_holes = sparse.is_some();
        let mut pieces = Pieces::new(source, segments.unwrap_or(&whole), size);
        if !keeps_holes {
            self.stream.data_begins();
        }
        let mut store = Store { stream: &mut self.stream, keeps_holes };
        self.inspector.begin(pages, stored)?;
        loop {
            let mut room = self.inspector.room()?;
            let Some(filling) = pieces
                .next(&mut room)
                .map_err(|cause| ArchiveError::Read { path: member.path.clone(), cause })?
                .map(Filling::from)
            else {
                self.inspector.put_back(room);
                break;
            };
            store.take(filling.piece(&room))?;
            self.inspector.take((room, filling))?;
        }
        let is_short = pieces.is_short();
        if !keeps_holes {
            self.stream.data_ends();
        }
        self.pad()?;
        let (digest, pages) = self.inspector.finish()?;
        Ok((StoredFile { size, bytes: stored, keeps_holes, digest, is_short }, pages))
    }

    /// The member with the digests of all files appended so far; the last one.
    pub fn append_sums(&mut self, member: NewMember) -> Result<(), ArchiveError> {
        let sums = self.sums.take();
        self.append_generated(member, &sums)
    }

    /// A line of the index that is no member's.
    pub(super) fn tell(&mut self, line: &IndexLine) -> io::Result<()> {
        lock(&self.index)?.append(line)
    }

    /// The position, where it was not known when the header was written.
    pub fn position(&mut self, gtid: Option<WsrepGtid>) -> Result<(), ArchiveError> {
        lock(&self.index)?.position(gtid);
        Ok(())
    }

    /// Writes the end of the tar and of the index and waits for both sinks.
    pub fn finish(mut self) -> Result<Finished<W, I>, ArchiveError> {
        let early = std::mem::take(&mut self.early).end(&mut self.pages);
        self.pages.end();
        self.stream.write_all(&[0; 2 * TAR_BLOCK])?;
        let (archive, archive_bytes, archive_sha256) = self.stream.finish()?;
        let index = Arc::into_inner(self.index)
            .and_then(|mutex| mutex.into_inner().ok())
            .ok_or_else(|| io::Error::other("the index is still in use"))?;
        let (index, index_bytes, index_sha256) = index.finish()?;
        let summary = ArchiveSummary {
            archive_bytes,
            archive_sha256,
            index_bytes,
            index_sha256,
            data_bytes: self.data_bytes + early.bytes,
            files: self.files + early.files,
            damaged_pages: self.pages.damaged,
            missing_pages: self.pages.missing,
            lost: self.pages.lost,
            leftovers: self.pages.leftovers,
            live_redo: self.live_redo,
        };
        Ok(Finished { archive, index, summary })
    }

    pub(super) fn pad(&mut self) -> Result<(), ArchiveError> {
        Ok(self.stream.write_all(padding(self.stream.raw_written()))?)
    }

    pub(super) fn note(
        &mut self,
        member: NewMember,
        kind: MemberKind,
        start: u64,
        fill: impl FnOnce(&mut Member),
    ) -> Result<(), ArchiveError> {
        let replaces = self.early.replace(&member.path);
        self.sums.replace(&member.path);
        let mut line = member.line(kind, start, self.stream.raw_written());
        fill(&mut line);
        if has_sum(&line)
            && let Some(digest) = &line.sha256
        {
            self.sums.add(digest, &line.path, line.early);
        }
        if let Some(unpacked) = &mut self.unpacked {
            unpacked.take(&line, replaces);
        }
        lock(&self.index)?.append(&IndexLine::Member(line))?;
        Ok(())
    }
}
