//! Files that change under the copy, and several donors at once.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::support::scripted_mysqld::{Backup, Run, names_in, shell};
use crate::support::{PATIENCE, ScriptedMysqld, wait_until};

/// Something that is done to a file.
type Act<'a> = &'a dyn Fn(&Path);

/// Bytes that take half a second.
const NOISE: usize = 2 << 20;

/// A server that takes a while to read a file of noise, which is none of its own; what sorts before `mm` is read by then.
fn slow_server() -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "limit-rate=4M");
    server.write("mm/noise.txt", vec![b'n'; NOISE]);
    server
}

fn noise(server: &ScriptedMysqld) -> PathBuf {
    server.datadir().join("mm/noise.txt")
}

/// Waits until the program has the noise open.
fn wait_reading(server: &ScriptedMysqld, run: &Run) {
    let noise = noise(server);
    let is_open = || run.descriptors().iter().any(|(_, target)| Path::new(target) == noise);
    assert!(wait_until(PATIENCE, is_open), "'{}' is not read", noise.display());
}

#[test]
fn logs_the_redo_log_and_other_peoples_files_may_change_under_the_freeze() {
    let server = slow_server();
    let log = server.write("mysql/general_log.CSV", vec![b'g'; 100_000]);
    let shrinking = server.write("mysql/slow_log.CSV", vec![b's'; 3_000_000]);
    let vanishing = server.write("zz/vanishing.txt", "soon gone");
    let redo = server.datadir().join("ib_logfile0");
    let run = server.asks().start();
    wait_reading(&server, &run);
    for (file, bytes) in [(&log, 30), (&noise(&server), 700), (&redo, 512)] {
        File::options().append(true).open(file).unwrap().write_all(&vec![b'x'; bytes]).unwrap();
    }
    File::options().write(true).open(&shrinking).unwrap().set_len(10).unwrap();
    fs::remove_file(&vanishing).unwrap();
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    assert_eq!(fs::read(unpacked.join("mysql/general_log.CSV")).unwrap(), fs::read(&log).unwrap());
    assert_eq!(fs::read(unpacked.join("mysql/slow_log.CSV")).unwrap(), b"ssssssssss");
    assert!(fs::read(unpacked.join("mm/noise.txt")).unwrap() == fs::read(noise(&server)).unwrap()[..NOISE]);
    assert!(!unpacked.join("zz/vanishing.txt").exists());
    assert_eq!(backup.member("mm/noise.txt").unwrap()["changed"], true);
    assert!(backup.member("db/t.ibd").unwrap()["changed"].is_null());
    let warnings = backup.manifest["warnings"].to_string();
    assert!(warnings.contains("1 files vanished"), "{warnings}");
    assert!(warnings.contains("'mm/noise.txt' changed while it was read"), "{warnings}");
    assert!(!warnings.contains("_log") && !warnings.contains("ib_logfile0"), "{warnings}");
}

#[test]
fn data_that_changes_under_the_freeze_fails_the_backup() {
    let grow = |path: &Path| File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    let shrink = |path: &Path| File::options().write(true).open(path).unwrap().set_len(16384).unwrap();
    let write = |path: &Path| {
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(b"a page", 8).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let acts: [(Act<'_>, &str); 4] = [
        (&grow, "has grown"),
        (&shrink, "has become shorter"),
        (&write, "was written to"),
        (&remove, "has vanished"),
    ];
    for (act, how) in acts {
        // What was read before and what will be read later; files of tables, of InnoDB, of Aria, and the binary log.
        for name in ["aa/early.ibd", "zz/late.MYD", "undo001", "aria_log_control", "binlog.000007"] {
            if how != "was written to" && !name.contains('/') {
                continue;
            }
            let server = slow_server();
            server.configure("mysqld", "log_bin=binlog");
            server.write("binlog.index", "./binlog.000007\n");
            for name in ["aa/early.ibd", "zz/late.MYD", "binlog.000007"] {
                server.write(name, vec![0; 65536]);
            }
            let path = server.datadir().join(name);
            let run = server.asks().options("--binlog 'binlog'").start();
            wait_reading(&server, &run);
            act(&path);
            let outcome = run.finish();
            assert_eq!(outcome.stdout, "flush tables\ncontinue\n", "{name} {how}");
            outcome.assert_refused(
                &server,
                5,
                &format!("'{}' {how} while the server was frozen", path.display()),
            );
        }
    }
}

#[test]
fn donors_that_write_at_the_same_time_do_not_disturb_each_other() {
    let home = ScriptedMysqld::new();
    let servers: Vec<ScriptedMysqld> =
        ["n1", "n2", "same", "same", "same"].iter().map(|name| ScriptedMysqld::new().named(name)).collect();
    let runs: Vec<_> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| {
            server.write("db/own.MYD", format!("data of {number}"));
            server.make_slow(4);
            server.configure("wsrep_sst_backup", &format!("repository={}", home.repository().display()));
            server.asks().address(&format!("req-{number}")).start()
        })
        .collect();
    for (run, number) in runs.into_iter().zip(0..) {
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{number}: {}", outcome.stderr);
    }
    let folders = home.attempts();
    assert_eq!(folders.len(), 5, "{folders:?}");
    let mut seen = Vec::new();
    for folder in &folders {
        assert_eq!(names_in(folder), ["backup.tar.bz2", "index.json.zst", "manifest.json", "status.json"]);
        let backup = Backup::open(folder);
        assert_eq!(backup.manifest["id"], folder.file_name().unwrap().to_str().unwrap());
        let request = backup.manifest["request"].as_str().unwrap().to_owned();
        let unpacked = backup.unpack(&home.path(&request));
        let own = fs::read_to_string(unpacked.join("db/own.MYD")).unwrap();
        assert_eq!(
            Some(own.as_str()),
            request.strip_prefix("req-").map(|number| format!("data of {number}")).as_deref()
        );
        seen.push(backup.manifest["node"].as_str().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["n1", "n2", "same", "same", "same"]);
}

/// A redo log of MariaDB 10.8 and later with nothing to recover: one checkpoint at its beginning, and so many bytes.
fn idle_redo(path: &Path, bytes: u64) {
    const HEAD: usize = 12_288;
    let mut head = vec![0; HEAD];
    let seal = |block: &mut [u8]| {
        let end = block.len() - 4;
        let sum = crc32c::crc32c(&block[..end]).to_be_bytes();
        block[end..].copy_from_slice(&sum);
    };
    let lsn = (HEAD as u64).to_be_bytes();
    head[..4].copy_from_slice(&0x5068_7973_u32.to_be_bytes());
    head[8..16].copy_from_slice(&lsn);
    seal(&mut head[..512]);
    head[4096..4104].copy_from_slice(&lsn);
    head[4104..4112].copy_from_slice(&lsn);
    seal(&mut head[4096..4160]);
    // The record of the checkpoint, the bit of the first round, and the checksum.
    let record = [&[0xfa, 0, 0][..], &lsn].concat();
    let sum = crc32c::crc32c(&record).to_be_bytes();
    let file = File::create(path).unwrap();
    file.set_len(bytes).unwrap();
    file.write_all_at(&head, 0).unwrap();
    file.write_all_at(&[&record[..], &[1], &sum].concat(), HEAD as u64).unwrap();
}

#[test]
fn the_hole_of_a_redo_log_keeps_no_server_waiting() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "method=freeze");
    let log = server.datadir().join("ib_logfile0");
    idle_redo(&log, 2 << 30);
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let member = backup.member("ib_logfile0").unwrap();
    assert_eq!((member["size"].as_u64(), member["stored"].as_u64()), (Some(2 << 30), Some(16 << 10)));
    // What it is to a reader, zeros and all.
    let sum = String::from_utf8(shell(&server.datadir(), "sha256sum ib_logfile0")).unwrap();
    assert_eq!(member["sha256"].as_str(), sum.split(' ').next());
    let frozen = u128::from(backup.manifest["frozen_ms"].as_u64().unwrap());
    assert!(frozen * 3 < outcome.took.as_millis(), "{frozen} ms of {:?}", outcome.took);
}
