//! Every command on backups that real servers have taken, as they were stored once (`tests/fixtures/format-2`): dumps of a node, plain and
//! encrypted, mariadb-backup's stream of a node and of a replica, which has no position in a cluster, and data directories.

#[path = "cli_format_2/datadir.rs"]
mod datadir;
#[path = "cli_format_2/encrypted.rs"]
mod encrypted;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use server::{FileServer, KEY_ID, SECRET};
use support::cli::records::edit_manifest;
use support::cli::{Answer, Cli, cli, open_folder};

/// A position of each: the folder of its cluster, and what `verify` counts.
const DUMP: Case = Case { name: "dump", cluster: "fixture_cluster", counts: "2 files" };
const XBSTREAM: Case = Case { name: "xbstream", cluster: "fixture_cluster", counts: "112 files" };
const REPLICA: Case = Case { name: "replica", cluster: "fixture_server", counts: "105 files" };

#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    cluster: &'static str,
    counts: &'static str,
}

/// A copy of a fixture, which may be changed.
struct Stored {
    case: Case,
    folder: tempfile::TempDir,
    id: String,
    key: bool,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

impl Case {
    fn copy(self) -> Stored {
        let folder = open_folder();
        let from = fixtures().join("format-2").join(self.name).join("repository/.");
        assert!(Command::new("cp").arg("-r").arg(from).arg(folder.path()).status().unwrap().success());
        let mut names = fs::read_dir(folder.path().join(self.cluster)).unwrap();
        let id = names.next().unwrap().unwrap().file_name().into_string().unwrap();
        Stored { case: self, folder, id, key: false }
    }

    fn expected(self, name: &str) -> String {
        let text = fs::read(fixtures().join("format-2").join(self.name).join("expected.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()[name].as_str().unwrap().to_owned()
    }
}

impl Stored {
    fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join(self.case.cluster).join(&self.id).join(name)
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.object("manifest.json")).unwrap()).unwrap()
    }

    fn cli(&self, line: &str) -> Cli {
        let cli = cli(line).on(self.folder.path());
        if self.key { with_key(cli) } else { cli }
    }

    fn run(&self, line: &str) -> Answer {
        self.cli(line).run()
    }

    /// The same backup, a day older.
    fn put_older(&self) -> String {
        let (date, rest) = self.id.split_at(8);
        let older = format!("{}{rest}", date.parse::<u32>().unwrap() - 1);
        let from = self.object("");
        let to = from.parent().unwrap().join(&older);
        assert!(Command::new("cp").arg("-r").arg(&from).arg(&to).status().unwrap().success());
        let day_before = |time: &Value| {
            let (date, time) = time.as_str().unwrap().split_once('T').unwrap();
            let (month, day) = date.rsplit_once('-').unwrap();
            Value::from(format!("{month}-{}T{time}", day.parse::<u32>().unwrap() - 1))
        };
        edit_manifest(&to, |manifest| {
            manifest["id"] = older.clone().into();
            for time in ["started", "frozen_at", "finished"] {
                manifest[time] = day_before(&manifest[time]);
            }
        });
        older
    }

    fn ids(&self) -> Vec<String> {
        let listed = self.run("list --json").json();
        let backups = listed["backups"].as_array().unwrap();
        backups.iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn with_key(cli: Cli) -> Cli {
    let key = fixtures().join("format-1/encrypted/key.txt");
    cli.env("WSREP_SST_BACKUP_IDENTITY_FILE", key.display().to_string())
}

#[test]
fn a_dump_goes_through_every_command() {
    let stored = DUMP.copy();
    let gtid = DUMP.expected("gtid");
    let shown = stored.run("show latest");
    for line in ["method logical, format 2", "sql", &gtid, "d.notes"] {
        assert!(shown.done().contains(line), "{line}: {}", shown.stdout);
    }
    listed_shown_and_verified(&stored);
    copied_to_folders_and_buckets(&stored);
    held_and_pruned(&stored);
    for (line, what) in [
        (format!("ls {}", stored.id), "'ls' is not possible"),
        (format!("restore {} --to /nonexistent/d", stored.id), "--to is not possible"),
        (format!("restore {} --to /nonexistent/d --only d.t", stored.id), "is not possible"),
    ] {
        stored.run(&line).fails_with(2, what);
    }
    stored.run("restore latest --into /nonexistent/s --users").fails_with(1, "over '/nonexistent/s'");
    restore_finds_the_one_of_a_time(&stored, "restore --into /nonexistent/s", 1, "over '/nonexistent/s'");
}

#[test]
fn a_server_without_a_position_in_a_cluster_goes_through_every_command() {
    let stored = REPLICA.copy();
    let shown = stored.run("show latest");
    for line in [
        "method mariadb-backup, format 2",
        "xbstream",
        &REPLICA.expected("binlog_pos"),
        "7-1-40",
        "192.0.2.1",
    ] {
        assert!(shown.done().contains(line), "{line}: {}", shown.stdout);
    }
    listed_shown_and_verified(&stored);
    assert!(stored.run("list").done().contains(&REPLICA.expected("binlog_pos")));
    copied_to_folders_and_buckets(&stored);
    held_and_pruned(&stored);
    for purpose in ["node", "cluster"] {
        let line = format!("restore latest --as {purpose} --any-server --to /nonexistent/d");
        stored.run(&line).fails_with(1, "was no Galera node");
    }
    stored.run("restore latest --into /nonexistent/s").fails_with(3, "there is no dump in ");
    let of_id = format!("restore {} --into /nonexistent/s", stored.id);
    stored.run(&of_id).fails_with(2, "is physical (content xbstream)");
    restore_finds_the_one_of_a_time(
        &stored,
        "restore --as node --to /nonexistent/d",
        1,
        "was no Galera node",
    );
}

#[test]
fn a_stream_of_a_node_goes_through_every_command() {
    let stored = XBSTREAM.copy();
    assert!(stored.run("show latest").done().contains(&XBSTREAM.expected("gtid")));
    listed_shown_and_verified(&stored);
    copied_to_folders_and_buckets(&stored);
    held_and_pruned(&stored);
    let refused = "restore --to /nonexistent/d --only d.t";
    restore_finds_the_one_of_a_time(&stored, refused, 2, "--only is not possible");
}

fn listed_shown_and_verified(stored: &Stored) {
    let listed = stored.run("list --json").json();
    let backup = &listed["backups"][0];
    assert_eq!((&backup["manifest"], &backup["usable"]), (&stored.manifest(), &true.into()));
    assert_eq!(backup["cluster_folder"], stored.case.cluster);
    assert_eq!(stored.run("show latest --json").json(), stored.manifest());
    let verified = stored.run("verify latest");
    let wanted = format!("is intact: {}, ", stored.case.counts);
    assert!(verified.done().contains(&wanted), "{wanted}: {}", verified.stdout);
    assert!(stored.run("verify latest --objects-only").done().contains("are intact"));
    assert!(stored.run("list").done().contains("verified"), "{}", stored.run("list").stdout);
    let page = open_folder();
    stored.run(&format!("report --html {}/page.html", page.path().display())).done();
    // Each object, at a place in its middle.
    for name in objects(&stored.manifest()) {
        let path = stored.object(&name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        fs::write(&path, flipped).unwrap();
        let verified = stored.run("verify latest --no-record");
        // What a block of the archive holds is named by its files.
        let is_archive = name == stored.manifest()["archive"]["name"].as_str().unwrap();
        let is_told =
            verified.stdout.contains(&name) || is_archive && verified.stdout.contains("of the archive");
        assert!(verified.status == Some(4) && is_told, "{name}: {verified:?}");
        fs::write(&path, whole).unwrap();
    }
}

/// What a manifest names.
fn objects(manifest: &Value) -> Vec<String> {
    let names = ["/archive/name", "/index/name", "/dump/users/name"];
    names.iter().filter_map(|name| Some(manifest.pointer(name)?.as_str()?.to_owned())).collect()
}

fn copied_to_folders_and_buckets(stored: &Stored) {
    let other = open_folder();
    stored.cli(&format!("copy {}", stored.id)).to(other.path()).run().done();
    let there = other.path().join(stored.case.cluster).join(&stored.id);
    let names = objects(&stored.manifest()).into_iter().chain(["manifest.json".to_owned()]);
    for name in names {
        assert_eq!(fs::read(there.join(&name)).unwrap(), fs::read(stored.object(&name)).unwrap(), "{name}");
    }
    assert!(cli("verify latest").on(other.path()).run().done().contains("is intact"));
    let server = FileServer::start();
    let in_bucket = |cli: Cli| {
        cli.env("WSREP_SST_BACKUP_S3_ENDPOINT", server.endpoint())
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .run()
    };
    let bucket = Path::new("s3://bucket/copies");
    in_bucket(stored.cli(&format!("copy {}", stored.id)).to(bucket)).done();
    let of_bucket = |line: &str| in_bucket(cli(line).on(bucket));
    assert_eq!(of_bucket("show latest --json").json(), stored.manifest());
    assert!(of_bucket("verify latest").done().contains("is intact"));
    assert!(of_bucket("list").done().contains(&stored.id));
    assert!(of_bucket("prune --keep-last 1 --dry-run").done().contains(&stored.id));
    // And back.
    let again = open_folder();
    in_bucket(cli("copy latest").on(bucket).to(again.path())).done();
    assert!(cli("verify latest").on(again.path()).run().done().contains("is intact"));
    assert_eq!(server.unfinished(), Vec::<String>::new());
}

/// A hold keeps what the policy removes; without it that goes, and nothing of it stays.
fn held_and_pruned(stored: &Stored) {
    let older = stored.put_older();
    assert_eq!(stored.ids(), [older.clone(), stored.id.clone()]);
    stored.run(&format!("hold {older}")).done();
    assert!(stored.run("list").done().contains("held"));
    let plan = stored.run("prune --keep-last 1");
    assert!(plan.done().contains("There is nothing to remove."), "{}", plan.stdout);
    stored.run(&format!("release {older}")).done();
    let dry = stored.run("prune --keep-last 1 --dry-run");
    assert!(
        dry.done().lines().any(|line| line.starts_with("remove") && line.contains(&older)),
        "{}",
        dry.stdout
    );
    assert_eq!(stored.ids().len(), 2);
    let pruned = stored.run("prune --keep-last 1");
    assert!(pruned.done().contains("Removed 1 backup"), "{}", pruned.stdout);
    assert_eq!(stored.ids(), [stored.id.as_str()]);
    let left = stored.object("").with_file_name(&older);
    assert!(!left.join("manifest.json").exists());
    assert!(objects(&stored.manifest()).iter().all(|name| !left.join(name).exists()));
    assert!(stored.run("verify latest").done().contains("is intact"));
}

/// `--target-time` takes the newest at or before that time.
fn restore_finds_the_one_of_a_time(stored: &Stored, line: &str, status: i32, words: &str) {
    let older = stored.put_older();
    let at = stored.manifest()["frozen_at"].as_str().unwrap().to_owned();
    for (time, id) in [
        (at.as_str(), Some(&stored.id)),
        ("2100-01-01T00:00:00Z", Some(&stored.id)),
        ("2026-01-01T00:00:00Z", None),
    ] {
        let shown = stored.run(&format!("show --json --target-time {time}"));
        match id {
            Some(id) => assert_eq!(shown.json()["id"], **id, "{time}"),
            None => assert_eq!(shown.status, Some(3), "{time}"),
        }
        let restored = stored.run(&format!("{line} --target-time {time}"));
        if id.is_some() {
            restored.fails_with(status, words);
        } else {
            assert_eq!(restored.status, Some(3), "{restored:?}");
        }
    }
    let before = at.split('.').next().unwrap().to_owned() + "Z";
    assert_eq!(stored.run(&format!("show --json --target-time {before}")).json()["id"], older);
}

#[test]
fn no_fixture_was_ever_edited() {
    let place = fixtures().join("format-2");
    let sums = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&place)
        .output();
    let sums = sums.unwrap();
    assert!(sums.status.success(), "{sums:?}: see tests/fixtures/README.md");
    let lines = fs::read_to_string(place.join("SHA256SUMS")).unwrap();
    assert_eq!(lines.lines().count(), 5 + 5 + 6 + 6 + 4 + 5 + 5, "every file of the seven");
}
