//! `prune`: the plan that is shown, what goes, what stays, and what interruptions leave.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests report by panicking")]

#[path = "cli_prune/histories.rs"]
mod histories;
#[path = "cli_prune/interrupted.rs"]
mod interrupted;
mod support;
#[path = "cli_prune/swapped.rs"]
mod swapped;
#[path = "cli_prune/unknown.rs"]
mod unknown;

use std::fs::{self, File, FileTimes};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::cli::forge::{Forge, edit_manifest, put_object, status};
use support::cli::tree::{assert_same, tree};
use support::cli::{Cli, cli, open_folder};
use support::scratch::ServerUser;

/// The name of a backup that began so many days and one hour ago.
fn ago(days: i64) -> String {
    let at = Timestamp::now() - SignedDuration::from_hours(24 * days + 1);
    format!("{}_n1", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// Backups of these names with files as old as they, and a status each.
fn repository(ids: &[String]) -> tempfile::TempDir {
    let folder = open_folder();
    for id in ids {
        let backup = Forge::new(id).write(folder.path());
        fs::write(backup.join("status.json"), status(id, "done", None).to_string()).unwrap();
        grow_old(&backup);
    }
    folder
}

/// Every file in it was written two days ago, but for the manifest, whose time is to be no earlier than it says.
fn grow_old(folder: &Path) {
    let time = SystemTime::now() - Duration::from_secs(49 * 3600);
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name() != "manifest.json")
    {
        File::open(entry.path()).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    }
}

fn folders(repository: &Path) -> Vec<String> {
    let listing = fs::read_dir(repository.join("c")).unwrap();
    let mut names: Vec<String> =
        listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Action, and first words of the reason, of the lines about an id.
fn line<'a>(table: &'a str, name: &str) -> &'a str {
    let mut lines = table.lines().filter(|line| line.split_whitespace().nth(1) == Some(name));
    let found = lines.next().unwrap_or_else(|| panic!("nothing about {name} in:\n{table}"));
    assert_eq!(lines.next(), None, "{table}");
    found
}

#[test]
fn the_plan_is_shown_first_and_a_dry_run_is_no_more_than_that() {
    let ids: Vec<String> = [9, 5, 1, 0].map(ago).into();
    let folder = repository(&ids);
    let before = tree(folder.path());
    let dry = cli("prune --dry-run --keep-last 2").on(folder.path()).run();
    assert_same(&tree(folder.path()), &before);
    let lines: Vec<&str> = dry.done().lines().collect();
    assert_eq!(lines[0], "Cluster c:");
    assert!(lines[1].starts_with("ACTION  ID                   TAKEN"), "{}", dry.stdout);
    for (nth, (action, reason)) in [
        ("remove", "not among the last 2"),
        ("remove", "not among the last 2"),
        ("keep", "keep-last: number 2"),
        ("keep", "the newest; keep-last: number 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = lines[nth + 2];
        assert!(line.starts_with(&format!("{action:<6}  {}  ", ids[nth])), "{line}");
        assert!(line.contains(" UTC ") && line.contains(" KiB  ") && line.ends_with(reason), "{line}");
    }
    assert_eq!(lines[6..], ["", "A dry run: nothing was removed."]);

    let real = cli("prune --keep-last 2").on(folder.path()).run();
    let shown: Vec<&str> = real.done().lines().collect();
    assert_eq!(shown[..7], lines[..7]);
    assert!(shown[7].starts_with("Removed 2 backups and 0 leftovers: "), "{}", real.stdout);
    assert_eq!(folders(folder.path()), ids[2..]);
    let list = cli("list").on(folder.path()).run();
    assert_eq!(list.done().lines().count(), 3);

    let left = tree(folder.path());
    let again = cli("prune --keep-last 2").on(folder.path()).run();
    assert!(again.done().ends_with("\nThere is nothing to remove.\n"), "{}", again.stdout);
    assert_same(&tree(folder.path()), &left);
}

#[test]
fn without_a_policy_nothing_is_done() {
    let folder = repository(&[ago(1), ago(0)]);
    let before = tree(folder.path());
    for line in ["prune", "prune --dry-run", "prune --json"] {
        cli(line).on(folder.path()).run().fails_with(2, "there is no policy, so nothing is removed");
    }
    assert_same(&tree(folder.path()), &before);
    let place = folder.path().join("empty");
    fs::create_dir(&place).unwrap();
    let none = cli("prune --keep-last 1").on(&place).run();
    assert_eq!(none.done(), format!("There are no backups in '{}'.\n", place.display()));
    for (flag, message) in [
        ("--keep-last 0", "--keep-last: keep-last: '0' is not a whole number from 1 to 100000"),
        ("--keep-within soon", "--keep-within: keep-within: 'soon' is not a duration"),
        ("--keep-within 30", "--keep-within: keep-within: '30' says no unit; write 30d for days"),
    ] {
        cli(&format!("prune {flag}")).on(folder.path()).run().fails_with(2, message);
    }
}

#[test]
fn the_policy_comes_from_the_option_file_and_holds_for_each_cluster() {
    let ids: Vec<String> = [3, 2, 1, 0].map(ago).into();
    let folder = repository(&ids);
    fs::create_dir(folder.path().join("d")).unwrap();
    for id in &ids[..2] {
        fs::rename(folder.path().join("c").join(id), folder.path().join("d").join(id)).unwrap();
        edit_manifest(&folder.path().join("d").join(id), |manifest| manifest["cluster"] = "d".into());
    }
    let cnf = folder.path().join("my.cnf");
    fs::write(&cnf, "[wsrep_sst_backup]\nkeep-daily=1\n").unwrap();
    let with = |line: &str| -> Cli {
        cli(line).own_defaults().on(folder.path()).arg(format!("--defaults-file={}", cnf.display()))
    };
    let plan = with("prune --cluster d --dry-run").run();
    assert!(!plan.done().contains("Cluster c:") && plan.stdout.contains("Cluster d:"), "{}", plan.stdout);
    // On a node of c the policy is not meant for d.
    fs::write(&cnf, "[mysqld]\nwsrep_cluster_name=c\n[wsrep_sst_backup]\nkeep-daily=1\n").unwrap();
    let of_node = with("prune --dry-run").run();
    assert!(
        of_node.done().starts_with("Only cluster 'c' is judged, whose node this is; "),
        "{}",
        of_node.stdout
    );
    assert!(!of_node.stdout.contains("Cluster d:"), "{}", of_node.stdout);
    with("prune").run().done();
    assert!(ids[..2].iter().all(|id| folder.path().join("d").join(id).exists()));
    with("prune --all-clusters").run().done();
    assert_eq!(folders(folder.path()), ids[3..]);
    assert!(
        folder.path().join("d").join(&ids[1]).exists() && !folder.path().join("d").join(&ids[0]).exists()
    );
}

#[test]
fn what_is_in_doubt_stays_and_is_named() {
    let ids: Vec<String> = [20, 19, 18, 17, 16, 1, 0, -2].map(ago).into();
    let folder = repository(&ids);
    let c = folder.path().join("c");
    fs::write(c.join(&ids[1]).join("manifest.json"), "garbage").unwrap();
    fs::write(
        c.join(&ids[2]).join("hold.json"),
        r#"{"held":"2026-01-02T00:00:00Z","by":"root@db1","note":"audit"}"#,
    )
    .unwrap();
    fs::write(c.join(&ids[3]).join("hold.json"), "garbage").unwrap();
    // Dated back: the position is that of the newest, or later.
    edit_manifest(&c.join(&ids[5]), |manifest| manifest["gtid"]["seqno"] = 500.into());
    let plan = cli("prune --keep-last 1").on(folder.path()).run();
    let table = plan.done();
    for (id, action, reason) in [
        (&ids[0], "remove", "not among the last 1"),
        (&ids[1], "keep", "UNUSABLE, so nothing is known of it: the manifest is damaged"),
        (&ids[2], "keep", "held by root@db1 since 2026-01-02: audit"),
        (&ids[3], "keep", "held, as its hold.json cannot be read: expected value"),
        (&ids[4], "keep", "the newest; keep-last: number 1"),
        (&ids[5], "keep", "ITS TIME IS IN DOUBT: by time and by position it stands on different sides of"),
        (&ids[6], "keep", "ITS TIME IS IN DOUBT"),
        (&ids[7], "keep", "FROM THE FUTURE ("),
    ] {
        let line = line(table, id);
        assert!(line.starts_with(action) && line.contains(reason), "{id} {reason}: {line}");
    }
    assert_eq!(folders(folder.path()), ids[1..]);
}

#[test]
fn what_runs_have_left_is_swept_when_nobody_works_on_it() {
    let ids: Vec<String> = [9, 8, 7, 6, 5, 0].map(ago).into();
    let folder = repository(&ids[4..]);
    let c = |name: &str| format!("c/{name}");
    let put = |id: &str, state: &str| {
        let error = (state == "failed").then_some("No space left on device");
        let folder =
            put_object(folder.path(), &c(&format!("{id}/status.json")), status(id, state, error).to_string());
        put_object(&folder, "backup.tar.zst", "half");
        grow_old(&folder);
        folder
    };
    put(&ids[0], "failed");
    put(&ids[1], "copying");
    let running = put(&ids[2], "copying");
    fs::write(running.join(".index.json.zst.77.1.tmp"), "it grows").unwrap();
    let manifestless = put(&ids[3], "done");
    fs::remove_file(manifestless.join("status.json")).unwrap();
    let today = ids[5].replace("_n1", "_n2");
    put(&today, "failed");
    let whole = folder.path().join("c").join(&ids[4]);
    fs::write(whole.join(".backup.tar.zst.4711.0.tmp"), "half").unwrap();
    fs::write(whole.join(".keep"), "not ours").unwrap();
    grow_old(&whole);
    fs::write(whole.join(".status.json.4711.3.tmp"), "new").unwrap();
    fs::write(folder.path().join("c/notes.txt"), "a file").unwrap();
    fs::create_dir(folder.path().join("c/no-id")).unwrap();

    let answer = cli("prune --keep-last 5").on(folder.path()).run();
    let table = answer.done();
    for (name, action, reason) in [
        (ids[0].clone(), "sweep", "failed: No space left on device"),
        (ids[1].clone(), "sweep", "not complete: its program has died"),
        (ids[2].clone(), "leave", "not complete, and it may still run"),
        (ids[3].clone(), "sweep", "no manifest and no status: its program has died"),
        (today.clone(), "leave", "failed: No space left on device; it goes when it is a day old"),
        (format!("{}/.backup.tar.zst.4711.0.tmp", ids[4]), "sweep", "temporary file, last written at 20"),
        (format!("{}/.status.json.4711.3.tmp", ids[4]), "leave", "it goes when it is a day old"),
    ] {
        let line = line(table, &name);
        assert!(line.starts_with(action) && line.contains(reason), "{name} {reason}: {line}");
    }
    assert!(table.contains("\nRemoved 0 backups and 4 leftovers: "), "{table}");
    let mut left =
        vec![ids[2].clone(), ids[4].clone(), ids[5].clone(), today, "no-id".into(), "notes.txt".into()];
    left.sort();
    assert_eq!(folders(folder.path()), left);
    let hidden = [".backup.tar.zst.4711.0.tmp", ".keep", ".status.json.4711.3.tmp"];
    assert_eq!(hidden.map(|name| whole.join(name).exists()), [false, true, true]);
    cli("verify").arg(&ids[4]).on(folder.path()).run().done();
}

#[test]
fn what_is_younger_than_a_run_stays() {
    let ids: Vec<String> = [9, 7, 3, 0].map(ago).into();
    let folder = repository(&ids);
    let run = ago(5);
    let mut told = status(&run, "copying", None);
    told["updated"] = Timestamp::now().to_string().into();
    put_object(folder.path(), &format!("c/{run}/status.json"), told.to_string());
    let answer = cli("prune --keep-last 1").on(folder.path()).run();
    let kept = line(answer.done(), &ids[2]);
    assert!(kept.ends_with(&format!("younger than {run}, which may still run")), "{kept}");
    assert_eq!(folders(folder.path()), [run, ids[2].clone(), ids[3].clone()]);
}

#[test]
fn json_tells_the_same() {
    let ids: Vec<String> = [5, 0].map(ago).into();
    let folder = repository(&ids);
    let dead = ago(3);
    fs::create_dir(folder.path().join("c").join(&dead)).unwrap();
    let bytes = |id: &str| -> u64 {
        let of = |name: &str| fs::metadata(folder.path().join("c").join(id).join(name)).unwrap().len();
        of("backup.tar.zst") + of("index.json.zst")
    };
    let manifest = |id: &str| -> Value {
        let text = fs::read(folder.path().join("c").join(id).join("manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let taken = |id: &str| manifest(id)["frozen_at"].clone();
    let uuid = manifest(&ids[0])["gtid"]["uuid"].clone();
    let mut wanted = json!({
        "dry_run": true,
        "clusters": [{
            "cluster_folder": "c",
            "backups": [
                {"id": ids[0], "taken": taken(&ids[0]), "bytes": bytes(&ids[0]), "action": "remove",
                 "history": uuid, "reasons": ["not among the last 1"]},
                {"id": ids[1], "taken": taken(&ids[1]), "bytes": bytes(&ids[1]), "action": "keep",
                 "history": uuid, "reasons": ["the newest", "keep-last: number 1"]},
            ],
            "leftovers": [
                {"id": dead, "file": null, "upload": null, "bytes": 0, "action": "sweep",
                 "reason": "no manifest and no status: its program has died"},
            ],
            "histories": [{"uuid": uuid, "backups": 2, "newest": ids[1], "taken": taken(&ids[1]), "first": taken(&ids[0])}],
        }],
        "unknown": [],
        "outcome": null,
    });
    let ask = |line: &str| cli(line).on(folder.path()).run().json();
    assert_eq!(ask("prune --dry-run --keep-last 1 --json"), wanted);
    wanted["dry_run"] = false.into();
    wanted["outcome"] = json!({
        "backups": 1, "leftovers": 1, "bytes": bytes(&ids[0]), "spared": [], "failed": [], "stopped": false
    });
    assert_eq!(ask("prune --keep-last 1 --json"), wanted);
    assert_eq!(folders(folder.path()), ids[1..]);
}

#[test]
fn a_reader_whose_backup_is_removed_says_that_and_nothing_of_damage() {
    for line in ["verify", "restore --to"] {
        // Without its manifest, and with it.
        for is_removed in [true, false] {
            let folder = open_folder();
            let id = &ago(0);
            let mut state = 7_u64;
            let noise = (0..3 << 20).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                u8::try_from(state >> 56).unwrap()
            });
            let noise: Vec<u8> = noise.collect();
            Forge::new(id).file("db/large.MYD", noise).write(folder.path());
            let backup = folder.path().join("c").join(id);
            let archive = backup.join("backup.tar.zst");
            let target = folder.path().join("target");
            let mut reader = cli(line);
            if line.starts_with("restore") {
                reader = reader.arg(&target);
            }
            // It would take seconds; in the middle of it the archive ends.
            let mut reader = reader.arg("--limit-rate").arg("256K").arg(id).on(folder.path()).start();
            let open = format!("/proc/{}/fd", reader.pid());
            reader.wait_for("look at the archive", || {
                let open = fs::read_dir(&open).into_iter().flatten().flatten();
                open.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == archive)
            });
            if is_removed {
                fs::remove_file(backup.join("manifest.json")).unwrap();
            }
            File::options().write(true).open(&archive).unwrap().set_len(100).unwrap();
            let answer = reader.finish();
            if is_removed {
                // Before the error, 'restore' tells that the limit makes it slow.
                let told = format!("error: backup '{id}' was removed while it was read");
                assert!(answer.status == Some(3) && answer.stderr.contains(&told), "{answer:?}");
            } else {
                assert_eq!(answer.status, Some(4), "{answer:?}");
                let told = format!("{}{}", answer.stdout, answer.stderr);
                assert!(told.contains("the archive ends at byte "), "{told}");
            }
            assert!(!target.exists());
        }
    }
}

#[test]
fn a_damaged_newest_backup_costs_no_other_one() {
    let ids: Vec<String> = [3, 2, 1, 0].map(ago).into();
    let folder = repository(&ids);
    let c = folder.path().join("c");
    // The newest is known to be damaged, and the one before has lost its archive.
    let archive = c.join(&ids[3]).join("backup.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&archive, bytes).unwrap();
    assert_eq!(cli("verify").arg(&ids[3]).on(folder.path()).run().status, Some(4));
    fs::remove_file(c.join(&ids[2]).join("backup.tar.zst")).unwrap();
    let plan = cli("prune --keep-last 1").on(folder.path()).run();
    let table = plan.done();
    for (id, action, reason) in [
        (&ids[0], "remove", "not among the last 1"),
        (&ids[1], "keep", "the newest; keep-last: number 1"),
        (&ids[2], "keep", "DAMAGED: backup.tar.zst: it is missing; no other goes because of it"),
        (&ids[3], "keep", "of 'verify' on 20"),
    ] {
        let line = line(table, id);
        assert!(line.starts_with(action) && line.contains(reason), "{id} {reason}: {line}");
    }
    assert_eq!(folders(folder.path()), ids[1..]);
    let list = cli("list").on(folder.path()).run();
    assert!(list.done().contains("  DAMAGED: backup.tar.zst: it is missing\n"), "{}", list.stdout);
    let target = folder.path().join("target");
    let refused = cli("restore latest").on(folder.path()).to(&target).run();
    refused.fails_with(4, &format!("the newest that can be relied on is '{}'", ids[1]));
    assert!(!target.exists());
    // With a new one that is whole they are history.
    let new = Timestamp::now().strftime("%Y%m%dT%H%M%SZ_n2").to_string();
    Forge::new(&new).write(folder.path());
    cli("prune --keep-last 1").on(folder.path()).run().done();
    assert_eq!(folders(folder.path()), [new]);
}
