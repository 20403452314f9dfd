//! The memory of the method `precopy` where a million pages have changed, here and there.
//!
//! No server is made to change so many: mini-transactions that name them are put behind the end of the redo log of a server that was shut down, all of one table that nobody writes to and whose
//! file is mostly a hole. What the program does with them is what it does with a server's own.
//!
//! Run as root: `cargo test --test precopy_memory -- --ignored`.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::JoinHandle;

use support::peak_kib_to_the_end;
use support::precopy::PrecopyStage;
use wsrep_sst_backup::innodb::redo::LiveLog;

/// The seed of a kind of server whose redo log stays one.
const SEED: u64 = 1;
/// Bytes of a page of the table.
const PAGE: u64 = 1024;
/// Of the table; each second pair of them changes.
const PAGES: u32 = 2_000_000;
/// One that nobody writes to, with the smallest pages that there are.
const TABLE: &str = "d/still.ibd";
/// The promise, MiB.
const PROMISED: u64 = 64;

#[test]
#[ignore = "needs MariaDB"]
fn a_million_changed_pages_stay_within_the_promise() {
    let stage = PrecopyStage::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let table = stage.template(SEED).datadir().join(TABLE);
    File::options().write(true).open(&table).unwrap().set_len(u64::from(PAGES) * PAGE).unwrap();
    let mut space = [0; 4];
    File::open(&table).unwrap().read_exact_at(&mut space, 34).unwrap();
    let mut peak: Option<JoinHandle<u64>> = None;
    let backup = stage.back_up(SEED, "spool-limit=8G\ncompression=zstd", |mysqld, run| {
        let changed: Vec<u32> = (0..PAGES).filter(|page| page % 4 < 2).collect();
        assert_eq!(changed.len(), 1_000_000);
        name_pages(&mysqld.datadir().join("ib_logfile0"), u32::from_be_bytes(space), &changed);
        let pid = run.pid();
        peak = Some(std::thread::spawn(move || peak_kib_to_the_end(pid)));
    });
    let peak = peak.unwrap().join().unwrap() >> 10;
    let line = backup.said.lines().find(|line| line.contains("the redo log names")).unwrap_or(&backup.said);
    println!("{peak} MiB: {line}");
    let named: u64 = line.split_ascii_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(named >= 1_000_000, "{line}");
    assert!(peak <= PROMISED, "{peak} MiB");
}

/// Appends mini-transactions of records that initialize these pages (`mtr0log.h`, `INIT_PAGE`).
fn name_pages(log: &Path, space: u32, pages: &[u32]) {
    let mut bytes = std::fs::read(log).unwrap();
    let mut lsn = LiveLog::read(&File::open(log).unwrap()).unwrap().end_lsn();
    let first_lsn = u64::from_be_bytes(bytes[8..16].try_into().unwrap());
    let capacity = bytes.len() as u64 - HEAD;
    let mut put = |lsn: &mut u64, content: &[u8]| {
        for byte in content {
            bytes[usize::try_from(HEAD + (*lsn - first_lsn) % capacity).unwrap()] = *byte;
            *lsn += 1;
        }
    };
    for some in pages.chunks(500) {
        let records: Vec<u8> = some.iter().flat_map(|page| init_page(space, *page)).collect();
        // Each round of the ring has another mark at the end of its mini-transactions.
        let mark = u8::from(((lsn + records.len() as u64 - first_lsn) / capacity).is_multiple_of(2));
        let sum = crc32c::crc32c(&records).to_be_bytes();
        put(&mut lsn, &[&records[..], &[mark], &sum].concat());
    }
    // What a server writes behind the last one.
    put(&mut lsn, &[0]);
    // In its place: the program reads it all the time.
    File::options().write(true).open(log).unwrap().write_all_at(&bytes, 0).unwrap();
}

/// Bytes before the ring.
const HEAD: u64 = 12_288;

/// Type and length, space, page: numbers of one byte, or of up to three.
fn init_page(space: u32, page: u32) -> Vec<u8> {
    let ids = [number(space), number(page)].concat();
    [&[0x10 | u8::try_from(ids.len()).unwrap()], &ids[..]].concat()
}

fn number(value: u32) -> Vec<u8> {
    match value {
        0..0x80 => vec![value.to_be_bytes()[3]],
        0x80..0x4080 => (0x8000 | (value - 0x80)).to_be_bytes()[2..].to_vec(),
        0x4080..0x20_4080 => (0x00c0_0000 | (value - 0x4080)).to_be_bytes()[1..].to_vec(),
        _ => panic!("{value} is too large"),
    }
}
