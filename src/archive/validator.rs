//! What the lines of an index cannot mean: found while they are read, before a byte of the archive is believed.
//!
//! doc/format.md, "Rules for readers": blocks and members follow each other, no path leads out or through a link, no number
//! decides how much memory is taken. A line that is refused ends the reading, so that an index takes no more memory than
//! what it has said that can be true.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::at_end::{AtEnd, at_end};
use super::early_lines::in_line;
use crate::model::{Block, EarlyChange, FORMAT, IndexEnd, Member, MemberKind, Origin};

/// Most bytes of tar stream in a block: each is held in memory as a whole, several at once. Twice what writers make.
const LARGEST_BLOCK: u64 = 8 << 20;
/// More than any compression adds to a block that does not compress: twice its length and a little.
const OVERHEAD: u64 = 64 << 10;
/// Most bytes of headers in front of a member's data: long link, long name and header, each at most a path of 4,096 bytes
/// below a long prefix.
const HEADERS: u64 = 32 << 10;
/// The same for a sparse member: 262,144 segments of 24 bytes, and more.
const SPARSE_HEADERS: u64 = 8 << 20;
/// Unit of the tar stream.
const TAR_BLOCK: u64 = 512;
/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

/// Takes the lines in their order; the texts say what is wrong with the index.
#[derive(Debug, Default)]
pub(super) struct Validator {
    /// Where the last block ends in the archive object.
    offset: u64,
    /// Where it ends in the tar stream.
    raw: u64,
    blocks: u64,
    /// Where the last member ends in the tar stream.
    position: u64,
    members: u64,
}

impl Validator {
    /// The next block.
    pub(super) fn block(&mut self, block: &Block) -> Result<(), String> {
        let number = self.blocks;
        let ends = self.offset.checked_add(block.bytes).zip(self.raw.checked_add(block.raw));
        let Some(ends) = ends.filter(|_| block.offset == self.offset && block.bytes > 0 && block.raw > 0)
        else {
            return Err(format!("block {number} does not follow the one before"));
        };
        if block.raw > LARGEST_BLOCK {
            return Err(format!(
                "block {number} has {} bytes of the tar stream, more than the {LARGEST_BLOCK} that a block may have",
                block.raw
            ));
        }
        if block.bytes > block.raw.saturating_mul(2).saturating_add(OVERHEAD) {
            return Err(format!("block {number} has {} bytes for {} bytes of data", block.bytes, block.raw));
        }
        (self.offset, self.raw) = ends;
        self.blocks += 1;
        Ok(())
    }

    /// The next member.
    pub(super) fn member(&mut self, member: &Member) -> Result<(), String> {
        let is_next = member.header_offset == self.position
            && member.end_offset > member.header_offset
            && member.path.is_contained();
        if !is_next {
            return Err(disorder(member));
        }
        if let Some(what) = in_member(member) {
            return Err(format!("member '{}' {what}", member.path));
        }
        self.position = member.end_offset;
        self.members += 1;
        Ok(())
    }

    /// The last line, and all members together: what is there at the end, and the length of the tar stream.
    pub(super) fn end(
        &self,
        members: &[Member],
        changes: &[EarlyChange],
        end: &IndexEnd,
        format: u32,
    ) -> Result<(AtEnd, u64), String> {
        if let Some(beyond) = members.iter().find(|member| member.end_offset > self.raw) {
            return Err(disorder(beyond));
        }
        if (end.members, end.blocks, end.raw) != (self.members, self.blocks, self.raw) {
            return Err("the counts in its last line are not those of its lines".into());
        }
        if format == FORMAT {
            is_plain(members, changes)?;
        }
        Ok((at_end(members, changes)?, self.raw))
    }
}

fn disorder(member: &Member) -> String {
    format!("member '{}' does not follow the one before, or has an unsafe path", member.path)
}

fn in_member(member: &Member) -> Option<&'static str> {
    let data = member.end_offset.saturating_sub(member.header_offset);
    let has_content = matches!(member.kind, MemberKind::File | MemberKind::Generated | MemberKind::Pages);
    let sizes = if has_content {
        member.stored <= data
            && i64::try_from(member.size).is_ok()
            && if member.sparse { member.stored <= member.size } else { member.stored == member.size }
    } else {
        member.size == 0 && member.stored == 0 && !member.sparse
    };
    if !sizes {
        return Some("has sizes that cannot be");
    }
    let filled = member.stored.checked_next_multiple_of(TAR_BLOCK);
    let headers = filled.and_then(|filled| data.checked_sub(filled));
    let most = if member.sparse { SPARSE_HEADERS } else { HEADERS };
    if !headers.is_some_and(|headers| (TAR_BLOCK..=most).contains(&headers)) {
        return Some("has more or less room in the tar stream than its headers and its data need");
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
    if let Some(what) = in_line(member) {
        return Some(what);
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

/// In format 1 each path occurs once, and everything is what it is.
fn is_plain(members: &[Member], changes: &[EarlyChange]) -> Result<(), String> {
    let is_newer = |member: &Member| member.pages.is_some() || member.place.is_some() || member.early;
    if !changes.is_empty() || members.iter().any(is_newer) {
        return Err(format!("format {FORMAT} has no files that change while they are stored"));
    }
    let mut paths = BTreeSet::new();
    let twice = members.iter().find(|member| !paths.insert(&member.path));
    twice.map_or(Ok(()), |member| Err(format!("member '{}' occurs twice", member.path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(offset: u64, bytes: u64, raw: u64) -> Block {
        Block { offset, bytes, raw }
    }

    fn member(path: &str, size: u64, end_offset: u64) -> Member {
        let text = format!(
            r#"{{"path":"{path}","kind":"file","mode":432,"uid":0,"gid":0,"mtime":0,"size":{size},"stored":{size},
                "sha256":"","header_offset":0,"end_offset":{end_offset}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_block_is_small_and_follows_the_one_before() {
        let mut validator = Validator::default();
        validator.block(&block(0, 100, LARGEST_BLOCK)).unwrap();
        for (wrong, what) in [
            (block(0, 100, 1), "block 1 does not follow"),
            (block(101, 100, 1), "block 1 does not follow"),
            (block(100, 0, 1), "block 1 does not follow"),
            (block(100, 1, 0), "block 1 does not follow"),
            (block(100, u64::MAX, 1), "block 1 does not follow"),
            (block(100, 1, LARGEST_BLOCK + 1), "more than the 8388608 that a block may have"),
            (block(100, OVERHEAD + 3, 1), "block 1 has 65539 bytes for 1 bytes of data"),
        ] {
            let error = validator.block(&wrong).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        validator.block(&block(100, OVERHEAD + 2, 1)).unwrap();
    }

    #[test]
    fn a_member_has_the_room_that_it_needs() {
        let ends = [(0, 512), (1, 1024), (512, 1024), (513, 1536), (513, 1024 + HEADERS)];
        for (size, end) in ends {
            Validator::default().member(&member("a", size, end)).unwrap();
        }
        let wrong = [(0, 511), (1, 512), (513, 1024), (513, 1536 + HEADERS), (1, 1000), (u64::MAX, 512)];
        for (size, end) in wrong {
            assert!(Validator::default().member(&member("a", size, end)).is_err(), "{size} bytes to {end}");
        }
    }
}
