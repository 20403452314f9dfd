//! The method `snapshot` with a scripted mysqld on a file system that clones: what is stored is what stood still, whatever becomes of
//! the server's files behind the freeze, and no clone outlives the program, however it ends.

#[path = "donor_clones/mounts.rs"]
mod mounts;
#[path = "../examples/make_fixture/pages.rs"]
#[allow(dead_code, reason = "it is that of an example")]
mod pages;
mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::cli::cli;
use support::cli::disk::LoopDisk;
use support::scripted_mysqld::{Ask, Backup, Run, shell};
use support::trees::assert_same_files;
use support::{ScriptedMysqld, noise, wait_until};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
/// Of the file that is read while something happens.
const LARGE: usize = 30 << 20;

/// A server on an XFS of its own; its repository is elsewhere.
struct Stage {
    server: ScriptedMysqld,
    disk: PathBuf,
    // Behind what lies on it, before what it lies in: fields are dropped in this order.
    _mounted: LoopDisk,
    folder: TempDir,
}

impl Stage {
    fn new(settings: &str) -> Self {
        Self::on(LoopDisk::xfs, settings)
    }

    fn on(kind: fn(&Path, &Path, u64) -> LoopDisk, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        let mounted = kind(&folder.path().join("image"), &disk, 2 << 30);
        let server = ScriptedMysqld::below(&disk);
        let repository = folder.path().join("repository");
        server.configure("wsrep_sst_backup", &format!("repository={}\n{settings}", repository.display()));
        Self { server, disk, folder, _mounted: mounted }
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// The one folder in the repository.
    fn attempt(&self) -> PathBuf {
        let cluster = fs::read_dir(self.repository()).unwrap().next().unwrap().unwrap().path();
        fs::read_dir(cluster).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap()
    }

    fn free(&self) -> u64 {
        shell(&self.disk, "sync -f .");
        let stat = nix::sys::statvfs::statvfs(&self.disk).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }

    /// A large file that does not compress, and a run that reads its clone for a while.
    fn start(&self) -> Run {
        self.start_by(|asks| asks)
    }

    fn start_by<'a>(&'a self, way: impl FnOnce(Ask<'a>) -> Ask<'a>) -> Run {
        self.server.write("db/large.MYD", noise(LARGE, 3));
        self.server.configure("wsrep_sst_backup", "limit-rate=8M\nmethod=snapshot");
        let run = way(self.server.asks().error_log()).start();
        run.wait_for("continue");
        run
    }

    /// Every block of the large file is written anew: the clone keeps the old ones.
    fn change(&self) {
        let file = OpenOptions::new().write(true).open(self.server.datadir().join("db/large.MYD")).unwrap();
        file.write_all_at(&noise(LARGE, 4), 0).unwrap();
        file.sync_all().unwrap();
    }

    /// What the clones held is free again: nothing of them is left.
    #[track_caller]
    fn assert_no_clone(&self, before: u64) {
        let is_free = wait_until(LIMIT, || self.free() + (1 << 20) >= before);
        assert!(is_free, "{} of {before} bytes are free", self.free());
    }
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn what_is_stored_stood_still_whatever_the_server_does_to_its_files_behind_the_freeze() {
    let stage = Stage::new("");
    let server = &stage.server;
    // A page-compressed table has holes, and more of them than one.
    let sparse = server.write("db/sparse.ibd", "");
    let file = OpenOptions::new().write(true).open(&sparse).unwrap();
    file.set_len(1 << 20).unwrap();
    for kib in [64_u64, 256, 700] {
        file.write_all_at(&[0; 8192], kib << 10).unwrap();
    }
    file.sync_all().unwrap();
    // It is no data of the server's.
    server.write("db/notes.txt", "of somebody");
    let twin = stage.folder.path().join("twin");
    let run = stage.start();
    shell(&stage.disk, &format!("cp -a '{}' '{}'", server.datadir().display(), twin.display()));
    stage.change();
    let at = |name: &str| server.datadir().join(name);
    fs::write(at("ibdata1"), noise(128 << 10, 5)).unwrap();
    fs::remove_file(at("db/notes.txt")).unwrap();
    fs::remove_file(at("db/t.ibd")).unwrap();
    fs::rename(at("db"), at("other")).unwrap();
    fs::remove_dir(at("emptydb")).unwrap();
    assert!(!run.has_said("done"), "the clone was not read for long enough: nothing is proved");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let folder = stage.attempt();
    let backup = Backup::open(&folder);
    assert_eq!(backup.manifest["method"], "snapshot");
    assert_eq!(backup.manifest["warnings"].as_array().map_or(0, Vec::len), 1, "SQL: {}", backup.manifest);
    // What the rate makes of its size is longer than this, and the server runs meanwhile.
    let frozen = Duration::from_millis(backup.manifest["frozen_ms"].as_u64().unwrap());
    assert!(outcome.took > frozen + Duration::from_secs(3), "{frozen:?} of {:?}", outcome.took);
    let sparse = backup.member("db/sparse.ibd").unwrap();
    assert_eq!((&sparse["sparse"], &sparse["changed"]), (&true.into(), &serde_json::Value::Null), "{sparse}");
    let unpacked = backup.unpack(&stage.folder.path().join("unpacked"));
    assert_same_files(&twin, &unpacked);
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn no_clone_outlives_the_program_however_it_ends() {
    let stage = Stage::new("");
    // At last it is mysqld that dies.
    let ends = [None, Some(Signal::SIGTERM), Some(Signal::SIGKILL), Some(Signal::SIGKILL)];
    for (number, end) in ends.into_iter().enumerate() {
        let of_mysqld = number == 3;
        stage.server.write("db/large.MYD", noise(LARGE, 3));
        let before = stage.free();
        let run = stage.start_by(|asks| if of_mysqld { asks.under(Path::new("timeout")) } else { asks });
        stage.change();
        let held = before - stage.free();
        assert!(held > LARGE as u64 / 2, "{end:?}: the clones hold {held} bytes");
        if let Some(signal) = end {
            run.signal(signal);
        }
        let outcome = run.finish();
        assert_eq!(outcome.stdout.contains("done"), end.is_none(), "{end:?}: {}", outcome.stderr);
        assert!(!of_mysqld || outcome.stderr.contains("has gone away"), "{}", outcome.stderr);
        assert_eq!(stage.attempt().join("manifest.json").exists(), end.is_none(), "{end:?}");
        stage.assert_no_clone(before);
        fs::remove_dir_all(stage.repository()).unwrap();
    }
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn a_disk_that_becomes_full_gives_up_the_backup_and_the_clones_although_the_program_hangs() {
    becomes_full(LoopDisk::xfs);
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn a_btrfs_that_becomes_full_gives_up_the_backup_and_the_clones_although_the_program_hangs() {
    becomes_full(LoopDisk::btrfs);
}

fn becomes_full(kind: fn(&Path, &Path, u64) -> LoopDisk) {
    let stage = Stage::on(kind, "");
    stage.server.write("db/large.MYD", noise(LARGE, 3));
    let run = stage.start();
    stage.change();
    let before = stage.free();
    run.hang();
    let ballast = before - (200 << 20);
    shell(&stage.disk, &format!("fallocate -l {ballast} ballast"));
    // Not only those that wait: the one that is being read, too.
    let freed = |free: u64| free + ballast >= before + (LARGE as u64 * 9 / 10);
    let is_freed = wait_until(LIMIT, || freed(stage.free()));
    assert!(is_freed, "{} of {before} bytes are free: {}", stage.free(), run.logged());
    let outcome = run.finish();
    let told = "they were given up before it is full";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("done") && !stage.attempt().join("manifest.json").exists());
    // There is too little room now for it to begin.
    let refused = stage.server.asks().run();
    assert!(
        refused.stderr.contains("no method works on this server: snapshot: the file system of"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stdout.contains("flush tables"), "{}", refused.stdout);
    stage.server.configure("wsrep_sst_backup", "method=auto\nlimit-rate=none");
    let other = stage.server.asks().run();
    assert!(
        other.stderr.contains("another method is taken than snapshot: the file system of"),
        "{}",
        other.stderr
    );
    assert!(other.stdout.contains("done"), "{}", other.stderr);
}

/// btrfs shares blocks only between files that are both, or neither, `chattr +C`.
#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn files_that_btrfs_does_not_copy_on_write_are_cloned_beside_those_that_it_does() {
    let stage = Stage::on(LoopDisk::btrfs, "method=snapshot");
    let server = &stage.server;
    fs::create_dir(server.datadir().join("plain")).unwrap();
    shell(&server.datadir(), "mkdir nocow && chattr +C nocow");
    for name in ["plain/t.MYD", "nocow/t.MYD"] {
        server.write(name, noise(3 << 20, 6));
    }
    let flags = String::from_utf8(shell(&server.datadir(), "lsattr nocow/t.MYD plain/t.MYD")).unwrap();
    assert_eq!(flags.lines().map(|line| line.contains('C')).collect::<Vec<_>>(), [true, false], "{flags}");
    let twin = stage.folder.path().join("twin");
    shell(&stage.disk, &format!("cp -a '{}' '{}'", server.datadir().display(), twin.display()));
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("cannot be cloned"), "{}", outcome.stderr);
    let backup = Backup::open(&stage.attempt());
    assert_eq!(backup.manifest["method"], "snapshot");
    assert_same_files(&twin, &backup.unpack(&stage.folder.path().join("unpacked")));
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn a_part_that_cannot_be_cloned_is_read_under_the_freeze_where_it_is_small() {
    let stage = Stage::new("");
    let server = &stage.server;
    // Nothing is cloned there.
    let redo = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::rename(server.datadir().join("ib_logfile0"), server.path("log")).unwrap();
    fs::copy(server.path("log"), redo.path().join("ib_logfile0")).unwrap();
    server.configure("mysqld", &format!("innodb_log_group_home_dir={}", redo.path().display()));
    let outcome = server.asks().run();
    assert!(
        outcome.stderr.contains("1 files (64 KiB) cannot be cloned: they are read now"),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let backup = Backup::open(&stage.attempt());
    assert_eq!(backup.manifest["method"], "snapshot");
    let unpacked = backup.unpack(&stage.folder.path().join("unpacked"));
    let found = String::from_utf8(shell(&unpacked, "find .wsrep_sst_backup -name ib_logfile0")).unwrap();
    assert_eq!(fs::read(unpacked.join(found.trim())).unwrap(), fs::read(server.path("log")).unwrap());
    cli("verify latest").on(&stage.repository()).run().done();
    fs::remove_dir_all(stage.repository()).unwrap();

    // More than is read while the server stands still.
    fs::write(redo.path().join("ib_logfile1"), noise(65 << 20, 1)).unwrap();
    let refused = server.asks().run();
    assert!(refused.stderr.contains("another method is taken than snapshot: files in"), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot be cloned (Operation not supported"), "{}", refused.stderr);
    let backup = Backup::open(&stage.attempt());
    assert_eq!(backup.manifest["method"], "freeze");
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn more_files_than_descriptors_share_clones() {
    let stage = Stage::new("");
    let server = &stage.server;
    for number in 0..400_u64 {
        let bytes = usize::try_from(number * 97 % 9000).unwrap();
        server.write(format!("many/t{number}.MYD"), noise(bytes, number));
    }
    let sparse = server.write("many/s.MYD", "");
    OpenOptions::new().write(true).open(&sparse).unwrap().write_all_at(b"end", 3 << 12).unwrap();
    let twin = stage.folder.path().join("twin");
    shell(&stage.disk, &format!("cp -a '{}' '{}'", server.datadir().display(), twin.display()));
    let outcome = server.asks().descriptors(300).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let backup = Backup::open(&stage.attempt());
    assert_eq!(backup.manifest["method"], "snapshot", "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("cannot be cloned"), "{}", outcome.stderr);
    let unpacked = backup.unpack(&stage.folder.path().join("unpacked"));
    assert_same_files(&twin, &unpacked);
}

/// A page whose checksum is wrong is found in a clone as in the file.
#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn a_damaged_page_is_found_in_a_clone() {
    let stage = Stage::new("method=snapshot");
    let mut bad = pages::tablespace(7, 12, false);
    bad[pages::PAGE + 100] ^= 1;
    stage.server.write("db/bad.ibd", &bad);
    let outcome = stage.server.asks().run();
    let backup = Backup::open(&stage.attempt());
    let found = (&backup.manifest["method"], &backup.manifest["damaged_pages"]);
    assert_eq!(found, (&"snapshot".into(), &1.into()), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("wrong checksum"), "{}", outcome.stderr);
}

/// What the server is expected to stand still for, as `auto` compares it, milliseconds.
fn expected(stage: &Stage) -> u64 {
    let outcome = stage.server.asks().error_log().run();
    // Before it stands what the last run has said.
    let told = outcome.stderr.rsplit_once("the method is snapshot: the server stands still for about ");
    let time = told.and_then(|(_, rest)| rest.split_once(" ms beyond its own flush"));
    time.unwrap_or_else(|| panic!("{}", outcome.stderr)).0.parse().unwrap()
}

#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn how_long_clones_will_take_is_told_by_the_extents_of_the_files() {
    const PIECES: u64 = 5000;
    let stage = Stage::new("");
    let file = fs::File::create(stage.server.write("db/pieces.MYD", "")).unwrap();
    file.set_len(PIECES * 8192).unwrap();
    let contiguous = expected(&stage);
    assert!(contiguous < 35, "{contiguous} ms");
    // Between two blocks of data is one of nothing.
    for number in 0..PIECES {
        file.write_all_at(&[0x5a; 4096], number * 8192).unwrap();
    }
    file.sync_all().unwrap();
    let fragmented = expected(&stage);
    let (least, most) = (contiguous + 35, contiguous + 70);
    assert!((least..most).contains(&fragmented), "7 µs for each piece: {fragmented} ms");
}
