//! The faults that a healthy node is given, one after another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Found, check_of, found, found_with, owned_by_root};
use crate::support::cli::forge::{manifest, put_manifest, put_object, status};
use crate::support::cli::{SmallDisk, cli, open_folder};
use crate::support::cnf::CLUSTER_NAME;
use crate::support::{Cluster, PATIENCE, Program, wait_until};

pub(super) fn faults_of_the_repository(cluster: &Cluster, program: &Program) {
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

pub(super) fn faults_of_the_settings(cluster: &Cluster, repository: &str) {
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

    // Not every method works without SQL.
    let user = |name: &'static str| {
        move |text: String| text.replace("user=root", name) + "\n[wsrep_sst_backup]\nmethod=auto\n"
    };
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

    let limit = |lines: &'static str| {
        move |text: String| format!("{text}\n[wsrep_sst_backup]\nmethod=freeze\n{lines}\n")
    };
    let slow = found_with(cluster, limit("limit-rate=256K\nfreeze-timeout=1s"));
    let words =
        &["limit-rate (256 KiB a second) keeps the server frozen", "the donor refuses", "set limit-rate to"];
    slow.errors(1).has("error", "freeze", words);
    found_with(cluster, limit("limit-rate=1G")).errors(0).has("ok", "freeze", &["freeze-timeout allows 1 h"]);
}

pub(super) fn faults_of_the_node(cluster: &Cluster) {
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
pub(super) fn backups_that_are_too_old(cluster: &Cluster, program: &Program) {
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
pub(super) fn other_users(cluster: &Cluster) {
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
