//! Pages that have changed.

use roaring::RoaringTreemap;

use super::changes::Change;
use super::page_id::PageId;

/// A set of pages, small: some bits to two bytes each, and a hundred bytes for each 65,536 that has any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageSet {
    pages: RoaringTreemap,
    /// Of a tablespace that was truncated: the first page that is new.
    trimmed: std::collections::BTreeMap<u32, u32>,
}

impl PageSet {
    /// Adds what a record names.
    pub fn add(&mut self, change: &Change<'_>) {
        match change {
            Change::Page(id) => {
                self.pages.insert(key(*id));
            }
            Change::Trimmed(id) => {
                self.pages.insert(key(*id));
                let from = self.trimmed.entry(id.space).or_insert(id.page);
                *from = id.page.min(*from);
            }
            Change::File(..) => {}
        }
    }

    /// Whether the page has changed.
    pub fn contains(&self, id: PageId) -> bool {
        self.pages.contains(key(id)) || self.trimmed.get(&id.space).is_some_and(|from| id.page >= *from)
    }

    /// Its pages in order; those of a truncated tablespace only as far as they were named.
    pub fn iter(&self) -> impl Iterator<Item = PageId> + '_ {
        self.pages.bitmaps().flat_map(|(space, pages)| pages.iter().map(move |page| PageId { space, page }))
    }

    /// The first new page of a tablespace that was truncated.
    pub fn trimmed(&self, space: u32) -> Option<u32> {
        self.trimmed.get(&space).copied()
    }

    /// Number of pages.
    pub fn len(&self) -> u64 {
        self.pages.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What it takes in memory, bytes, nearly.
    pub fn bytes(&self) -> u64 {
        self.pages.serialized_size() as u64
    }
}

fn key(id: PageId) -> u64 {
    u64::from(id.space) << 32 | u64::from(id.page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_pages_here_and_there_are_small() {
        let mut set = PageSet::default();
        let mut word = 1_u64;
        while set.len() < 1_000_000 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let space = u32::try_from(word >> 60).unwrap();
            let id = PageId { space, page: u32::try_from(word >> 33).unwrap() % 4_000_000 };
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
    }
}
