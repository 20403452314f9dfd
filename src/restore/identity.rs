//! The archive's identity, compared with the manifest before the target is looked at. It is the first member; where the position
//! was known only when the files were stored, the one that counts stands behind them.

use sha2::{Digest, Sha256};

use super::archive_stream::open_stream;
use super::error::RestoreError;
use crate::archive::{IDENTITY_MEMBER, Index, MemberDamage, StreamReader, hex, read_member};
use crate::catalog::{BackupReader, Contradiction, Identity, MANIFEST};
use crate::model::{Member, MemberKind};

/// Largest identity, bytes.
const LIMIT: u64 = 1 << 20;

/// Reads it, from `stream` where it is the first member. What decides about the restore must be the same there and in the manifest.
pub(super) fn read(
    stream: &mut StreamReader,
    source: &BackupReader,
    index: &Index,
) -> Result<Identity, RestoreError> {
    let is_late = |member: &&Member| is_identity(member) && member.header_offset > 0;
    let Some(late) = index.members.iter().find(is_late) else {
        return read_from(stream, index.members.first(), source);
    };
    let plan = index.plan_for(|member| member.header_offset == late.header_offset);
    read_from(&mut open_stream(source, index, plan, 1)?, Some(late), source)
}

fn is_identity(member: &Member) -> bool {
    member.path.as_bytes() == IDENTITY_MEMBER.as_bytes()
        && member.kind == MemberKind::Generated
        && member.size <= LIMIT
}

fn read_from(
    stream: &mut StreamReader,
    member: Option<&Member>,
    source: &BackupReader,
) -> Result<Identity, RestoreError> {
    let damaged = |what: String| source.damaged(IDENTITY_MEMBER, what);
    let first = member
        .filter(|member| is_identity(member))
        .ok_or_else(|| damaged("the archive does not begin with it".into()))?;
    let mut content = Vec::new();
    let outcome = read_member(stream, first, |data| data.read_to_end(&mut content));
    if let Err(MemberDamage(what)) =
        outcome.map_err(|cause| RestoreError::Source(source.archive_failed(cause).into()))?
    {
        return Err(damaged(what).into());
    }
    if first.sha256.as_ref() != Some(&hex(&Sha256::digest(&content))) {
        return Err(damaged("its SHA-256 is not that of the index".into()).into());
    }
    let identity = Identity::parse(&content)
        .map_err(|error| damaged(format!("it is not what this file must be: {error}")))?;
    match identity.contradictions(source.manifest()).into_iter().find(Contradiction::matters) {
        Some(found) => Err(source.damaged(MANIFEST, found.what).into()),
        None => Ok(identity),
    }
}
