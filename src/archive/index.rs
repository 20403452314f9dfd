//! Writing and reading `index.json.zst`: JSON lines in one zstd stream.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::at_end::{AtEnd, Streamed};
use super::block::{PlannedBlock, ReadPlan};
use super::border_digests::BorderDigests;
use super::digest::{Hashing, hex};
use super::validator::Validator;
use crate::model::{
    Block, Content, EarlyChange, FORMAT, IndexEnd, IndexHeader, IndexLine, Member, NEWEST_FORMAT, WsrepGtid,
    not_understood,
};
use crate::seal::{Identities, Recipient, SealedWriter, UnsealError, unseal_stream};

/// Bytes that an index may unpack to, whatever its own size: an index is small.
const MOST_UNPACKED: u64 = 16 << 20;
/// Bytes that may come out for each byte of the object beyond that: ten to thirty do.
const EXPANSION: u64 = 200;
/// Bytes that an index has at most, whatever else speaks for it: the lines of six million files with usual names, of 350 bytes each.
/// No server that is known has a third of them. An index is held in memory as a whole while it is used.
const LARGEST: u64 = 2 << 30;
/// Longest line that is believed, in bytes; a path has at most 4096, and %XX triples it.
const MAX_LINE: u64 = 1 << 20;

/// Writes the index while the archive streams.
pub struct IndexWriter<I: Write> {
    stream: zstd::stream::write::Encoder<'static, SealedWriter<Hashing<I>>>,
    end: IndexEnd,
    /// Bytes of its lines.
    written: u64,
}

impl<I: Write> IndexWriter<I> {
    /// Starts the index with its header line; it is sealed for the recipients, if there are any.
    pub fn create(sink: I, header: IndexHeader, recipients: &[Recipient]) -> io::Result<Self> {
        let sealed = SealedWriter::create(Hashing::new(sink), recipients)?;
        let mut stream = zstd::stream::write::Encoder::new(sealed, 3)?;
        stream.include_checksum(true)?;
        let mut writer =
            Self { stream, end: IndexEnd { members: 0, blocks: 0, raw: 0, gtid: None }, written: 0 };
        writer.append(&IndexLine::Index(header))?;
        Ok(writer)
    }

    /// Appends one line. An error where the index would become longer than a reader takes. Blocks in its second half are written without
    /// digests, which nobody has to have: no backup fails for their sake.
    pub fn append(&mut self, line: &IndexLine) -> io::Result<()> {
        match line {
            IndexLine::Member(_) => self.end.members += 1,
            IndexLine::Block(block) => {
                self.end.blocks += 1;
                self.end.raw += block.raw;
            }
            IndexLine::Index(_) | IndexLine::Change(_) | IndexLine::End(_) => {}
        }
        let bare = match line {
            IndexLine::Block(block) if self.written > LARGEST / 2 => {
                Some(IndexLine::Block(block.block().into()))
            }
            _ => None,
        };
        let mut text = serde_json::to_vec(bare.as_ref().unwrap_or(line))?;
        text.push(b'\n');
        self.written += text.len() as u64;
        if self.written > LARGEST {
            let text = format!(
                "an index holds {} GiB of lines, which is about six million files; the archive has more",
                LARGEST >> 30
            );
            return Err(io::Error::other(text));
        }
        self.stream.write_all(&text)
    }

    /// The position, where it was not known when the header was written.
    pub fn position(&mut self, gtid: Option<WsrepGtid>) {
        self.end.gtid = gtid;
    }

    /// Writes the end mark; the sink, the object's size and its SHA-256.
    pub fn finish(mut self) -> io::Result<(I, u64, String)> {
        let end = self.end.clone();
        self.append(&IndexLine::End(end))?;
        let mut sink = self.stream.finish()?.finish()?;
        sink.flush()?;
        Ok(sink.finish())
    }
}

/// The lock of the index; poisoned only when another thread panicked over it.
pub(super) fn lock<I: Write>(index: &Mutex<IndexWriter<I>>) -> io::Result<MutexGuard<'_, IndexWriter<I>>> {
    index.lock().map_err(|_| io::Error::other("the index writer has failed before"))
}

/// Why an index cannot be used.
#[derive(Debug, Error)]
pub enum IndexError {
    /// Storage gave an error.
    #[error("cannot read the index: {0}")]
    Io(#[source] io::Error),
    /// It is not what was written.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// It is encrypted, and not for these keys.
    #[error("none of the keys opens the index")]
    WrongKey,
}

/// The index object while it is read: digested, and with the storage's error where it failed.
struct Object<R> {
    source: R,
    sha: Sha256,
    taken: Arc<AtomicU64>,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Object<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(count) => {
                self.sha.update(&buffer[..count]);
                self.taken.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// What speaks against so many bytes from so many of the object.
fn objection(unpacked: u64, taken: u64) -> Option<&'static str> {
    if unpacked > LARGEST {
        return Some("no index is as large");
    }
    let believed = MOST_UNPACKED.saturating_add(EXPANSION.saturating_mul(taken));
    (unpacked > believed).then_some("no index compresses so well")
}

/// A whole index in memory: about 200 bytes a file and 24 bytes a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// First line; it has the position, wherever that stands in the object.
    pub header: IndexHeader,
    /// What is there at the end, one for each path, in the order of the stream: paths and sizes are final ones.
    pub members: Vec<Member>,
    /// The members as they stand in the stream, where that is something else.
    streamed: Option<Box<Streamed>>,
    /// What became of those that were stored before the server stood still.
    pub changes: Vec<EarlyChange>,
    /// Blocks in the order of the stream.
    pub blocks: Vec<Block>,
    /// What the blocks have of files that do not lie in them as a whole.
    pub(super) borders: BorderDigests,
    /// Length of the tar stream, bytes.
    pub raw_bytes: u64,
}

impl Index {
    /// Reads the index, line by line, and refuses what it cannot mean as soon as it is read. What was read counts if the
    /// object has the SHA-256 of the manifest.
    ///
    /// `keys` are those of an encrypted backup, none of one that is not.
    pub fn read(source: impl Read, sha256: &str, keys: Option<&Identities>) -> Result<Self, IndexError> {
        let mut object = Object { source, sha: Sha256::new(), taken: Arc::default(), failure: None };
        let taken = Arc::clone(&object.taken);
        let outcome = match keys {
            None => Self::parse(&mut object, &taken),
            Some(keys) => match unseal_stream(&mut object, keys) {
                Ok(plain) => Self::parse(plain, &taken),
                Err(UnsealError::WrongKey) => Err(IndexError::WrongKey),
                Err(UnsealError::Damaged(what)) => Err(IndexError::Damaged(what)),
            },
        };
        // The digest is that of the whole object, however much of it could be used.
        let rest = io::copy(&mut object, &mut io::sink());
        if let Some(failure) = object.failure.take().or(rest.err()) {
            return Err(IndexError::Io(failure));
        }
        let found = hex(&object.sha.finalize());
        if found != sha256 {
            return Err(IndexError::Damaged(format!("its SHA-256 is {found}, the manifest says {sha256}")));
        }
        outcome
    }

    /// `taken` counts the bytes of the object that were read so far.
    fn parse(object: impl Read, taken: &AtomicU64) -> Result<Self, IndexError> {
        let damaged = |what: &dyn std::fmt::Display| IndexError::Damaged(what.to_string());
        let stream = zstd::stream::read::Decoder::new(object).map_err(|e| damaged(&e))?;
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        let mut unpacked = 0;
        let mut next = move || {
            line.clear();
            let length = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).map_err(|e| damaged(&e))?;
            unpacked += length as u64;
            if let Some(why) = objection(unpacked, taken.load(Ordering::Relaxed)) {
                return Err(damaged(&format!("{unpacked} bytes come out of it and no end: {why}")));
            }
            if length == 0 {
                Ok(None)
            } else {
                serde_json::from_slice(&line).map(Some).map_err(|e| damaged(&not_understood(&e)))
            }
        };
        let Some(IndexLine::Index(mut header)) = next()? else {
            return Err(damaged(&"its first line is not its header"));
        };
        if header.format > NEWEST_FORMAT {
            return Err(damaged(&format!("it has the newer format {}", header.format)));
        }
        if header.format < header.content.format() {
            return Err(damaged(&format!("format {} has no such content", header.format)));
        }
        let mut validator = Validator::default();
        let (mut members, mut changes, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
        let mut borders = BorderDigests::default();
        let end = loop {
            match next()? {
                Some(IndexLine::Member(_) | IndexLine::Change(_)) if header.content != Content::Datadir => {
                    return Err(damaged(&"it names a file of an archive that has none"));
                }
                Some(IndexLine::Member(member)) => {
                    validator.member(&member).map_err(|what| damaged(&what))?;
                    members.push(member);
                }
                Some(IndexLine::Change(change)) => changes.push(change),
                Some(IndexLine::Block(line)) => {
                    validator.block(&line.block()).map_err(|what| damaged(&what))?;
                    borders.take(&line);
                    blocks.push(line.block());
                }
                Some(IndexLine::End(end)) => break end,
                Some(IndexLine::Index(_)) => return Err(damaged(&"it has a second header")),
                None => return Err(damaged(&"it is cut off")),
            }
        };
        if next()?.is_some() {
            return Err(damaged(&"it goes on behind its end line"));
        }
        let (AtEnd { members: at_end, patches, differs }, raw_bytes) =
            validator.end(&members, &changes, &end, header.format).map_err(|what| damaged(&what))?;
        let streamed = differs.then(|| Box::new(Streamed { members, patches }));
        if header.gtid.is_none() && header.format > FORMAT {
            header.gtid = end.gtid;
        }
        if header.gtid.is_none() && header.format == FORMAT {
            return Err(damaged(&"it has no position"));
        }
        Ok(Self { header, members: at_end, streamed, changes, blocks, borders, raw_bytes })
    }

    /// The index of a backup whose files are these, as far as anybody asks before their places in the archive are known.
    pub fn of_files(header: IndexHeader, members: Vec<Member>) -> Self {
        let borders = BorderDigests::default();
        Self {
            header,
            members,
            streamed: None,
            changes: Vec::new(),
            blocks: Vec::new(),
            borders,
            raw_bytes: 0,
        }
    }

    /// Every member of the stream, in its order, also those that do not count at the end.
    pub fn stream_members(&self) -> &[Member] {
        self.streamed.as_ref().map_or(&self.members, |streamed| &streamed.members)
    }

    /// The member of the stream in which this file is, whatever its path is by now.
    pub fn stored<'a>(&'a self, member: &'a Member) -> &'a Member {
        let Some(streamed) = &self.streamed else { return member };
        let found =
            streamed.members.binary_search_by_key(&member.header_offset, |stored| stored.header_offset);
        found.map_or(member, |place| &streamed.members[place])
    }

    /// The page members of this file, in the order in which they count.
    pub fn patches(&self, member: &Member) -> impl Iterator<Item = &Member> {
        self.streamed.iter().flat_map(|streamed| streamed.patches(member.header_offset))
    }

    /// Every block.
    pub fn plan(&self) -> ReadPlan {
        ReadPlan { blocks: self.placed().collect(), is_whole: true }
    }

    /// The blocks in which these files are, and what replaces parts of them.
    pub fn plan_for(&self, wanted: impl Fn(&Member) -> bool) -> ReadPlan {
        let wanted = self.members.iter().filter(|member| wanted(member));
        self.plan_of(wanted.flat_map(|member| std::iter::once(member).chain(self.patches(member))))
    }

    /// The blocks in which these members of the stream are.
    pub fn plan_of<'a>(&self, parts: impl Iterator<Item = &'a Member>) -> ReadPlan {
        self.plan_of_ranges(parts.map(|part| (part.header_offset, part.end_offset)).collect())
    }

    /// The blocks in which these stretches of the tar stream are: first byte, and first byte behind.
    pub fn plan_of_ranges(&self, mut ranges: Vec<(u64, u64)>) -> ReadPlan {
        ranges.sort_unstable();
        let mut ranges = ranges.into_iter().peekable();
        let holds = |planned: &PlannedBlock| {
            let (start, end) = (planned.raw_offset, planned.raw_offset + planned.block.raw);
            while ranges.next_if(|(_, range_end)| *range_end <= start).is_some() {}
            ranges.peek().is_some_and(|(range_start, _)| *range_start < end)
        };
        ReadPlan { blocks: self.placed().filter(holds).collect(), is_whole: false }
    }

    fn placed(&self) -> impl Iterator<Item = PlannedBlock> {
        let place = |raw_offset: &mut u64, (number, block): (usize, &Block)| {
            let planned = PlannedBlock { number, raw_offset: *raw_offset, block: *block };
            *raw_offset += block.raw;
            Some(planned)
        };
        self.blocks.iter().enumerate().scan(0, place)
    }

    /// Bytes that a restore writes: data without holes.
    pub fn stored_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.stored).sum()
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
