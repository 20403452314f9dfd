//! Whatever goes wrong: the server is thawed, the reason is told, nothing is left that looks like a backup.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::ScriptedMysqld;
use support::scratch::ServerUser;
use support::scripted_mysqld::{ASKED, Ask, Outcome, PAUSED, Reply, UUID, names_in};

/// Asked, and released.
const ASKED_AND_RELEASED: &str = "flush tables\ncontinue\n";
/// Released "at once": the watching thread looks every 20 ms, the machine may be busy.
const AT_ONCE: Duration = Duration::from_millis(700);

/// Two lines of the freeze, each once and in this order, and no `done`; progress may stand between them.
fn assert_released(outcome: &Outcome) {
    let lines = outcome.stdout.lines();
    let said: Vec<&str> =
        lines.filter(|line| !line.starts_with("total ") && !line.starts_with("complete ")).collect();
    assert_eq!(said, ["flush tables", "continue"], "{}", outcome.stderr);
}

#[test]
fn a_position_that_cannot_be_right_is_refused() {
    for (position, message) in [
        (format!("{UUID}:-1 0"), "the provider was not paused"),
        (format!("{UUID}:4 0"), "the server paused at seqno 4, before the request at 5"),
        ("ffffffff-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0".to_owned(), "the server paused in the history ffffffff-"),
        ("00000000-0000-0000-0000-000000000000:6 0".to_owned(), "the provider was not paused"),
    ] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().reply(Reply::once(&position)).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED, "{position}");
        outcome.assert_refused(&server, 255, message);
    }
}

#[test]
fn a_flush_that_fails_is_told() {
    for wait in [0, 300] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().reply(Reply::error().after(Duration::from_millis(wait))).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
        outcome.assert_refused(&server, 255, "mysqld could not flush its tables");
    }
}

#[test]
fn a_flush_that_does_not_end_is_given_up_in_time() {
    let part = format!("{UUID}:6");
    for reply in [Reply::never(), Reply::growing(&[&part]), Reply::growing(&["x:y z\n"])] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", "flush-timeout=1s");
        let outcome = server.asks().reply(reply).run();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
        outcome.assert_refused(&server, 110, "mysqld did not flush its tables within 1 s (flush-timeout)");
        let waited = outcome.at("continue") - outcome.at("flush tables");
        assert!((1000..3000).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[test]
fn what_is_no_transfer_is_refused_without_a_word_to_mysqld() {
    let datadir = "--datadir 'DATADIR'";
    for (form, message) in [
        (format!("--role 'joiner' --address '' {datadir}"), "Unsupported role: 'joiner'"),
        (format!("--role 'arbitrator' {datadir} --gtid '{ASKED}'"), "Unrecognized role: 'arbitrator'"),
        (format!("--role '' {datadir} --gtid '{ASKED}'"), "Unrecognized role: ''"),
        (format!("--role 'donor' {datadir}"), "mysqld did not pass --gtid"),
        (format!("--role 'donor' --gtid '{ASKED}'"), "mysqld did not pass --datadir"),
        (format!("--role 'donor' {datadir} --gtid"), "the option --gtid came without a value"),
        (format!("--role 'donor' {datadir} --gtid 'x:1'"), "'x:1' is not a Galera position"),
        (format!("--role 'donor' {datadir} --gtid '{UUID}:-1'"), "has no position"),
    ] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().form(&form).run();
        assert_eq!(outcome.stdout, "", "{form}");
        outcome.assert_refused_early(22, message);
        assert!(!server.repository().exists(), "{form}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_file_and_line() {
    for (line, message) in [
        ("repositroy=/x", "line 8: unknown option 'repositroy'; did you mean 'repository'?"),
        ("compression=lzma", "line 8: compression: 'lzma' is not one of"),
        ("compression-level=99", "line 8: compression-level: 99 is not a level of zstd"),
        ("repository=backups", "line 8: repository: 'backups' is not an absolute path"),
        ("flush-timeout=soon", "line 8: flush-timeout: 'soon' is not a duration"),
        ("threads=0", "line 8: threads: '0' is not a whole number from 1 to 256"),
        ("binlogs=some", "line 8: binlogs: 'some' is not one of newest, all, none"),
        ("method=precopy", "line 8: method: method 'precopy' is not in this version"),
    ] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", line);
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "", "{line}");
        outcome.assert_refused_early(22, message);
        assert!(outcome.stderr.contains(&format!("{} line 8", server.cnf().display())), "{}", outcome.stderr);
        assert!(!server.repository().exists(), "{line}");
    }
    let server = ScriptedMysqld::new();
    let outcome = server.asks().env("WSREP_SST_BACKUP_TREADS", Some("1")).run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(22, "WSREP_SST_BACKUP_TREADS: unknown variable");
    fs::remove_file(server.cnf()).unwrap();
    server.asks().run().assert_refused_early(22, "which --defaults-file names");
}

#[test]
fn a_wrong_data_directory_is_refused_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    let missing = server.path("missing");
    let form =
        format!("--role 'donor' --datadir '{}' --defaults-file 'CNF' --gtid '{ASKED}'", missing.display());
    let outcome = server.asks().form(&form).run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(22, &format!("the data directory '{}' cannot be read", missing.display()));
    fs::remove_file(server.datadir().join("ibdata1")).unwrap();
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(22, "holds no InnoDB system tablespace");
    assert!(!server.repository().exists());
}

#[test]
fn myrocks_is_refused_before_the_freeze_unless_it_is_allowed() {
    let server = ScriptedMysqld::new();
    server.write("#rocksdb/000010.sst", "sorted strings");
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 22, "#rocksdb' holds MyRocks tables");
    fs::remove_dir_all(server.repository()).unwrap();
    server.configure("wsrep_sst_backup", "allow-rocksdb");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    assert!(!backup.members().iter().any(|path| path.contains("rocksdb")));
    let warnings = backup.manifest["warnings"].to_string();
    assert!(warnings.contains("MyRocks tables are not in this backup"), "{warnings}");
}

#[test]
fn a_signal_before_the_freeze_leaves_the_server_alone() {
    let server = ScriptedMysqld::new();
    // A server that takes the connection and does not answer holds the program where it looks for the files.
    let _silent = UnixListener::bind(server.socket()).unwrap();
    let run = server.asks().start();
    std::thread::sleep(Duration::from_millis(500));
    run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_signal_while_the_server_flushes_releases_it() {
    for (signal, name) in
        [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT"), (Signal::SIGHUP, "SIGHUP")]
    {
        let server = ScriptedMysqld::new();
        let run = server.asks().reply(Reply::never()).start();
        run.wait_for("flush tables");
        std::thread::sleep(Duration::from_millis(50));
        let sent = run.signal(signal);
        let released = run.wait_for("continue").at - sent;
        assert!(released < AT_ONCE, "{released:?}");
        let outcome = run.finish();
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

#[test]
fn a_signal_while_files_are_copied_releases_the_server() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        let server = ScriptedMysqld::new();
        server.make_slow(30);
        let run = server.asks().progress().start();
        run.wait_for("total ");
        std::thread::sleep(Duration::from_millis(300));
        let sent = run.signal(signal);
        let released = run.wait_for("continue").at - sent;
        assert!(released < AT_ONCE, "{released:?}");
        let outcome = run.finish();
        let ended = sent.elapsed();
        assert!(ended < Duration::from_secs(2), "it went on for {ended:?}");
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

#[test]
fn a_signal_behind_the_freeze_ends_the_backup() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGHUP, "SIGHUP")] {
        let server = ScriptedMysqld::new();
        server.make_slow(20);
        let run = server.asks().start();
        run.wait_for("continue");
        run.signal(signal);
        let outcome = run.finish();
        assert_released(&outcome);
        outcome.assert_refused(&server, 4, &format!("stopped by {name}"));
    }
}

#[test]
fn a_program_that_is_killed_leaves_no_backup() {
    let server = ScriptedMysqld::new();
    server.make_slow(30);
    let run = server.asks().progress().start();
    run.wait_for("total ");
    std::thread::sleep(Duration::from_millis(300));
    run.signal(Signal::SIGKILL);
    let outcome = run.finish();
    assert_eq!((outcome.code, outcome.manifest_at_done), (None, None));
    let left = names_in(&server.attempts()[0]);
    assert!(left.iter().all(|name| name == "status.json" || name.starts_with('.')), "{left:?}");
    // The next transfer is not disturbed by what is left.
    fs::remove_file(server.datadir().join("db/noise.MYD")).unwrap();
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
}

#[test]
fn a_freeze_ends_at_its_limit() {
    let server = ScriptedMysqld::new();
    server.make_slow(30);
    server.configure("wsrep_sst_backup", "freeze-timeout=1s");
    let outcome = server.asks().run();
    assert_released(&outcome);
    outcome.assert_refused(&server, 110, "frozen for 1 s, the limit set by freeze-timeout");
    let frozen = outcome.at("continue") - outcome.at("flush tables");
    assert!(frozen >= Duration::from_secs(1) && frozen < Duration::from_secs(1) + AT_ONCE, "{frozen:?}");
}

#[test]
fn a_disk_that_hangs_does_not_keep_the_node_a_donor() {
    let server = ScriptedMysqld::new();
    server.make_slow(10);
    let hanging = server.write("db/z.MYD", "data");
    let run = server.asks().progress().start();
    run.wait_for("total ");
    // A pipe that nobody writes to: open(2) does not return, as on a dead disk.
    fs::remove_file(&hanging).unwrap();
    assert!(Command::new("mkfifo").arg(&hanging).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!run.has_said("continue"), "it does not hang");
    let sent = run.signal(Signal::SIGTERM);
    let released = run.wait_for("continue").at - sent;
    assert!(released < AT_ONCE, "{released:?}");
    let outcome = run.finish();
    assert_released(&outcome);
    assert!(sent.elapsed() < Duration::from_secs(13), "{:?}", sent.elapsed());
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(
        outcome.messages("ERROR")[0].starts_with("stopped by SIGTERM, and a disk or the repository hangs")
    );
    assert_eq!(
        names_in(&server.datadir()).iter().filter(|name| name.starts_with("tables_flushed")).count(),
        0
    );
    assert!(!server.attempts()[0].join("manifest.json").exists());
}

/// The program ends soon after its server, without a backup.
fn assert_ends_with_mysqld(server: &ScriptedMysqld, asks: Ask<'_>, copying: bool) {
    let asks = asks.progress();
    let run = if copying { asks.start() } else { asks.reply(Reply::never()).start() };
    run.wait_for(if copying { "total " } else { "flush tables" });
    std::thread::sleep(Duration::from_millis(200));
    let mysqld = run.pid();
    let killed = run.signal(Signal::SIGKILL);
    let outcome = run.finish();
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    outcome.assert_refused(server, 32, &format!("mysqld (pid {mysqld}) has gone away"));
}

#[test]
fn the_program_ends_with_its_server() {
    for copying in [false, true] {
        let server = ScriptedMysqld::new();
        server.make_slow(40);
        assert_ends_with_mysqld(&server, server.asks().under(Path::new("timeout")), copying);
    }
}

#[test]
fn a_server_that_hides_its_directory_is_watched_too() {
    // mysqld started by root with --user=mysql: the kernel hides /proc/PID/cwd from mysql's other processes. So it
    // does for a program that mysql may run and not read.
    let server = ScriptedMysqld::new();
    server.make_slow(40);
    let asks = server.asks().as_user(&ServerUser::current());
    let which = Command::new("sh").args(["-c", "command -v timeout"]).output().unwrap();
    let hidden = server.path("hidden");
    fs::copy(String::from_utf8(which.stdout).unwrap().trim(), &hidden).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o711)).unwrap();
    assert_ends_with_mysqld(&server, asks.under(&hidden), true);
}

#[test]
fn a_repository_that_cannot_be_is_refused_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    let file = server.write_outside("file", "");
    for (repository, message) in [
        (server.path("no/such/place"), "No such file or directory"),
        (file.clone(), "cannot create"),
        (file.join("below"), "Not a directory"),
    ] {
        server.configure("wsrep_sst_backup", &format!("repository={}", repository.display()));
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "");
        outcome.assert_refused_early(5, message);
        assert!(
            outcome.messages("ERROR")[0].contains(file.parent().unwrap().to_str().unwrap()),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn what_mysqlds_user_may_not_do_is_told() {
    let user = ServerUser::current();
    let server = ScriptedMysqld::new();
    let asks = server.asks().as_user(&user);
    let foreign = server.path("foreign");
    fs::create_dir(&foreign).unwrap();
    server.configure("wsrep_sst_backup", &format!("repository={}", foreign.display()));
    let outcome = asks.run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(
        5,
        &format!("cannot create '{}/scripted': Permission denied", foreign.display()),
    );

    let server = ScriptedMysqld::new();
    let asks = server.asks().as_user(&user);
    let secret = server.write("db/unreadable.ibd", vec![0; 65536]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = asks.run();
    assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
    outcome.assert_refused(&server, 5, &format!("cannot read '{}': Permission denied", secret.display()));
}

/// A file system of this many MiB, taken away again when the test ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mebibytes: usize) -> Self {
        fs::create_dir(&at).unwrap();
        let size = format!("size={mebibytes}m");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status().unwrap();
        assert!(status.success(), "cannot mount a tmpfs: this test needs root");
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_repository_releases_the_server_and_is_cleaned_up() {
    for compression in ["none", "zstd"] {
        let server = ScriptedMysqld::new();
        let _disk = SmallDisk::mount(server.repository(), 6);
        server.make_slow(40);
        server.configure("wsrep_sst_backup", &format!("compression={compression}"));
        let outcome = server.asks().run();
        assert_released(&outcome);
        outcome.assert_refused(&server, 28, "No space left on device");
        assert!(outcome.stderr.contains("/backup.tar"), "the object is named: {}", outcome.stderr);
    }
}

#[test]
fn an_object_that_cannot_be_published_takes_the_others_with_it() {
    for obstacle in ["backup.tar.zst", "index.json.zst", "manifest.json"] {
        let server = ScriptedMysqld::new();
        let run = server.asks().reply(Reply::never()).start();
        run.wait_for("flush tables");
        let folder = server.attempts()[0].clone();
        fs::create_dir(folder.join(obstacle)).unwrap();
        run.answer(&Reply::once(PAUSED));
        let outcome = run.finish();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED, "{obstacle}");
        fs::remove_dir(folder.join(obstacle)).unwrap();
        outcome.assert_refused(&server, 5, &format!("{obstacle}': Is a directory"));
    }
}

#[test]
fn a_backup_that_mysqld_does_not_hear_of_is_a_backup() {
    let server = ScriptedMysqld::new();
    let begun = Instant::now();
    let outcome = server.asks().deaf_after("continue").run();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(outcome.code, Some(32), "{}", outcome.stderr);
    let backup = server.backup();
    assert_eq!(names_in(&backup.folder), ["backup.tar.zst", "index.json.zst", "manifest.json"]);
    let errors = outcome.messages("ERROR");
    let id = backup.manifest["id"].as_str().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with(&format!("backup {id} is complete, but mysqld could not be told")),
        "{errors:?}"
    );
}
