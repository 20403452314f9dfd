//! `drill` without a server: what is refused, and what an outcome leaves behind. A script stands for the server, which says what a test wants.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::cli::forge::{Forge, UUID, ago, manifest, put_manifest};
use support::cli::{Answer, Cli, SmallDisk, cli, open_folder};
use support::prometheus::Metrics;
use support::scratch::ServerUser;

/// A backup, and a server of sorts that works as the user of servers.
struct Stage {
    folder: tempfile::TempDir,
    user: ServerUser,
    id: String,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { folder: open_folder(), user: ServerUser::current(), id: ago(1) };
        fs::create_dir(stage.path("scratch")).unwrap();
        Forge::new(&stage.id).write(&stage.path("repository"));
        stage.own();
        stage
    }

    fn own(&self) {
        for name in ["scratch", "repository"] {
            self.user.own_tree(&self.path(name));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self) -> PathBuf {
        self.path("repository/c").join(&self.id)
    }

    /// A program that says that it is of that series, and recovers files at that position; it comes up on no files.
    fn server(&self, series: &str, position: &str) -> PathBuf {
        let program = self.path("mariadbd");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*--version*) echo 'mariadbd  Ver {series}.9-MariaDB for Linux' ;;\n\
             *--wsrep-recover*) echo 'WSREP: Recovered position: {position},0-1-9' >&2 ;;\n\
             *) echo '[ERROR] no more of a server' >&2; exit 1 ;;\nesac\n"
        );
        program_of(&program, &text);
        program_of(&self.path("mariadb-install-db"), "#!/bin/sh\n");
        program
    }

    fn drill(&self, line: &str, server: &Path) -> Cli {
        cli("drill")
            .arg(&self.id)
            .on(&self.path("repository"))
            .arg("--scratch")
            .arg(self.path("scratch"))
            .arg("--mysqld")
            .arg(server)
            .env("WSREP_SST_BACKUP_METRICS_FILE", self.path("scratch/x.prom").display().to_string())
            .user(&self.user, self.folder.path())
            .and(line)
    }

    fn list(&self, line: &str) -> Answer {
        cli(line).on(&self.path("repository")).run()
    }

    /// Nothing is left of a drill, and nothing is said of the backup.
    #[track_caller]
    fn assert_nothing(&self) {
        assert!(!self.backup().join("drill.json").exists());
        self.assert_swept();
    }

    #[track_caller]
    fn assert_swept(&self) {
        assert!(!self.path("scratch/wsrep_sst_backup-drill").exists());
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.backup().join("drill.json")).unwrap()).unwrap()
    }
}

trait And {
    fn and(self, line: &str) -> Self;
}

impl And for Cli {
    fn and(self, line: &str) -> Self {
        line.split_whitespace().fold(self, Self::arg)
    }
}

fn program_of(path: &Path, text: &str) {
    // Written by another process: see `copy_program`.
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    support::copy_program(&draft, path);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn at(seqno: u64) -> String {
    format!("{UUID}:{seqno}")
}

#[test]
fn what_cannot_be_done_says_nothing_of_the_backup() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(417));
    let refused = |line: &str, status: i32, text: &str| {
        stage.drill(line, &server).run().fails_with(status, text);
        stage.assert_nothing();
    };
    refused("--query x", 2, "each --query needs an --expect, and the other way round: there are 1 and 0");
    refused("--expect 1 --query x --expect 2", 2, "there are 1 and 2");
    refused("--max-load=-1", 1, "the drill was not begun: the load of the machine is ");
    stage
        .drill("", Path::new("/bin/true"))
        .run()
        .fails_with(2, "--mysqld '/bin/true' is no server of MariaDB that can be started here");
    let old = stage.server("10.5", &at(417));
    stage.drill("", &old).run().fails_with(1, "is MariaDB 10.5, backup '");
    stage.assert_nothing();
    cli("drill 20200101T000000Z_n1").on(&stage.path("repository")).run().fails_with(3, "20200101T000000Z_n1");
    // A server that comes up on no files at all: the machine is to blame.
    let none = stage.server("10.11", &at(417));
    let answer = stage.drill("", &none).run();
    answer.fails_with(1, "no server comes up here, on files that were just made either");
    answer.fails_with(
        1,
        "On those of the backup: the server has ended (exit status: 1): [ERROR] no more of a server",
    );
    stage.assert_nothing();
}

/// A server of that series whose recovery ends so.
fn recovering(stage: &Stage, series: &str, end: &str) -> PathBuf {
    let program = stage.server(series, &at(417));
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*--version*) echo 'mariadbd  Ver {series}.9-MariaDB for Linux' ;;\n*) {end} ;;\nesac\n"
    );
    program_of(&program, &text);
    program
}

#[test]
fn what_this_machine_lacks_is_not_held_against_the_backup() {
    let stage = Stage::new();
    let fails = |series: &str, end: &str, text: &str| {
        stage.drill("", &recovering(&stage, series, end)).run().fails_with(1, text);
        stage.assert_nothing();
    };
    fails("10.11", "kill -9 $$", "the server was killed, by the kernel for want of memory");
    let no_room = "echo \"[ERROR] mariadbd: Error writing file './x' (Errcode: 28 \\\"No space left on device\\\")\" >&2; exit 1";
    fails("10.11", no_room, "the server had no room left: name a place with more (--scratch DIR)");
    let no_key = "echo '[ERROR] InnoDB: Obtaining redo log encryption key version 1 failed' >&2; exit 1";
    fails("10.11", no_key, "a key, or the plugin that gives keys, is missing here");
    // Other errors follow that say less.
    let older = "echo '[ERROR] InnoDB: Upgrade after a crash is not supported. The redo log was created with MariaDB 10.11.'; \
                 for i in 1 2 3 4; do echo '[ERROR] Plugin'; done; exit 1";
    fails("11.4", older, "name a server of the backup's own series (--mysqld PATH)");
    // One of the same series has no such excuse: here it comes up on no files at all.
    fails("10.11", older, "no server comes up here, on files that were just made either");
}

#[test]
fn a_file_that_says_that_a_tablespace_is_elsewhere_is_refused() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(418));
    for (place, is_told) in [("/srv/fast/d/t.ibd", true), ("../../t.ibd", true), ("./d/t.ibd", false)] {
        Forge::new(&stage.id).file("d/t.isl", place).write(&stage.path("repository"));
        stage.own();
        let answer = stage.drill("--no-record", &server).run();
        assert_eq!(answer.status, Some(if is_told { 1 } else { 4 }), "{place}: {answer:?}");
        let told = "which leads out of the scratch folder: no server is started with that";
        assert_eq!(answer.stderr.contains(told), is_told, "{answer:?}");
        stage.assert_nothing();
    }
}

#[test]
fn a_scratch_folder_is_one_drills_and_what_a_killed_one_has_left_goes() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(418));
    let folder = stage.path("scratch/wsrep_sst_backup-drill");
    fs::create_dir_all(folder.join("data/mysql")).unwrap();
    stage.own();
    let held = fs::File::open(&folder).unwrap();
    held.lock().unwrap();
    stage.drill("", &server).run().fails_with(1, "another drill works in '");
    drop(held);
    let answer = stage.drill("", &server).run();
    assert_eq!(answer.status, Some(4), "{answer:?}");
    assert!(answer.stderr.contains("had what a drill that was killed has left: it is removed"), "{answer:?}");
    stage.assert_swept();
}

#[test]
fn files_at_another_position_have_failed_and_everything_tells_of_it() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(418));
    let answer = stage.drill("--json", &server).run();
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(4), ""), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    let why = format!("the server finds its files at {}, and the manifest says {}", at(418), at(417));
    let record = stage.record();
    assert_eq!((&told["drill"], &told["outcome"]), (&record, &"failed".into()));
    assert_eq!(
        (&record["failed_at"], &record["reason"], &record["position"], &record["server"]),
        (&"position".into(), &why.clone().into(), &at(418).into(), &"10.11.9-MariaDB".into())
    );
    stage.assert_swept();
    let listed = stage.list("list");
    assert!(listed.done().contains("DRILL FAILED: it has failed the drill of "), "{}", listed.stdout);
    assert_eq!(stage.list("list --json").json()["backups"][0]["drilled"], record);
    assert!(stage.list("show latest --json").json()["drilled"] == record);
    assert!(stage.list("show latest").done().contains(&format!(": FAILED: {why}\n")));
    let page = stage.list("report --html -").done().to_owned();
    assert!(page.contains(">drill failed<") && page.contains("Last drill"), "{page}");
    let metrics = Metrics::read(&stage.path("scratch/x.prom"));
    let value = |name: &str| metrics.of("c", name).to_string();
    assert_eq!((value("last_drill_success"), value("damaged_backups")), ("0".into(), "0".into()));
    // What a server here has refused may be whole: it stays the newest one.
    let target = stage.path("target");
    cli("restore latest --as standalone").on(&stage.path("repository")).to(&target).run().done();
    // A copy is another one, and the record goes with its backup.
    let other = stage.path("other");
    fs::create_dir(&other).unwrap();
    let copied = cli("copy").arg(&stage.id).on(&stage.path("repository")).arg("--to").arg(&other).run();
    assert_eq!(copied.status, Some(0), "{copied:?}");
    assert!(!other.join("c").join(&stage.id).join("drill.json").exists());
    put_manifest(&stage.path("repository"), "c", &manifest(&ago(0)));
    cli("prune --keep-last 1").on(&stage.path("repository")).run().done();
    assert!(!stage.backup().exists());
}

#[test]
fn damage_that_the_restore_finds_is_a_failure_and_no_record_is_left_where_none_is_wanted() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(417));
    let archive = stage.backup().join("backup.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let answer = stage.drill("--no-record", &server).run();
    assert_eq!(answer.status, Some(4), "{answer:?}");
    let head = format!(
        "Backup {} has FAILED its drill at the step 'restore': backup '{}' is damaged: ",
        stage.id, stage.id
    );
    assert!(answer.stdout.starts_with(&head), "{}", answer.stdout);
    stage.assert_nothing();
    assert_eq!(stage.drill("", &server).run().status, Some(4));
    assert_eq!(stage.record()["failed_at"], "restore");
}

#[test]
fn files_from_outside_of_the_data_directory_come_into_the_scratch_folder() {
    let stage = Stage::new();
    let far = stage.path("far");
    Forge::new(&stage.id)
        .external("innodb_undo_directory", &far, &far.join("undo002"), vec![0; 16 << 10])
        .write(&stage.path("repository"));
    stage.own();
    let server = stage.server("10.11", &at(418));
    assert_eq!(stage.drill("", &server).run().status, Some(4));
    // So the restore has come through.
    assert_eq!(stage.record()["failed_at"], "position", "{:#}", stage.record());
    assert!(!far.exists());
    stage.assert_swept();
    // Where such a directory is here, a live server may use it, and InnoDB's redo log may name it.
    fs::create_dir(&far).unwrap();
    fs::remove_file(stage.backup().join("drill.json")).unwrap();
    stage
        .drill("", &server)
        .run()
        .fails_with(1, &format!("'{}', which is here: drill it on another machine", far.display()));
    stage.assert_nothing();
}

#[test]
#[ignore = "needs root"]
fn a_disk_without_room_is_refused_before_anything_is_written() {
    let stage = Stage::new();
    let server = stage.server("10.11", &at(417));
    let _disk = SmallDisk::mount(&stage.path("scratch"), 64);
    stage.own();
    let answer = stage.drill("", &server).run();
    assert!(answer.stderr.contains(" free, and the drill needs 51"), "{answer:?}");
    assert_eq!(answer.status, Some(1));
    stage.assert_nothing();
}

/// Whoever has started a guard may stand still; a server that it guards leaves its cluster all the same.
#[test]
fn a_gentle_guard_asks_for_the_end_when_its_time_is_over() {
    let own = std::process::id().to_string();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    guard.args(["guard-command", "--gently", "1", &own, "--", "sleep", "60"]);
    let began = Instant::now();
    // 128 and SIGTERM.
    assert_eq!(guard.status().unwrap().code(), Some(143));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// The kernel sets a stopped server going that is in the session of a program that ends; and a server that takes its time is not killed as soon as others are.
#[test]
fn a_gentle_guard_is_in_a_session_of_its_own_and_has_patience() {
    let own = std::process::id().to_string();
    let script = "trap '' TERM; cut -d ' ' -f 6 /proc/self/stat; sleep 13; exit 7";
    let mut guard = Command::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    guard.args(["guard-command", "--gently", "1", &own, "--", "sh", "-c", script]).stdout(Stdio::piped());
    let guard = guard.spawn().unwrap();
    let session = guard.id().to_string();
    let ended = guard.wait_with_output().unwrap();
    let found = (ended.status.code(), String::from_utf8_lossy(&ended.stdout).trim().to_owned());
    assert_eq!(found, (Some(7), session));
}
