use std::io::Write;

use super::super::testing::Handmade;
use super::*;

fn file(log: &Handmade) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&log.bytes).unwrap();
    file
}

#[test]
fn a_checkpoint_that_came_meanwhile_is_taken_out_of_the_clone() {
    for (checkpoints, taken) in [(0, false), (1, true), (2, true)] {
        let mut log = Handmade::new(256 << 10, false);
        (0..1200).for_each(|_| log.write(200));
        log.checkpoint(0);
        log.write(500);
        let (before, flushed) = (LogHead::read(&log).unwrap(), log.lsn);
        (0..20).for_each(|_| log.write(300));
        (0..checkpoints).for_each(|number| log.checkpoint(1 - number));
        let newest = LogHead::read(&log).unwrap().newest();
        log.write(400);
        let clone = file(&log);
        let pinned = pin_checkpoint(&before, &clone, flushed).unwrap();
        assert_eq!((pinned.checkpoint, pinned.end_lsn), (before.newest(), log.lsn));
        assert_eq!(pinned.taken_out, taken.then_some(newest));
        assert_eq!(LogHead::read(&clone).unwrap().newest(), before.newest());
    }
}

#[test]
fn a_clone_that_lacks_something_is_none_and_says_what() {
    let mut log = Handmade::new(64 << 10, false);
    log.write(500);
    let (before, flushed) = (LogHead::read(&log).unwrap(), log.lsn);
    let failed = |log: &Handmade, until| pin_checkpoint(&before, &file(log), until).unwrap_err().to_string();
    assert!(failed(&log, flushed + 1).contains("up to"));
    // Overwritten since: the ring has gone round.
    let mut round = log.clone();
    for number in 0..400 {
        round.write(200);
        if number % 50 == 0 {
            round.checkpoint(number / 50 % 2);
        }
    }
    let text = failed(&round, flushed);
    assert!(text.contains("written over it"), "{text}");
    // Another log.
    let other = Handmade::new(128 << 10, false);
    assert!(failed(&other, 0).contains("replaced its redo log"));
    // One bit.
    let mut flipped = log.clone();
    flipped.write(300);
    let place = usize::try_from(log.ring.offset(log.lsn)).unwrap();
    flipped.bytes[place - 100] ^= 1;
    assert!(pin_checkpoint(&before, &file(&flipped), 0).is_err());
}
