//! A disk that does not give what it holds: that is damage of what lies there, and no end of the reading. A storage that gives nothing is none.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wsrep_sst_backup::catalog::BackupReader;
use wsrep_sst_backup::model::{Compression, Manifest};
use wsrep_sst_backup::storage::{
    LocalStorage, ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError,
};
use wsrep_sst_backup::verify::{VerifyError, VerifyReport, verify, verify_stored};

use super::objects::{blocks, large, members_in};
use crate::support::cli::cli;
use crate::support::cli::forge::ID;

const EIO: i32 = 5;

/// Which object has which bad bytes, what the disk says of them, and after how many reads of them it is sound again.
#[derive(Clone)]
struct BadSectors {
    object: &'static str,
    bytes: Range<u64>,
    errno: i32,
    left: Arc<AtomicUsize>,
    /// Nothing else can be read either, once they were met.
    is_away: bool,
    was_met: Arc<AtomicBool>,
}

impl BadSectors {
    fn new(object: &'static str, bytes: Range<u64>, errno: i32) -> Self {
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        Self { object, bytes, errno, left, is_away: false, was_met: Arc::default() }
    }

    fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// A directory on such a disk.
struct BadDisk {
    inner: LocalStorage,
    bad: BadSectors,
}

impl Storage for BadDisk {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        self.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.inner.folders(folder)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.objects(folder)
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let bad = self.bad.clone();
        if bad.is_away && bad.was_met.load(Ordering::Relaxed) {
            return Err(StorageError::new("open", name, bad.error()));
        }
        let inner = self.inner.open(name)?;
        let is_it = name.ends_with(&format!("/{}", bad.object));
        Ok(if is_it { Box::new(BadReader { inner, bad, at: 0 }) } else { inner })
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.inner.create(name)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.inner.free_bytes()
    }
}

struct BadReader {
    inner: Box<dyn ObjectReader>,
    bad: BadSectors,
    at: u64,
}

impl Read for BadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let BadSectors { bytes, left, was_met, .. } = &self.bad;
        if bytes.contains(&self.at) && left.load(Ordering::Relaxed) > 0 {
            left.fetch_sub(1, Ordering::Relaxed);
            was_met.store(true, Ordering::Relaxed);
            return Err(self.bad.error());
        }
        // As the system does: what is before them is given.
        let sound = bytes.start.checked_sub(self.at).filter(|before| *before > 0).unwrap_or(u64::MAX);
        let most = usize::try_from(sound).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for BadReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.inner.seek(to)?;
        Ok(self.at)
    }
}

fn source(backup: &Path, bad: BadSectors) -> BackupReader {
    let manifest = Manifest::parse(&fs::read(backup.join("manifest.json")).unwrap()).unwrap();
    let inner = LocalStorage::new(backup.parent().unwrap().parent().unwrap());
    BackupReader::new(Arc::new(BadDisk { inner, bad }), "c".into(), manifest)
}

fn verified(backup: &Path, bad: BadSectors) -> Result<VerifyReport, VerifyError> {
    verify(&source(backup, bad), 2, &|_| {}, &AtomicBool::new(false))
}

fn found(report: &VerifyReport) -> Vec<(&str, &str)> {
    report.findings.iter().map(|finding| (finding.file.as_str(), finding.what.as_str())).collect()
}

#[test]
fn what_the_disk_does_not_give_costs_the_files_in_its_block_and_nothing_else() {
    for compression in [Compression::Zstd, Compression::None] {
        let (_folder, backup) = large(compression);
        let archive = if compression == Compression::None { "backup.tar" } else { "backup.tar.zst" };
        let blocks = blocks(&backup);
        // EIO, EUCLEAN, EBADMSG.
        for (number, errno) in [(0, 5), (3, 117), (blocks.len() / 2, 74), (blocks.len() - 1, 5)] {
            let (offset, bytes, start, end) = blocks[number];
            let middle = offset + bytes / 2;
            let report = verified(&backup, BadSectors::new(archive, middle..middle + 10, errno)).unwrap();
            let told = format!(
                "block {number} at byte {offset} of the archive: it cannot be read: {}",
                io::Error::from_raw_os_error(errno)
            );
            let mut wanted = members_in(&backup, start, end);
            if wanted.is_empty() {
                wanted.push(archive.to_owned());
            }
            let wanted: Vec<(&str, &str)> =
                wanted.iter().map(|file| (file.as_str(), told.as_str())).collect();
            assert_eq!(found(&report), wanted, "{compression}, block {number}");
            assert!(report.files >= 1 && report.bytes > 500_000, "{report:?}");
        }
    }
}

#[test]
fn index_and_stored_objects_that_the_disk_does_not_give_are_named() {
    let (_folder, backup) = large(Compression::Zstd);
    let report = verified(&backup, BadSectors::new("index.json.zst", 9..10, EIO)).unwrap();
    let told = "it cannot be read from byte 9 on: Input/output error (os error 5)";
    assert_eq!(found(&report), [("index.json.zst", told)]);
    assert!(report.notes[0].contains("has the SHA-256 of the manifest: it is whole"), "{report:?}");
    for object in ["index.json.zst", "backup.tar.zst"] {
        let source = source(&backup, BadSectors::new(object, 9..10, EIO));
        let report = verify_stored(&source, &|_| {}, &AtomicBool::new(false)).unwrap();
        assert_eq!(found(&report), [(object, told)]);
        assert!(report.bytes > 0, "the other one is whole: {report:?}");
    }
}

#[test]
fn a_storage_that_is_away_or_was_away_is_an_error_and_no_damage() {
    let (_folder, backup) = large(Compression::Zstd);
    let (offset, ..) = blocks(&backup)[3];
    let bad = |errno| BadSectors::new("backup.tar.zst", offset..u64::MAX, errno);
    let error = |bad| verified(&backup, bad).unwrap_err().to_string();
    // ESTALE, ENOTCONN, ETIMEDOUT
    for errno in [116, 107, 110] {
        assert!(error(bad(errno)).contains(&format!("(os error {errno})")));
    }
    let away = error(BadSectors { is_away: true, ..bad(EIO) });
    assert!(away.contains("manifest.json': Input/output error"), "{away}");
    let again = error(BadSectors { left: Arc::new(AtomicUsize::new(1)), ..bad(EIO) });
    assert!(again.contains("could not be read at first, and can be now"), "{again}");
}

#[test]
#[ignore = "needs strace"]
fn a_disk_that_gives_no_more_is_recorded_told_and_heeded() {
    let (folder, backup) = large(Compression::Zstd);
    let metrics = folder.path().join("metrics.prom");
    let on = |line: &str| cli(line).on(folder.path());
    on("verify latest").run().done();
    // Each thread counts its own reads, and each time that the archive is opened it is read by another one.
    let bad = |which: &str| {
        let archive = backup.join("backup.tar.zst");
        let inject = format!("-e trace=read -e inject=read:error=EIO:when={which}");
        let options = format!("-o /dev/null -P {} {inject}", archive.display());
        on("verify latest")
            .env("WSREP_SST_BACKUP_METRICS_FILE", metrics.display().to_string())
            .strace(&options)
            .run()
    };
    // Only once: it was disturbed.
    let answer = bad("2");
    answer.fails_with(1, "it could not be read at first, and can be now");
    assert!(on("list").run().done().contains("  verified 20"), "{:?}", on("list").run());
    let answer = bad("1+");
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(4), ""), "{answer:?}");
    assert!(answer.stdout.contains("it cannot be read: Input/output error (os error 5)"), "{answer:?}");
    assert!(on("list").run().done().contains("  DAMAGED: "), "{:?}", on("list").run());
    let numbers = fs::read_to_string(&metrics).unwrap();
    let success = numbers.lines().find(|line| line.starts_with("wsrep_sst_backup_last_verify_success{"));
    assert!(success.is_some_and(|line| line.ends_with(" 0")), "{numbers}");
    let target = folder.path().join("data");
    let refused = on("restore latest --as standalone").to(&target).run();
    refused.fails_with(4, &format!("the newest backup '{ID}' is damaged"));
}
