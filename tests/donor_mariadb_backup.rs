//! A donor whose data MariaDB's own program captures: what that program must do before a backup is made of it, and what is left
//! when it does not.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flate2::Crc;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::ScriptedMysqld;
use support::scripted_mysqld::{Ask, UUID, names_in};
use support::wait_until;

/// What a run says to mysqld that never asks it to stand still.
const PASSED: &str = "continue\ndone 4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:7 0\n";
/// What it says when it has come to its end.
const WORDS: &str = "say 'Started BACKUP STAGE BLOCK_DDL'; cat \"$HERE/stream\"; say 'All tables unlocked'; say 'completed OK!'";
/// How long anything may take on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A server whose mariadb-backup is a shell script.
struct Stage {
    server: ScriptedMysqld,
}

impl Stage {
    /// `body` is what the script does when it is to back up.
    fn new(body: &str) -> Self {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", "method=mariadb-backup\nuser=backup\npassword=\"top # secret\"");
        server.write_outside("stream", stream(&format!("{UUID}:7 0\n"), true));
        let here = server.path("").display().to_string();
        let script = format!(
            "#!/bin/sh\nHERE={here}\nsay() {{ echo \"[00] 2026-11-27 06:42:17 $1\" >&2; }}\ncase \"$*\" in *--version*) \
             echo 'mariadb-backup based on MariaDB server 10.11.4-MariaDB debian-linux-gnu (x86_64)'; exit 0;; esac\n\
             echo $$ > \"$HERE/pid\"; echo \"$*\" > \"$HERE/arguments\"; env > \"$HERE/environment\"\n\
             cat /proc/self/fd/0 > \"$HERE/options\"; ls -lL /proc/self/fd/0 > \"$HERE/mode\"\n{body}\n"
        );
        let program = server.write_outside("bin/mariadb-backup", script);
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { server }
    }

    fn asks(&self) -> Ask<'_> {
        let path = format!("{}:/usr/bin:/bin", self.server.path("bin").display());
        self.server.asks().env("PATH", Some(&path)).env("WSREP_SST_OPT_AUTH", Some("someone:hidden"))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.server.path(name)).unwrap_or_default()
    }

    fn child(&self) -> PathBuf {
        let pid = || self.read("pid").trim().parse::<u32>().ok();
        assert!(wait_until(LONG, || pid().is_some()), "the script was not started");
        PathBuf::from(format!("/proc/{}", pid().unwrap()))
    }
}

/// An xbstream with three files; the last one may be missing.
fn stream(galera_info: &str, is_whole: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    let files: [(&str, &[u8]); 4] = [
        ("ibdata1", &[0; 15_000]),
        ("xtrabackup_galera_info", galera_info.as_bytes()),
        ("xtrabackup_binlog_info", b"binlog.000002\t379\t0-1-3\n"),
        ("xtrabackup_info", b"tool_name = mariadb-backup\n"),
    ];
    for (path, content) in files.into_iter().take(if is_whole { 4 } else { 3 }) {
        let head = |kind: u8| {
            let length = u32::try_from(path.len()).unwrap().to_le_bytes();
            [&b"XBSTCK01\0"[..], &[kind], &length, path.as_bytes()].concat()
        };
        let mut crc = Crc::new();
        crc.update(content);
        let length = (content.len() as u64).to_le_bytes();
        stream.extend(
            [head(b'P'), length.into(), vec![0; 8], crc.sum().to_le_bytes().into(), content.into()].concat(),
        );
        stream.extend(head(b'E'));
    }
    stream
}

#[test]
fn a_backup_is_what_the_program_writes_and_the_server_is_never_frozen() {
    let stage = Stage::new(WORDS);
    let outcome = stage.asks().run();
    outcome.assert_backed_up(&stage.server);
    assert_eq!(outcome.stdout, PASSED, "{}", outcome.stderr);
    let backup = stage.server.backup();
    let manifest = &backup.manifest;
    assert_eq!((&manifest["format"], &manifest["content"]), (&2.into(), &"xbstream".into()));
    assert_eq!((&manifest["method"], &manifest["frozen_ms"]), (&"mariadb-backup".into(), &0.into()));
    assert_eq!((&manifest["gtid"]["seqno"], &manifest["files"]), (&7.into(), &4.into()));
    // What the program tells is not that of the binary log, and nobody answers who could say that.
    let positions = &manifest["mariadb_gtid"];
    assert_eq!((&positions["binlog_pos"], &positions["current_pos"]), (&Value::Null, &"0-1-3".into()));
    let warnings = manifest["warnings"].to_string();
    assert!(
        warnings.contains("the GTID of the binary log's place 'binlog.000002':379 is not known"),
        "{warnings}"
    );
    assert!(manifest["paused_ms"].is_u64() && manifest["server"]["owner"]["uid"].is_u64(), "{manifest:#}");
    let folder = stage.server.attempts().pop().unwrap();
    assert_eq!(names_in(&folder), ["backup.xb.zst", "index.json.zst", "manifest.json", "status.json"]);
    let stored = zstd::decode_all(&fs::read(folder.join("backup.xb.zst")).unwrap()[..]).unwrap();
    assert!(stored == fs::read(stage.server.path("stream")).unwrap(), "the stream is stored as it came");

    // How the program logs in stands neither in its arguments nor in its environment.
    let options = stage.read("options");
    assert!(options.contains("user=\"backup\"\npassword=\"top # secret\"\n"), "{options}");
    let (arguments, environment) = (stage.read("arguments"), stage.read("environment"));
    for secret in ["top", "hidden"] {
        assert!(!arguments.contains(secret) && !environment.contains(secret), "{arguments}\n{environment}");
    }
    assert!(arguments.contains("--stream=xbstream --galera-info"), "{arguments}");
    assert!(stage.read("mode").starts_with("-rw------- "), "{}", stage.read("mode"));
}

#[test]
fn without_its_success_its_last_words_and_a_whole_stream_there_is_no_backup() {
    for (body, message) in [
        (
            "cat \"$HERE/stream\"; say 'completed OK!'; say 'out of luck'; exit 1",
            "has failed (exit status: 1); its last words: ",
        ),
        ("say 'Failed to connect to MariaDB server'; exit 1", "Failed to connect to MariaDB server"),
        ("cat \"$HERE/stream\"; say 'almost'", "without its 'completed OK!'; its last words: almost"),
        (
            "head -c 9000 \"$HERE/stream\"; say 'completed OK!'",
            "is not whole: it is cut off: it ends within the chunk at byte 0",
        ),
        (
            "cat \"$HERE/stream\" | head -c 15300; say 'completed OK!'",
            "the stream of mariadb-backup is not whole",
        ),
        (
            "echo 'this is a text and nothing else'; say 'completed OK!'",
            "is not whole: at byte 0 there is no chunk",
        ),
        (": ; say 'completed OK!'", "is not whole: it is cut off: it holds no file"),
        ("kill -9 $$", "has failed (signal: 9 (SIGKILL))"),
    ] {
        let stage = Stage::new(body);
        let outcome = stage.asks().run();
        assert_eq!(outcome.stdout, "", "{body}");
        outcome.assert_refused(&stage.server, 5, message);
    }
    let stage = Stage::new(WORDS);
    stage.server.write_outside("stream", stream(&format!("{UUID}:7 0\n"), false));
    stage.asks().run().assert_refused(
        &stage.server,
        5,
        "is not whole: xtrabackup_info (mariadb_backup_info) is not in it",
    );
    for (position, status, message) in [
        ("nothing", 5, "mariadb-backup tells 'nothing' as its position"),
        (
            "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:4 0",
            255,
            "the server paused at seqno 4, before the request at 5",
        ),
        ("ffffffff-2f3a-11ef-9a3c-0a1b2c3d4e5f:7 0", 255, "the server paused in the history ffffffff-"),
    ] {
        stage.server.write_outside("stream", stream(position, true));
        fs::remove_dir_all(stage.server.repository()).unwrap();
        stage.asks().run().assert_refused(&stage.server, status, message);
    }
}

#[test]
fn a_program_that_hangs_is_ended_and_none_outlives_the_donor() {
    // Silent before its pause: stall-timeout; in it: freeze-timeout.
    for (body, status, message) in [
        ("exec sleep 100", 5, "has neither written nor said anything for 1 s (stall-timeout), and was ended"),
        (
            "say 'Started BACKUP STAGE BLOCK_DDL'; exec sleep 100",
            110,
            "frozen for 1 s, the limit set by freeze-timeout",
        ),
    ] {
        let stage = Stage::new(body);
        stage.server.configure("wsrep_sst_backup", "stall-timeout=1s\nfreeze-timeout=1s");
        let outcome = stage.asks().run();
        outcome.assert_refused(&stage.server, status, message);
        assert!(!stage.child().exists(), "{body}: it still runs");
    }
    let stage = Stage::new("exec sleep 100");
    let run = stage.asks().start();
    let child = stage.child();
    let asked = run.signal(Signal::SIGTERM);
    run.finish().assert_refused(&stage.server, 4, "stopped by SIGTERM");
    assert!(!child.exists() && asked.elapsed() < LONG / 2, "{:?}", asked.elapsed());

    // Not even a donor that has no time for it leaves it behind.
    let stage = Stage::new("exec sleep 100");
    let run = stage.asks().start();
    let child = stage.child();
    let killed: Instant = run.signal(Signal::SIGKILL);
    let is_gone = || fs::read_to_string(child.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    assert!(wait_until(LONG, is_gone), "it still runs {:?} after the donor was killed", killed.elapsed());
}

#[test]
fn what_it_cannot_do_is_refused_before_anything_is_read() {
    let stage = Stage::new(WORDS);
    stage.server.write("mysql_upgrade_info", "11.4.5-MariaDB");
    let outcome = stage.asks().run();
    outcome.assert_refused(
        &stage.server,
        22,
        "is of MariaDB 10.11 (10.11.4-MariaDB), too old for the files of a server of 11.4",
    );
    assert!(stage.read("arguments").is_empty(), "it was not started");
}
