//! `verify`: what is whole is said to be whole, what is not is named.

#[path = "cli_verify/bad_sectors.rs"]
mod bad_sectors;
#[path = "cli_verify/cut_off.rs"]
mod cut_off;
#[path = "cli_verify/flips.rs"]
mod flips;
#[path = "cli_verify/objects.rs"]
mod objects;
#[path = "../examples/make_fixture/pages.rs"]
#[allow(dead_code, reason = "another user needs the rest")]
mod pages;
#[path = "cli_verify/record.rs"]
mod record;
#[path = "cli_verify/stories.rs"]
mod stories;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::Signal;
use serde_json::json;
use support::ScriptedMysqld;
use support::cli::forge::{Forge, ID};
use support::cli::memory::Memory;
use support::cli::{cli, open_folder};
use support::scratch::ServerUser;
use wsrep_sst_backup::model::Compression;
use wsrep_sst_backup::verify::verify;

#[test]
fn what_is_whole_is_said_to_be_whole() {
    for compression in Compression::ALL {
        let server = ScriptedMysqld::new();
        server.write("db/t.ibd", pages::tablespace(7, 6, false));
        server.configure("wsrep_sst_backup", &format!("compression={compression}"));
        server.asks().run().assert_backed_up(&server);
        let id = server.backup().manifest["id"].as_str().unwrap().to_owned();
        for which in ["latest", &id] {
            // stderr is empty: no bar in a pipe.
            let text = cli("verify").arg(which).on(&server.repository()).run();
            let start = format!("Backup {id} is intact: 14 files, 386 KiB, 6 InnoDB pages in ");
            assert!(text.done().starts_with(&start) && text.stdout.ends_with("s.\n"), "{}", text.stdout);
            assert_eq!(text.stdout.lines().count(), 1);
        }
        let report = cli("verify latest --json --threads 3").on(&server.repository()).run().json();
        let data = server.backup().manifest["data_bytes"].clone();
        assert_eq!(
            report,
            json!({"id": id, "damaged": false, "objects_only": false, "report": {
                "findings": [], "notes": [], "files": 14, "bytes": data, "pages_checked": 6, "pages_skipped": 0,
            }})
        );
    }
}

#[test]
fn pages_that_were_bad_on_the_donor_are_told_as_such() {
    let server = ScriptedMysqld::new();
    let mut bad = pages::tablespace(7, 12, false);
    bad[pages::PAGE + 100] ^= 1;
    server.write("db/bad.ibd", &bad);
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert_eq!(server.backup().manifest["damaged_pages"], 1, "{}", outcome.stderr);
    let answer = cli("verify latest").on(&server.repository()).run();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "DAMAGED  db/bad.ibd: 1 InnoDB page has a wrong checksum (page 1); it was so on the donor, the archive holds \
         what was read there"
    );
    assert!(lines[1].contains(" is DAMAGED: 1 finding; intact: 15 files, "), "{}", answer.stdout);
    assert_eq!((answer.status, answer.stderr.as_str(), lines.len()), (Some(4), "", 2));
    let report = cli("verify latest --json").on(&server.repository()).run();
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(
        (&report["damaged"], &report["report"]["findings"][0]["file"]),
        (&true.into(), &"db/bad.ibd".into())
    );
    let list = cli("list").on(&server.repository()).run();
    assert!(
        list.done().contains("  1 damaged page; DAMAGED: 1 finding of 'verify' on 20"),
        "{}",
        list.stdout
    );

    for page in 2..12 {
        bad[page * pages::PAGE + 100] ^= 1;
    }
    fs::remove_dir_all(server.repository()).unwrap();
    server.write("db/bad.ibd", &bad);
    server.asks().run().assert_backed_up(&server);
    let answer = cli("verify latest").on(&server.repository()).run();
    let what =
        "11 InnoDB pages have a wrong checksum (page 1, 2, 3, 4, 5, 6, 7, 8, ...); they were so on the donor";
    assert!(answer.stdout.starts_with(&format!("DAMAGED  db/bad.ibd: {what}")), "{}", answer.stdout);
}

#[test]
fn what_cannot_be_read_is_no_damage() {
    let user = ServerUser::current();
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    for (object, told) in [("backup.tar.zst", "backup.tar.zst"), ("index.json.zst", "index.json.zst")] {
        let path = backup.join(object);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let answer = cli("verify latest").on(&repository).user(&user, folder.path()).run();
        answer.fails(1, &format!("cannot open '{}': Permission denied (os error 13)", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // A read that fails, and not for the disk.
        let aside = folder.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        for command in ["verify", "restore --to /nonexistent/x"] {
            let place = backup.join(told);
            let message = format!("cannot read '{}': Is a directory (os error 21)", place.display());
            cli(command).arg(ID).on(&repository).run().fails(1, &message);
        }
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o000)).unwrap();
    let answer = cli("verify").arg(ID).on(&repository).user(&user, folder.path()).run();
    answer.fails_with(1, "manifest.json': Permission denied");
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o755)).unwrap();
    cli("verify latest").on(&repository).run().done();
}

#[test]
fn a_bad_sector_is_damage_of_the_object_in_which_it_is() {
    let folder = open_folder();
    let backup = Forge::new(ID).compression(Compression::None).write(folder.path());
    let memory = Memory::read(&backup);
    for (object, bytes) in
        [("index.json.zst", 0), ("index.json.zst", 100), ("backup.tar", 0), ("backup.tar", 30000)]
    {
        let memory = memory.failing(object, bytes);
        let report = verify(&memory.source(), 2, &|_| {}, &AtomicBool::new(false)).unwrap();
        let is_told = |what: &str| what.ends_with(": Input/output error (os error 5)");
        assert!(!report.findings.is_empty(), "{object}, {bytes}");
        assert!(
            report.findings.iter().all(|finding| is_told(&finding.what)),
            "{object}, {bytes}: {report:?}"
        );
        let is_index = report.findings.iter().any(|finding| finding.file == "index.json.zst");
        assert_eq!(is_index, object == "index.json.zst", "{bytes}: {report:?}");
    }
    // Without its index the archive is still read.
    let alone = memory.with("index.json.zst", vec![]).failing("backup.tar", 30000);
    let report = verify(&alone.source(), 2, &|_| {}, &AtomicBool::new(false)).unwrap();
    let files: Vec<&str> = report.findings.iter().map(|finding| finding.file.as_str()).collect();
    assert_eq!(files, ["index.json.zst", "backup.tar"], "{report:?}");
}

#[test]
fn an_interrupted_verification_says_nothing_about_the_backup() {
    let server = ScriptedMysqld::new();
    server.make_slow(12);
    server.asks().run().assert_backed_up(&server);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // It takes ten seconds and more, however slowly the signal comes.
        let mut running = cli("verify latest --limit-rate 1M").on(&server.repository()).start();
        let open_files = format!("/proc/{}/fd", running.pid());
        let is_archive = |file: PathBuf| file.file_name().is_some_and(|name| name == "backup.tar.bz2");
        running.wait_for("reading of the archive", || {
            let open = fs::read_dir(&open_files).into_iter().flatten().flatten();
            open.filter_map(|file| fs::read_link(file.path()).ok()).any(is_archive)
        });
        running.signal(signal);
        running.finish().fails(1, "interrupted: not everything was read, so nothing is known about the rest");
    }
    assert!(!server.attempts()[0].join("verify.json").exists());
}
