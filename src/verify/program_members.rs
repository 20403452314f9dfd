//! The members that the donor program itself has written: they must agree with the manifest.

use super::verify_report::VerifyReport;
use crate::archive::{GRASTATE_MEMBER, IDENTITY_MEMBER, SUMS_MEMBER};
use crate::catalog::{Identity, MANIFEST};
use crate::model::{Manifest, Member, MemberKind, WsrepGtid};

/// Largest identity that is looked at, bytes.
const IDENTITY_LIMIT: u64 = 1 << 20;

/// Whether the content is looked at; what is larger than it can be is wrong anyway.
pub(super) fn is_own(member: &Member, sums: usize) -> bool {
    let limit = match member.path.as_bytes() {
        name if name == SUMS_MEMBER.as_bytes() => sums as u64,
        name if [IDENTITY_MEMBER, GRASTATE_MEMBER].iter().any(|own| own.as_bytes() == name) => IDENTITY_LIMIT,
        _ => return false,
    };
    member.kind == MemberKind::Generated && member.origin.is_none() && member.size <= limit
}

/// An identity that was written before the position was known: what it does say must be right.
pub(super) fn check_early(
    member: &Member,
    content: Option<&[u8]>,
    manifest: &Manifest,
    report: &mut VerifyReport,
) {
    if member.path.as_bytes() != IDENTITY_MEMBER.as_bytes() {
        return;
    }
    match content.map(Identity::parse) {
        Some(Ok(identity)) => {
            for found in identity.contradictions_before_position(manifest) {
                report.add(MANIFEST, found.what);
            }
        }
        Some(Err(error)) => {
            report.add(member.path.to_string(), format!("it is not what this file must be: {error}"));
        }
        None => report.add(member.path.to_string(), "it is not what this file must be"),
    }
}

/// `sums` is what SHA256SUMS must say, from the digests in the index; `gtid` is the position in the index.
pub(super) fn check(
    member: &Member,
    content: Option<&[u8]>,
    sums: &[u8],
    gtid: Option<&WsrepGtid>,
    manifest: &Manifest,
    report: &mut VerifyReport,
) {
    let name = member.path.to_string();
    match (name.as_str(), content) {
        (IDENTITY_MEMBER, Some(content)) => match Identity::parse(content) {
            Ok(identity) => {
                // The index says these two as well, and was compared first.
                let told = report.has(MANIFEST);
                let is_told = |field| told && matches!(field, "id" | "gtid");
                for found in identity.contradictions(manifest).iter().filter(|found| !is_told(found.field)) {
                    report.add(MANIFEST, found.what.as_str());
                }
            }
            Err(error) => report.add(name, format!("it is not what this file must be: {error}")),
        },
        (IDENTITY_MEMBER, None) => report.add(name, "it is not what this file must be"),
        (GRASTATE_MEMBER, content)
            if content != gtid.map(|gtid| gtid.grastate(false)).as_deref().map(str::as_bytes) =>
        {
            let own = gtid.map_or_else(|| "which has none".into(), WsrepGtid::position);
            report.add(name, format!("it does not say the position of the index, {own}"));
        }
        (SUMS_MEMBER, content) if content != Some(sums) => {
            report.add(name, "its digests are not those of the index");
        }
        _ => {}
    }
}
