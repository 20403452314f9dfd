//! What a line of the index must be in itself that is about a file which was stored early.

use std::path::Path;

use super::IDENTITY_MEMBER;
use super::apply::{APPLY_MEMBER, FILES_PREFIX, PAGES_PREFIX, SYSTEM_PREFIX};
use crate::model::{ArchivePath, Member, MemberKind, PageRuns};

/// Whether a path lies in this folder of the archive.
pub(super) fn is_below(path: &ArchivePath, folder: &str) -> bool {
    path.as_path() != Path::new(folder) && path.as_path().starts_with(folder)
}

/// What a member line with one of the fields of this format must be in itself.
pub(super) fn in_line(member: &Member) -> Option<&'static str> {
    if member.pages.is_some() != (member.kind == MemberKind::Pages) {
        return Some("has pages without being a page member, or is one without pages");
    }
    if let Some(pages) = &member.pages {
        if !is_below(&member.path, PAGES_PREFIX) || member.place.is_some() || member.system_tablespace {
            return Some("is no place for pages");
        }
        if !runs_are_sound(&pages.runs, member.size) {
            return Some(
                "has runs that overlap, or are not in order, or have another length than its content",
            );
        }
    }
    if member.early && (member.kind != MemberKind::File || member.live_redo.is_some()) {
        return Some("cannot have been stored early");
    }
    if let Some(place) = &member.place {
        let from = if member.system_tablespace { SYSTEM_PREFIX } else { FILES_PREFIX };
        if member.kind != MemberKind::File || !is_below(&member.path, from) {
            return Some("cannot belong to another place");
        }
        if !place.is_contained() {
            return Some("belongs to an unsafe path");
        }
        if place.as_bytes() == IDENTITY_MEMBER.as_bytes() {
            return Some("belongs to a path of this program");
        }
    }
    None
}

fn runs_are_sound(runs: &[(u64, u64)], size: u64) -> bool {
    let mut end = 0;
    let mut sum = 0;
    for (offset, length) in runs {
        let next = offset.checked_add(*length).filter(|next| i64::try_from(*next).is_ok());
        let Some(next) = next.filter(|_| *offset >= end && *length > 0 && *length <= PageRuns::MOST_BYTES)
        else {
            return false;
        };
        end = next;
        sum += length;
    }
    !runs.is_empty() && runs.len() <= PageRuns::MOST && sum == size && size <= PageRuns::MOST_BYTES
}

/// Whether this is where the script keeps what it needs, and what it removes at last.
pub(super) fn is_reserved(path: &ArchivePath) -> bool {
    let folders = [PAGES_PREFIX, SYSTEM_PREFIX, FILES_PREFIX];
    path.as_bytes() == APPLY_MEMBER.as_bytes()
        || folders.iter().any(|folder| path.as_path().starts_with(folder))
}
