//! The contents of small files of an archive, before anything is written.

use std::io::Read as _;

use sha2::{Digest, Sha256};

use super::archive_stream::open_stream;
use super::error::RestoreError;
use super::table_selection::SmallContents;
use crate::archive::{Index, hex, read_member};
use crate::catalog::{BackupReadError, BackupReader};
use crate::model::Member;

/// Largest file that is read, bytes. Those that are wanted name a table, or a few.
const LIMIT: u64 = 1 << 20;

/// Reads them; one that is damaged or too large is missing from the answer: it need not be a file of a table.
pub(super) fn peek(
    source: &BackupReader,
    index: &Index,
    members: &[&Member],
    threads: usize,
) -> Result<SmallContents, RestoreError> {
    let mut wanted: Vec<&Member> = members.iter().filter(|member| is_small(index, member)).copied().collect();
    wanted.sort_by_key(|member| member.header_offset);
    let plan = index.plan_for(|member| {
        wanted.binary_search_by_key(&member.header_offset, |member| member.header_offset).is_ok()
    });
    let mut stream = open_stream(source, index, plan, threads)?;
    let mut contents = SmallContents::new();
    for member in wanted {
        let mut content = Vec::new();
        let outcome =
            read_member(&mut stream, index.stored(member), |data| data.take(LIMIT).read_to_end(&mut content));
        let is_whole = outcome.map_err(|cause| BackupReadError::from(source.archive_failed(cause)))?.is_ok();
        if is_whole && member.sha256.as_ref() == Some(&hex(&Sha256::digest(&content))) {
            contents.insert(member.header_offset, content);
        }
    }
    Ok(contents)
}

/// Small, and in one piece.
fn is_small(index: &Index, member: &Member) -> bool {
    member.size <= LIMIT && index.stored(member).size == member.size && index.patches(member).next().is_none()
}
