//! What an index cannot mean, although its lines fit together: found before a byte of the archive is believed.
//!
//! doc/format.md, "Rules for readers": no path leads through a link, no number decides how much memory is taken.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use crate::archive::Index;
use crate::model::{Block, Member, MemberKind, Origin};

/// More than any compression adds to a block that does not compress: twice its length and a little.
const OVERHEAD: u64 = 64 << 10;
/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

/// The first thing that cannot be.
pub(super) fn objection(index: &Index) -> Option<String> {
    let block = index.blocks.iter().enumerate().find(|(_, block)| !is_possible(block));
    if let Some((number, block)) = block {
        return Some(format!("block {number} has {} bytes for {} bytes of data", block.bytes, block.raw));
    }
    let wrong = index.members.iter().find_map(|member| Some((member, in_member(member)?)));
    wrong
        .map(|(member, what)| format!("member '{}' {what}", member.path))
        .or_else(|| in_the_tree(&index.members))
}

/// A block is read into memory as a whole.
fn is_possible(block: &Block) -> bool {
    block.bytes <= block.raw.saturating_mul(2).saturating_add(OVERHEAD)
}

fn in_member(member: &Member) -> Option<&'static str> {
    let data = member.end_offset - member.header_offset;
    let has_content = matches!(member.kind, MemberKind::File | MemberKind::Generated);
    let sizes = if has_content {
        member.stored <= data
            && if member.sparse { member.stored <= member.size } else { member.stored == member.size }
    } else {
        member.size == 0 && member.stored == 0 && !member.sparse
    };
    if !sizes {
        return Some("has sizes that cannot be");
    }
    if member.sha256.is_some() != has_content {
        return Some("has a digest where there is none, or none where there is one");
    }
    if member.target.is_some() != (member.kind == MemberKind::Symlink) {
        return Some("is a link without target, or has one without being a link");
    }
    if member.system_tablespace && member.kind != MemberKind::File {
        return Some("cannot be a system tablespace");
    }
    if member.mtime_nsec >= SECOND {
        return Some("has a time that cannot be");
    }
    member
        .origin
        .as_ref()
        .filter(|origin| !is_sound(origin))
        .map(|_| "has an origin that is not below its root")
}

/// Both absolute and without `..`, one below the other: joined to another root it stays below that.
fn is_sound(origin: &Origin) -> bool {
    let is_plain = |path: &Path| {
        let mut parts = path.components();
        parts.next() == Some(Component::RootDir) && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let (root, path) = (origin.root.as_path(), origin.path.as_path());
    let has_zero = origin.root.as_bytes().contains(&0) || origin.path.as_bytes().contains(&0);
    !has_zero && is_plain(root) && is_plain(path) && path.starts_with(root)
}

/// Names that occur twice, or lead through what is no directory.
fn in_the_tree(members: &[Member]) -> Option<String> {
    let mut kinds = BTreeMap::new();
    for member in members {
        if kinds.insert(member.path.as_path(), member.kind).is_some() {
            return Some(format!("member '{}' occurs twice", member.path));
        }
    }
    members.iter().find_map(|member| {
        let mut above = member.path.as_path().ancestors().skip(1);
        let blocked =
            above.find(|path| kinds.get(path).is_some_and(|kind| *kind != MemberKind::Directory))?;
        Some(format!("member '{}' lies behind '{}', which is no directory", member.path, blocked.display()))
    })
}
