//! Every command on a backup by the real mariadb-backup, as it was stored once (`tests/fixtures/format-2/xbstream`).

#[path = "cli_xbstream/restore.rs"]
mod restore;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::cli::records::edit_manifest;
use support::cli::{Answer, cli, open_folder};

/// A copy of the fixture, which may be changed.
struct Copy {
    folder: tempfile::TempDir,
    id: String,
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-2/xbstream")
}

impl Copy {
    fn new() -> Self {
        let folder = open_folder();
        let from = fixture().join("repository/.");
        assert!(Command::new("cp").arg("-r").arg(from).arg(folder.path()).status().unwrap().success());
        let list = cli("list --json").on(folder.path()).run().json();
        let id = list["backups"][0]["id"].as_str().expect("the backup is listed").to_owned();
        Self { folder, id }
    }

    fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join("fixture_cluster").join(&self.id).join(name)
    }

    fn run(&self, line: &str) -> Answer {
        cli(line).on(self.folder.path()).run()
    }
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(fixture().join("expected.json")).unwrap()).unwrap()
}

#[test]
fn it_is_listed_shown_verified_copied_held_and_pruned_as_any_other() {
    let copy = Copy::new();
    let gtid = expected()["gtid"].as_str().unwrap().to_owned();
    let shown = copy.run("show latest");
    for line in ["method mariadb-backup, format 2", "xbstream", &gtid, "Held up"] {
        assert!(shown.done().contains(line), "{line}: {}", shown.stdout);
    }
    let verified = copy.run("verify latest");
    assert!(verified.done().contains("is intact: 112 files, "), "{}", verified.stdout);
    assert!(copy.run("verify latest --objects-only").done().contains("are intact"));
    let later = format!("verify --target-time {}", "2100-01-01T00:00:00Z");
    assert!(copy.run(&later).done().contains("is intact"));
    let other = open_folder();
    cli(&format!("copy {}", copy.id)).on(copy.folder.path()).to(other.path()).run().done();
    assert!(cli("verify latest").on(other.path()).run().done().contains("is intact"));
    copy.run("hold latest").done();
    assert!(copy.run("list").done().contains("held"));
    copy.run("release latest").done();
    let plan = copy.run("prune --keep-last 1 --dry-run");
    assert!(plan.done().contains(&copy.id), "{}", plan.stdout);
    copy.run(&format!("report --html {}/page.html", other.path().display())).done();
}

#[test]
fn what_needs_single_files_is_refused_by_name() {
    let copy = Copy::new();
    let place = open_folder();
    let target = place.path().join("target");
    for (line, what) in [
        ("ls latest".to_owned(), "'ls'"),
        (format!("restore latest --to {} --only d.t", target.display()), "--only"),
        (format!("restore latest --to {} --only d.t --as standalone", target.display()), "--only"),
    ] {
        let message = format!(
            "backup '{}' is a stream of mariadb-backup (content xbstream), whose files cannot be reached one by one: {what} is \
             not possible; restore it as a whole",
            copy.id
        );
        copy.run(&line).fails(2, &message);
        assert!(!target.exists(), "{line}");
    }
}

#[test]
fn damage_and_contradictions_are_found() {
    let copy = Copy::new();
    let archive = copy.object("backup.xb.zst");
    let whole = fs::read(&archive).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    fs::write(&archive, &flipped).unwrap();
    let verified = copy.run("verify latest");
    assert_eq!(verified.status, Some(4));
    assert!(verified.stdout.contains("DAMAGED  backup.xb.zst: block "), "{}", verified.stdout);
    fs::write(&archive, &whole).unwrap();
    for (what, change) in [
        ("it says position", "seqno"),
        ("it says content xbstream, the index says datadir", "index"),
        ("it holds 112 files, the manifest says 7", "files"),
    ] {
        let copy = Copy::new();
        match change {
            "seqno" => edit_manifest(&copy.object(""), |manifest| manifest["gtid"]["seqno"] = 77.into()),
            "files" => edit_manifest(&copy.object(""), |manifest| manifest["files"] = 7.into()),
            _ => {
                let index = zstd::decode_all(&fs::read(copy.object("index.json.zst")).unwrap()[..]).unwrap();
                let text = String::from_utf8(index).unwrap().replace(",\"content\":\"xbstream\"", "");
                let index = zstd::encode_all(text.as_bytes(), 3).unwrap();
                fs::write(copy.object("index.json.zst"), &index).unwrap();
                edit_manifest(&copy.object(""), |manifest| {
                    use sha2::Digest;
                    let sha256: String =
                        sha2::Sha256::digest(&index).iter().map(|byte| format!("{byte:02x}")).collect();
                    manifest["index"]["bytes"] = index.len().into();
                    manifest["index"]["sha256"] = sha256.into();
                });
            }
        }
        let verified = copy.run("verify latest");
        assert!(verified.status == Some(4) && verified.stdout.contains(what), "{what}: {}", verified.stdout);
    }
    // A restore that finds it out on the way leaves nothing.
    let copy = Copy::new();
    let place = open_folder();
    let target = place.path().join("target");
    let archive = copy.object("backup.xb.zst");
    fs::write(archive, &flipped).unwrap();
    let restored = copy.run(&format!("restore latest --any-server --to {}", target.display()));
    assert_ne!(restored.status, Some(0));
    assert!(!target.exists(), "{}", restored.stderr);
}

#[test]
fn a_content_that_this_program_does_not_know_is_no_damage() {
    let copy = Copy::new();
    edit_manifest(&copy.object(""), |manifest| manifest["content"] = "tablets".into());
    copy.run("show latest").fails_with(
        1,
        "the archive is 'tablets', which this program does not know: use a newer wsrep_sst_backup",
    );
    edit_manifest(&copy.object(""), |manifest| {
        manifest["content"] = "xbstream".into();
        manifest["format"] = 1.into();
    });
    copy.run("show latest").fails_with(4, "the manifest is damaged: format 1 has no content 'xbstream'");
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_server_of_its_series_starts_on_what_is_restored() {
    let copy = Copy::new();
    let place = open_folder();
    let target = place.path().join("target");
    let said = Command::new("mariadb-backup").args(["--no-defaults", "--version"]).output().unwrap();
    let said = [said.stdout, said.stderr].concat();
    let restored =
        copy.run(&format!("restore latest --as standalone --any-server --to {}", target.display()));
    if !String::from_utf8_lossy(&said).contains("10.11.") {
        assert_eq!(restored.status, Some(1), "{}", restored.stderr);
        assert!(restored.stderr.contains("for the files of a server of 10.11: install mariadb-backup 10.11"));
        return;
    }
    restored.done();
    // What is interrupted cannot be started; what is complete has nothing of the way there.
    let names: Vec<String> = fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for name in ["ibdata1", "d", "mysql", "binlog.index", "aria_log_control"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    let foreign = |name: &String| name.starts_with("xtrabackup_") || name.contains("restoring");
    assert!(!names.iter().any(foreign), "{names:?}");
    let table = fs::metadata(target.join("d/t.ibd")).unwrap();
    assert!(table.len() >= 65536);
}
