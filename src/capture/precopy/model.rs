//! A server that never was, for tests: it writes pages and files at random, and is copied meanwhile.

use std::collections::BTreeMap;

use super::compare::{AheadFile, Extent, SpacePart};
use super::dice::Dice;
use super::model_file::{ModelFile, PAGE, Page};
use crate::innodb::redo::{Change, PageId, PageSet};
use crate::model::ArchivePath;

/// The clock, nanoseconds: the files are a day old when it begins.
const DAY: i64 = 86_400_000_000_000;

pub(super) struct Model {
    pub(super) dice: Dice,
    pub(super) files: BTreeMap<String, ModelFile>,
    now: i64,
    lsn: u64,
    content: u64,
    next_space: u32,
    free_inodes: Vec<u64>,
    next_inode: u64,
    /// What the log says since the pursuit began.
    pub(super) set: Option<PageSet>,
    pub(super) checkpoint: u64,
    /// How many files were copied.
    members: u64,
}

/// A file as it was copied.
pub(super) struct ModelCopy {
    pub(super) early: AheadFile,
    pub(super) content: Vec<Page>,
    /// Pages of later rounds, in the order in which they count.
    pub(super) pages: Vec<(u64, Page)>,
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        let mut model = Self {
            dice: Dice(seed),
            files: BTreeMap::new(),
            now: 20_000 * DAY,
            lsn: 1000,
            content: 0,
            next_space: 1,
            free_inodes: Vec::new(),
            next_inode: 100,
            set: None,
            checkpoint: 0,
            members: 0,
        };
        for number in 0..3 + model.dice.roll(8) {
            model.create(&format!("t{number}"));
        }
        model.create("other");
        model.files.get_mut("other").unwrap().is_other = true;
        for _ in 0..model.dice.roll(60) {
            model.act();
        }
        // Some are old.
        model.now += if model.dice.one_in(2) { DAY } else { 1 };
        model
    }

    fn log(&mut self, change: &Change<'_>) {
        self.lsn += 10;
        if let Some(set) = &mut self.set {
            set.add(change);
        }
    }

    fn fresh(&mut self) -> u64 {
        self.content += 1;
        self.content
    }

    fn inode(&mut self) -> u64 {
        // A file system gives the number of a removed file to the next one.
        self.free_inodes.pop().unwrap_or_else(|| {
            self.next_inode += 1;
            self.next_inode
        })
    }

    fn create(&mut self, name: &str) {
        let space = self.next_space;
        self.next_space += 1;
        self.log(&Change::Replaced(space));
        let pages = 1 + self.dice.roll(12);
        let (inode, now) = (self.inode(), self.now);
        let mut file = ModelFile {
            space,
            inode,
            born: now,
            modified: now,
            changed: now,
            disk: vec![(0, 0); usize::try_from(pages).unwrap()],
            dirty: BTreeMap::new(),
            is_other: false,
            pages,
        };
        let content = self.fresh();
        file.disk[0] = (content, self.lsn);
        self.files.insert(name.to_owned(), file);
        for page in 0..usize::try_from(pages).unwrap() {
            if self.dice.one_in(2) {
                self.write(name, page);
            }
        }
    }

    /// Changes a page in memory; the log names it.
    fn write(&mut self, name: &str, page: usize) {
        let content = self.fresh();
        let (space, is_other) = (self.files[name].space, self.files[name].is_other);
        if is_other {
            let now = self.now;
            let file = self.files.get_mut(name).unwrap();
            file.disk[page] = (content, 0);
            (file.modified, file.changed) = (now, now);
            return;
        }
        self.log(&Change::Page(PageId { space, page: u32::try_from(page).unwrap() }));
        let lsn = self.lsn;
        let first = self.files[name].dirty.get(&page).map_or(lsn, |(_, first)| *first);
        self.files.get_mut(name).unwrap().dirty.insert(page, ((content, lsn), first));
    }

    fn flush_one(&mut self, name: &str) {
        let now = self.now;
        let file = self.files.get_mut(name).unwrap();
        if let Some((page, (content, _))) = file.dirty.pop_first() {
            if let Some(place) = file.disk.get_mut(page) {
                *place = content;
            }
            (file.modified, file.changed) = (now, now);
        }
    }

    fn any(&mut self) -> Option<String> {
        let count = self.files.len() as u64;
        let number = usize::try_from(self.dice.roll(count.max(1))).unwrap();
        self.files.keys().nth(number).cloned()
    }

    pub(super) fn act(&mut self) {
        self.now += i64::try_from(self.dice.roll(3_000_000_000)).unwrap();
        let Some(name) = self.any() else { return self.create("again") };
        let length = self.files[&name].disk.len();
        let is_other = self.files[&name].is_other;
        match self.dice.roll(24) {
            0..8 => {
                let page = usize::try_from(self.dice.roll(length as u64)).unwrap();
                self.write(&name, page);
            }
            8..13 => self.flush_one(&name),
            13 => self.grow(&name),
            14 if !is_other => self.trim(&name),
            15 if !is_other => {
                let fresh = format!("n{}", self.next_space);
                self.create(&fresh);
            }
            16 if !is_other => self.drop_table(&name),
            17 if !is_other => self.rename(&name),
            18 if !is_other => self.swap(&name),
            19 if !is_other => {
                // TRUNCATE, or a rebuild: the same name, another tablespace.
                self.drop_table(&name);
                self.create(&name);
            }
            20 if !is_other => self.import(&name),
            21 if self.dice.one_in(4) => self.flush(),
            _ => {}
        }
    }

    fn grow(&mut self, name: &str) {
        let more = usize::try_from(1 + self.dice.roll(6)).unwrap();
        let (now, length, is_other) = (self.now, self.files[name].disk.len(), self.files[name].is_other);
        let file = self.files.get_mut(name).unwrap();
        file.disk.resize(length + more, (0, 0));
        file.pages = file.disk.len() as u64;
        (file.modified, file.changed) = (now, now);
        if !is_other {
            self.write(name, 0);
        }
    }

    /// An undo tablespace is truncated: what is behind the new end is new, also where it grows again.
    fn trim(&mut self, name: &str) {
        let file = &self.files[name];
        let (space, length, now) = (file.space, file.disk.len() as u64, self.now);
        let keep = 1 + self.dice.roll(length);
        self.log(&Change::Trimmed(PageId { space, page: u32::try_from(keep).unwrap() }));
        self.write(name, 0);
        let file = self.files.get_mut(name).unwrap();
        let kept = usize::try_from(keep).unwrap();
        file.disk.truncate(kept);
        file.dirty.retain(|page, _| *page < kept);
        file.pages = file.disk.len() as u64;
        (file.modified, file.changed) = (now, now);
        if self.dice.one_in(2) {
            self.grow(name);
        }
    }

    fn drop_table(&mut self, name: &str) {
        let file = self.files.remove(name).unwrap();
        self.log(&Change::Replaced(file.space));
        self.free_inodes.push(file.inode);
    }

    fn rename(&mut self, name: &str) {
        let mut file = self.files.remove(name).unwrap();
        file.changed = self.now;
        self.log(&Change::File(0xa0, &[]));
        let to = format!("r{}", self.dice.roll(20));
        if self.files.contains_key(&to) {
            self.files.insert(name.to_owned(), file);
        } else {
            self.files.insert(to, file);
        }
    }

    fn swap(&mut self, name: &str) {
        let Some(other) = self.any().filter(|other| other != name && !self.files[other].is_other) else {
            return;
        };
        let (mut one, mut two) = (self.files.remove(name).unwrap(), self.files.remove(&other).unwrap());
        (one.changed, two.changed) = (self.now, self.now);
        self.log(&Change::File(0xa0, &[]));
        self.files.insert(other, one);
        self.files.insert(name.to_owned(), two);
    }

    /// DISCARD TABLESPACE, a file from elsewhere, and IMPORT: the same tablespace in another file.
    fn import(&mut self, name: &str) {
        let space = self.files[name].space;
        self.drop_table(name);
        self.create(name);
        let lsn = self.lsn;
        let file = self.files.get_mut(name).unwrap();
        // Its pages are written in place and stamped; no record names them, but that of the removal.
        file.space = space;
        file.dirty.clear();
        for page in &mut file.disk {
            *page = if page.0 == 0 { (0, 0) } else { (page.0, lsn) };
        }
        if let Some(set) = &mut self.set {
            assert!(set.is_replaced(space));
        }
    }

    pub(super) fn flush(&mut self) {
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            while !self.files[&name].dirty.is_empty() {
                self.flush_one(&name);
            }
        }
    }

    /// The newest checkpoint: nothing that is in memory only was changed first before it.
    pub(super) fn begin(&mut self) {
        let firsts = self.files.values().flat_map(|file| file.dirty.values().map(|(_, first)| *first));
        // Records of the present mini-transaction end at `lsn`.
        self.checkpoint = firsts.min().unwrap_or(self.lsn + 1).min(self.lsn + 1);
        // What the log says from there on: all that is in memory only is named behind it.
        let mut set = PageSet::default();
        for file in self.files.values() {
            for page in file.dirty.keys() {
                set.add(&Change::Page(PageId { space: file.space, page: u32::try_from(*page).unwrap() }));
            }
        }
        self.set = Some(set);
    }

    /// Copies every file, page by page, while the server goes on; some pages are torn.
    pub(super) fn copy(&mut self, pace: u64) -> Vec<ModelCopy> {
        let mut copied = Vec::new();
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            copied.extend(self.copy_file(&name, pace));
        }
        copied
    }

    /// Copies one; none where it is gone.
    pub(super) fn copy_file(&mut self, name: &str, pace: u64) -> Option<ModelCopy> {
        if self.dice.one_in(3) {
            self.act();
        }
        let opened = self.files.get(name).cloned()?;
        let (opened_at, facts, zero) = (self.now, opened.facts(), opened.zero());
        let (mut content, mut damaged) = (Vec::new(), Vec::new());
        for page in 0..opened.disk.len() {
            let (read, is_torn) = self.read(&opened, page, pace);
            content.push(read);
            if is_torn {
                damaged.push(page as u64 * PAGE);
            }
        }
        let space = (!opened.is_other).then_some(SpacePart { zero, base: 0, is_system: false });
        self.members += 1;
        let early = AheadFile {
            was_closed: false,
            member: self.members,
            path: ArchivePath::new(name),
            is_external: false,
            opened: opened_at,
            facts,
            space,
            damaged: Some(damaged),
            extent: Extent::of(facts.bytes),
            is_lost: false,
        };
        Some(ModelCopy { early, content, pages: Vec::new() })
    }

    /// Reads a page of a file that was opened, while the server goes on; and whether it is torn.
    pub(super) fn read(&mut self, opened: &ModelFile, page: usize, pace: u64) -> (Page, bool) {
        let before = self.disk_of(opened, page);
        for _ in 0..self.dice.roll(pace + 1) {
            self.act();
        }
        let now = self.disk_of(opened, page);
        // Half of it is old.
        let is_torn = before != now && !opened.is_other && self.dice.one_in(2);
        (if is_torn { (u64::MAX, u64::MAX) } else { now }, is_torn)
    }

    /// A page of the file that was opened, whatever its name is now; zeros where it ends before. One that was removed stays as it was.
    fn disk_of(&self, opened: &ModelFile, page: usize) -> Page {
        let is_it = |file: &&ModelFile| (file.inode, file.born) == (opened.inode, opened.born);
        let file = self.files.values().find(is_it).unwrap_or(opened);
        file.disk.get(page).copied().unwrap_or((0, 0))
    }
}
