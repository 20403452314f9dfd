//! Finding out how a file is cut into pages.
//!
//! A geometry counts as known when a page verifies in it: a 32 bit checksum over exactly that many bytes does not
//! match by accident. The flags in page 0 say which one to try first, and nearly always that is all there is to
//! do. When it fails, because page 0 is damaged, or zeros, or not a page 0 at all (`ibdata2`), or because the
//! flags mean something else than expected, every geometry is tried on a window of 64 KiB, in which pages of
//! all sizes are aligned.
//!
//! Windows of zeros say nothing and are passed over. After 32 others without success the file is not understood
//! and all of it is skipped; page 0 alone is called damaged if it looks like a page 0 otherwise.

use super::fsp::{Geometry, Header, LARGEST, USUAL};
use super::page::{PAGE_NO, PageVerdict, is_zero, u32_at};
use super::page_report::{DamagedPage, PageDamage, PageReport, SkipReason};
use super::tablespace::Tablespace;

/// Windows that are tried before a file is given up: 2 MiB.
const PATIENCE: u32 = 32;

/// What the first windows of a file have told so far.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// Bytes of windows that were all zeros.
    empty: u64,
    /// Bytes of windows in which nothing verified.
    unproven: u64,
    tried: u32,
    first_page: Option<FirstPage>,
}

/// What a first page that did not verify would be in each geometry. Its bytes are gone when that is known.
#[derive(Debug)]
struct FirstPage {
    verdicts: Vec<(Geometry, PageVerdict)>,
    /// The geometry named by the flags of a page that looks like a page 0 otherwise.
    named: Option<Geometry>,
    /// Whether it looks like a page 0, whatever its flags name.
    looks_right: bool,
}

/// A geometry in which something verified.
struct Proof {
    geometry: Geometry,
    /// Number of the first page in the file.
    base: u64,
    system: bool,
}

/// What to do with the window that was just looked at.
pub(super) enum Lesson {
    /// Its pages can be checked.
    Learnt(Tablespace),
    /// It has been taken into account; go on with the next.
    NotYet,
    /// It has been taken into account; there is no point in looking at more.
    Hopeless,
}

impl Learning {
    /// Looks at the next 64 KiB of the file, or at less at its end.
    pub(super) fn window(&mut self, window: &[u8], report: &mut PageReport) -> Lesson {
        if is_zero(window) {
            self.empty += window.len() as u64;
            return Lesson::NotYet;
        }
        if let Some(proof) = prove(window, self.offset()) {
            return Lesson::Learnt(self.adopt(&proof, report));
        }
        if self.offset() == 0 {
            self.first_page = Some(FirstPage::new(window));
        }
        self.skip(window.len());
        self.tried += 1;
        if self.tried < PATIENCE { Lesson::NotYet } else { Lesson::Hopeless }
    }

    /// Passes over bytes without looking at them.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.unproven += bytes as u64;
    }

    /// Ends a file that was not understood.
    pub(super) fn give_up(&self, report: &mut PageReport) {
        let named = self.first_page.as_ref().and_then(|first| first.named);
        let unit = named.map_or(USUAL, |geometry| geometry.page_size) as u64;
        let mut unproven = self.unproven.div_ceil(unit);
        if let Some(geometry) = named {
            unproven -= self.first_page_damage(geometry, report);
            note(geometry, report);
        }
        report.is_none = !self.first_page.as_ref().is_some_and(|first| first.looks_right);
        report.pages_empty += self.empty.div_ceil(unit);
        report.pages_skipped.add(SkipReason::UnknownGeometry, unproven);
    }

    fn offset(&self) -> u64 {
        self.empty + self.unproven
    }

    /// Accounts for the windows before the one that proved the geometry.
    fn adopt(&self, proof: &Proof, report: &mut PageReport) -> Tablespace {
        let page_size = proof.geometry.page_size as u64;
        let mut empty = self.empty / page_size;
        let mut unproven = self.unproven / page_size;
        if proof.base == 0 && self.first_page.is_some() {
            unproven -= self.first_page_damage(proof.geometry, report);
        } else if proof.base == 0 && empty > 0 {
            report.pages_checked += 1;
            report.damaged.add(page_zero(PageDamage::EmptyHeader, 0, 0), 0);
            empty -= 1;
        }
        report.pages_empty += empty;
        report.pages_skipped.add(SkipReason::UnknownGeometry, unproven);
        note(proof.geometry, report);
        Tablespace::new(proof.geometry, proof.base, self.offset() / page_size, proof.system)
    }

    /// Reports the first page if it is damaged in this geometry; the number of pages that are thereby settled.
    fn first_page_damage(&self, geometry: Geometry, report: &mut PageReport) -> u64 {
        let verdicts = self.first_page.iter().flat_map(|first| &first.verdicts);
        for (candidate, verdict) in verdicts {
            let same = (candidate.format, candidate.page_size) == (geometry.format, geometry.page_size);
            if let (true, PageVerdict::Damaged { damage, stored, computed }) = (same, *verdict) {
                report.pages_checked += 1;
                report.damaged.add(page_zero(damage, stored, computed), 0);
                return 1;
            }
        }
        0
    }
}

impl FirstPage {
    fn new(window: &[u8]) -> Self {
        let verdict = |geometry: Geometry| {
            window.get(..geometry.page_size).map(|page| (geometry, geometry.check(page)))
        };
        let verdicts = Geometry::ALL.into_iter().filter_map(verdict).collect();
        let looks_right = Header::looks_right(window);
        let named = Geometry::from_flags(window).filter(|_| looks_right);
        Self { verdicts, named, looks_right }
    }
}

fn page_zero(damage: PageDamage, stored: u32, computed: u32) -> DamagedPage {
    DamagedPage { page_no: 0, offset: 0, damage, stored, computed }
}

fn note(geometry: Geometry, report: &mut PageReport) {
    report.page_size = u32::try_from(geometry.page_size).ok();
    report.format = Some(geometry.format);
}

/// Looks for a geometry in which a page of this window, `offset` bytes into the file, verifies.
fn prove(window: &[u8], offset: u64) -> Option<Proof> {
    if offset == 0
        && let Some(proof) = prove_by_flags(window)
    {
        return Some(proof);
    }
    Geometry::ALL.into_iter().find_map(|geometry| prove_by_trial(window, offset, geometry))
}

/// The usual case: page 0 verifies in the geometry that its flags name.
fn prove_by_flags(window: &[u8]) -> Option<Proof> {
    let geometry = Geometry::from_flags(window)?;
    let page = window.get(..geometry.page_size)?;
    let proven = match geometry.check(page) {
        PageVerdict::Valid => u32_at(page, PAGE_NO) == 0,
        PageVerdict::Unchecked(SkipReason::NoChecksum) => Header::looks_right(page),
        _ => false,
    };
    proven.then(|| Proof { geometry, base: 0, system: geometry.space_id(page) == Some(0) })
}

/// Tries one geometry. The number in a page that verifies tells where the file starts, usually at page 0.
///
/// A compressed page is shorter than a page and so verifies in several geometries, but in the right one only is its
/// number that of its place. `ibdata2` and later, which start elsewhere, have no compressed pages.
fn prove_by_trial(window: &[u8], offset: u64, geometry: Geometry) -> Option<Proof> {
    let first_place = offset / geometry.page_size as u64;
    let mut elsewhere = None;
    for (place, page) in (first_place..).zip(window.chunks_exact(geometry.page_size)) {
        if geometry.check(page) != PageVerdict::Valid {
            continue;
        }
        // Only the system tablespace has more than one file.
        let prove = |base| Proof { geometry, base, system: base > 0 || geometry.space_id(page) == Some(0) };
        match u64::from(u32_at(page, PAGE_NO)).checked_sub(place) {
            Some(0) => return Some(prove(0)),
            Some(base) if elsewhere.is_none() && !geometry.is_compressed(page) => {
                elsewhere = Some(prove(base));
            }
            _ => {}
        }
    }
    elsewhere
}

/// Every page size divides a window.
const _: () = {
    let mut at = 0;
    while at < Geometry::ALL.len() {
        assert!(LARGEST.is_multiple_of(Geometry::ALL[at].page_size));
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::super::page::TYPE;
    use super::super::page_report::PageFormat;
    use super::super::testing::{self, check, damage};
    use super::*;

    const FULL_CRC32: Geometry = Geometry::ALL[0];
    const LEGACY: Geometry = Geometry::ALL[5];
    const LARGE: Geometry = Geometry::ALL[4];

    #[test]
    fn flags_of_another_meaning_do_not_hide_the_geometry() {
        // MariaDB 10.1.0–10.1.20 with PAGE_COMPRESSED=1 PAGE_COMPRESSION_LEVEL=1 on 16 KiB pages: read by today's rules,
        // the flags name 4 KiB.
        let mut file = testing::tablespace(LEGACY, 7, 8);
        testing::edit(&mut file, LEGACY, 0, |page| page[54..58].copy_from_slice(&0xE1u32.to_be_bytes()));
        let report = check(&file);
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.page_size, report.pages_checked), (Some(16384), 8));
    }

    #[test]
    fn what_is_no_tablespace_is_skipped() {
        let noise: Vec<u8> =
            testing::full_crc32_page(5 << 20, 1, 1).into_iter().map(|byte| byte ^ 0x11).collect();
        let report = check(&noise);
        assert!(report.is_clean());
        assert_eq!((report.page_size, report.format, report.pages_checked), (None, None, 0));
        assert_eq!(report.pages_skipped.count(SkipReason::UnknownGeometry), 320);
    }

    #[test]
    fn a_file_is_given_up_after_two_mebibytes() {
        let noise = || testing::full_crc32_page(2 << 20, 1, 1).into_iter().map(|byte| byte ^ 0x11);
        let good = testing::tablespace(FULL_CRC32, 7, 140);
        let late: Vec<u8> =
            noise().take((2 << 20) - 65536).chain(good[(2 << 20) - 65536..].to_vec()).collect();
        assert_eq!(check(&late).page_size, Some(16384));
        let too_late: Vec<u8> = noise().chain(good[2 << 20..].to_vec()).collect();
        let report = check(&too_late);
        assert_eq!((report.page_size, report.pages_skipped.total(), report.is_clean()), (None, 140, true));
    }

    #[test]
    fn compressed_pages_prove_the_geometry_of_a_damaged_header() {
        for geometry in Geometry::ALL.into_iter().filter(|it| it.format == PageFormat::FullCrc32) {
            let mut file = testing::tablespace(geometry, 7, 24);
            for page in file.chunks_exact_mut(geometry.page_size).skip(1) {
                testing::compress_full_crc32(page, 768);
            }
            assert!(check(&file).is_clean());
            file[57] ^= 1;
            let report = check(&file);
            assert_eq!(damage(&report), [(0, PageDamage::Checksum)], "{geometry:?}");
            assert_eq!(
                (report.page_size, report.pages_checked),
                (u32::try_from(geometry.page_size).ok(), 24)
            );
        }
    }

    #[test]
    fn a_damaged_header_is_reported_when_the_proof_comes_late() {
        // 64 KiB pages: the first window holds page 0 only, and pages 1 and 2 are zeros.
        let mut file = testing::tablespace(LARGE, 7, 6);
        file[0x37] ^= 0x01; // flags: 0x17 becomes a size that does not exist
        file[0x39] ^= 0x05;
        file[65536..3 * 65536].fill(0);
        let report = check(&file);
        assert_eq!(damage(&report), [(0, PageDamage::Checksum)]);
        assert_eq!((report.page_size, report.pages_checked, report.pages_empty), (Some(65536), 4, 2));
    }

    #[test]
    fn a_damaged_header_is_reported_when_no_proof_comes() {
        // Nothing but page 0 has a checksum here, and its own does not match.
        let mut file = testing::tablespace(LEGACY, 7, 8);
        for page in file.chunks_exact_mut(16384).skip(1) {
            page[TYPE..TYPE + 2].copy_from_slice(&34354u16.to_be_bytes());
            page[38..].fill(0x77);
        }
        file[100] ^= 1;
        let report = check(&file);
        assert_eq!(damage(&report), [(0, PageDamage::Checksum)]);
        assert_eq!((report.page_size, report.pages_skipped.total()), (Some(16384), 7));
    }
}
