use std::io::Write;

use super::super::page_id::PageId;
use super::super::testing::Handmade;
use super::*;

/// The log as a file.
fn put(log: &Handmade) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&log.bytes).unwrap();
    file
}

fn again(file: &File, log: &Handmade) {
    use std::os::unix::fs::FileExt;
    file.write_all_at(&log.bytes, 0).unwrap();
}

fn page(log: &mut Handmade, page: u8) {
    log.append(&[0x33, 7, page & 0x7f, 9]);
}

fn pages(set: &PageSet) -> Vec<u32> {
    assert!(set.iter().all(|id| id.space == 7));
    set.iter().map(|id| id.page).collect()
}

#[test]
fn pages_are_found_from_the_checkpoint_to_the_end_however_often_it_is_looked() {
    let mut log = Handmade::new(32_768, false);
    page(&mut log, 1);
    log.checkpoint(1);
    page(&mut log, 2);
    let file = put(&log);
    let mut follower = RedoFollower::begin(file.try_clone().unwrap()).unwrap();
    assert!(follower.advance().unwrap() > 0 && follower.advance().unwrap() == 0);
    assert_eq!(follower.found().0, 1);
    page(&mut log, 3);
    log.checkpoint(0);
    page(&mut log, 2);
    again(&file, &log);
    let set = follower.finish(&file).unwrap();
    assert_eq!(pages(&set), [2, 3]);
    assert!(!set.contains(PageId { space: 7, page: 1 }));
    let encrypted = put(&Handmade::new(32_768, true));
    assert!(matches!(RedoFollower::begin(encrypted), Err(RedoError::Encrypted)));
}

#[test]
fn many_rounds_are_followed_and_one_that_was_missed_is_noticed() {
    for missed in [0, 1, 2, 3, 4] {
        let mut log = Handmade::new(12_288, false);
        let file = put(&log);
        let mut follower = RedoFollower::begin(file.try_clone().unwrap()).unwrap();
        let round = |log: &mut Handmade| {
            let end = log.lsn + 12_288;
            while log.lsn < end {
                page(log, u8::try_from(log.lsn % 100).unwrap());
                if log.lsn.is_multiple_of(7) {
                    log.checkpoint(0);
                }
            }
        };
        for part in 0..40 {
            let lsn = log.lsn;
            while log.lsn < lsn + 3000 {
                page(&mut log, part);
            }
            log.checkpoint(1 - usize::from(part % 2));
            again(&file, &log);
            follower.advance().unwrap();
        }
        assert_eq!(follower.lsn(), log.lsn);
        for _ in 0..missed {
            round(&mut log);
        }
        log.checkpoint(0);
        log.checkpoint(1);
        again(&file, &log);
        // Of a log that is still written to it is known as well.
        assert_eq!(follower.confirm(&file).is_ok(), missed == 0, "{missed} rounds");
        let outcome = follower.finish(&file);
        if missed == 0 {
            assert_eq!(pages(&outcome.unwrap()), (0..40).collect::<Vec<_>>());
        } else {
            let why = outcome.unwrap_err().to_string();
            assert!(why.contains("faster than it was read"), "{missed} rounds: {why}");
        }
    }
}

#[test]
fn another_log_in_its_place_is_not_followed() {
    let log = Handmade::new(32_768, false);
    let follower = RedoFollower::begin(put(&log)).unwrap();
    let other = put(&Handmade::new(65_536, false));
    assert!(follower.finish(&other).unwrap_err().to_string().contains("replaced its redo log"));
}

#[test]
fn what_is_written_between_two_looks_at_the_end_is_looked_at_again() {
    for more in [0, 1, 2, 3] {
        let mut log = Handmade::new(32_768, false);
        log.checkpoint(0);
        let file = put(&log);
        let follower = RedoFollower::begin(file.try_clone().unwrap()).unwrap();
        let mut looks = 0;
        let found = follower.finish_at(&mut |_| {
            looks += 1;
            if looks <= more {
                page(&mut log, looks);
                again(&file, &log);
            }
            LogHead::read(&file)?.end_lsn(&file)
        });
        match found {
            Ok(set) => assert_eq!(pages(&set), (1..=u32::from(more)).collect::<Vec<_>>()),
            Err(_) => assert_eq!(more, 3, "nobody looks for ever"),
        }
    }
}

#[test]
fn the_set_has_a_limit_which_holds_at_the_end_as_well() {
    let mut log = Handmade::new(32_768, false);
    log.checkpoint(0);
    let file = put(&log);
    let begin = || RedoFollower::begin(file.try_clone().unwrap()).unwrap();
    let (narrow, wide) = (begin().within(10), begin().within(1 << 20));
    page(&mut log, 1);
    again(&file, &log);
    let why = narrow.finish(&file).unwrap_err().to_string();
    assert!(why.contains("are the limit"), "{why}");
    assert_eq!(pages(&wide.finish(&file).unwrap()), [1]);
}

/// A look that comes in the middle of a `write`: behind a new mini-transaction stands an old one, which was left there in the rest of a block.
#[test]
fn an_old_mini_transaction_in_place_of_one_that_is_being_written_is_not_gone_on_from() {
    for is_as_long in [true, false] {
        let mut log = Handmade::new(32_768, false);
        log.checkpoint(0);
        page(&mut log, 1);
        let mut torn = log.clone();
        page(&mut torn, 5);
        if !is_as_long {
            torn.write(200);
        }
        let file = put(&torn);
        let mut follower = RedoFollower::begin(file.try_clone().unwrap()).unwrap();
        follower.advance().unwrap();
        assert_eq!(follower.lsn(), torn.lsn, "nobody can know");
        page(&mut log, 2);
        for number in 0..100 {
            page(&mut log, 10 + number);
        }
        again(&file, &log);
        follower.advance().unwrap();
        log.checkpoint(1);
        page(&mut log, 3);
        again(&file, &log);
        let found = pages(&follower.finish(&file).unwrap());
        assert!([1, 2, 3].iter().all(|page| found.contains(page)), "{found:?}");
    }
}
