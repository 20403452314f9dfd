//! From which binary log on a server recovers that starts on a copy of its files.
//!
//! A server that finds its newest log still in use asks the last checkpoint event in it (type 161) for the oldest log of which a transaction
//! may not be in the engines yet, and reads everything from that one on. Where it is not there the server does not start: "not found in binlog
//! index, needed for recovery. Aborting" (`sql/log.cc`, `TC_LOG_BINLOG::recover`). For a moment behind each rotation that is an older log:
//! the event that names the new one is written when the engines have flushed. mysqld waits for it in the freeze of a state transfer (`reload_acl_and_cache`); under
//! a lock by SQL any session may rotate.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::regular_file;

/// What a log begins with.
const MAGIC: &[u8] = b"\xfebin";
/// The head of an event: time (4 bytes), type, server (4), length (4), end (4), flags (2).
const HEAD: usize = 19;
/// The events behind it are encrypted.
const START_ENCRYPTION: u8 = 164;
const CHECKPOINT: u8 = 161;
/// Checkpoints name later and later logs, and one comes soon behind a rotation: so much is looked at, bytes. More is not read while the server stands still.
const LOOKED_AT: u64 = 1 << 20;
/// A file's name has no more.
const LONGEST_NAME: u64 = 512;

/// What a log says of those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The server reads from the log of this name on.
    From(OsString),
    /// It names none: nothing but itself is read.
    Itself,
    /// It is encrypted.
    Unknown,
}

/// Reads the beginning of the newest log.
pub(super) fn recovery(log: &Path) -> io::Result<Recovery> {
    let file = regular_file::open(log)?;
    read(BufReader::new(file.take(LOOKED_AT)))
}

fn read(mut events: BufReader<io::Take<File>>) -> io::Result<Recovery> {
    let mut found = Recovery::Itself;
    let mut magic = [0; MAGIC.len()];
    // What ends early, or makes no sense, is as it is: the server that reads it ends there too.
    if !filled(&mut events, &mut magic)? || magic != MAGIC {
        return Ok(found);
    }
    let mut head = [0; HEAD];
    while filled(&mut events, &mut head)? {
        let length = u64::from(u32::from_le_bytes([head[9], head[10], head[11], head[12]]));
        let Some(body) = length.checked_sub(HEAD as u64) else { break };
        match head[4] {
            START_ENCRYPTION => return Ok(Recovery::Unknown),
            CHECKPOINT if body <= LONGEST_NAME => {
                let mut content = vec![0; usize::try_from(body).unwrap_or_default()];
                if !filled(&mut events, &mut content)? {
                    break;
                }
                found = named(&content).map_or(found, Recovery::From);
            }
            _ => {
                if io::copy(&mut (&mut events).take(body), &mut io::sink())? < body {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// The length of the name, and the name; a checksum may follow.
fn named(content: &[u8]) -> Option<OsString> {
    let (length, rest) = content.split_first_chunk::<4>()?;
    let name = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some(OsString::from_vec(name.to_vec()))
}

/// False where it ends before.
fn filled(events: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match events.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes of a log with these events.
#[cfg(test)]
pub(super) fn log_of(events: &[(u8, &[u8])]) -> Vec<u8> {
    let mut log = MAGIC.to_vec();
    for (kind, body) in events {
        let length = u32::try_from(HEAD + body.len()).unwrap();
        log.extend([0; 4]);
        log.push(*kind);
        log.extend([1, 0, 0, 0]);
        log.extend(length.to_le_bytes());
        log.extend([0; 6]);
        log.extend(*body);
    }
    log
}

/// The body of a checkpoint event, with a checksum.
#[cfg(test)]
pub(super) fn checkpoint_at(name: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap().to_le_bytes();
    [&length[..], name.as_bytes(), b"\x01\x02\x03\x04"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(log: &[u8]) -> Recovery {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), log).unwrap();
        recovery(file.path()).unwrap()
    }

    #[test]
    fn the_last_checkpoint_in_a_log_says_where_a_server_begins() {
        let (older, newer) = (checkpoint_at("b.000003"), checkpoint_at("b.000004"));
        let mut both = log_of(&[(15, b"format"), (CHECKPOINT, &older), (2, b"query"), (CHECKPOINT, &newer)]);
        assert_eq!(of(&both), Recovery::From("b.000004".into()));
        // The last one is being written.
        both.truncate(both.len() - 3);
        assert_eq!(of(&both), Recovery::From("b.000003".into()));
        assert_eq!(of(&log_of(&[(15, b"format"), (2, b"query")])), Recovery::Itself);
        assert_eq!(
            of(&log_of(&[(15, b"format"), (START_ENCRYPTION, b"key"), (77, b"?")])),
            Recovery::Unknown
        );
        let liar = [&0xffff_u32.to_le_bytes()[..], b"b"].concat();
        for log in [&b""[..], b"\xfebi", b"events 3", &log_of(&[(CHECKPOINT, &liar)])] {
            assert_eq!(of(log), Recovery::Itself);
        }
        let mut short = log_of(&[(15, b"format")]);
        short[13] = 3;
        assert_eq!(of(&short), Recovery::Itself);
    }
}
