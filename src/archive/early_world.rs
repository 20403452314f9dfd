//! A world of files for tests: they are stored early, change, are stored again, and an index is made of it as a capture makes one.

use std::collections::BTreeMap;

use super::apply::{FILES_PREFIX, PAGES_PREFIX, STAND_IN, SYSTEM_PREFIX};
use crate::model::{ArchivePath, EarlyChange, Member, MemberKind, PageRuns};

/// Names that a shell could take for something else.
const NAMES: [&[u8]; 14] = [
    b"db/plain.ibd",
    b"db/two words.ibd",
    b"db/-dash.ibd",
    b"db/it's \"quoted\".ibd",
    b"db/new\nline.ibd",
    b"db/$(touch x)`id`.ibd",
    b"other db/\xE9\xFF.ibd",
    b"other db/back\\slash.ibd",
    b"other db/*?[a].ibd",
    b"gone/only.ibd",
    b"-n",
    b"--help.ibd",
    b"db/trailing newline\n",
    b"#sql-1.ibd",
];

/// Numbers that are the same for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % (end.max(1) as u64)).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(255) + 1).unwrap()).collect()
    }
}

struct WorldFile {
    name: ArchivePath,
    content: Vec<u8>,
    /// Its early member, and the name that it had then.
    early: Option<(u64, ArchivePath)>,
    /// Bytes that were written since it was stored last.
    touched: Vec<bool>,
}

impl WorldFile {
    fn write(&mut self, random: &mut Random) {
        let length = 1 + random.below(200);
        let at = random.below(self.content.len() + 1).min(self.content.len().saturating_sub(length));
        let bytes = random.bytes(length.min(self.content.len() - at));
        self.content[at..at + bytes.len()].copy_from_slice(&bytes);
        self.touched[at..at + bytes.len()].fill(true);
    }

    /// What comes back when it grows again is not what was there before.
    fn resize(&mut self, size: usize) {
        self.content.resize(size, 0);
        self.touched.resize(self.touched.len().max(size), false);
        self.touched[size..].fill(true);
    }

    fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for at in (0..self.content.len()).filter(|at| self.touched[*at]) {
            match runs.last_mut() {
                Some((offset, length)) if *offset + *length == at as u64 => *length += 1,
                _ => runs.push((at as u64, 1)),
            }
        }
        runs
    }
}

/// What an archive of it holds, and what must come of it.
#[derive(Default)]
pub(super) struct StoredWorld {
    pub(super) members: Vec<Member>,
    /// Beside the members.
    pub(super) contents: Vec<Vec<u8>>,
    pub(super) changes: Vec<EarlyChange>,
    /// Files at the end.
    pub(super) expected: BTreeMap<ArchivePath, Vec<u8>>,
}

/// The path of these bytes.
pub(super) fn path(bytes: &[u8]) -> ArchivePath {
    use std::os::unix::ffi::OsStrExt;
    ArchivePath::new(std::ffi::OsStr::from_bytes(bytes))
}

/// A member with this path and size.
pub(super) fn member(at: &ArchivePath, kind: MemberKind, size: u64) -> Member {
    let text = r#"{"path":"x","kind":"file","mode":432,"uid":0,"gid":0,"mtime":0,"size":0,"stored":0,"sha256":"",
        "header_offset":0,"end_offset":0}"#;
    let line: Member = serde_json::from_str(text).unwrap();
    let sha256 = (kind != MemberKind::Directory).then(String::new);
    Member { path: at.clone(), kind, size, stored: size, sha256, ..line }
}

impl StoredWorld {
    pub(super) fn add(&mut self, line: Member, content: Vec<u8>) {
        self.put(line, content);
    }

    /// Where it stands.
    fn put(&mut self, line: Member, content: Vec<u8>) -> u64 {
        let header_offset = self.members.last().map_or(0, |member| member.end_offset);
        let end_offset = header_offset + 512 + line.stored.next_multiple_of(512);
        self.members.push(Member { header_offset, end_offset, ..line });
        self.contents.push(content);
        header_offset
    }

    fn whole(&mut self, file: &WorldFile, apart: Option<&str>, early: bool) -> u64 {
        let line = member(&file.name, MemberKind::File, file.content.len() as u64);
        let line = Member { early, ..line };
        let line = match apart {
            None => line,
            Some(prefix) => Member {
                path: ArchivePath::new(format!("{prefix}/{}", self.members.len())),
                place: Some(file.name.clone()),
                system_tablespace: prefix == SYSTEM_PREFIX,
                ..line
            },
        };
        self.put(line, file.content.clone())
    }

    fn pages(&mut self, of: u64, file: &WorldFile, most: usize) {
        for runs in file.runs().chunks(most) {
            let content: Vec<u8> = runs
                .iter()
                .flat_map(|(offset, length)| {
                    let at = usize::try_from(*offset).unwrap();
                    file.content[at..at + usize::try_from(*length).unwrap()].to_vec()
                })
                .collect();
            let at = ArchivePath::new(format!("{PAGES_PREFIX}/{}", self.members.len()));
            let pages = Some(PageRuns { of, runs: runs.to_vec() });
            self.add(Member { pages, ..member(&at, MemberKind::Pages, content.len() as u64) }, content);
        }
    }
}

/// Stores a world of this seed.
pub(super) fn store(seed: u64) -> StoredWorld {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut stored = StoredWorld::default();
    let mut free: Vec<ArchivePath> = NAMES.iter().map(|name| path(name)).collect();
    let mut files = vec![new_file(&mut random, path(b"ibdata1"))];
    for _ in 0..=random.below(8) {
        let name = free.swap_remove(random.below(free.len()));
        files.push(new_file(&mut random, name));
    }
    for (number, file) in files.iter_mut().enumerate() {
        if number == 0 || !random.one_in(8) {
            let offset = stored.whole(file, (number == 0).then_some(SYSTEM_PREFIX), true);
            file.early = Some((offset, file.name.clone()));
        }
    }
    let mut dropped = Vec::new();
    for _ in 0..random.below(3) {
        happen(&mut random, &mut files, &mut free, &mut dropped);
        let early: Vec<ArchivePath> =
            files.iter().filter_map(|file| file.early.as_ref()).map(|(_, name)| name.clone()).collect();
        for file in &mut files {
            match file.early.clone() {
                Some((of, _)) if !random.one_in(4) => stored.pages(of, file, 1 + random.below(5)),
                // A file of that name that was stored early may be somewhere else by now.
                None if random.one_in(3) && !early.contains(&file.name) => {
                    let offset = stored.whole(file, None, true);
                    file.early = Some((offset, file.name.clone()));
                }
                _ => continue,
            }
            let size = file.content.len();
            file.touched[..size].fill(false);
        }
    }
    happen(&mut random, &mut files, &mut free, &mut dropped);
    freeze(&mut random, &mut stored, &files, dropped);
    stored
}

fn new_file(random: &mut Random, name: ArchivePath) -> WorldFile {
    let size = random.below(3000);
    let content = random.bytes(size);
    WorldFile { name, touched: vec![false; content.len()], content, early: None }
}

/// What a server does meanwhile.
fn happen(
    random: &mut Random,
    files: &mut Vec<WorldFile>,
    free: &mut Vec<ArchivePath>,
    dropped: &mut Vec<(u64, ArchivePath)>,
) {
    for _ in 0..random.below(12) {
        let (one, other) = (random.below(files.len()), random.below(files.len()));
        match random.below(7) {
            0 if one > 0 => {
                let gone = files.remove(one);
                free.push(gone.name);
                dropped.extend(gone.early);
            }
            1 if one > 0 && !free.is_empty() => {
                let name = free.swap_remove(random.below(free.len()));
                free.push(std::mem::replace(&mut files[one].name, name));
            }
            2 if one > 0 && other > 0 && one != other => {
                let name = files[one].name.clone();
                files[one].name = std::mem::replace(&mut files[other].name, name);
            }
            3 if !free.is_empty() => {
                let name = free.swap_remove(random.below(free.len()));
                files.push(new_file(random, name));
            }
            4 => {
                let size = random.below(4000);
                files[one].resize(size);
            }
            _ => files[one].write(random),
        }
    }
}

fn freeze(
    random: &mut Random,
    stored: &mut StoredWorld,
    files: &[WorldFile],
    dropped: Vec<(u64, ArchivePath)>,
) {
    let mut leaving: Vec<ArchivePath> = Vec::new();
    let mut gone = dropped;
    let mut changes = Vec::new();
    let mut whole = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let Some((offset, was)) = file.early.clone() else {
            whole.push(file);
            continue;
        };
        if number > 0 && random.one_in(5) {
            whole.push(file);
            gone.push((offset, was));
            continue;
        }
        let (member, size) = (offset, file.content.len() as u64);
        if was != file.name {
            changes.push(EarlyChange::Moved { member, to: file.name.clone() });
            leaving.push(was);
        }
        stored.pages(offset, file, 1 + random.below(5));
        changes.push(EarlyChange::Resized { member, size });
    }
    let mut again = Vec::new();
    for file in whole {
        let apart = leaving.contains(&file.name) || random.one_in(6);
        stored.whole(file, apart.then_some(FILES_PREFIX), false);
        if !apart {
            again.push(file.name.clone());
        }
    }
    for (offset, was) in gone {
        // One that is stored again under its path need not be told.
        if !(again.contains(&was) && random.one_in(2)) {
            changes.push(EarlyChange::Removed(offset));
        }
    }
    for number in (1..changes.len()).rev() {
        changes.swap(number, random.below(number + 1));
    }
    stored.changes = changes;
    stored.expected = files.iter().map(|file| (file.name.clone(), file.content.clone())).collect();
    let text = STAND_IN.as_bytes().to_vec();
    stored.add(member(&path(b"ibdata1"), MemberKind::Generated, text.len() as u64), text);
    let folders: std::collections::BTreeSet<ArchivePath> =
        files.iter().filter_map(|file| file.name.as_path().parent()).map(ArchivePath::new).collect();
    for folder in folders.into_iter().filter(|folder| !folder.as_bytes().is_empty()) {
        stored.add(member(&folder, MemberKind::Directory, 0), Vec::new());
    }
}
