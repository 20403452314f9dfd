//! What passes in a stream of `mariadb-backup --stream=xbstream`, without holding it.
//!
//! A stream is a row of chunks (`extra/mariabackup/xbstream.h`, `xbstream_write.cc`): the magic `XBSTCK01`, a byte of flags, a
//! byte that says the type, the length of the path (LE32) and the path. A chunk of type `P` goes on with the length of its
//! payload (LE64), its place in the file (LE64), its CRC-32 (LE32) and the payload; one of type `E` ends its file. The chunks of
//! several files may be mixed. Nothing marks the end of the stream: it ends where a chunk ends, when every file has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use flate2::Crc;
use thiserror::Error;

use crate::model::ArchivePath;

const MAGIC: &[u8; 8] = b"XBSTCK01";
/// Magic, flags, type, length of the path.
const HEAD: usize = 14;
/// Length, place and CRC of a payload.
const PAYLOAD_HEAD: usize = 20;
/// Longest path, bytes: `FN_REFLEN`.
const LONGEST_PATH: u32 = 512;
/// Bytes that are kept of a file that tells of the backup.
const KEPT: usize = 64 << 10;
/// Files that are open at once at most: each thread of `--parallel` has one.
const OPEN: usize = 10_000;

/// Why a stream is not what mariadb-backup writes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum XbstreamError {
    /// It is something else, or bytes are missing before this place.
    #[error("at byte {0} there is no chunk of an xbstream")]
    NoChunk(u64),
    /// Newer, or damaged.
    #[error("the chunk at byte {at} of '{path}' has the unknown type 0x{kind:02x}")]
    Unknown {
        /// Where the chunk begins.
        at: u64,
        /// Its file.
        path: ArchivePath,
        /// Its type.
        kind: u8,
    },
    /// A name that leads out of the folder it is unpacked to.
    #[error("the chunk at byte {at} has the unsafe path '{path}'")]
    Unsafe {
        /// Where the chunk begins.
        at: u64,
        /// Its file.
        path: ArchivePath,
    },
    /// A payload that has changed.
    #[error("'{path}' has another checksum than its chunk at byte {at} says")]
    Checksum {
        /// Where the chunk begins.
        at: u64,
        /// Its file.
        path: ArchivePath,
    },
    /// It ends within a chunk, or before a file has ended.
    #[error("it is cut off: {0}")]
    CutOff(String),
    /// More at once than any mariadb-backup has.
    #[error("at byte {0} it has more unfinished files than mariadb-backup works on at once")]
    Crowded(u64),
}

/// What a whole stream holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XbstreamContent {
    /// Files that have ended.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The last content of each file at the top that tells of the backup, by its name; see [`is_about_the_backup`].
    pub about: BTreeMap<String, Vec<u8>>,
}

impl XbstreamContent {
    /// A file by its name without `mariadb_backup_` (11.1 and later) or `xtrabackup_`.
    pub fn told(&self, name: &str) -> Option<&[u8]> {
        let names = [format!("mariadb_backup_{name}"), format!("xtrabackup_{name}")];
        names.iter().find_map(|name| self.about.get(name)).map(Vec::as_slice)
    }
}

/// Whether a file at the top of a backup is mariadb-backup's own and no data of the server.
pub fn is_about_the_backup(name: &[u8]) -> bool {
    name.starts_with(b"xtrabackup_")
        || name.starts_with(b"mariadb_backup_")
        || matches!(name, b"donor_galera_info" | b"backup-my.cnf")
}

enum Expects {
    /// A head, a path or the head of a payload, of which some bytes are here.
    Bytes(ChunkPart, usize),
    /// So many bytes of the payload.
    Payload(u64),
}

#[derive(Clone, Copy)]
enum ChunkPart {
    Head,
    Path,
    PayloadHead,
}

/// Takes a stream in pieces of any length.
pub struct XbstreamScanner {
    expects: Expects,
    held: Vec<u8>,
    /// Where the next byte stands.
    position: u64,
    chunk_at: u64,
    kind: u8,
    path: ArchivePath,
    wanted_crc: u64,
    crc: Crc,
    open: BTreeSet<ArchivePath>,
    content: XbstreamContent,
}

impl Default for XbstreamScanner {
    fn default() -> Self {
        Self {
            expects: Expects::Bytes(ChunkPart::Head, HEAD),
            held: Vec::new(),
            position: 0,
            chunk_at: 0,
            kind: 0,
            path: ArchivePath::new(""),
            wanted_crc: 0,
            crc: Crc::new(),
            open: BTreeSet::new(),
            content: XbstreamContent::default(),
        }
    }
}

impl XbstreamScanner {
    /// The next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), XbstreamError> {
        while !bytes.is_empty() {
            let most = match self.expects {
                Expects::Bytes(_, length) => length - self.held.len(),
                Expects::Payload(left) => usize::try_from(left).unwrap_or(usize::MAX),
            };
            let (now, rest) = bytes.split_at(most.min(bytes.len()));
            bytes = rest;
            self.position += now.len() as u64;
            match self.expects {
                Expects::Bytes(part, length) => {
                    self.held.extend_from_slice(now);
                    if self.held.len() == length {
                        let held = std::mem::take(&mut self.held);
                        self.expects = self.part(part, &held)?;
                    }
                }
                Expects::Payload(left) => self.payload(now, left - now.len() as u64)?,
            }
        }
        Ok(())
    }

    /// What the stream held, where it has ended well.
    pub fn finish(self) -> Result<XbstreamContent, XbstreamError> {
        if !matches!(self.expects, Expects::Bytes(ChunkPart::Head, _)) || !self.held.is_empty() {
            return Err(XbstreamError::CutOff(format!("it ends within the chunk at byte {}", self.chunk_at)));
        }
        match self.open.first() {
            Some(path) => Err(XbstreamError::CutOff(format!("'{path}' has no end"))),
            None if self.content.files == 0 => Err(XbstreamError::CutOff("it holds no file".into())),
            None => Ok(self.content),
        }
    }

    fn part(&mut self, part: ChunkPart, held: &[u8]) -> Result<Expects, XbstreamError> {
        match part {
            ChunkPart::Head => {
                self.chunk_at = self.position - HEAD as u64;
                let length = number(&held[10..14]);
                if !held.starts_with(MAGIC) || length == 0 || length > u64::from(LONGEST_PATH) {
                    return Err(XbstreamError::NoChunk(self.chunk_at));
                }
                self.kind = held[9];
                Ok(Expects::Bytes(ChunkPart::Path, usize::try_from(length).unwrap_or(0)))
            }
            ChunkPart::Path => {
                let plain = held.strip_prefix(b"./").unwrap_or(held);
                self.path = ArchivePath::new(OsStr::from_bytes(plain));
                if !matches!(self.kind, b'P' | b'E') {
                    let (at, path, kind) = (self.chunk_at, self.path.clone(), self.kind);
                    return Err(XbstreamError::Unknown { at, path, kind });
                }
                if !self.path.is_contained() {
                    return Err(XbstreamError::Unsafe { at: self.chunk_at, path: self.path.clone() });
                }
                if self.kind == b'E' {
                    self.open.remove(&self.path);
                    self.content.files += 1;
                    return Ok(Expects::Bytes(ChunkPart::Head, HEAD));
                }
                Ok(Expects::Bytes(ChunkPart::PayloadHead, PAYLOAD_HEAD))
            }
            ChunkPart::PayloadHead => {
                if self.open.len() >= OPEN && !self.open.contains(&self.path) {
                    return Err(XbstreamError::Crowded(self.chunk_at));
                }
                let (length, place) = (number(&held[..8]), number(&held[8..16]));
                (self.wanted_crc, self.crc) = (number(&held[16..20]), Crc::new());
                self.open.insert(self.path.clone());
                self.content.bytes = self.content.bytes.saturating_add(length);
                if place == 0
                    && let Some(name) = self.about()
                {
                    self.content.about.insert(name, Vec::new());
                }
                if length == 0 {
                    self.end_payload()?;
                    return Ok(Expects::Bytes(ChunkPart::Head, HEAD));
                }
                Ok(Expects::Payload(length))
            }
        }
    }

    fn payload(&mut self, bytes: &[u8], left: u64) -> Result<(), XbstreamError> {
        self.crc.update(bytes);
        if let Some(kept) = self.about().and_then(|name| self.content.about.get_mut(&name)) {
            let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
            kept.extend_from_slice(&bytes[..room]);
        }
        self.expects = if left == 0 {
            self.end_payload()?;
            Expects::Bytes(ChunkPart::Head, HEAD)
        } else {
            Expects::Payload(left)
        };
        Ok(())
    }

    fn end_payload(&self) -> Result<(), XbstreamError> {
        if u64::from(self.crc.sum()) == self.wanted_crc {
            return Ok(());
        }
        Err(XbstreamError::Checksum { at: self.chunk_at, path: self.path.clone() })
    }

    /// The name of the file in work, where it tells of the backup.
    fn about(&self) -> Option<String> {
        let name = self.path.as_bytes();
        if name.contains(&b'/') || !is_about_the_backup(name) {
            return None;
        }
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// Little-endian, up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
#[path = "xbstream_tests.rs"]
mod tests;
