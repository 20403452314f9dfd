//! What stock `tar` makes of an archive while it is written, and what the script in it has to do then.

use std::collections::BTreeSet;
use std::path::Path;

use super::apply::apply_script;
use super::at_end::steps;
use super::early_lines::is_reserved;
use crate::model::{ArchivePath, EarlyChange, Member, MemberKind, PageRuns};

/// A file or link that stays as it is.
#[derive(Debug)]
struct LeftAlone {
    path: ArchivePath,
    kind: MemberKind,
    header_offset: u64,
}

/// What stock `tar` finds in the archive, as far as it is not simply left where it is.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    members: Vec<Member>,
    changes: Vec<EarlyChange>,
    /// There may be many, so little of them is kept. What may be in the way of others is looked for at the end.
    left_alone: Vec<LeftAlone>,
}

impl Unpacked {
    /// The next member; `replaces` where it comes in place of an early one. Where each run belongs the script does not say.
    pub(super) fn take(&mut self, line: &Member, replaces: bool) {
        let is_plain = matches!(line.kind, MemberKind::File | MemberKind::Symlink) && line.place.is_none();
        if is_plain && !line.early && !replaces {
            let (path, kind, header_offset) = (line.path.clone(), line.kind, line.header_offset);
            self.left_alone.push(LeftAlone { path, kind, header_offset });
            return;
        }
        let pages = line.pages.as_ref().map(|pages| PageRuns { of: pages.of, runs: Vec::new() });
        self.members.push(Member { pages, sha256: None, user: None, group: None, ..line.clone() });
    }

    /// What became of an early member.
    pub(super) fn change(&mut self, change: &EarlyChange) {
        self.changes.push(change.clone());
    }

    /// The script; none where stock `tar` does it all. The text says what does not fit together: what a reader of the index would refuse.
    pub(super) fn script(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.add_what_is_in_the_way();
        let steps = steps(&self.members, &self.changes)?;
        Ok((!steps.are_those_of_tar()).then(|| apply_script(&steps)))
    }

    /// Those that have the path of one of the members, or lie above or below it: a database that was dropped may have become a link.
    fn add_what_is_in_the_way(&mut self) {
        let Some(like) = self.members.iter().find(|member| member.early) else { return };
        let files = self.members.iter().filter(|member| member.kind != MemberKind::Directory);
        let moved = self.changes.iter().filter_map(|change| match change {
            EarlyChange::Moved { to, .. } => Some(to),
            EarlyChange::Removed(_) | EarlyChange::Resized { .. } => None,
        });
        let paths = files.flat_map(|member| std::iter::once(&member.path).chain(&member.place));
        let taken: BTreeSet<&Path> = paths.chain(moved).map(ArchivePath::as_path).collect();
        let above: BTreeSet<&Path> = taken.iter().flat_map(|path| path.ancestors()).collect();
        let is_in_the_way = |path: &ArchivePath| {
            let path = path.as_path();
            above.contains(path) || path.ancestors().any(|folder| taken.contains(folder))
        };
        let found = self.left_alone.iter().filter(|one| is_in_the_way(&one.path) || is_reserved(&one.path));
        let found: Vec<Member> = found.map(|one| one.member(like)).collect();
        self.left_alone.clear();
        self.members.extend(found);
        self.members.sort_unstable_by_key(|member| member.header_offset);
    }
}

impl LeftAlone {
    /// As a member; what is not known of it is that of another one.
    fn member(&self, like: &Member) -> Member {
        Member {
            path: self.path.clone(),
            kind: self.kind,
            header_offset: self.header_offset,
            end_offset: self.header_offset,
            early: false,
            place: None,
            origin: None,
            system_tablespace: false,
            ..like.clone()
        }
    }
}
