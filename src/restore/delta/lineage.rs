//! Whether a data directory is of the history that a backup is of: only then are its files an older or a damaged state of the same ones.
//!
//! `grastate.dat` says it. A node that has left its cluster as inconsistent has zeros there; then InnoDB's own note of the last write set
//! tells (`WSREPXi`, a letter for its version, the UUID in 16 bytes: `wsrep_xid.cc`), which stands in pages of the system tablespace or the undo
//! tablespaces. What an interrupted restore has left says it itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::archive::GRASTATE_MEMBER;
use crate::model::WsrepGtid;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::no_follow;
use crate::restore::start_file::{StartMark, real_place, start_mark};

/// Galera reads at most so much of its file, bytes.
const LONGEST_STATE: u64 = 256;
/// Where the note of the last write set may be, bytes: the headers of rollback segments are made when the server is.
const SEARCHED: u64 = 16 << 20;
const NOTE: &[u8] = b"WSREPXi";
const UUID_BYTES: usize = 16;

/// What `grastate.dat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedState {
    pub(super) uuid: String,
    pub(super) seqno: i64,
}

impl SavedState {
    /// What this file says, if anything.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let text = no_follow::read_file(file, LONGEST_STATE).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
        };
        let (uuid, seqno) = (value("uuid")?.to_ascii_lowercase(), value("seqno")?.parse().ok()?);
        Some(Self { uuid, seqno })
    }

    /// Whether it is that of a node which has a position.
    pub(super) fn is_known(&self) -> bool {
        self.uuid.bytes().any(|letter| letter != b'0' && letter != b'-')
    }
}

/// Refuses a directory that is no data directory, or of another history; the seqno at which its files stand, where they tell.
/// `homes` are the other places in which `grastate.dat` may be, `undo` those of undo tablespaces.
pub(super) fn check(
    places: &Destinations,
    homes: &[PathBuf],
    undo: &BTreeSet<PathBuf>,
    gtid: &WsrepGtid,
) -> Result<Option<i64>, RestoreError> {
    let target = places.target();
    let refused = |why: String| Err(RestoreError::Refused(why));
    // Under another name the server would find its own, and start on what is half replaced.
    let Some(start) = places.start_file() else {
        return refused("the backup has no system tablespace".into());
    };
    let mark = start_mark(start);
    if mark.is_none() && real_place(start).is_none() {
        return refused(format!(
            "'{}' is not there: '{}' is no data directory, or one whose system tablespace has another name than that of the backup \
             (innodb_data_file_path, innodb_data_home_dir). Restore into an empty directory without --delta",
            start.display(),
            target.display()
        ));
    }
    let of_another = |uuid: &str, what: &Path| {
        refused(format!(
            "'{}' is of another cluster: '{}' says the history {uuid}, the backup is of {}. --delta replaces only files of the same history",
            target.display(),
            what.display(),
            gtid.uuid
        ))
    };
    match mark {
        Some(StartMark::Delta(uuid)) if uuid != gtid.uuid => return of_another(&uuid, start),
        Some(StartMark::Restored | StartMark::Delta(_)) => return Ok(None),
        None => {}
    }
    let mut found = None;
    for home in std::iter::once(target).chain(homes.iter().map(PathBuf::as_path)) {
        let file = home.join(GRASTATE_MEMBER);
        match SavedState::read(&file).filter(SavedState::is_known) {
            Some(state) if state.uuid != gtid.uuid => return of_another(&state.uuid, &file),
            Some(state) => found = Some(state.seqno),
            None => {}
        }
    }
    if found.is_some() {
        return Ok(found);
    }
    let files = real_place(start).into_iter().chain(undo.iter().flat_map(|folder| undo_files(folder)));
    let is_noted = |file: PathBuf| {
        no_follow::read_file(&file, SEARCHED).is_ok_and(|content| has_note(&content, &gtid.uuid))
    };
    if files.into_iter().any(is_noted) {
        return Ok(None);
    }
    refused(format!(
        "nothing in '{}' says that it is of the history {}: grastate.dat is not there or has no history, and InnoDB has no note of it \
         (or is encrypted). Move the directory away and restore without --delta",
        target.display(),
        gtid.uuid
    ))
}

fn undo_files(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    names
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("undo")))
        .collect()
}

/// Whether InnoDB has noted a write set of this history there.
fn has_note(content: &[u8], uuid: &str) -> bool {
    let Some(uuid) = uuid_bytes(uuid) else { return false };
    let length = NOTE.len() + 1 + UUID_BYTES;
    content.windows(length).any(|found| found.starts_with(NOTE) && found.ends_with(&uuid))
}

fn uuid_bytes(text: &str) -> Option<[u8; UUID_BYTES]> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2 * UUID_BYTES).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    #[test]
    fn a_saved_state_is_read_as_galera_writes_it() {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 16, domain_id: None };
        let state = SavedState::parse(&gtid.grastate(false)).unwrap();
        assert_eq!(state, SavedState { uuid: UUID.into(), seqno: 16 });
        assert!(state.is_known());
        let unknown = SavedState::parse("uuid: 00000000-0000-0000-0000-000000000000\nseqno: -1\n").unwrap();
        assert!(!unknown.is_known());
        assert_eq!(SavedState::parse("seqno: 3"), None);
    }

    #[test]
    fn innodbs_note_is_found_anywhere_and_only_of_this_history() {
        let mut page = vec![0; 16384];
        assert!(!has_note(&page, UUID));
        page[5000..5008].copy_from_slice(b"WSREPXif");
        page[5008..5024].copy_from_slice(&uuid_bytes(UUID).unwrap());
        assert!(has_note(&page, UUID));
        assert!(!has_note(&page, "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5e"));
        assert!(!has_note(&page[..5023], UUID) && !has_note(&page, ""));
    }
}
