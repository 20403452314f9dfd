//! The pages of a file that was read while the server wrote to it, and of which some were read again later.
//!
//! ```text
//! PageChecker ── finish_live ──> LivePages ── retake, retake, … resize ──> finish ──> PageReport
//! ```
//!
//! A page that was being written when it was read does not verify, and is no damage: it is read again when the server stands still, and what
//! counts is what it is then. So the places of all pages that did not verify are kept, and not only the first few.

use roaring::RoaringBitmap;

use super::page_report::PageReport;
use super::tablespace::{KnownSpace, Tablespace};

/// The pages of such a file; small, whatever its size.
#[derive(Debug)]
pub struct LivePages {
    space: Option<KnownSpace>,
    report: PageReport,
    /// Places (not numbers) of the pages that do not verify.
    damaged: RoaringBitmap,
}

impl LivePages {
    pub(super) fn new(space: Option<KnownSpace>, mut report: PageReport) -> Self {
        let damaged = report.damaged.take_places();
        Self { space, report, damaged }
    }

    /// Bytes per page as stored; none where the file could not be understood, so that no page of it can be checked alone.
    pub fn page_size(&self) -> Option<u64> {
        self.space.as_ref().map(|space| space.geometry.page_size as u64)
    }

    /// Where in the file the pages begin that do not verify, in bytes, ascending.
    pub fn damaged_at(&self) -> impl Iterator<Item = u64> + '_ {
        let size = self.page_size().unwrap_or(0);
        self.damaged.iter().map(move |place| u64::from(place) * size)
    }

    /// Takes pages that were read again: whole ones, from this byte of the file on. Pages of a file that could not be understood are passed
    /// over.
    pub fn retake(&mut self, offset: u64, bytes: &[u8]) {
        let Some(space) = self.space.clone() else { return };
        let (size, pages) = (space.geometry.page_size, space.pages);
        let first = offset / size as u64;
        let mut tablespace = Tablespace::known(space, first);
        let mut report = PageReport::default();
        report.damaged.keep_places();
        for (place, page) in (first..).zip(bytes.chunks_exact(size)) {
            tablespace.check(page, &mut report);
            if let Ok(place) = u32::try_from(place) {
                self.damaged.remove(place);
            }
            self.report.damaged.first.retain(|known| known.offset != place * size as u64);
        }
        let now = tablespace.space();
        self.space = Some(KnownSpace { pages: pages.max(now.pages), ..now });
        self.damaged |= report.damaged.take_places();
        self.report.pages_checked += report.pages_checked;
        self.report.damaged.first.extend(report.damaged.first);
    }

    /// The file has so many bytes at the end.
    pub fn resize(&mut self, bytes: u64) {
        let Some(space) = &mut self.space else { return };
        space.pages = bytes / space.geometry.page_size as u64;
        if let Ok(end) = u32::try_from(space.pages) {
            self.damaged.remove_range(end..);
        }
        self.report.damaged.first.retain(|page| page.offset < bytes);
    }

    /// What the file is at the end.
    pub fn finish(mut self) -> PageReport {
        self.report.damaged.first.sort_by_key(|page| page.offset);
        self.report.damaged.first.truncate(super::page_report::LISTED);
        self.report.damaged.count = self.report.damaged.count.max(self.damaged.len());
        if let Some(space) = self.space {
            self.report.damaged.count = self.damaged.len();
            let pages = space.pages;
            Tablespace::known(space, pages).finish(0, &mut self.report);
        }
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::super::PageChecker;
    use super::super::fsp::Geometry;
    use super::super::testing;
    use super::*;

    const PAGE: usize = 16384;

    fn live(bytes: &[u8]) -> LivePages {
        let mut checker = PageChecker::live();
        checker.update(bytes);
        checker.finish_live()
    }

    fn whole() -> Vec<u8> {
        testing::tablespace(Geometry::ALL[0], 5, 100)
    }

    #[test]
    fn a_torn_page_that_is_read_again_is_no_damage() {
        let good = whole();
        let mut torn = good.clone();
        for page in 10..60 {
            torn[page * PAGE + 500] ^= 1;
        }
        let mut pages = live(&torn);
        let places: Vec<u64> = (10..60).map(|page| page * PAGE as u64).collect();
        assert_eq!(pages.damaged_at().collect::<Vec<_>>(), places);
        pages.retake(10 * PAGE as u64, &good[10 * PAGE..59 * PAGE]);
        assert_eq!(pages.damaged_at().collect::<Vec<_>>(), [59 * PAGE as u64]);
        let report = pages.finish();
        assert_eq!(report.damaged.count, 1, "{report:?}");
        let mut pages = live(&torn);
        pages.retake(10 * PAGE as u64, &good[10 * PAGE..60 * PAGE]);
        let report = pages.finish();
        assert!(report.is_clean() && report.damaged.first.is_empty(), "{report:?}");
    }

    #[test]
    fn damage_in_a_page_that_is_read_again_is_damage_and_told() {
        let mut bytes = whole();
        let mut pages = live(&bytes);
        bytes[7 * PAGE + 100] ^= 1;
        pages.retake(6 * PAGE as u64, &bytes[6 * PAGE..9 * PAGE]);
        let report = pages.finish();
        assert_eq!((report.damaged.count, report.damaged.first[0].page_no), (1, 7), "{report:?}");
    }

    #[test]
    fn the_doublewrite_buffer_stays_where_the_system_page_says() {
        let geometry = Geometry::ALL[0];
        let mut bytes = testing::tablespace(geometry, 0, 330);
        testing::edit(&mut bytes, geometry, 5, |page| {
            for (at, value) in [(190, 536_853_855), (186, 192), (182, 256)] {
                testing::put(page, PAGE - at, value);
            }
        });
        bytes[192 * PAGE..320 * PAGE].fill(0xA5);
        let mut pages = live(&bytes);
        assert_eq!(pages.damaged_at().count(), 0);
        pages.retake(190 * PAGE as u64, &bytes[190 * PAGE..322 * PAGE]);
        assert_eq!(pages.damaged_at().count(), 0, "what lies in the buffer is no page of its place");
        // Where it usually is there are pages as any others.
        bytes[100 * PAGE + 99] ^= 1;
        pages.retake(99 * PAGE as u64, &bytes[99 * PAGE..102 * PAGE]);
        let report = pages.finish();
        assert_eq!((report.damaged.count, report.damaged.first[0].page_no), (1, 100), "{report:?}");
    }

    #[test]
    fn a_file_that_shrinks_and_grows_is_compared_with_its_last_header() {
        let bytes = whole();
        let mut pages = live(&bytes);
        pages.resize(90 * PAGE as u64);
        assert_eq!(pages.finish().pages_missing, 10);
        // A header that counts less, and one that counts more.
        for (counted, size, missing) in [(90, 90, 0), (120, 110, 10), (120, 120, 0)] {
            let other = testing::tablespace(Geometry::ALL[0], 5, counted);
            let mut pages = live(&bytes);
            pages.retake(0, &other[..PAGE]);
            pages.resize(size * PAGE as u64);
            assert_eq!(pages.finish().pages_missing, missing, "{counted} pages in {size}");
        }
    }

    #[test]
    fn a_file_that_is_not_understood_is_told_as_ever() {
        let noise: Vec<u8> =
            (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
        let mut pages = live(&noise);
        pages.retake(0, &noise[..PAGE]);
        pages.resize(5);
        assert!(pages.page_size().is_none() && pages.finish().is_none);
    }
}
