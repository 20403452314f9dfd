//! `check` on real nodes: a healthy one, and each fault for real.
//!
//! What it says of the program that mysqld would start is compared with the one that mysqld does start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests report by panicking"
)]

#[path = "cluster_check/place.rs"]
mod place;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::cli::forge::{manifest, put_manifest, put_object, status};
use support::cli::{Answer, Cli, SmallDisk, cli, open_folder};
use support::cnf::CLUSTER_NAME;
use support::program::with_program;
use support::{Cluster, ClusterOptions, PATIENCE, Program, Writer, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// `check` of node n1, with its own option file.
fn check_of(cluster: &Cluster) -> Cli {
    sampling(cluster, 0)
}

/// The same with a write rate that is measured for some seconds.
fn sampling(cluster: &Cluster, seconds: u32) -> Cli {
    cli(&format!("check --sample {seconds}"))
        .own_defaults()
        .arg(format!("--defaults-file={}", cluster.n(1).cnf().display()))
}

/// What was found.
struct Found(Vec<Value>);

impl Found {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.stderr, "");
        let all: Value = serde_json::from_str(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
        let found = Self(all["findings"].as_array().unwrap().clone());
        for (level, name) in [("ok", "ok"), ("warning", "warnings"), ("error", "errors")] {
            assert_eq!(all["counts"][name], found.level(level).len(), "{all:#}");
        }
        let failed = !found.level("error").is_empty();
        assert_eq!(answer.status, Some(i32::from(failed)), "{all:#}");
        for finding in &found.0 {
            assert_eq!(finding["cure"].is_null(), finding["level"] == "ok", "{finding}");
        }
        found
    }

    /// `topic: text -> cure` of each finding of this level.
    fn level(&self, level: &str) -> Vec<String> {
        let of = |f: &Value, name: &str| f[name].as_str().unwrap_or_default().to_owned();
        let chosen = self.0.iter().filter(|finding| finding["level"] == level);
        chosen.map(|f| format!("{}: {} -> {}", of(f, "topic"), of(f, "text"), of(f, "cure"))).collect()
    }

    /// There is one finding of this level and topic that has all these words.
    #[track_caller]
    fn has(&self, level: &str, topic: &str, words: &[&str]) -> &Self {
        let start = format!("{topic}: ");
        let fits = |line: &&String| line.starts_with(&start) && words.iter().all(|word| line.contains(word));
        let lines = self.level(level);
        assert_eq!(lines.iter().filter(fits).count(), 1, "{level} {topic} {words:?} in {:#?}", self.0);
        self
    }

    /// The errors are those that have been asked for.
    #[track_caller]
    fn errors(&self, count: usize) -> &Self {
        assert_eq!(self.level("error").len(), count, "{:#?}", self.level("error"));
        self
    }
}

#[track_caller]
fn found(cluster: &Cluster) -> Found {
    Found::of(&check_of(cluster).arg("--json").run())
}

/// Changes n1's option file, which the donor reads at each backup, for one look.
#[track_caller]
fn found_with(cluster: &Cluster, change: impl FnOnce(String) -> String) -> Found {
    let file = cluster.n(1).cnf();
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, change(before.clone())).unwrap();
    let found = found(cluster);
    fs::write(&file, before).unwrap();
    found
}

fn owned_by_root(path: &Path) {
    std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_healthy_node_gives_no_error_and_every_fault_is_named() {
    let options = with_program(ClusterOptions::new(), BINARY);
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let repository = program.repository().display().to_string();
    found(&cluster).errors(0).has(
        "warning",
        "backups",
        &["no backup of cluster 'wsb_test'", "wsrep_sst_backup backup --donor 'n1'"],
    );
    program.back_up(&cluster, 1);
    healthy(&cluster, &repository);
    faults_of_the_repository(&cluster, &program);
    faults_of_the_settings(&cluster, &repository);
    faults_of_the_node(&cluster);
    backups_that_are_too_old(&cluster, &program);
    other_users(&cluster);
    found(&cluster).errors(0);
}

fn healthy(cluster: &Cluster, repository: &str) {
    let node = cluster.n(1);
    let found = found(cluster);
    let pid = format!("pid {}, user 'mysql'", node.pid().unwrap());
    found
        .errors(0)
        .has("ok", "server", &[&node.variable("version"), &pid])
        .has("ok", "provider", &[&node.status("wsrep_provider_version")])
        .has("ok", "cluster", &["node 'n1' of 'wsb_test', one of 2 members, is Synced"])
        .has("ok", "program", &[&cluster.program().display().to_string(), env!("CARGO_PKG_VERSION")])
        .has("ok", "settings", &["the same repository"])
        .has("ok", "repository", &[repository, "can be written by 'mysql'"])
        .has("ok", "space", &[repository, "a backup of it about"])
        .has("ok", "backups", &["the newest is", "_n1", &node.status("wsrep_cluster_state_uuid")])
        .has("ok", "SQL", &["the donor, system user 'mysql', logs in as 'root'"])
        .has("ok", "garbd", &["/usr/bin/garbd, 4."])
        .has("ok", "IST", &["would join by IST: 'n"])
        .has("ok", "IST", &["gcache of 128 MiB"]);
    // A column for the state, one for the topic; cures below what they cure; a sum at the end.
    let text = check_of(cluster).run();
    println!("{}", text.stdout);
    let lines: Vec<&str> = text.done().lines().collect();
    let states = ["ok       ", "WARNING  ", "         "];
    let (findings, rest) = lines.split_at(lines.len() - 2);
    assert!(findings.iter().all(|line| states.iter().any(|state| line.starts_with(state))), "{findings:#?}");
    assert!(
        findings.iter().all(|line| line.as_bytes()[21] == b' ' && line.as_bytes()[23] != b' '),
        "{findings:#?}"
    );
    assert!(rest[0].is_empty() && rest[1].starts_with("0 errors, ") && rest[1].ends_with(" ok"), "{rest:?}");
}

fn faults_of_the_repository(cluster: &Cluster, program: &Program) {
    let (path, mysql) = (program.repository(), cluster.scratch().user());
    let repository = path.display().to_string();
    owned_by_root(path);
    let denied =
        &["'mysql' cannot write to", repository.as_str(), "Permission denied", "install -d -o mysql"];
    found(cluster).errors(1).has("error", "repository", denied);
    mysql.own(path);
    let inner = path.join(CLUSTER_NAME);
    owned_by_root(&inner);
    let cure = format!("chown -R mysql:mysql {}", inner.display());
    found(cluster).errors(1).has("error", "repository", &["Permission denied", &cure]);
    mysql.own(&inner);
    let elsewhere = |place: &str| {
        let to = place.to_owned();
        found_with(cluster, |text| {
            text.replace(&format!("repository={repository}"), &format!("repository={to}"))
        })
    };
    let missing = "/nonexistent/wsb/repository";
    elsewhere(missing).has("error", "repository", &[missing, "does not exist", "not mounted?"]);
    let new = format!("{}/n1/tmp/new", cluster.dir().display());
    elsewhere(&new).errors(0).has("ok", "repository", &[&new, "can make it"]);
    assert!(!Path::new(&new).exists());
    let among = format!("{}/backups", cluster.n(1).datadir().display());
    let words = ["lies in", "which is backed up", "set 'repository' to a directory outside of the server's"];
    elsewhere(&among).errors(1).has("error", "repository", &[&[among.as_str()], &words[..]].concat());

    let small = cluster.dir().join("small");
    let disk = SmallDisk::mount(&small, 1);
    mysql.own(&small);
    let place = small.display().to_string();
    elsewhere(&place).errors(1).has("error", "space", &[&place, "the data is", "free space at"]);
    fs::set_permissions(&small, fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&small).status();
    assert!(status.unwrap().success());
    elsewhere(&place).has("error", "repository", &["Read-only file system", &format!("remount,rw {place}")]);
    drop(disk);
}

fn faults_of_the_settings(cluster: &Cluster, repository: &str) {
    let other = Found::of(&check_of(cluster).arg("--json").on(Path::new("/var/tmp")).run());
    other.has("warning", "settings", &["the donor will store into", repository, "looks at /var/tmp"]);
    // What stops the donor stops this command too, unless it reads another file.
    let typo = |text: String| format!("{text}\n[wsrep_sst_backup]\ncompresion=none\n");
    found_with(cluster, typo).errors(1).has(
        "error",
        "settings",
        &["unknown option 'compresion'", "my.cnf line"],
    );
    let file = cluster.n(1).cnf();
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, typo(before.clone())).unwrap();
    let mine = cluster.dir().join("mine.cnf");
    fs::write(&mine, before.clone()).unwrap();
    let answer = cli("check --json --sample 0")
        .own_defaults()
        .arg(format!("--defaults-file={}", mine.display()))
        .run();
    fs::write(&file, before).unwrap();
    Found::of(&answer).has("error", "settings", &["the donor will give up", "unknown option 'compresion'"]);

    let user = |name: &'static str| move |text: String| text.replace("user=root", name);
    let nobody = found_with(cluster, user("user=nosuchuser"));
    nobody.has("warning", "SQL", &["the donor has no SQL", "nosuchuser", "'user' and 'password'"]);
    // Without a configured user the donor is who mysqld is, which no account of a fresh server knows.
    let system = found_with(cluster, user(""));
    system.errors(0).has(
        "warning",
        "SQL",
        &["Access denied for user 'mysql'", "CREATE USER 'mysql'@localhost IDENTIFIED VIA unix_socket"],
    );
    let secret = found_with(cluster, |text| format!("{text}\n[wsrep_sst_backup]\npassword=\n"));
    secret.errors(0).has("warning", "settings", &["holds a password", "chmod 0640"]);

    let limit = |lines: &'static str| move |text: String| format!("{text}\n[wsrep_sst_backup]\n{lines}\n");
    let slow = found_with(cluster, limit("limit-rate=256K\nfreeze-timeout=1s"));
    let words =
        &["limit-rate (256 KiB a second) keeps the server frozen", "the donor refuses", "set limit-rate to"];
    slow.errors(1).has("error", "freeze", words);
    found_with(cluster, limit("limit-rate=1G")).errors(0).has("ok", "freeze", &["freeze-timeout allows 1 h"]);
}

fn faults_of_the_node(cluster: &Cluster) {
    let node = cluster.n(1);
    let nowhere = Found::of(&check_of(cluster).env("PATH", "/nonexistent").arg("--json").run());
    nowhere.errors(0).has("warning", "garbd", &["not in PATH", "galera-arbitrator-4"]);
    node.exec("SET GLOBAL wsrep_sst_donor_rejects_queries=ON");
    found(cluster).errors(0).has("warning", "cluster", &["refuses its clients", "SET GLOBAL"]);
    node.exec("SET GLOBAL wsrep_sst_donor_rejects_queries=OFF");
    node.exec("SET GLOBAL wsrep_desync=ON");
    found(cluster).errors(0).has("warning", "cluster", &["Donor/Desynced", "wsrep_desync=OFF"]);
    node.exec("SET GLOBAL wsrep_desync=OFF");
    node.wait_synced(PATIENCE);
    node.exec("INSERT INTO mysql.wsrep_allowlist VALUES ('10.9.8.7')");
    found(cluster).errors(0).has(
        "warning",
        "allow-list",
        &["lacks 127.0.0.1", "INSERT INTO mysql.wsrep_allowlist VALUES ('127.0.0.1')"],
    );
    node.exec("INSERT INTO mysql.wsrep_allowlist VALUES ('127.0.0.1')");
    found(cluster).errors(0).has("ok", "allow-list", &["may join from here (127.0.0.1"]);
    node.exec("DELETE FROM mysql.wsrep_allowlist");
    fs::create_dir(node.datadir().join("#rocksdb")).unwrap();
    found(cluster).errors(1).has("error", "data", &["#rocksdb", "allow-rocksdb"]);
    found_with(cluster, |text| format!("{text}\n[wsrep_sst_backup]\nallow-rocksdb\n")).errors(0).has(
        "warning",
        "data",
        &["left out"],
    );
    fs::remove_dir(node.datadir().join("#rocksdb")).unwrap();
}

/// Newer than the one real backup, of another history, damaged, or failed.
fn backups_that_are_too_old(cluster: &Cluster, program: &Program) {
    let aged = |age: &str| Found::of(&check_of(cluster).arg("--json").arg("--max-age").arg(age).run());
    aged("1h").errors(0);
    wait_until(PATIENCE, || aged("1s").level("error").len() == 1);
    aged("1s").has("error", "backups", &["older than 1.0 s (--max-age)"]);
    // Within the tolerance for clocks: what is further ahead is no newest backup.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(120);
    let id = &soon.strftime("%Y%m%dT%H%M%SZ_n2").to_string();
    let mut stranger = manifest(id);
    stranger["cluster"] = CLUSTER_NAME.into();
    stranger["frozen_at"] = soon.to_string().into();
    let folder = put_manifest(program.repository(), CLUSTER_NAME, &stranger);
    found(cluster).errors(1).has("error", "backups", &["another history than this cluster's", id]);
    fs::write(folder.join("manifest.json"), "x").unwrap();
    found(cluster).errors(1).has("error", "backups", &[id, "cannot be used", "the manifest is damaged"]);
    fs::remove_file(folder.join("manifest.json")).unwrap();
    let mut state = status(id, "failed", Some("the disk is full"));
    put_object(program.repository(), &format!("{CLUSTER_NAME}/{id}/status.json"), state.to_string());
    found(cluster).errors(1).has("error", "backups", &["the last attempt", id, "the disk is full"]);
    (state["state"], state["updated"]) = ("copying".into(), "2026-01-01T00:00:00Z".into());
    put_object(program.repository(), &format!("{CLUSTER_NAME}/{id}/status.json"), state.to_string());
    found(cluster).errors(1).has("error", "backups", &["the last attempt", id]).has(
        "warning",
        "backups",
        &[id, "has been silent for", "wsrep_sst_backup prune removes it when it is a day old"],
    );
    fs::remove_dir_all(folder).unwrap();
}

/// Without root a server that root has started hides its environment, from its own user too, and which of several
/// servers it is from everybody else.
fn other_users(cluster: &Cluster) {
    let folder = open_folder();
    let mysql = cluster.scratch().user().clone();
    let as_mysql = Found::of(&check_of(cluster).arg("--json").user(&mysql, folder.path()).run());
    as_mysql.errors(0).has("warning", "program", &["cannot be told", "run this check as root"]).has(
        "ok",
        "repository",
        &["can be written by 'mysql'"],
    );
    let mut nobody = mysql;
    (nobody.name, nobody.uid, nobody.gid) = ("nobody".into(), 65_534, 65_534);
    let as_nobody = Found::of(&check_of(cluster).arg("--json").user(&nobody, folder.path()).run());
    as_nobody.errors(0).has("warning", "program", &["cannot be told", "run this check as root"]).has(
        "warning",
        "backups",
        &["this user may not read: 1", "as root"],
    );
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_backup_that_the_cache_has_outlived_and_keys_elsewhere_are_told() {
    let keys = open_folder();
    let file = keys.path().join("keys");
    fs::write(&file, format!("1;{}\n", "a7".repeat(32))).unwrap();
    let options = with_program(ClusterOptions::new(), BINARY)
        .provider("gcache.size=1M")
        .mysqld("plugin_load_add=file_key_management")
        .mysqld(&format!("file_key_management_filename={}", file.display()));
    let cluster = Cluster::start(1, &options);
    let program = Program::of(&cluster);
    let manifest = program.back_up(&cluster, 1);
    let node = cluster.n(1);
    let id = manifest["id"].as_str().unwrap();
    let lacks = &["file_key_management", "keys are not in a backup"];
    found(&cluster).errors(0).has("ok", "IST", &[id, "would join by IST"]).has("warning", "data", lacks);
    // What this command's own account is not told, the donor's is.
    let mine = cluster.dir().join("mine.cnf");
    fs::write(&mine, fs::read_to_string(node.cnf()).unwrap().replace("user=root", "user=nosuchuser"))
        .unwrap();
    let answer =
        cli("check --json --sample 0").own_defaults().arg(format!("--defaults-file={}", mine.display()));
    Found::of(&answer.run())
        .errors(0)
        .has("warning", "SQL", &["this command has no SQL as 'nosuchuser'", "CREATE USER 'nosuchuser'"])
        .has("ok", "SQL", &["the donor", "as 'root'"])
        .has("ok", "server", &[&node.variable("version")])
        .has("warning", "data", lacks);
    node.exec("CREATE DATABASE d");
    node.exec("CREATE TABLE d.t (a INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)");
    let needed = manifest["gtid"]["seqno"].as_i64().unwrap() + 1;
    let gone = || node.status("wsrep_local_cached_downto").parse::<i64>().unwrap() > needed;
    let outlived = wait_until(PATIENCE, || {
        node.exec("INSERT INTO d.t (b) VALUES (REPEAT(UUID(), 5000))");
        gone()
    });
    assert!(outlived, "the cache never drops anything: {}", node.status("wsrep_local_cached_downto"));
    let oldest = node.status("wsrep_local_cached_downto");
    let found = found(&cluster);
    found.errors(0).has("warning", "IST", &[id, "would take a full SST", &format!("is {oldest}, on 'n1'")]);
    let writer = Writer::start(node, 200);
    assert!(wait_until(PATIENCE, || writer.take_stats().commits > 0));
    let found = Found::of(&sampling(&cluster, 5).arg("--json").run());
    writer.stop();
    // However loaded the machine: a MiB does not last an hour.
    found.has("warning", "IST", &["IST stays possible for about", " an hour now", "holds an hour"]);
}
