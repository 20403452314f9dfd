//! The checker on whole synthetic files: damage = action × place, and what must not be called damage.

use proptest::prelude::*;

use super::fsp::Geometry;
use super::page::{NO_CHECKSUM, SPACE_ID, TYPE};
use super::page_report::PageFormat;
use super::page_report::{PageDamage, PageReport, SkipReason};
use super::testing::{self, check, check_in_chunks, damage};

const USUAL: Geometry = Geometry::ALL[0];
const LEGACY: Geometry = Geometry::ALL[5];

#[test]
fn a_good_file_of_any_geometry_is_clean() {
    for geometry in Geometry::ALL {
        let report = check(&testing::tablespace(geometry, 7, 12));
        assert!(report.is_clean(), "{geometry:?}: {report:?}");
        assert_eq!(report.pages_checked, 12);
        assert_eq!(report.page_size, u32::try_from(geometry.page_size).ok());
        assert_eq!(report.format, Some(geometry.format));
    }
}

#[test]
fn a_flipped_bit_names_its_page_in_any_geometry_also_on_page_0() {
    for geometry in Geometry::ALL {
        let good = testing::tablespace(geometry, 7, 40);
        for page_no in [0, 1, 5, 39] {
            let mut file = good.clone();
            // Byte 57 of page 0 is the low byte of the flags: the geometry itself is damaged.
            file[page_no * geometry.page_size + 57] ^= 1;
            let report = check(&file);
            assert_eq!(damage(&report), [(page_no as u64, PageDamage::Checksum)], "{geometry:?}");
            assert_eq!(report.damaged.first[0].offset, (page_no * geometry.page_size) as u64);
            assert_eq!(report.pages_checked, 40);
            assert_ne!(report.damaged.first[0].stored, report.damaged.first[0].computed);
        }
    }
}

#[test]
fn a_single_damaged_page_is_found_if_its_flags_are_intact() {
    for geometry in Geometry::ALL {
        let mut file = testing::tablespace(geometry, 7, 1);
        file[200] ^= 1;
        let report = check(&file);
        assert_eq!(damage(&report), [(0, PageDamage::Checksum)], "{geometry:?}");
        assert_eq!(report.pages_skipped.total(), 0);
    }
}

#[test]
fn zeros_are_empty_pages_at_any_place_but_the_header() {
    let mut file = testing::tablespace(USUAL, 7, 12);
    file[3 * 16384..6 * 16384].fill(0);
    let report = check(&file);
    assert!(report.is_clean());
    assert_eq!((report.pages_checked, report.pages_empty), (9, 3));

    for zeroed in [1, 4, 8] {
        let mut file = testing::tablespace(USUAL, 7, 12);
        file[..zeroed * 16384].fill(0);
        let report = check(&file);
        assert_eq!(damage(&report), [(0, PageDamage::EmptyHeader)], "{zeroed} pages");
        assert_eq!((report.pages_checked, report.pages_empty), (13 - zeroed as u64, zeroed as u64 - 1));
    }
}

#[test]
fn only_zeros_and_no_bytes_are_clean() {
    assert_eq!(check(&[]), PageReport { is_none: true, ..PageReport::default() });
    let report = check(&vec![0; 300_000]);
    assert!(report.is_clean());
    assert_eq!((report.page_size, report.pages_empty), (None, 19));
}

#[test]
fn bytes_after_the_last_page_are_reported_and_missing_pages_counted() {
    let file = testing::tablespace(USUAL, 7, 12);
    let report = check(&file[..11 * 16384 + 100]);
    assert_eq!(report.damaged.count, 0);
    assert_eq!((report.trailing_bytes, report.pages_missing), (100, 1));
    assert!(!report.is_clean());
    let report = check(&file[..2 * 16384 + 512]);
    assert_eq!((report.trailing_bytes, report.pages_missing), (512, 10), "shorter than a window");
}

#[test]
fn the_system_tablespace_may_go_on_in_another_file() {
    let file = testing::tablespace(USUAL, 0, 300);
    let first = check(&file[..200 * 16384]);
    assert!(first.is_clean(), "{first:?}");
    let second = check(&file[200 * 16384..]);
    assert!(second.is_clean(), "{second:?}");
    assert_eq!(second.pages_checked, 100);

    let mut file = file[200 * 16384..].to_vec();
    file[16384 + 77] ^= 1;
    let report = check(&file);
    assert_eq!(damage(&report), [(201, PageDamage::Checksum)]);
    assert_eq!(report.damaged.first[0].offset, 16384);
}

#[test]
fn a_good_page_in_the_wrong_place_is_damage() {
    let mut file = testing::tablespace(LEGACY, 7, 12);
    file.copy_within(3 * 16384..4 * 16384, 5 * 16384);
    assert_eq!(damage(&check(&file)), [(5, PageDamage::PageNumber)]);

    let mut file = testing::tablespace(LEGACY, 7, 12);
    file[5 * 16384 + SPACE_ID] ^= 1; // not covered by the checksum of this format
    assert_eq!(damage(&check(&file)), [(5, PageDamage::SpaceId)]);
}

#[test]
fn damage_in_a_free_page_is_nobodys() {
    for geometry in [USUAL, LEGACY, Geometry::ALL[10]] {
        let mut file = testing::tablespace(geometry, 7, 40);
        testing::edit(&mut file, geometry, 0, |page| testing::set_free(page, 30));
        file[30 * geometry.page_size + 99] ^= 1;
        let report = check(&file);
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.pages_skipped.count(SkipReason::Free), 1);
        file[31 * geometry.page_size + 99] ^= 1;
        assert_eq!(damage(&check(&file)), [(31, PageDamage::Checksum)]);
    }
}

#[test]
fn the_doublewrite_buffer_is_not_looked_at() {
    let mut file = testing::tablespace(USUAL, 0, 200);
    testing::edit(&mut file, USUAL, 5, |page| {
        for (at, value) in [(190, 536_853_855), (186, 64), (182, 128)] {
            testing::put(page, 16384 - at, value);
        }
    });
    file[64 * 16384..192 * 16384].fill(0xA5);
    let report = check(&file);
    assert!(report.is_clean(), "{:?}", report.damaged);
    assert_eq!(report.pages_skipped.count(SkipReason::Doublewrite), 128);
    file[192 * 16384] ^= 1;
    assert_eq!(damage(&check(&file)), [(192, PageDamage::Checksum)]);
}

#[test]
fn another_tablespace_has_no_doublewrite_buffer() {
    let mut file = testing::tablespace(USUAL, 7, 70);
    file[65 * 16384 + 50] ^= 1;
    assert_eq!(damage(&check(&file)), [(65, PageDamage::Checksum)]);
}

#[test]
fn flags_from_the_future_make_failures_doubtful() {
    let mut file = testing::tablespace(LEGACY, 7, 8);
    testing::edit(&mut file, LEGACY, 0, |page| page[54] |= 0x40);
    file[3 * 16384 + 99] ^= 1;
    let report = check(&file);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.pages_skipped.count(SkipReason::UnknownFlags), 1);
    assert_eq!(report.pages_checked, 7);
}

#[test]
fn a_file_without_checksums_is_skipped_not_damaged() {
    let mut file = testing::tablespace(LEGACY, 7, 8);
    for page in file.chunks_exact_mut(16384) {
        testing::put(page, 0, NO_CHECKSUM);
        testing::put(page, 16384 - 8, NO_CHECKSUM);
    }
    let report = check(&file);
    assert!(report.is_clean());
    assert_eq!(report.pages_skipped.count(SkipReason::NoChecksum), 8);
    assert_eq!(report.format, Some(PageFormat::Legacy));
}

#[test]
fn a_mysql_encrypted_file_is_skipped_not_damaged() {
    let mut file = testing::tablespace(LEGACY, 7, 8);
    for page in file.chunks_exact_mut(16384).skip(1) {
        page[TYPE..TYPE + 2].copy_from_slice(&15u16.to_be_bytes());
        page[38..].iter_mut().for_each(|byte| *byte ^= 0x3C);
    }
    let report = check(&file);
    assert!(report.is_clean());
    assert_eq!(report.pages_skipped.count(SkipReason::Encrypted), 7);
}

#[test]
fn an_encrypted_second_system_file_has_the_doublewrite_buffer_too() {
    // With a small first file, the buffer (pages 64 to 191) lies in the second.
    let file = testing::tablespace(USUAL, 0, 200);
    let mut second = file[50 * 16384..].to_vec();
    for page_no in 0..second.len() / 16384 {
        testing::edit(&mut second, USUAL, page_no, |page| {
            testing::put(page, 0, 1); // the key version
            testing::put(page, SPACE_ID, 0xA5A5_A5A5);
        });
    }
    second[20 * 16384 + 5] ^= 1;
    let report = check(&second);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.pages_checked, report.pages_skipped.count(SkipReason::Doublewrite)), (22, 128));
}

#[test]
fn damage_is_not_hidden_by_a_key_version_alone() {
    let mut file = testing::tablespace(LEGACY, 7, 8);
    let page = &mut file[3 * 16384..4 * 16384];
    testing::set_key_version(page, 1);
    assert!(check(&file).is_clean(), "R-tree pages have a number there and an ordinary checksum");
    file[3 * 16384 + 1000] ^= 1;
    assert_eq!(damage(&check(&file)), [(3, PageDamage::Checksum)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_report_does_not_depend_on_the_chunks(
        which in 0..Geometry::ALL.len(),
        chunk in prop_oneof![1usize..5000, Just(16384), 60_000usize..70_000, 100_000usize..400_000],
        cut in 0usize..2000,
        flip in any::<prop::sample::Index>(),
        zero in any::<prop::sample::Index>(),
    ) {
        let geometry = Geometry::ALL[which];
        let mut file = testing::tablespace(geometry, 7, 24);
        file.truncate(file.len() - cut);
        let at = flip.index(file.len());
        file[at] ^= 0x80;
        let page = zero.index(20) * geometry.page_size;
        file[page..page + geometry.page_size].fill(0);
        prop_assert_eq!(check_in_chunks(&file, chunk), check(&file));
    }
}
