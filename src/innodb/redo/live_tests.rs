use std::cell::Cell;
use std::io;

use super::super::stored::StoredLog;
use super::super::testing::Handmade;
use super::*;

/// What a restore would have of it.
fn restored(live: &LiveLog, log: &Handmade) -> Handmade {
    let mut restored = Handmade { bytes: vec![0; log.bytes.len()], ..log.clone() };
    for (range, bytes) in live.pieces() {
        let place = usize::try_from(range.start).unwrap();
        assert_eq!(range.end - range.start, bytes.len() as u64);
        assert!(range.start % GRAIN == 0 && range.end % GRAIN == 0);
        restored.bytes[place..place + bytes.len()].copy_from_slice(&bytes);
    }
    restored
}

fn error(log: &dyn LogBytes) -> String {
    match LiveLog::read(log) {
        Ok(live) => panic!("it ends at {}", live.end_lsn()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_stored_is_what_a_server_reads_at_every_place_of_the_ring() {
    for is_encrypted in [false, true] {
        let mut log = Handmade::new(32 << 10, is_encrypted);
        for round in 0..300 {
            log.write(200 + round % 77);
            if round % 3 == 0 {
                log.checkpoint(round % 2);
            }
            // Everywhere around the end of the file, now and then elsewhere.
            let from_end = log.ring.until_end(log.lsn).min(log.ring.capacity - log.ring.until_end(log.lsn));
            if from_end > 1000 && round % 25 > 0 {
                continue;
            }
            let live = LiveLog::read(&log).unwrap();
            assert_eq!(live.end_lsn(), log.lsn, "round {round}");
            let stored: usize = live.pieces().iter().map(|(_, bytes)| bytes.len()).sum();
            assert!(stored <= HEAD_BYTES + 3 * 4096, "{stored} bytes");
            let again = restored(&live, &log);
            let read = LiveLog::read(&again).unwrap();
            assert_eq!((read.checkpoint(), read.end_lsn()), (live.checkpoint(), log.lsn));
            let mut check = StoredLog::new(log.bytes.len() as u64, live.checkpoint().lsn, log.lsn);
            again.bytes.chunks(1009).for_each(|bytes| check.update(bytes));
            assert_eq!(check.finish(), Ok(()), "round {round}");
        }
        assert!(log.lsn > 2 * (32 << 10), "it went round");
    }
}

#[test]
fn every_flipped_bit_that_a_server_would_see_is_seen() {
    let mut log = Handmade::new(64 << 10, false);
    log.write(300);
    log.checkpoint(1);
    let checkpoint = usize::try_from(log.ring.offset(LiveLog::read(&log).unwrap().checkpoint().lsn)).unwrap();
    for _ in 0..3 {
        log.write(200);
    }
    let last = checkpoint + 16 + 2 * (3 + 200 + 5);
    let head = (0..512).chain(8192..8256);
    for at in head.chain(checkpoint..last) {
        let mut bad = log.clone();
        bad.bytes[at] ^= 1 << (at % 8);
        // The older checkpoint is whole; a server would take it, and so is what is behind it.
        let seen = LiveLog::read(&bad);
        if (8192..8256).contains(&at) {
            assert_eq!(seen.unwrap().checkpoint().lsn, log.ring.first_lsn);
        } else {
            assert!(seen.is_err(), "byte {at} of {:?}", checkpoint..last);
        }
    }
    // The last mini-transaction may be half written: the log ends before it.
    let whole = LiveLog::read(&log).unwrap().end_lsn();
    log.bytes[last + 50] ^= 4;
    assert_eq!(LiveLog::read(&log).unwrap().end_lsn(), whole - 208);
}

#[test]
fn what_is_not_understood_is_named() {
    let log = Handmade::new(64 << 10, false);
    let with = |change: fn(&mut Handmade)| {
        let mut log = log.clone();
        change(&mut log);
        error(&log)
    };
    assert_eq!(
        with(|log| log.bytes[..4].copy_from_slice(&0x5048_5953_u32.to_be_bytes())),
        "its format 0x50485953 is that of MariaDB 10.5 to 10.7; those of 10.8 and later are understood"
    );
    assert!(with(|log| log.bytes[0] = 7).contains("is none of those that this program understands"));
    assert!(with(|log| log.bytes.truncate(12_000)).ends_with("its length"));
    assert!(with(|log| log.bytes.truncate(17_000)).ends_with("its length"));
    assert!(with(|log| log.bytes[500] = 1).contains("checksum"));
    assert_eq!(with(|log| log.bytes[4096..].fill(0)), "neither of its two checkpoints is whole");
    assert!(
        with(|log| log.bytes[12_288..].fill(0)).contains("before the record that belongs to that checkpoint")
    );
    assert!(with(|log| (0..200).for_each(|_| log.write(250))).contains("lie behind its checkpoint"));
    assert!(error(&Handmade { bytes: Vec::new(), ..log.clone() }).ends_with("its length"));
}

/// A log to which something is written after so many reads.
struct Moving<'a> {
    logs: [&'a Handmade; 2],
    reads: Cell<u32>,
    after: u32,
}

impl LogBytes for Moving<'_> {
    fn size(&self) -> io::Result<u64> {
        self.logs[0].size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.logs[usize::from(self.reads.get() > self.after)].read_at(buffer, offset)
    }
}

#[test]
fn a_log_that_is_written_to_while_it_is_read_is_that_of_before_or_of_behind() {
    let mut log = Handmade::new(1 << 20, false);
    log.write(300);
    let before = log.lsn;
    let mut behind = log.clone();
    behind.write(66_000);
    behind.write(200);
    behind.checkpoint(1);
    for after in [0, 1, 2, 3, 5] {
        let live = LiveLog::read(&Moving { logs: [&log, &behind], reads: Cell::new(0), after }).unwrap();
        let end = live.end_lsn();
        assert!(end == before || end == behind.lsn, "after {after} reads: {before} {end} {}", behind.lsn);
        assert_eq!(LiveLog::read(&restored(&live, &log)).unwrap().end_lsn(), end);
    }
}
