//! `prune` in a bucket: uploads that were begun and never completed go, wherever they lie, and no others.

#[path = "storage/server.rs"]
mod server;
mod support;

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use server::{FileServer, KEY_ID, SECRET, settings, storage};
use support::cli::forge::{Forge, ago, status};
use support::cli::{Cli, cli};
use wsrep_sst_backup::storage::Storage;

/// Two days.
const OLD: Duration = Duration::from_secs(48 * 3600);

/// `prune` of what lies below `backups` in the bucket.
fn prune(server: &FileServer, flags: &str) -> Cli {
    cli(&format!("prune --repository s3://bucket/backups --keep-last 9 {flags}"))
        .env("WSREP_SST_BACKUP_S3_ENDPOINT", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
}

/// Begins an upload that nobody ends; the key.
fn upload(server: &FileServer, prefix: &str, name: &str, age: Duration) -> String {
    let storage = storage(prefix, &settings(&server.endpoint()));
    let folder = name.rsplit_once('/').unwrap().0;
    storage.claim(folder).unwrap();
    let mut object = storage.create(name).unwrap();
    object.write_all(&vec![7; (8 << 20) + 1]).unwrap();
    std::mem::forget(object);
    let arrived = || storage.unfinished(folder).unwrap().iter().all(|it| it.bytes == 8 << 20);
    assert!(support::wait_until(Duration::from_secs(20), arrived));
    if storage.objects(folder).unwrap().is_empty() {
        storage.remove_folder(folder).unwrap();
    }
    let key = format!("{prefix}/{name}");
    server.begun.grow_old(&key, age);
    key
}

/// Every file in it was written two days ago.
fn grow_old(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let times = FileTimes::new().set_modified(SystemTime::now() - OLD);
        File::open(entry.path()).unwrap().set_times(times).unwrap();
    }
}

/// A complete backup, and one that has failed.
fn repository(server: &FileServer) -> (String, String) {
    let (complete, failed) = (ago(5), ago(3));
    let root = server.bucket().join("backups");
    let folder = Forge::new(&complete).write(&root);
    fs::write(folder.join(".claim"), "").unwrap();
    let folder = root.join("c").join(&failed);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(".claim"), "").unwrap();
    fs::write(folder.join("status.json"), status(&failed, "failed", Some("no more")).to_string()).unwrap();
    (complete, failed)
}

#[test]
fn uploads_go_when_they_are_a_day_old_wherever_they_lie() {
    let server = FileServer::start();
    let (complete, failed) = repository(&server);
    let (lone, young, late) = (ago(2), ago(0), ago(4));
    let name = |id: &str| format!("c/{id}/backup.tar.zst");
    for id in [&complete, &failed, &lone] {
        upload(&server, "backups", &name(id), OLD);
    }
    let mut stay = vec![
        upload(&server, "backups", &format!("c/{complete}/young"), Duration::from_secs(23 * 3600)),
        upload(&server, "backups", &name(&young), Duration::ZERO),
        upload(&server, "backups", &name(&late), Duration::from_secs(23 * 3600)),
        upload(&server, "backups", "c/no-backup/x", OLD),
        upload(&server, "backups2", &name(&lone), OLD),
        upload(&server, "other/backups", &name(&lone), OLD),
    ];
    stay.sort();
    grow_old(&server.bucket().join("backups/c").join(&complete));
    grow_old(&server.bucket().join("backups/c").join(&failed));
    let before = server.begun.keys();

    let dry = prune(&server, "--dry-run").run();
    let line = |name: &str| {
        let found = dry.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        found.unwrap_or_else(|| panic!("nothing about {name} in:\n{}", dry.done())).to_owned()
    };
    for (name, action, reason) in [
        (format!("{complete}/backup.tar.zst"), "sweep", "unfinished upload, begun at 20"),
        (format!("{complete}/young"), "leave", ": it goes when it is a day old"),
        (failed.clone(), "sweep", "failed: no more"),
        (lone.clone(), "sweep", "nothing but an unfinished upload: its program has died"),
        (young.clone(), "leave", "not complete, and it may still run"),
        (late.clone(), "leave", "not complete, and it may still run"),
    ] {
        let line = line(&name);
        assert!(line.starts_with(action) && line.contains(reason) && line.contains(" 8.00 MiB "), "{line}");
    }
    assert_eq!(dry.stdout.lines().filter(|line| !line.is_empty()).count(), 10, "{}", dry.stdout);
    assert_eq!(server.begun.keys(), before);

    let pruned = prune(&server, "--json").run().json();
    assert_eq!(
        (pruned["outcome"]["leftovers"].as_u64(), &pruned["outcome"]["failed"]),
        (Some(3), &Value::Array(vec![]))
    );
    let leftovers = pruned["clusters"][0]["leftovers"].as_array().unwrap();
    let is_upload = |it: &&Value| it["file"] == "backup.tar.zst" && it["upload"].as_str().unwrap().len() > 9;
    assert_eq!(leftovers.iter().filter(is_upload).count(), 1, "{leftovers:?}");
    assert_eq!(server.begun.keys(), stay);
    let list = storage("backups", &settings(&server.endpoint())).folders("c").unwrap();
    assert_eq!(list, [complete.as_str()]);
    let again = prune(&server, "").run();
    assert!(again.done().ends_with("\nThere is nothing to remove.\n"), "{}", again.stdout);
}

#[test]
fn a_server_that_lists_no_uploads_is_pruned_all_the_same_and_that_is_told_once() {
    let server = FileServer::that_lists_no_uploads();
    let (complete, failed) = repository(&server);
    grow_old(&server.bucket().join("backups/c").join(&failed));
    let answer = prune(&server, "").run();
    assert_eq!(answer.status, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.contains("Removed 0 backups and 1 leftover"), "{}", answer.stdout);
    let warning = answer.stderr.trim_end();
    assert!(warning.contains("HTTP status 501 NotImplemented") && !warning.contains('\n'), "{warning}");
    assert!(
        warning.contains("s3:ListBucketMultipartUploads") && warning.contains("lifecycle rule"),
        "{warning}"
    );
    let list = storage("backups", &settings(&server.endpoint())).folders("c").unwrap();
    assert_eq!(list, [complete.as_str()]);
}
