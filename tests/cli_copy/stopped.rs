//! Copies that do not come to their end, and how fast they go.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Two, ago, contents};
use crate::support::cli::forge::{Forge, adopt_archive, put_object};
use crate::support::cli::{SmallDisk, cli};

/// A backup whose archive takes a while: so many MiB.
fn large(two: &Two, id: &str, mebibytes: usize) {
    let folder = Forge::new(id).write(&two.here());
    fs::write(folder.join("backup.tar.zst"), vec![7; mebibytes << 20]).unwrap();
    adopt_archive(&folder);
}

/// Bytes of temporary files in the folder of a copy.
fn on_the_way(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    hidden.map(|entry| entry.metadata().map_or(0, |data| data.len())).sum()
}

#[test]
fn one_that_is_stopped_leaves_nothing_and_one_that_is_killed_no_backup() {
    let id = ago(1);
    let two = Two::new(&[]);
    large(&two, &id, 500);
    let folder = two.there().join("c").join(&id);
    let midway = || {
        let mut running = two.copy("latest").start();
        running.wait_for("the middle of the archive", || on_the_way(&folder) > 4 << 20);
        running
    };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let running = midway();
        running.signal(signal);
        let place = two.there();
        running
            .finish()
            .fails(1, &format!("interrupted: nothing of backup '{id}' is left in '{}'", place.display()));
        assert_eq!(contents(&place), [("c".into(), vec![])]);
    }
    let running = midway();
    running.signal(Signal::SIGKILL);
    let killed = running.finish();
    assert_eq!(killed.status, None);
    assert!(on_the_way(&folder) > 0 && !folder.join("manifest.json").exists());
    let list = cli("list").on(&two.there()).run();
    assert!(
        list.done().contains("There are no backups") && list.stdout.contains("publishing, last heard of"),
        "{}",
        list.stdout
    );
    two.copy("latest").run().fails_with(1, "where that program was killed, try again in a minute");
    assert!(killed.peak_kib < 64 << 10, "{} KiB", killed.peak_kib);

    // Two minutes later.
    let past = (Timestamp::now() - SignedDuration::from_mins(2)).to_string();
    let path = folder.join("status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(status["state"], "publishing");
    status["updated"] = json!(past);
    fs::write(&path, status.to_string()).unwrap();
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let touched = Command::new("touch").args(["-d", &past]).arg(entry.path()).status();
        assert!(touched.unwrap().success());
    }
    two.copy("latest").run().done();
    assert_eq!(two.copied(), std::slice::from_ref(&id));
    // What is left of the killed one is for 'prune', a day later.
    let plan = cli("prune --dry-run --keep-last 1").on(&two.there()).run();
    assert!(plan.done().contains("temporary file, last written at"), "{}", plan.stdout);
}

#[test]
fn no_more_bytes_a_second_are_copied_than_the_limit_allows() {
    let two = Two::new(&[]);
    large(&two, &ago(1), 2);
    let begun = std::time::Instant::now();
    two.copy("latest --limit-rate 1M").run().done();
    assert!(begun.elapsed().as_millis() >= 2000, "{:?}", begun.elapsed());
    assert_eq!(contents(&two.there()), contents(&two.here()));
}

#[test]
fn a_repository_that_is_full_is_left_as_it_was() {
    let (id, small) = (ago(1), ago(2));
    let two = Two::new(std::slice::from_ref(&small));
    large(&two, &id, 20);
    let disk = SmallDisk::mount(&two.there(), 12);
    two.copy("latest").run().fails_with(1, "MiB there; nothing was written");
    assert_eq!(contents(&two.there()), []);
    // The same would meet all others.
    let all = two.copy("--all").run();
    assert_eq!(all.status, Some(1));
    assert!(all.stdout.ends_with("0 there already, 1 FAILED, 1 not tried.\n"), "{}", all.stdout);
    two.copy(&small).run().done();
    drop(disk);

    // One that is full although it has bytes left: of its seven files the root and three folders are four.
    let _disk = SmallDisk::mount(&two.there(), 64);
    put_object(&two.there(), "other/x", "");
    let limit = Command::new("mount").args(["-o", "remount,nr_inodes=7"]).arg(two.there()).status().unwrap();
    assert!(limit.success());
    two.copy("latest").run().fails_with(1, "No space left on device");
    assert_eq!(contents(&two.there()).len(), 3, "{:?}", contents(&two.there()));
}
