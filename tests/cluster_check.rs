//! `check` on real nodes: a healthy one, and each fault for real.
//!
//! What it says of the program that mysqld would start is compared with the one that mysqld does start.

#[path = "cluster_check/faults.rs"]
mod faults;
#[path = "cluster_check/place.rs"]
mod place;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use faults::{
    backups_that_are_too_old, faults_of_the_node, faults_of_the_repository, faults_of_the_settings,
    other_users,
};
use serde_json::Value;
use support::cli::{Answer, Cli, cli, open_folder};
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
