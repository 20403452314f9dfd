//! The tar stream as a `Read` that knows where it is and can pass over damage, and its members.

use std::cell::Cell;
use std::io::{self, Read};

use tar::EntryType;

use super::block::{BlockDamage, ObjectDigest};
use super::block_reader::BlockReader;
use super::tar_header::TAR_BLOCK;
use crate::model::{Member, MemberKind};

/// The tar stream of an archive.
///
/// `read` fails with a [`BlockDamage`] inside the `io::Error` while the position is in a damaged
/// block; [`StreamReader::skip_to`] passes over such a block.
pub struct StreamReader {
    blocks: BlockReader,
    current: Result<Vec<u8>, BlockDamage>,
    current_start: u64,
    current_len: u64,
    position: u64,
    damage: Vec<BlockDamage>,
    has_ended: bool,
    digest: Option<ObjectDigest>,
    /// Set once the storage has failed: what a library makes of that error must not pass for damage.
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    code: Option<i32>,
    kind: io::ErrorKind,
    text: String,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        Self { code: error.raw_os_error(), kind: error.kind(), text: error.to_string() }
    }

    fn error(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}

impl StreamReader {
    /// Reads from the first block.
    pub fn new(blocks: BlockReader) -> Self {
        let current = Ok(Vec::new());
        Self {
            blocks,
            current,
            current_start: 0,
            current_len: 0,
            position: 0,
            damage: Vec::new(),
            has_ended: false,
            digest: None,
            failure: None,
        }
    }

    /// Offset in the tar stream of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The damaged blocks met so far, passed over or not.
    pub fn damage(&self) -> &[BlockDamage] {
        &self.damage
    }

    /// Goes forward to this offset without looking at what lies between; false if the stream ends before.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        while self.current_start + self.current_len < offset {
            self.position = self.current_start + self.current_len;
            if !self.next_block()? {
                return Ok(false);
            }
        }
        self.position = self.position.max(offset);
        Ok(true)
    }

    /// Reads what is left of the object; its size and digest, unless parts of it were passed over.
    pub fn finish(mut self) -> io::Result<(Option<ObjectDigest>, Vec<BlockDamage>)> {
        while self.next_block()? {}
        Ok((self.digest, self.damage))
    }

    fn next_block(&mut self) -> io::Result<bool> {
        if let Some(failure) = &self.failure {
            return Err(failure.error());
        }
        let Some(next) = self.blocks.next_block() else {
            // The end, unless the storage failed: then every further byte is that error, not damage.
            if !self.has_ended {
                let end = self.blocks.close();
                self.failure = end.as_ref().err().map(Failure::of);
                self.digest = end?;
                self.has_ended = true;
            }
            return Ok(false);
        };
        self.current_start = next.planned.raw_offset;
        self.current_len = next.planned.block.raw;
        if let Err(damage) = &next.bytes {
            self.damage.push(damage.clone());
        }
        self.current = next.bytes;
        Ok(true)
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.current_start + self.current_len {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        if self.position < self.current_start {
            return Err(io::Error::other("a part of the archive that was not asked for"));
        }
        match &self.current {
            Ok(bytes) => {
                let at = usize::try_from(self.position - self.current_start).unwrap_or(bytes.len());
                let rest = bytes.get(at..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.position += count as u64;
                Ok(count)
            }
            Err(damage) => Err(io::Error::new(io::ErrorKind::InvalidData, damage.clone())),
        }
    }
}

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDamage(pub String);

/// Hands the member's content (holes as zeros) to `take`, after its header is found to say what
/// the index says. The stream may be left anywhere inside the member.
///
/// The outer error is the storage's, or `take`'s own; damage is a value.
pub fn read_member<T>(
    stream: &mut StreamReader,
    member: &Member,
    take: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> io::Result<Result<T, MemberDamage>> {
    let outcome = read_entry(stream, member, take);
    match &stream.failure {
        Some(failure) => Err(failure.error()),
        None => outcome,
    }
}

fn read_entry<T>(
    stream: &mut StreamReader,
    member: &Member,
    take: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> io::Result<Result<T, MemberDamage>> {
    let damage = |what: String| Ok(Err(MemberDamage(what)));
    if !stream.skip_to(member.header_offset)? || stream.position() != member.header_offset {
        return damage("the archive ends before it".into());
    }
    let room = member.end_offset - member.header_offset;
    let data = member.stored.checked_next_multiple_of(TAR_BLOCK as u64).unwrap_or(u64::MAX);
    let left = Cell::new(room.saturating_sub(data));
    let mut archive = tar::Archive::new(Gated { stream: stream.take(room), left: &left });
    let entry = match archive.entries().map(|mut entries| entries.next()) {
        Ok(Some(Ok(entry))) => Ok(entry),
        Ok(None) => return damage("its tar header is missing".into()),
        Ok(Some(Err(error))) | Err(error) => Err(error),
    };
    let mut entry = match entry {
        Ok(entry) => entry,
        Err(error) => return damage(describe(&error, "its tar header is damaged")),
    };
    left.set(room);
    if let Some(what) = header_differs(&entry, member) {
        return damage(what);
    }
    match take(&mut entry) {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            damage(describe(&error, "its data is damaged"))
        }
        Err(error) => Err(error),
    }
}

/// The member without its data, until `left` is given more: the library keeps long names in memory, and a tar that says
/// something else than the index could make a name of the data.
struct Gated<'a, R> {
    stream: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Gated<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.stream.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

/// The block that is to blame, or the general words with the cause.
fn describe(error: &io::Error, general: &str) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(block) = error.downcast_ref::<BlockDamage>() {
            return block.to_string();
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = Some(inner);
        } else {
            cause = error.source();
        }
    }
    format!("{general} ({error})")
}

fn header_differs<R: Read>(entry: &tar::Entry<'_, R>, member: &Member) -> Option<String> {
    let name = entry.path_bytes();
    let name = name.strip_suffix(b"/").unwrap_or(&name);
    if name != member.path.as_bytes() {
        return Some(format!("its tar header names '{}'", String::from_utf8_lossy(name)));
    }
    let expected = match member.kind {
        MemberKind::Directory => EntryType::Directory,
        MemberKind::Symlink => EntryType::Symlink,
        MemberKind::File if member.sparse => EntryType::GNUSparse,
        MemberKind::File | MemberKind::Generated | MemberKind::Pages => EntryType::Regular,
    };
    if entry.header().entry_type() != expected {
        return Some("its tar header has another type than the index".into());
    }
    if entry.size() != member.size {
        return Some(format!("its tar header says {} bytes, the index {}", entry.size(), member.size));
    }
    let target = entry.link_name_bytes();
    if member.target.as_ref().map(crate::model::ArchivePath::as_bytes)
        != target.as_deref().filter(|t| !t.is_empty())
    {
        return Some("its tar header has another link target than the index".into());
    }
    None
}
