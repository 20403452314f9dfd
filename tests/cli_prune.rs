//! `prune`: the plan that is shown, what goes, what stays, and what interruptions leave.

#[path = "cli_prune/histories.rs"]
mod histories;
#[path = "cli_prune/interrupted.rs"]
mod interrupted;
#[path = "cli_prune/scope.rs"]
mod scope;
mod support;
#[path = "cli_prune/swapped.rs"]
mod swapped;
#[path = "cli_prune/swept.rs"]
mod swept;
#[path = "cli_prune/unknown.rs"]
mod unknown;

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};
use support::cli::forge::{Forge, ago, edit_manifest, status};
use support::cli::tree::{assert_same, tree};
use support::cli::{Cli, cli, open_folder};

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
        ("--keep-last 0", "--keep-last: '0' is not a whole number from 1 to 100000"),
        ("--keep-within soon", "--keep-within: 'soon' is not a duration"),
        ("--keep-within 30", "--keep-within: '30' says no unit; write 30d for days"),
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
        "signs": [],
        "scope": null,
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
