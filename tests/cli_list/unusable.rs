//! What is no backup, or cannot be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::{changed, put_status};
use crate::support::cli::forge::{ID, manifest, put_manifest, put_object, status};
use crate::support::cli::{cli, open_folder};
use crate::support::scratch::ServerUser;

#[test]
fn what_may_not_be_read_is_an_error_and_hides_nothing_else() {
    let user = ServerUser::current();
    let folder = open_folder();
    let repository = folder.path().join("r");
    put_manifest(&repository, "c", &manifest("20261120T113451Z_n1"));
    let closed = put_manifest(&repository, "c", &manifest(ID));
    let manifest_file = closed.join("manifest.json");
    fs::set_permissions(&manifest_file, fs::Permissions::from_mode(0o000)).unwrap();
    let ask = |line: &str| cli(line).on(&repository).user(&user, folder.path()).run();
    let list = ask("list");
    let wanted =
        format!("UNUSABLE: cannot open '{}': Permission denied (os error 13)", manifest_file.display());
    assert_eq!(list.done().lines().filter(|line| line.ends_with(&wanted)).count(), 1, "{}", list.stdout);
    assert!(list.stdout.contains("\n20261120T113451Z_n1  2026-"), "{}", list.stdout);
    ask(&format!("show {ID}")).fails_with(1, "manifest.json': Permission denied");
    fs::set_permissions(repository.join("c"), fs::Permissions::from_mode(0o000)).unwrap();
    let denied = format!("cannot list '{}': Permission denied (os error 13)", repository.join("c").display());
    ask("list").fails_with(1, &denied);
    // Another cluster is not hidden by it, and whoever asks for the newest is told what it may be missing.
    put_manifest(&repository, "d", &manifest("20261120T113453Z_n1"));
    user.own_tree(&repository.join("d"));
    let list = ask("list");
    assert!(list.status == Some(1) && list.stdout.contains("\n20261120T113453Z_n1  2026-"), "{list:?}");
    assert!(list.stderr.contains(&format!("error: {denied}; whatever backups are there")), "{list:?}");
    let json = ask("list --json");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json["backups"].as_array().unwrap().len(), &json["unknown"]), (1, &json!([denied])));
    for line in ["show latest", "show 20261120T113453Z_n1"] {
        let shown = ask(line);
        assert!(shown.stdout.starts_with("Backup            20261120T113453Z_n1\n"), "{shown:?}");
        assert_eq!(shown.status, Some(0));
        assert!(shown.stderr.contains(&denied) && shown.stderr.contains("--cluster names"), "{shown:?}");
    }
    ask("show latest --cluster d").done();
    ask(&format!("show {ID}")).fails_with(1, &denied);
    fs::rename(repository.join("d"), folder.path().join("d")).unwrap();
    let target = open_folder();
    user.own_tree(target.path());
    let copy = cli("copy --all --json").on(&repository).to(target.path()).user(&user, folder.path()).run();
    let copied: Value = serde_json::from_str(&copy.stdout).unwrap();
    assert_eq!(
        (copy.status, copied["backups"].as_array().map(Vec::len), &copied["unknown"]),
        (Some(1), Some(0), &json!([denied]))
    );
    fs::rename(folder.path().join("d"), repository.join("d")).unwrap();
    let report = ask("report --html -");
    assert!(
        report.status == Some(1) && report.stdout.contains("Not everything could be looked into."),
        "{report:?}"
    );
    assert!(report.stdout.contains("20261120T113453Z_n1") && report.stderr.contains(&denied), "{report:?}");
    let check = ask("check --sample 0");
    assert!(
        check.stdout.contains(&format!("{denied}; whatever backups are there are not counted")),
        "{check:?}"
    );
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o000)).unwrap();
    ask("list")
        .fails_with(1, &format!("cannot read the repository '{}': Permission denied", repository.display()));
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A backup that was moved to another disk, with a link in its place, is not a backup that is not there.
#[test]
fn a_link_in_place_of_a_folder_is_told_and_nothing_older_is_taken_for_the_newest() {
    let folder = open_folder();
    let (repository, other) = (folder.path().join("r"), folder.path().join("other"));
    put_manifest(&repository, "c", &manifest("20261120T113451Z_n1"));
    let moved = put_manifest(&repository, "c", &manifest(ID));
    fs::create_dir(&other).unwrap();
    fs::rename(&moved, other.join(ID)).unwrap();
    symlink(other.join(ID), &moved).unwrap();
    let ask = |line: &str| cli(line).on(&repository).run();
    let why = |place: &Path| {
        format!("cannot use '{}': it is a symbolic link, and nothing in a repository is one", place.display())
    };
    let list = ask("list");
    let wanted = format!("UNUSABLE: {}", why(&moved));
    let line = list.done().lines().find(|line| line.contains(&wanted)).expect(&list.stdout);
    assert_eq!(line.matches("it is a symbolic link").count(), 1, "{line}");
    assert!(list.stdout.contains("\n20261120T113451Z_n1  2026-"), "{}", list.stdout);
    let latest = ask("show latest");
    assert!(latest.status != Some(0) && latest.stderr.contains(&why(&moved)), "{latest:?}");
    ask(&format!("show {ID}")).fails_with(1, &why(&moved));
    fs::rename(repository.join("c"), other.join("c")).unwrap();
    symlink(other.join("c"), repository.join("c")).unwrap();
    for line in ["list", "show latest", "list --cluster c"] {
        ask(line).fails_with(1, &why(&repository.join("c")));
    }
}

#[test]
fn what_is_no_backup_is_never_shown_as_one() {
    let folder = open_folder();
    let now = |seconds_ago: i64| (Timestamp::now() - seconds_ago.seconds()).to_string();
    let attempts = [
        ("20261120T000001Z_n1", "failed", Some("cannot fsync '/x': No space left on device"), 0),
        ("20261120T000002Z_n1", "failed", None, 0),
        ("20261120T000003Z_n1", "starting", None, 2),
        ("20261120T000004Z_n1", "freezing", None, 0),
        ("20261120T000005Z_n1", "copying", None, 0),
        ("20261120T000006Z_n1", "thawed", None, 0),
        ("20261120T000007Z_n1", "publishing", None, 0),
        ("20261120T000008Z_n1", "copying", None, 3700),
        ("20261120T000011Z_n1", "done", None, 7200),
    ];
    for (id, state, error, ago) in attempts {
        let mut status = status(id, state, error);
        status["updated"] = now(ago).into();
        put_status(folder.path(), "c", &status);
    }
    // A run that was killed, with everything but the manifest; one whose status cannot be read.
    put_object(folder.path(), "c/20261120T000009Z_n1/backup.tar.zst", "x");
    put_object(folder.path(), "c/20261120T000009Z_n1/.manifest.json.77.1.tmp", manifest(ID).to_string());
    put_object(folder.path(), "c/20261120T000010Z_n1/status.json", "{\"state\": \"cop");
    // Folders and files that are none of ours.
    for name in ["lost+found", ".snapshot", "c/notes", "c/20261120T000011Z_n1.old copy"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("manifest.json"), manifest(ID).to_string()).unwrap();
    }
    fs::write(folder.path().join("README"), "x").unwrap();
    fs::write(folder.path().join("c/20261120T000012Z_n1"), "x").unwrap();
    let list = cli("list").on(folder.path()).run();
    let lines: Vec<&str> = list.done().lines().collect();
    let place = folder.path().display();
    assert_eq!(lines[..3], [&*format!("There are no backups in '{place}'."), "", "Not complete:"]);
    let wanted = [
        ("20261120T000001Z_n1  failed: cannot fsync '/x': No space left on device", ""),
        ("20261120T000002Z_n1  failed", ""),
        ("20261120T000003Z_n1  starting, last heard of at 20", " UTC"),
        ("20261120T000004Z_n1  freezing the server, last heard of at 20", " UTC"),
        ("20261120T000005Z_n1  copying, last heard of at 20", " UTC"),
        ("20261120T000006Z_n1  storing, the server runs again, last heard of at 20", " UTC"),
        ("20261120T000007Z_n1  publishing, last heard of at 20", " UTC"),
        ("20261120T000008Z_n1  copying at 20", " UTC, and silent for 1 h 01 min since: it has probably died"),
        ("20261120T000009Z_n1  no manifest and no status: its program has died", ""),
        ("20261120T000010Z_n1  no manifest and no status: its program has died", ""),
        ("20261120T000011Z_n1  done at 20", " UTC, and its manifest was removed: no backup"),
    ];
    assert_eq!(lines.len(), 4 + wanted.len(), "{}", list.stdout);
    assert_eq!(lines[3], "ID                   STATE");
    for (line, (start, end)) in lines[4..].iter().zip(wanted) {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    }
}

#[test]
fn unusable_manifests_are_shown_with_the_reason() {
    let folder = open_folder();
    put_manifest(folder.path(), "c", &manifest("20261120T000001Z_n1"));
    put_manifest(folder.path(), "c", &changed("20261120T000002Z_n1", |m| m["format"] = 3.into()));
    put_object(folder.path(), "c/20261120T000003Z_n1/manifest.json", "garbage");
    put_object(folder.path(), "c/20261120T000004Z_n1/manifest.json", manifest(ID).to_string());
    put_object(folder.path(), "c/20261120T000005Z_n1/manifest.json", "");
    put_object(folder.path(), "c/20261120T000006Z_n1/manifest.json", vec![b' '; (1 << 20) + 1]);
    fs::create_dir_all(folder.path().join("c/20261120T000007Z_n1/manifest.json")).unwrap();
    put_manifest(
        folder.path(),
        "c",
        &changed("20261120T000008Z_n1", |m| drop(m.as_object_mut().unwrap().remove("gtid"))),
    );
    put_manifest(folder.path(), "c", &manifest("20261120T000009Z_n1"));
    let list = cli("list").on(folder.path()).run();
    let notes: Vec<(&str, &str)> = list
        .done()
        .lines()
        .skip(1)
        .map(|line| (&line[13..15], line.split_once("UNUSABLE: ").map_or("", |(_, note)| note)))
        .collect();
    let wanted = [
        ("01", ""),
        ("02", "the backup has format 3, this program reads up to 2: use a newer wsrep_sst_backup"),
        ("03", "the manifest is damaged: expected value at line 1 column 1"),
        ("04", "the manifest is that of '20261120T113452Z_n1'"),
        ("05", "the manifest is damaged: EOF while parsing a value at line 1 column 0"),
        ("06", "cannot read 'c/20261120T000006Z_n1/manifest.json': it is larger than 1048576 bytes"),
        ("07", "cannot read 'c/20261120T000007Z_n1/manifest.json': Is a directory (os error 21)"),
        ("08", "the manifest is damaged: missing field `gtid`"),
        ("09", ""),
    ];
    assert_eq!(notes.len(), wanted.len(), "{}", list.stdout);
    for ((id, note), (wanted_id, wanted_note)) in notes.into_iter().zip(wanted) {
        assert_eq!(
            (id, note.starts_with(wanted_note), note.is_empty()),
            (wanted_id, true, wanted_note.is_empty()),
            "{note}"
        );
    }
}

/// What a disk with a damaged inode says (`d?????????` in `ls`), of a backup, of the folder of a cluster, and of what lies beside a manifest.
#[test]
#[ignore = "needs strace"]
fn what_the_disk_does_not_show_is_told_by_its_name_and_is_not_gone() {
    let folder = open_folder();
    let older = "20261120T113451Z_n1";
    for id in [older, ID] {
        put_manifest(folder.path(), "c", &manifest(id));
    }
    let place = |name: &str| folder.path().join(name).display().to_string();
    let damaged = |name: &str, line: &str| {
        let options = format!(
            "-o /dev/null -P {name} -e trace=newfstatat,openat -e inject=newfstatat,openat:error=EIO"
        );
        cli(line).on(folder.path()).strace(&options).run()
    };
    let list = damaged(ID, "list");
    let wanted = format!(
        "UNUSABLE: cannot open '{}': Input/output error (os error 5)",
        place(&format!("c/{ID}/manifest.json"))
    );
    assert!(
        list.done().lines().any(|line| line.starts_with(ID) && line.contains(&wanted)),
        "{}",
        list.stdout
    );
    assert!(list.stdout.contains(&format!("\n{older}  2026-")), "{}", list.stdout);
    damaged(ID, "show latest").fails_with(1, "the newest backup cannot be used");
    let cluster = damaged("c", "list");
    assert!(
        cluster.status == Some(1)
            && cluster.stderr.contains(&format!("cannot list '{}': Input/output error", place("c"))),
        "{cluster:?}"
    );
    put_object(folder.path(), &format!("c/{ID}/verify.json"), "{}");
    let list = damaged("verify.json", "list");
    let row = list.stdout.lines().find(|line| line.starts_with(ID)).unwrap();
    assert!(
        row.contains("its verify.json cannot be read: cannot open") && row.contains("Input/output error"),
        "{list:?}"
    );
    let shown = damaged("verify.json", "show latest");
    assert!(
        shown.stderr.contains(&format!("the newest backup, {ID}: WHETHER IT IS WHOLE IS NOT KNOWN")),
        "{shown:?}"
    );
    let answer = damaged(ID, "check --sample 0");
    assert!(answer.stdout.contains("Input/output error"), "{answer:?}");
}
