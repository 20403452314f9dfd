//! The page checker against files of a real MariaDB server, judged by `innochecksum` and by the server itself.
//!
//! Each test initialises a data directory of its own, creates tables of every kind, shuts the server down
//! cleanly, and compares. Run as root (the server runs as `mysql`):
//! `cargo test --test innodb_oracle -- --ignored`.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wsrep_sst_backup::innodb::{PageChecker, PageFormat, PageReport, SkipReason, SystemTablespace};

use server::{Datadir, fill, first_file};

#[path = "innodb_oracle/server.rs"]
mod server;

fn check(bytes: &[u8]) -> PageReport {
    let mut checker = PageChecker::new();
    for chunk in bytes.chunks(1_000_003) {
        checker.update(chunk);
    }
    checker.finish()
}

/// Good files are clean; a flipped bit is found wherever innochecksum finds it. Returns the good reports.
fn compare(datadir: &Datadir, page_size: usize) -> Vec<(String, PageReport)> {
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 20).unwrap() % below
    };
    let (mut confirmed, mut tried) = (0, 0);
    let mut reports = Vec::new();
    for (path, good) in datadir.tablespaces() {
        let name = path.strip_prefix(datadir.path()).unwrap().display().to_string();
        let report = clean(&name, &good, page_size);
        let size = report.page_size.unwrap() as usize;
        // innochecksum takes the doublewrite buffer for damaged pages; the server does not look at it there.
        let base = if name == "ibdata2" { first_file(page_size) / size } else { 0 };
        let extent = ((1 << 20) / page_size).max(64);
        let copies = if name.starts_with("ibdata") { extent..3 * extent } else { 0..0 };
        let known = datadir.innochecksum(&path, &path);
        let harmless = |page: &u64| copies.contains(&usize::try_from(*page).unwrap());
        assert!(known.iter().all(harmless), "{name}: {known:?}");

        let pages =
            good.chunks_exact(size).enumerate().filter(|(place, _)| !copies.contains(&(base + place)));
        let used = pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
        let used: Vec<usize> = used.map(|(place, _)| place * size).collect();
        for _ in 0..4 {
            let start = used[next(used.len())];
            // innochecksum takes its own bearings from the first 64 bytes of the file.
            let byte = if start == 0 { 64 + next(size - 64) } else { start + next(size) };
            let mut bad = good.clone();
            bad[byte] ^= 1 << next(8);
            confirmed += usize::from(found(datadir, &path, &bad, &known, start));
            tried += 1;
        }
        reports.push((name, report));
    }
    assert_system_is_whole(datadir);
    println!("{} files, {confirmed} of {tried} flips reported by innochecksum and found", reports.len());
    assert!(confirmed * 2 > tried, "innochecksum confirmed only {confirmed} of {tried} flips");
    reports
}

/// The two files of the system tablespace are as long as its header says, and not one page longer than is noticed.
fn assert_system_is_whole(datadir: &Datadir) {
    let files: Vec<Vec<u8>> =
        ["ibdata1", "ibdata2"].iter().map(|name| fs::read(datadir.path().join(name)).unwrap()).collect();
    let missing = |second: &[u8]| {
        let mut system = SystemTablespace::default();
        system.add(files[0].len() as u64, &check(&files[0]));
        system.add(second.len() as u64, &check(second));
        system.pages_missing()
    };
    assert_eq!(missing(&files[1]), 0);
    assert!(missing(&files[1][..files[1].len() / 2]) > 0);
}

/// A file of a server that was shut down cleanly: understood, without damage, every page accounted for.
fn clean(name: &str, good: &[u8], page_size: usize) -> PageReport {
    let report = check(good);
    assert!(report.is_clean(), "{name}: {report:?}");
    let size = report.page_size.unwrap_or_else(|| panic!("{name}: page size unknown")) as usize;
    assert!(size == page_size || report.format == Some(PageFormat::RowCompressed), "{name}: {size}");
    let pages = report.pages_checked + report.pages_empty + report.pages_skipped.total();
    assert_eq!((pages, report.trailing_bytes), ((good.len() / size) as u64, 0), "{name}");
    report
}

/// Whether innochecksum notices the flipped bit in the page at `start`; if it does, so must we.
fn found(datadir: &Datadir, path: &Path, bad: &[u8], known: &BTreeSet<u64>, start: usize) -> bool {
    let copy = datadir.root.path().join("copy.ibd");
    fs::write(&copy, bad).unwrap();
    let ours: Vec<_> = check(bad).damaged.first.iter().map(|page| (page.page_no, page.offset)).collect();
    let place = format!("{}, page at {start}", path.display());
    assert!(ours.iter().all(|(_, offset)| *offset == start as u64), "{place}: {ours:?}");
    let theirs = datadir.innochecksum(&copy, path);
    let Some(page_no) = theirs.difference(known).next() else { return false };
    assert_eq!(ours, [(*page_no, start as u64)], "{place}");
    true
}

fn run(algorithm: &str, page_size: usize) -> (Datadir, Vec<(String, PageReport)>) {
    let datadir = Datadir::install(algorithm, page_size);
    fill(&datadir.start(), &datadir, page_size);
    let reports = compare(&datadir, page_size);
    (datadir, reports)
}

/// The reports of all files whose names start like this, of which there must be some.
fn starting<'a>(reports: &'a [(String, PageReport)], prefix: &str) -> Vec<&'a PageReport> {
    let these = reports.iter().filter(|(name, _)| name.starts_with(prefix));
    let found: Vec<_> = these.map(|(_, report)| report).collect();
    assert!(!found.is_empty(), "no file {prefix}*");
    found
}

fn full_crc32(page_size: usize) {
    let (_datadir, reports) = run("full_crc32", page_size);
    for prefix in
        ["d/plain", "d/zlib", "d/lz4", "d/blobs", "d/parts#P#", "d/FTS_", "d/points", "ibdata", "undo00"]
    {
        for report in starting(&reports, prefix) {
            assert_eq!(report.format, Some(PageFormat::FullCrc32), "{prefix}");
            // Also compressed and encrypted pages are checked: this format covers what is stored.
            let doublewrite = report.pages_skipped.count(SkipReason::Doublewrite);
            assert_eq!(report.pages_skipped.total(), doublewrite, "{prefix}");
        }
    }
}

fn crc32(page_size: usize) -> Datadir {
    let (datadir, reports) = run("crc32", page_size);
    for prefix in ["d/plain", "d/zlib", "d/blobs", "d/points", "ibdata", "undo00"] {
        for report in starting(&reports, prefix) {
            assert_eq!(report.format, Some(PageFormat::Legacy), "{prefix}");
        }
    }
    let skipped =
        |prefix, reason| starting(&reports, prefix).iter().any(|it| it.pages_skipped.count(reason) > 0);
    assert!(skipped("d/zlib", SkipReason::PageCompressed));
    assert!(!skipped("d/plain", SkipReason::Encrypted), "they have a checksum of their own");
    datadir
}

#[test]
#[ignore = "needs a MariaDB server"]
fn full_crc32_4k() {
    full_crc32(4096);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn full_crc32_16k() {
    full_crc32(16384);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn full_crc32_64k() {
    full_crc32(65536);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn crc32_4k() {
    crc32(4096);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn crc32_64k() {
    crc32(65536);
}

#[test]
#[ignore = "needs a MariaDB server"]
fn crc32_16k_and_what_else_the_server_accepts_in_it() {
    let datadir = crc32(16384);
    // Nothing writes these any more, but the server still reads them: that is the oracle for our formulas.
    let (plain, zip) = (datadir.path().join("d/redundant1.ibd"), datadir.path().join("d/zip6.ibd"));
    rewrite(&plain, |page| {
        put(page, 0, fold(&page[4..26]).wrapping_add(fold(&page[38..16376])));
        put(page, 16376, fold(&page[..26]));
    });
    rewrite(&zip, |page| {
        let covered = [&page[4..16], &page[24..26], &page[34..]].concat();
        put(page, 0, adler32_from_zero(&covered));
    });
    for file in [&plain, &zip] {
        let report = check(&fs::read(file).unwrap());
        assert!(report.is_clean() && report.pages_skipped.total() == 0, "{report:?}");
    }
    assert_eq!(readable_rows(&datadir), "399\n399\n");

    rewrite(&plain, |page| [0, 16376].into_iter().for_each(|at| put(page, at, 0xDEAD_BEEF)));
    rewrite(&zip, |page| put(page, 0, 0xDEAD_BEEF));
    for file in [&plain, &zip] {
        let report = check(&fs::read(file).unwrap());
        assert!(report.is_clean() && report.pages_checked == 0, "{report:?}");
        assert_eq!(report.pages_skipped.total(), report.pages_skipped.count(SkipReason::NoChecksum));
    }
    assert_eq!(readable_rows(&datadir), "399\n399\n");
}

/// Changes every page of a file that is not empty.
fn rewrite(file: &Path, change: impl Fn(&mut [u8])) {
    let mut bytes = fs::read(file).unwrap();
    let size = check(&bytes).page_size.unwrap() as usize;
    bytes.chunks_exact_mut(size).filter(|page| page.iter().any(|byte| *byte != 0)).for_each(change);
    fs::write(file, bytes).unwrap();
}

fn readable_rows(datadir: &Datadir) -> String {
    let server = datadir.start();
    let checked = server.sql("CHECK TABLE d.redundant1, d.zip6 EXTENDED");
    assert!(checked.lines().all(|line| line.ends_with("check\tstatus\tOK")), "{checked}");
    server.sql("SELECT COUNT(c) FROM d.redundant1; SELECT COUNT(c) FROM d.zip6")
}

fn put(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// `ut_fold_binary` in the width that the server uses.
fn fold(bytes: &[u8]) -> u32 {
    let mut fold = 0u64;
    for byte in bytes {
        let mixed = (fold ^ u64::from(*byte) ^ 0x6294_6A4F) << 8;
        fold = (mixed.wrapping_add(fold) ^ 0x573E_D587).wrapping_add(u64::from(*byte));
    }
    u32::try_from(fold & 0xFFFF_FFFF).unwrap()
}

fn adler32_from_zero(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((0, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}
