//! `run` without a command on servers that are no nodes: a replica of the cluster, and one that is nothing else.

use std::fs;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::scene::{Scene, signal, wait_until};
use super::support::program::{Ran, text};
use super::support::replica::create_account;
use super::support::{PATIENCE, Replica, Writer, assert_same_rows};

/// So slow that it is still read when somebody has come to end it.
const SLOW: (&str, &str) = ("WSREP_SST_BACKUP_LIMIT_RATE", "1M");

pub(super) fn a_replica_backs_itself_up(scene: &Scene) {
    let master = scene.cluster.n(2);
    create_account(master);
    let ran = scene.run(2, &["run"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let of_master = scene.program.newest();
    let replica = replica(scene, "r1", &of_master, &["--as", "standalone"]);
    replica.follow(master, text(&of_master, "/mariadb_gtid/binlog_pos"));
    replica.wait_caught_up(master, PATIENCE);

    let writer = Writer::start(master, 100);
    let ran = scene.run_for(&replica, &["run"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("the replica's SQL threads run again: the default connection caught up"),
        "{}",
        ran.err
    );
    assert!(runs(&replica));
    writer.stop();
    let manifest = newest(scene);
    let id = text(&manifest, "/id");
    assert_eq!((manifest["format"].as_u64(), &manifest["gtid"]), (Some(2), &Value::Null), "{manifest:#}");
    assert_eq!(manifest["replication"][0]["host"], "127.0.0.1", "{manifest:#}");
    let slave_pos = text(&manifest, "/mariadb_gtid/slave_pos");
    assert!(slave_pos.contains('-') && manifest["warnings"].as_array().unwrap().is_empty(), "{manifest:#}");
    let own = text(&manifest, "/mariadb_gtid/binlog_pos");
    assert!(ran.out.starts_with(&format!("Backup {id} is complete at {own}.")), "{}", ran.out);
    commands_cope(scene, &manifest, own);

    // It seeds a replica of the same master.
    let second = replica_of_its_master(scene, &manifest);
    second.wait_caught_up(master, PATIENCE);
    replica.wait_caught_up(master, PATIENCE);
    assert_same_rows([&**master, &*replica, &*second]);

    ended_early_its_threads_run_again(scene, &replica);
    alone_it_is_just_a_backup(scene, &replica);
}

fn folder() -> String {
    nix::unistd::gethostname().unwrap().to_string_lossy().into_owned()
}

fn newest(scene: &Scene) -> Value {
    let beginning = format!("{}/", folder());
    let is_one = |name: &&String| name.starts_with(&beginning) && name.ends_with("manifest.json");
    let files = scene.program.files();
    let newest = files.iter().filter(is_one).max().unwrap_or_else(|| panic!("{files:?}"));
    serde_json::from_slice(&fs::read(scene.program.repository().join(newest)).unwrap()).unwrap()
}

fn replica(scene: &Scene, name: &str, manifest: &Value, purpose: &[&str]) -> Replica {
    let replica =
        Replica::prepare(scene.cluster.scratch(), name, &["log_bin=binlog", "log_slave_updates=ON"]);
    let cnf = fs::read_to_string(replica.cnf()).unwrap();
    let own = format!("{cnf}[wsrep_sst_backup]\nuser=root\nsocket={}\n", replica.socket().display());
    fs::write(replica.cnf(), own).unwrap();
    scene.program.restore(manifest, &replica.datadir(), purpose);
    replica.start();
    replica
}

fn runs(replica: &Replica) -> bool {
    // Slave_SQL_Running of the default connection.
    replica.sql("SHOW ALL SLAVES STATUS").iter().any(|row| row[0].is_empty() && row[13] == "Yes")
}

/// Everything that reads a repository meets a manifest without a position of a cluster.
fn commands_cope(scene: &Scene, manifest: &Value, own: &str) {
    let (id, folder) = (text(manifest, "/id"), folder());
    let of = |words: &[&str]| scene.program.ok(&[words, &["--cluster", &folder]].concat());
    assert!(of(&["list"]).contains(own), "{}", of(&["list"]));
    assert!(of(&["show", "latest"]).contains(own) && of(&["verify", id]).contains("is intact"));
    of(&["list", "--json"]);
    assert!(of(&["prune", "--keep-last", "1", "--dry-run"]).contains(id));
    let page = scene.cluster.make_dir("page").join("page.html");
    of(&["report", "--html", page.to_str().unwrap()]);
    assert!(fs::read_to_string(&page).unwrap().contains(own));
    let copies = scene.cluster.make_dir("copies");
    of(&["copy", id, "--to", copies.to_str().unwrap()]);
    assert!(copies.join(&folder).join(id).join("manifest.json").is_file());
    // The cluster's own backups are another folder's, and another history.
    assert!(!scene.program.ok(&["list"]).is_empty());
    for purpose in ["node", "cluster"] {
        let ran = scene.program.run(&["restore", id, "--to", "/tmp/never", "--as", purpose]);
        assert!(ran.status == Some(1) && ran.err.contains("which was no Galera node"), "{ran:?}");
    }
}

fn replica_of_its_master(scene: &Scene, manifest: &Value) -> Replica {
    let second = replica(scene, "r2", manifest, &["--as", "replica"]);
    let script = fs::read_to_string(second.datadir().join("wsrep_sst_backup_replica.sql")).unwrap();
    assert!(script.contains("SET GLOBAL gtid_slave_pos") && script.contains("START ALL SLAVES"), "{script}");
    second.client(&script.replace("MASTER_PASSWORD='...'", "MASTER_PASSWORD='repl', MASTER_CONNECT_RETRY=1"));
    second
}

/// A backup that has stopped the threads.
fn slow(scene: &Scene, replica: &Replica) -> Child {
    let mut child = scene.words_for(replica, &["run"]).env(SLOW.0, SLOW.1).spawn().unwrap();
    wait_until("the threads stand", || {
        assert!(child.try_wait().unwrap().is_none());
        !runs(replica)
    });
    child
}

fn ended_early_its_threads_run_again(scene: &Scene, replica: &Replica) {
    let before = newest(scene);
    let mut child = slow(scene, replica);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!runs(replica), "nobody has come yet");
    let ran = scene.run_for(replica, &["run", "--resync"]);
    assert!(ran.status == Some(0) && ran.err.contains("was killed") && runs(replica), "{}", ran.err);
    let child = slow(scene, replica);
    signal(&child, Signal::SIGTERM);
    let ran = Ran::finish(child);
    assert!(
        ran.status == Some(1) && ran.err.contains("no backup was made: stopped by SIGTERM"),
        "{}",
        ran.err
    );
    assert!(runs(replica));
    assert_eq!(newest(scene), before, "a backup that looks complete");
}

fn alone_it_is_just_a_backup(scene: &Scene, replica: &Replica) {
    replica.exec("STOP ALL SLAVES");
    replica.exec("RESET SLAVE ALL");
    let ran = scene.run_for(replica, &["run", "--json"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((text(&told, "/outcome"), &told["donor_synced"]), ("complete", &Value::Null), "{told:#}");
    assert_eq!(told["manifest"]["replication"], serde_json::json!([]), "{told:#}");
    let ran = scene.run_for(replica, &["run", "--json", "--unless-newer-than", "1h"]);
    assert!(ran.status == Some(0) && ran.out.contains("\"recent\""), "{}{}", ran.out, ran.err);
    let place = scene.cluster.make_dir("alone").join("data");
    let said = scene.program.restore(&newest(scene), &place, &["--as", "standalone"]);
    assert!(said.contains("wsrep_on = OFF"), "{said}");
}
