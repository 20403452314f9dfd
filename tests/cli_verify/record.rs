//! `verify.json`: what was found stays beside the backup, and nothing depends on it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use wsrep_sst_backup::model::Compression;

use crate::support::cli::forge::{Forge, ID, manifest, put_manifest, put_object};
use crate::support::cli::{cli, open_folder};
use crate::support::scratch::ServerUser;

fn record(backup: &Path) -> Value {
    serde_json::from_slice(&fs::read(backup.join("verify.json")).unwrap()).unwrap()
}

#[test]
fn what_was_found_is_left_beside_the_backup_and_told() {
    let folder = open_folder();
    let backup = Forge::new(ID).compression(Compression::None).write(folder.path());
    let begun = Timestamp::now();
    let answer = cli("verify latest --json").on(folder.path()).run().json();
    let intact = record(&backup);
    let at: Timestamp = intact["verified"].as_str().unwrap().parse().unwrap();
    assert!(at >= begun && at <= Timestamp::now(), "{intact}");
    let by = intact["by"].as_str().unwrap().to_owned();
    assert!(by.contains('@'), "{by}");
    let report = &answer["report"];
    assert_eq!(
        intact,
        json!({
            "verified": intact["verified"], "by": by, "command": "verify", "outcome": "intact", "findings": 0,
            "first_finding": null, "files": report["files"], "bytes": report["bytes"],
            "pages_checked": report["pages_checked"], "pages_skipped": report["pages_skipped"],
            "took_ms": intact["took_ms"], "tool": {"version": env!("CARGO_PKG_VERSION")},
        })
    );
    assert!(intact["files"].as_u64().unwrap() > 0 && intact["took_ms"].is_u64(), "{intact}");
    let day = at.strftime("%Y-%m-%d");
    let list = |line: &str| cli(line).on(folder.path()).run();
    assert!(list("list").done().ends_with(&format!("  verified {day}\n")), "{}", list("list").stdout);
    assert_eq!(list("list --json").json()["backups"][0]["verified"], intact);
    assert_eq!(list("show latest --json").json()["verified"], intact);
    let time = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let shown = format!("\nVerified          {time} by {by}: intact\n");
    assert!(list("show latest").done().contains(&shown), "{}", list("show latest").stdout);

    // A bit flips, and the newer outcome takes the place of the older one.
    let mut archive = fs::read(backup.join("backup.tar")).unwrap();
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    fs::write(backup.join("backup.tar"), archive).unwrap();
    let answer = cli("verify latest").on(folder.path()).run();
    assert_eq!(answer.status, Some(4), "{}", answer.stderr);
    let damaged = record(&backup);
    let count = answer.stdout.lines().filter(|line| line.starts_with("DAMAGED  ")).count();
    assert_eq!((&damaged["outcome"], &damaged["findings"]), (&"damaged".into(), &count.into()));
    let first = damaged["first_finding"].as_str().unwrap();
    assert_eq!(answer.stdout.lines().next(), Some(&*format!("DAMAGED  {first}")));
    assert!(list("list").done().contains(&format!("  DAMAGED: {count} finding")), "{}", list("list").stdout);
    let shown = list("show latest");
    assert!(shown.status == Some(4) && shown.stdout.contains(&format!(": {first}\n")), "{}", shown.stdout);
    // And the other way round: the record is information, the archive decides.
    put_object(folder.path(), &format!("c/{ID}/verify.json"), "garbage");
    assert!(list("list").done().contains("  its verify.json cannot be read: expected value"));
    assert_eq!(list("verify latest").status, Some(4));
    assert_eq!(record(&backup)["outcome"], "damaged");
}

#[test]
fn without_a_record_or_without_a_whole_look_there_is_none() {
    let folder = open_folder();
    let backup = Forge::new(ID).write(folder.path());
    cli("verify latest --no-record").on(folder.path()).run().done();
    assert!(!backup.join("verify.json").exists());
    // What cannot be read says nothing about the backup.
    let archive = backup.join("backup.tar.zst");
    fs::rename(&archive, backup.join("aside")).unwrap();
    fs::create_dir(&archive).unwrap();
    assert_eq!(cli("verify latest").on(folder.path()).run().status, Some(1));
    assert!(!backup.join("verify.json").exists());
}

#[test]
fn a_repository_that_takes_nothing_gets_a_warning_and_changes_no_outcome() {
    let user = ServerUser::current();
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o555)).unwrap();
    let answer = cli("verify latest").on(&repository).user(&user, folder.path()).run();
    assert!(answer.stdout.starts_with(&format!("Backup {ID} is intact: ")), "{}", answer.stdout);
    assert_eq!(answer.status, Some(0));
    let warning = "warning: the outcome is not recorded in the repository: cannot create '";
    let told: Vec<&str> = answer.stderr.lines().collect();
    assert!(
        matches!(told[..], [one] if one.starts_with(warning) && one.ends_with("(--no-record does without)")),
        "{told:?}"
    );
    cli("verify latest --no-record").on(&repository).user(&user, folder.path()).run().done();
}

#[test]
fn the_donor_can_read_and_replace_what_an_administrator_has_left() {
    let user = ServerUser::current();
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    user.own_tree(&repository);
    cli("verify latest").on(&repository).run().done();
    let file = fs::metadata(backup.join("verify.json")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (user.uid, user.gid, 0o640));
    cli("hold latest").on(&repository).run().done();
    assert_eq!(fs::metadata(backup.join("hold.json")).unwrap().uid(), user.uid);
    cli("verify latest").on(&repository).user(&user, folder.path()).run().done();
}

#[test]
fn it_goes_with_its_backup() {
    let folder = open_folder();
    let backup = Forge::new("20200101T000000Z_n1").write(folder.path());
    put_manifest(folder.path(), "c", &manifest("20200102T000000Z_n1"));
    cli("verify 20200101T000000Z_n1").on(folder.path()).run().done();
    assert!(backup.join("verify.json").exists());
    cli("prune --keep-last 1").on(folder.path()).run().done();
    assert!(!backup.exists());
}
