//! What an index says is there at the end, when all its members, pages and changes are taken together.
//!
//! Where everything is stored while the server stands still, that is all its members. Where files were stored early, while it ran, a
//! later member of the same path counts in place of an earlier one, runs of pages replace parts of it, and the file may have got
//! another name or size, or be gone. Whoever reads an archive goes by what is there at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::EXTERNAL_PREFIX;
use super::apply::{APPLY_MEMBER, ApplySteps, PAGES_PREFIX};
use super::early_lines::{is_below, is_reserved};
use crate::model::{ArchivePath, EarlyChange, Member, MemberKind};

/// Everything at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AtEnd {
    /// One for each path, in the order of the stream; paths and sizes are those at the end.
    pub(super) members: Vec<Member>,
    /// The page members of a file, in their order, as places in the list of the stream's members; by the `header_offset` of the file.
    pub(super) patches: BTreeMap<u64, Vec<usize>>,
    /// Whether this is more than the members of the stream.
    pub(super) differs: bool,
}

/// Members as they stand in the stream, where they are not what is there at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Streamed {
    pub(super) members: Vec<Member>,
    /// See [`AtEnd::patches`].
    pub(super) patches: BTreeMap<u64, Vec<usize>>,
}

impl Streamed {
    /// The page members of the file that stands there.
    pub(super) fn patches(&self, header_offset: u64) -> impl Iterator<Item = &Member> {
        let places = self.patches.get(&header_offset);
        places.into_iter().flatten().map(|place| &self.members[*place])
    }
}

/// What became of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndFate {
    There,
    /// A later member has the same path.
    Superseded,
    Removed,
}

/// A file, directory or link of the stream.
#[derive(Debug, Clone)]
struct PictureFile<'a> {
    /// Place in the list of members.
    base: usize,
    /// Path at the end.
    name: &'a ArchivePath,
    fate: EndFate,
    is_moved: bool,
    pages: Vec<usize>,
    size: Option<u64>,
}

/// The work on one index.
struct Picture<'a> {
    members: &'a [Member],
    /// By `header_offset`.
    entries: BTreeMap<u64, PictureFile<'a>>,
    /// The last member of each path: what stock `tar` leaves there.
    last: BTreeMap<&'a ArchivePath, usize>,
    /// Paths that a member with a `place` will have.
    places: BTreeSet<&'a ArchivePath>,
}

/// Takes members and changes together; the texts say what is wrong with the index.
pub(super) fn at_end(members: &[Member], changes: &[EarlyChange]) -> Result<AtEnd, String> {
    Ok(Picture::of(members, changes)?.finish())
}

/// What is left to do in a directory in which stock `tar` has unpacked these members.
pub(super) fn steps(members: &[Member], changes: &[EarlyChange]) -> Result<ApplySteps, String> {
    Ok(Picture::of(members, changes)?.steps())
}

impl<'a> Picture<'a> {
    fn of(members: &'a [Member], changes: &'a [EarlyChange]) -> Result<Self, String> {
        let places = members.iter().filter_map(|member| member.place.as_ref()).collect();
        let mut picture = Self { members, entries: BTreeMap::new(), last: BTreeMap::new(), places };
        for number in 0..members.len() {
            picture.take(number)?;
        }
        changes.iter().try_for_each(|change| picture.change(change))?;
        picture.check()?;
        Ok(picture)
    }

    /// The next member of the stream.
    fn take(&mut self, number: usize) -> Result<(), String> {
        let member = &self.members[number];
        if let Some(before) = self.last.insert(&member.path, number) {
            self.supersede(before, member)?;
        }
        if let Some(pages) = &member.pages {
            let is_early = |entry: &&mut PictureFile<'_>| self.members[entry.base].early;
            let Some(entry) = self.entries.get_mut(&pages.of).filter(is_early) else {
                return Err(format!("member '{}' has pages of no file that was stored early", member.path));
            };
            entry.pages.push(number);
        } else if !self.is_carrier(member) {
            let name = member.place.as_ref().unwrap_or(&member.path);
            let (fate, is_moved) = (EndFate::There, false);
            let entry = PictureFile { base: number, name, fate, is_moved, pages: Vec::new(), size: None };
            self.entries.insert(member.header_offset, entry);
        }
        Ok(())
    }

    /// A member comes with the path of this one.
    fn supersede(&mut self, before: usize, member: &Member) -> Result<(), String> {
        let before = &self.members[before];
        let is_file = |kind: MemberKind| matches!(kind, MemberKind::File | MemberKind::Generated);
        if before.kind != member.kind && !(is_file(before.kind) && is_file(member.kind)) {
            return Err(format!("member '{}' occurs twice, as two kinds of things", member.path));
        }
        if !(before.early || before.kind == MemberKind::Generated) || before.place != member.place {
            return Err(format!("member '{}' occurs twice", member.path));
        }
        if let Some(entry) = self.entries.get_mut(&before.header_offset) {
            entry.fate = EndFate::Superseded;
        }
        Ok(())
    }

    /// What is in the archive for the sake of stock tools: the script and what belongs to it, and the texts in place of files.
    fn is_carrier(&self, member: &Member) -> bool {
        let is_own =
            member.path.as_bytes() == APPLY_MEMBER.as_bytes() || is_below(&member.path, PAGES_PREFIX);
        member.kind == MemberKind::Generated && (is_own || self.places.contains(&member.path))
    }

    fn change(&mut self, change: &'a EarlyChange) -> Result<(), String> {
        let (EarlyChange::Removed(offset)
        | EarlyChange::Moved { member: offset, .. }
        | EarlyChange::Resized { member: offset, .. }) = change;
        let is_early = |entry: &&mut PictureFile<'_>| self.members[entry.base].early;
        let Some(entry) = self.entries.get_mut(offset).filter(is_early) else {
            return Err(format!("it changes the member at byte {offset}, and none was stored early there"));
        };
        let base = &self.members[entry.base];
        let failed = |what: &str| Err(format!("member '{}', which {what}", base.path));
        match change {
            EarlyChange::Removed(_) if entry.is_moved => return failed("was moved, was removed"),
            EarlyChange::Removed(_) if entry.fate == EndFate::There => entry.fate = EndFate::Removed,
            EarlyChange::Removed(_) => {}
            _ if entry.fate != EndFate::There => {
                return failed("does not count at the end, was moved or resized");
            }
            EarlyChange::Moved { to, .. } => {
                if entry.is_moved || base.place.is_some() || base.origin.is_some() || base.system_tablespace {
                    return failed("cannot have been moved, was moved");
                }
                if !to.is_contained() || to.as_path().starts_with(EXTERNAL_PREFIX) {
                    return Err(format!(
                        "member '{}' was moved to '{to}', which is no path for it",
                        base.path
                    ));
                }
                (entry.name, entry.is_moved) = (to, true);
            }
            EarlyChange::Resized { size, .. } => {
                if entry.size.is_some() || i64::try_from(*size).is_err() {
                    return failed("has one size at the end, was given a size that cannot be");
                }
                entry.size = Some(*size);
            }
        }
        Ok(())
    }

    /// Those that are there at the end.
    fn there(&self) -> impl Iterator<Item = &PictureFile<'a>> {
        self.entries.values().filter(|entry| entry.fate == EndFate::There)
    }

    fn size(&self, entry: &PictureFile<'_>) -> u64 {
        entry.size.unwrap_or(self.members[entry.base].size)
    }

    /// What must be true of all together.
    fn check(&self) -> Result<(), String> {
        let mut kinds = BTreeMap::new();
        for entry in self.there() {
            let (base, name) = (&self.members[entry.base], entry.name);
            if kinds.insert(name.as_path(), base.kind).is_some() {
                return Err(format!("member '{name}' occurs twice"));
            }
            if base.kind != MemberKind::Directory && is_reserved(name) {
                return Err(format!("member '{name}' has a path of this program"));
            }
            if base.place.is_some() && base.system_tablespace && !self.has_stand_in(name) {
                return Err(format!("nothing stands in the place of '{name}' until it is complete"));
            }
        }
        behind_no_file(&kinds)?;
        // Stock `tar` unpacks all members, also those that do not count.
        let own = self.last.iter().map(|(path, number)| (path.as_path(), self.members[*number].kind));
        behind_no_file(&own.collect())
    }

    fn has_stand_in(&self, path: &ArchivePath) -> bool {
        self.last.get(path).is_some_and(|number| self.members[*number].kind == MemberKind::Generated)
    }

    fn finish(self) -> AtEnd {
        let mut found = AtEnd::default();
        for entry in self.there() {
            let base = &self.members[entry.base];
            let mut member = Member { path: entry.name.clone(), place: None, ..base.clone() };
            member.size = self.size(entry);
            member.stored = self.room(entry).min(member.size);
            // Of a file that was stored while the server ran this says nothing.
            member.changed &= !base.early;
            if !entry.pages.is_empty() {
                found.patches.insert(base.header_offset, entry.pages.clone());
            }
            found.members.push(member);
        }
        found.differs = found.members != self.members || !found.patches.is_empty();
        found
    }

    /// Bytes that the file takes on a disk, or a little more.
    fn room(&self, entry: &PictureFile<'_>) -> u64 {
        let base = &self.members[entry.base];
        let beyond = if base.sparse { 0 } else { base.size };
        let runs = entry.pages.iter().filter_map(|number| self.members[*number].pages.as_ref());
        let more = runs.flat_map(|pages| &pages.runs).filter(|(offset, _)| *offset >= beyond);
        more.fold(base.stored, |sum, (_, length)| sum.saturating_add(*length))
    }

    fn steps(&self) -> ApplySteps {
        let mut steps = ApplySteps { folders: self.left_folders(), ..ApplySteps::default() };
        let mut pages = Vec::new();
        for entry in self.entries.values() {
            let base = &self.members[entry.base];
            match entry.fate {
                EndFate::There => {}
                EndFate::Removed if base.place.is_none() => {
                    steps.removed.push(base.path.clone());
                    continue;
                }
                // What has another place goes with the folder in which it is.
                EndFate::Removed | EndFate::Superseded => continue,
            }
            // Where it is until it is placed.
            let here = if base.place.is_some() { &base.path } else { entry.name };
            if entry.is_moved {
                steps.moved.push((base.path.clone(), entry.name.clone()));
            }
            pages.extend(entry.pages.iter().map(|number| (*number, here)));
            steps.resized.extend(entry.size.map(|size| (here.clone(), size)));
            if base.place.is_some() {
                let list = if base.system_tablespace { &mut steps.system } else { &mut steps.placed };
                list.push((base.path.clone(), entry.name.clone()));
            }
        }
        // The first one of them is what a restore hides, too.
        steps.system.reverse();
        pages.sort_unstable_by_key(|(number, _)| *number);
        let page = |(number, here): (usize, &ArchivePath)| {
            (self.members[number].path.clone(), here.clone(), self.members[number].size)
        };
        steps.pages = pages.into_iter().map(page).collect();
        steps
    }

    /// Folders that stock `tar` has made for files that are gone at the end, the deepest first.
    fn left_folders(&self) -> Vec<ArchivePath> {
        let above = |path: &'a ArchivePath| {
            path.as_path().ancestors().skip(1).filter(|above| !above.as_os_str().is_empty())
        };
        let late = self.members.iter().filter(|member| !member.early).map(|member| &member.path);
        let kept: BTreeSet<&Path> = late
            .chain(self.there().map(|entry| entry.name))
            .flat_map(|path| above(path).chain([path.as_path()]))
            .collect();
        let early = self.members.iter().filter(|member| member.early && member.place.is_none());
        let made: BTreeSet<&Path> = early.flat_map(|member| above(&member.path)).collect();
        let own = Path::new(EXTERNAL_PREFIX);
        made.into_iter()
            .rev()
            .filter(|path| !kept.contains(path) && *path != own)
            .map(ArchivePath::new)
            .collect()
    }
}

fn behind_no_file(kinds: &BTreeMap<&Path, MemberKind>) -> Result<(), String> {
    let blocked = |path: &Path| {
        path.ancestors()
            .skip(1)
            .find(|above| kinds.get(above).is_some_and(|kind| *kind != MemberKind::Directory))
            .map(Path::to_path_buf)
    };
    for path in kinds.keys() {
        if let Some(above) = blocked(path) {
            return Err(format!(
                "member '{}' lies behind '{}', which is no directory",
                path.display(),
                above.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "at_end_tests.rs"]
mod tests;
