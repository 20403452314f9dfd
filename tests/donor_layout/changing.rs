//! Files that change under the copy, and several donors at once.

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::{Backup, names_in};

#[test]
fn files_that_change_while_they_are_read_break_nothing() {
    let server = ScriptedMysqld::new();
    // Three seconds of other data first, so that all of this happens between the listing and the copy.
    server.make_slow(20);
    let log = server.write("mysql/general_log.CSV", vec![b'g'; 100_000]);
    let shrinking = server.write("mysql/slow_log.CSV", vec![b's'; 3_000_000]);
    let vanishing = server.write("zz/vanishing.MYD", "soon gone");
    server.write("zz/staying.MYD", "stays");
    let run = server.asks().progress().start();
    run.wait_for("total ");
    // Shrinks and grows while it is open is played below; here before it is opened.
    File::options().append(true).open(&log).unwrap().write_all(b"one line more").unwrap();
    File::options().write(true).open(&shrinking).unwrap().set_len(10).unwrap();
    fs::remove_file(&vanishing).unwrap();
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    assert_eq!(fs::read(unpacked.join("mysql/general_log.CSV")).unwrap(), fs::read(&log).unwrap());
    assert_eq!(fs::read(unpacked.join("mysql/slow_log.CSV")).unwrap(), b"ssssssssss");
    assert!(!unpacked.join("zz/vanishing.MYD").exists() && unpacked.join("zz/staying.MYD").exists());
    assert!(
        backup.manifest["warnings"].to_string().contains("1 files vanished"),
        "{}",
        backup.manifest["warnings"]
    );
}

#[test]
fn a_file_that_changes_while_it_is_open_is_marked() {
    for grows in [true, false] {
        let server = ScriptedMysqld::new();
        server.make_slow(40);
        let noise = server.datadir().join("db/noise.MYD");
        let before = fs::read(&noise).unwrap();
        let run = server.asks().start();
        run.wait_for("flush tables");
        std::thread::sleep(Duration::from_millis(300));
        let file = File::options().write(true).open(&noise).unwrap();
        file.set_len(if grows { 50 << 20 } else { 39 << 20 }).unwrap();
        let outcome = run.finish();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        let copy = fs::read(backup.unpack(&server.path("unpacked")).join("db/noise.MYD")).unwrap();
        let mut wanted = before;
        if !grows {
            wanted[39 << 20..].fill(0);
        }
        assert!(copy == wanted, "grows: {grows}, {} bytes", copy.len());
        let member = backup.member("db/noise.MYD").unwrap();
        assert_eq!(member["changed"], true, "{member}");
        assert!(backup.member("db/t.ibd").unwrap()["changed"].is_null());
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
