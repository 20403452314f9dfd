//! `snapshot-command` with a scripted mysqld on a btrfs: what is stored is what the snapshot holds, what is no snapshot is refused, and
//! none is left, however the program ends.

#[path = "donor_snapshot_command/by_socket.rs"]
mod by_socket;
#[path = "donor_snapshot_command/changing.rs"]
mod changing;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::cli::cli;
use support::cli::disk::LoopDisk;
use support::scripted_mysqld::{Backup, Outcome, shell};
use support::trees::assert_same_files;
use support::{ScriptedMysqld, noise, wait_until};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/snapshot/btrfs");

/// A server in a subvolume of a btrfs of its own; its repository is elsewhere.
struct Stage {
    server: ScriptedMysqld,
    volume: PathBuf,
    // Behind what lies on it, before what it lies in: fields are dropped in this order.
    _mounted: LoopDisk,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let disk = folder.path().join("disk");
        let mounted = LoopDisk::btrfs(&folder.path().join("image"), &disk, 2 << 30);
        shell(&disk, "btrfs -q subvolume create server");
        let volume = disk.join("server");
        let server = ScriptedMysqld::below(&volume);
        let repository = folder.path().join("repository");
        fs::create_dir(&repository).unwrap();
        fs::set_permissions(&repository, fs::Permissions::from_mode(0o777)).unwrap();
        let stage = Self { server, volume, folder, _mounted: mounted };
        stage.command("release", "\"$SCRIPT\" release");
        stage.command("take", "\"$SCRIPT\" take");
        stage.server.configure(
            "wsrep_sst_backup",
            &format!(
                "repository={}\nsnapshot-command={} x\nsnapshot-release-command={}\nsnapshot-socket={}",
                repository.display(),
                stage.at("take").display(),
                stage.at("release").display(),
                stage.at("socket").display()
            ),
        );
        stage
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What one of the two commands does from now on. It notes that it was called.
    fn command(&self, name: &str, script: &str) {
        let text = format!(
            "#!/bin/sh\nSCRIPT={SCRIPT}\nDISK={}\nFOLDER={}\necho $$ $PPID >>$FOLDER/{name}.called\n{script}\n",
            self.folder.path().join("disk").display(),
            self.folder.path().display()
        );
        let new = self.at(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        // Another file: the old one may be run.
        fs::rename(new, self.at(name)).unwrap();
    }

    /// How often it was called.
    fn calls(&self, name: &str) -> usize {
        fs::read_to_string(self.at(&format!("{name}.called"))).unwrap_or_default().lines().count()
    }

    /// Who has called it last.
    fn caller(&self, name: &str) -> Pid {
        let called = fs::read_to_string(self.at(&format!("{name}.called"))).unwrap();
        let last = called.lines().last().unwrap();
        Pid::from_raw(last.split(' ').nth(1).unwrap().parse().unwrap())
    }

    fn snapshots(&self) -> usize {
        let list = String::from_utf8(shell(&self.volume, "btrfs subvolume list -r .")).unwrap();
        list.lines().count()
    }

    #[track_caller]
    fn assert_none_is_left(&self) {
        assert!(wait_until(LIMIT, || self.snapshots() == 0), "a snapshot is left");
    }

    fn attempts(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        let mut found: Vec<PathBuf> =
            list(&self.at("repository")).iter().flat_map(|cluster| list(cluster)).collect();
        found.sort();
        found
    }

    fn newest(&self) -> Backup {
        Backup::open(self.attempts().last().unwrap())
    }

    /// No backup, the server runs, and this is why.
    #[track_caller]
    fn assert_refused(&self, outcome: &Outcome, why: &str) {
        assert!(outcome.stderr.contains(why), "not '{why}': {}", outcome.stderr);
        assert!(!outcome.stdout.contains("done"), "{}", outcome.stderr);
        let manifest = self.attempts().last().map(|attempt| attempt.join("manifest.json"));
        assert!(manifest.is_none_or(|manifest| !manifest.exists()), "{}", outcome.stderr);
        self.assert_none_is_left();
    }
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn what_is_stored_is_what_the_snapshot_holds_and_none_is_left() {
    let stage = Stage::new();
    let server = &stage.server;
    server.write("db/large.MYD", noise(30 << 20, 3));
    // The redo log is elsewhere, in a subvolume of its own: there are two snapshots.
    shell(&stage.volume, "btrfs -q subvolume create ../redo && mv wsm-*/data/ib_logfile0 ../redo/");
    let redo = stage.at("disk/redo");
    server.configure("mysqld", &format!("innodb_log_group_home_dir={}", redo.display()));
    // A database in one that lies inside of the other one is not in the snapshot of that.
    shell(&server.datadir(), "btrfs -q subvolume create nested");
    server.write("nested/n.ibd", vec![0; 64 << 10]);
    server.configure("wsrep_sst_backup", "limit-rate=10M");
    let twin = stage.at("twin");
    let run = server.asks().error_log().start();
    run.wait_for("continue");
    shell(&stage.volume, &format!("cp -a '{}' '{}'", server.datadir().display(), twin.display()));
    assert_eq!(stage.snapshots(), 3);
    fs::write(server.datadir().join("ibdata1"), noise(128 << 10, 5)).unwrap();
    fs::write(redo.join("ib_logfile0"), noise(64 << 10, 6)).unwrap();
    fs::remove_file(server.datadir().join("db/t.ibd")).unwrap();
    fs::remove_file(server.datadir().join("nested/n.ibd")).unwrap();
    assert!(!run.has_said("done"), "the snapshot was not read for long enough: nothing is proved");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    stage.assert_none_is_left();
    let backup = stage.newest();
    assert_eq!(backup.manifest["method"], "snapshot");
    assert_eq!(backup.manifest["warnings"].as_array().map_or(0, Vec::len), 1, "SQL: {}", backup.manifest);
    // What the rate makes of its size is longer than this, and the server runs meanwhile.
    let frozen = Duration::from_millis(backup.manifest["frozen_ms"].as_u64().unwrap());
    assert!(outcome.took > frozen + Duration::from_secs(2), "{frozen:?} of {:?}", outcome.took);
    let unpacked = backup.unpack(&stage.at("unpacked"));
    let stored = String::from_utf8(shell(&unpacked, "find .wsrep_sst_backup -name ib_logfile0")).unwrap();
    let content: Vec<u8> = (0..64 << 10).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    assert_eq!(fs::read(unpacked.join(stored.trim())).unwrap(), content);
    fs::remove_dir_all(unpacked.join(".wsrep_sst_backup")).unwrap();
    assert_same_files(&twin, &unpacked);
    cli("verify latest").on(&stage.at("repository")).run().done();
    assert_eq!((stage.calls("take"), stage.calls("release")), (1, 1));
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn what_is_no_snapshot_of_this_moment_is_refused() {
    let stage = Stage::new();
    let server = &stage.server;
    server.configure("wsrep_sst_backup", "method=snapshot");
    shell(
        &stage.volume,
        "btrfs -q subvolume snapshot -r . ../old && btrfs -q subvolume snapshot . ../other && rm ../other/wsm-*/data/db/t.ibd",
    );
    shell(&stage.volume, &format!("cp -a . '{}'", stage.at("copy").display()));
    server.write("db/t.ibd", vec![0; 112 << 10]);
    for (script, why) in [
        ("echo no room >&2; exit 3", "snapshot-command has failed: exit status 3"),
        ("exit 0", "has not printed where the snapshot is"),
        ("echo done", "its line 'done' is not 'DIRECTORY<TAB>WHERE'"),
        ("printf '%s\\t%s\\n' \"$SNAPSHOT_DATADIR\" \"$SNAPSHOT_DATADIR\"", "is on the device of"),
        (
            "mkdir $FOLDER/live && mount --bind $DISK/server $FOLDER/live && printf '%s\\t%s\\n' $DISK/server $FOLDER/live",
            "is on the device of",
        ),
        ("printf '/srv\\t/proc\\n'", "does not say where the snapshot of"),
        ("printf '%s\\t%s\\n' \"$DISK/server\" $FOLDER/copy", "is another directory than"),
        ("printf '%s\\t%s\\n' \"$DISK/server\" $DISK/nowhere", "No such file or directory"),
        ("printf '%s\\t%s\\n' \"$DISK/server\" $DISK/old", "'db/t.ibd"),
        ("printf '%s\\t%s\\n' \"$DISK/server\" $DISK/other", "it is not in the snapshot"),
    ] {
        stage.command("take", script);
        let released = stage.calls("release");
        let outcome = server.asks().run();
        shell(&stage.volume, "btrfs property set -ts ../old ro false");
        if why == "'db/t.ibd" {
            assert!(outcome.stderr.contains("the snapshot is not of that moment"), "{}", outcome.stderr);
        } else {
            stage.assert_refused(&outcome, why);
        }
        assert!(!outcome.stdout.contains("done"), "{script}: {}", outcome.stderr);
        assert_eq!(stage.calls("release"), released + 1, "{script}");
    }
    shell(&stage.at(""), "umount live");
    // One that hangs is killed, and what it has begun goes.
    stage.command("take", "\"$SCRIPT\" take; sleep 600");
    server.configure("wsrep_sst_backup", "snapshot-timeout=1s");
    let outcome = server.asks().run();
    stage.assert_refused(
        &outcome,
        "snapshot-command has not ended within 1 s (snapshot-timeout), and was killed",
    );
    assert!(outcome.took < Duration::from_secs(20), "{:?}", outcome.took);
    // What cannot be started is seen before the server stands still, and auto takes another method.
    fs::remove_file(stage.at("take")).unwrap();
    let outcome = server.asks().run();
    stage.assert_refused(&outcome, "cannot be started: No such file");
    assert!(!outcome.stdout.contains("flush tables"));
    server.configure("wsrep_sst_backup", "method=auto");
    let outcome = server.asks().run();
    assert!(
        outcome.stderr.contains("another method is taken than snapshot: snapshot-command"),
        "{}",
        outcome.stderr
    );
    assert_eq!(stage.newest().manifest["method"], "freeze");
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn none_is_left_however_the_program_ends() {
    let stage = Stage::new();
    let server = &stage.server;
    server.write("db/large.MYD", noise(30 << 20, 3));
    server.configure("wsrep_sst_backup", "method=snapshot\nlimit-rate=8M");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // While it is taken, and while it is read.
        for script in ["\"$SCRIPT\" take; sleep 600", "\"$SCRIPT\" take"] {
            stage.command("take", script);
            let called = stage.calls("take");
            let run = server.asks().error_log().start();
            if script.contains("sleep") {
                assert!(wait_until(LIMIT, || stage.calls("take") > called && stage.snapshots() > 0));
            } else {
                run.wait_for("continue");
                assert_eq!(stage.snapshots(), 1);
            }
            run.signal(signal);
            let outcome = run.finish();
            stage.assert_refused(&outcome, "");
            assert!(
                signal == Signal::SIGKILL || outcome.stderr.contains("stopped by SIGTERM"),
                "{}",
                outcome.stderr
            );
            fs::remove_dir_all(stage.at("repository").join("scripted")).unwrap();
        }
    }
    // The helper as well: then it is left, and the next backup removes it first.
    let run = server.asks().error_log().start();
    run.wait_for("continue");
    kill(stage.caller("take"), Signal::SIGKILL).unwrap();
    run.signal(Signal::SIGKILL);
    run.finish();
    assert_eq!(stage.snapshots(), 1);
    server.configure("wsrep_sst_backup", "limit-rate=none");
    let outcome = server.asks().run();
    assert!(
        outcome.stderr.contains("of an earlier backup, which was killed, is removed"),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    stage.assert_none_is_left();

    // One that cannot be removed does not undo the backup. It is told, and nothing else is taken before it has gone.
    stage.command("release", "echo busy >&2; exit 1");
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let warnings = stage.newest().manifest["warnings"].to_string();
    assert!(
        warnings
            .contains("may be left: snapshot-release-command has failed: exit status 1; remove it by hand"),
        "{warnings}"
    );
    let outcome = server.asks().run();
    assert!(outcome.stderr.contains("of an earlier backup cannot be removed"), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("flush tables"), "{}", outcome.stdout);
    stage.command("release", "\"$SCRIPT\" release");
    server.asks().run();
    stage.assert_none_is_left();
}

/// An administrator, or a job that tidies up, removes it while it is read.
#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn a_snapshot_that_vanishes_while_it_is_read_is_no_backup_and_the_file_is_named() {
    let stage = Stage::new();
    let server = &stage.server;
    server.write("db/large.MYD", noise(30 << 20, 3));
    server.configure("wsrep_sst_backup", "method=snapshot\nlimit-rate=8M");
    let run = server.asks().error_log().start();
    run.wait_for("continue");
    assert_eq!(stage.snapshots(), 1);
    let list = "btrfs subvolume list -r . | awk '{ print $NF }'";
    shell(
        &stage.at("disk"),
        &format!("{list} | while read path; do btrfs -q subvolume delete \"$path\"; done"),
    );
    assert!(!run.has_said("done"));
    let outcome = run.finish();
    // With the file that is read, or the next one.
    stage.assert_refused(&outcome, "': it is not in the snapshot");
    assert!(outcome.stderr.contains("removed "), "{}", outcome.stderr);
    // The next one is as if nothing had been.
    server.configure("wsrep_sst_backup", "limit-rate=none");
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    stage.assert_none_is_left();
}
