//! Pages that have changed.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::changes::Change;
use super::page_id::PageId;

/// What a tablespace takes in memory besides its pages, bytes.
const PER_SPACE: usize = 64;

/// A set of pages, small: some bits to two bytes each, and a hundred bytes for each 65,536 that has any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageSet {
    /// By their tablespaces.
    pages: BTreeMap<u32, RoaringBitmap>,
    /// Of a tablespace that was truncated: the first page that is new.
    trimmed: BTreeMap<u32, u32>,
    /// Tablespaces whose file was made or removed.
    replaced: RoaringBitmap,
}

impl PageSet {
    /// Adds what a record names.
    pub fn add(&mut self, change: &Change<'_>) {
        match change {
            Change::Page(id) => self.insert(*id),
            Change::Trimmed(id) => {
                self.insert(*id);
                let from = self.trimmed.entry(id.space).or_insert(id.page);
                *from = id.page.min(*from);
            }
            Change::Replaced(space) => {
                self.replaced.insert(*space);
            }
            Change::File(..) => {}
        }
    }

    fn insert(&mut self, id: PageId) {
        self.pages.entry(id.space).or_default().insert(id.page);
    }

    /// Whether the page has changed.
    pub fn contains(&self, id: PageId) -> bool {
        self.pages.get(&id.space).is_some_and(|pages| pages.contains(id.page))
            || self.trimmed.get(&id.space).is_some_and(|from| id.page >= *from)
    }

    /// Its pages in order; those of a truncated tablespace only as far as they were named.
    pub fn iter(&self) -> impl Iterator<Item = PageId> + '_ {
        self.pages.iter().flat_map(|(space, pages)| pages.iter().map(|page| PageId { space: *space, page }))
    }

    /// Its pages in one tablespace, in order.
    pub fn of_space(&self, space: u32) -> impl Iterator<Item = u32> + '_ {
        self.pages.get(&space).into_iter().flat_map(RoaringBitmap::iter)
    }

    /// The first new page of a tablespace that was truncated.
    pub fn trimmed(&self, space: u32) -> Option<u32> {
        self.trimmed.get(&space).copied()
    }

    /// Whether the file of a tablespace was made or removed.
    pub fn is_replaced(&self, space: u32) -> bool {
        self.replaced.contains(space)
    }

    /// Number of pages.
    pub fn len(&self) -> u64 {
        self.pages.values().map(RoaringBitmap::len).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What it takes in memory, bytes, nearly.
    pub fn bytes(&self) -> u64 {
        let pages: usize = self.pages.values().map(|pages| pages.serialized_size() + PER_SPACE).sum();
        (pages + self.replaced.serialized_size()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_pages_here_and_there_are_small() {
        let mut set = PageSet::default();
        let mut word = 1_u64;
        let mut count = 0;
        while count < 1_000_000 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let space = u32::try_from(word >> 60).unwrap();
            let id = PageId { space, page: u32::try_from(word >> 33).unwrap() % 4_000_000 };
            count += u32::from(!set.contains(id));
            set.add(&Change::Page(id));
            assert!(set.contains(id));
        }
        assert!(set.bytes() < 4 << 20, "{}", set.bytes());
        let ids: Vec<PageId> = set.iter().collect();
        assert!(ids.is_sorted() && ids.len() == 1_000_000);
    }

    #[test]
    fn behind_the_new_end_of_a_tablespace_all_is_new() {
        let mut set = PageSet::default();
        set.add(&Change::Trimmed(PageId { space: 2, page: 100 }));
        set.add(&Change::Trimmed(PageId { space: 2, page: 64 }));
        set.add(&Change::Trimmed(PageId { space: 2, page: 200 }));
        let has = |space, page| set.contains(PageId { space, page });
        assert!(has(2, 64) && has(2, 5000) && !has(2, 63) && !has(3, 64));
        assert_eq!((set.trimmed(2), set.trimmed(3), set.len()), (Some(64), None, 3));
        set.add(&Change::Replaced(9));
        set.add(&Change::Page(PageId { space: 3, page: 7 }));
        assert!(set.is_replaced(9) && !set.is_replaced(2));
        assert!(
            set.of_space(2).eq([64, 100, 200]) && set.of_space(3).eq([7]) && set.of_space(9).count() == 0
        );
    }
}
