//! `run` without a command: a node's backup of itself.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::replica_backup::a_replica_backs_itself_up;
use super::scene::{Scene, assert_back, is_alive, signal, wait_until};
use super::support::cli::{SmallDisk, cli};
use super::support::cnf::CLUSTER_NAME;
use super::support::program::{Ran, number, rejoin_by_ist, text};
use super::support::prometheus::Metrics;
use super::support::{AsideWatch, Cluster, PATIENCE, Program, Writer, assert_same_rows};

/// So slow that it is still read when somebody has come to end it.
const SLOW: (&str, &str) = ("WSREP_SST_BACKUP_LIMIT_RATE", "1M");

pub(super) fn a_node_backs_itself_up(cluster: Cluster, program: Program) {
    let scene = Scene { cluster, program };
    under_load_nobody_waits_for_it(&scene);
    what_cannot_be_is_refused_before_the_node_steps_aside(&scene);
    a_repository_that_is_not_there_is_told_to_the_metrics(&scene);
    one_backup_comes_of_two_timers(&scene);
    ended_early_it_leaves_no_backup_and_no_desync(&scene);
    a_repository_that_gets_full_leaves_no_backup_and_no_desync(&scene);
    the_backup_makes_a_node_that_joins_by_ist(&scene);
    a_replica_backs_itself_up(&scene);
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

fn under_load_nobody_waits_for_it(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    let (mark, writer) = (n1.log_mark(), Writer::start(n2, 300));
    let watch = AsideWatch::start(n1);
    let ran = scene.run(1, &["run"]);
    writer.stop();
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert_back(n1);
    assert_eq!(watch.flow_control_aside(), 0, "somebody had to wait");
    let manifest = scene.program.newest();
    let id = text(&manifest, "/id");
    assert!(ran.out.starts_with(&format!("Backup {id} is complete at ")), "{}", ran.out);
    assert!(ran.out.contains("n1 was held up by mariadb-backup for "), "{}", ran.out);
    for told in
        ["method mariadb-backup", "node 'n1' is desynced", "node 'n1' is let in again: its receive queue"]
    {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert!(!ran.err.contains("may have to wait for this node"), "{}", ran.err);
    assert_eq!((text(&manifest, "/method"), text(&manifest, "/content")), ("mariadb-backup", "xbstream"));
    assert_eq!((text(&manifest, "/node"), number(&manifest, "/frozen_ms")), ("n1", 0));
    // The pause that the server tells of is that of mariadb-backup, at the position that the manifest has.
    assert_eq!(n1.frozen_since(mark), Some(super::support::program::gtid(&manifest)));
    wait_until("both have the same", || n1.position() == n2.position());
    assert_same_rows([n1, n2].map(|node| &**node));
    assert!(scene.program.ok(&["verify", id]).contains("is intact"));
}

fn what_cannot_be_is_refused_before_the_node_steps_aside(scene: &Scene) {
    let before = scene.program.files();
    let refused = |words: &[&str], env: Option<(&str, &str)>, why: &str| {
        let mut command = scene.words(1, &[&["run", "--json"], words].concat());
        let ran = Ran::finish(command.envs(env).spawn().unwrap());
        let told = json(&ran);
        assert_eq!((ran.status, text(&told, "/outcome")), (Some(1), "refused"), "{}", ran.err);
        assert!(text(&told, "/error").contains(why), "{told:#}");
        assert!(!ran.err.contains("is desynced"), "{}", ran.err);
    };
    refused(
        &[],
        Some(("WSREP_SST_BACKUP_METHOD", "freeze")),
        "method 'freeze' reads the files of a server that stands still",
    );
    scene.cluster.n(2).exec("SET GLOBAL wsrep_desync=ON");
    refused(&[], None, "'n2' is Donor/Desynced: another backup");
    scene.cluster.n(2).exec("SET GLOBAL wsrep_desync=OFF");
    scene.cluster.n(2).wait_synced(PATIENCE);
    assert_eq!(scene.program.files(), before, "a refusal leaves nothing behind");
}

/// No repository has heard of such a run.
fn a_repository_that_is_not_there_is_told_to_the_metrics(scene: &Scene) {
    let file = scene.cluster.make_dir("metrics").join("x.prom");
    let run = |words: &[&str]| {
        let mut command = scene.words(1, &[&["run"], words].concat());
        let ran = Ran::finish(command.env("WSREP_SST_BACKUP_METRICS_FILE", &file).spawn().unwrap());
        (ran.status, ran.err, Metrics::read(&file))
    };
    let of_run = [("cluster", CLUSTER_NAME), ("node", "n1")];
    let known = |metrics: &Metrics, name: &str| metrics.get(name, &of_run[..1]);
    let (status, err, good) = run(&[]);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(good.get("last_run_success", &of_run), Some(1.0));
    assert_eq!(known(&good, "repository_readable"), Some(1.0));
    let (repository, away) = (scene.program.repository(), scene.cluster.dir().join("away"));
    fs::rename(repository, &away).unwrap();
    for words in [&[][..], &["--unless-newer-than", "1s"]] {
        let (status, err, failed) = run(words);
        assert_eq!(status, Some(1), "{err}");
        assert_eq!(failed.get("last_run_success", &of_run), Some(0.0), "{err}");
        assert_eq!(known(&failed, "repository_readable"), Some(0.0), "{err}");
        assert_eq!(known(&failed, "kept_backups"), known(&good, "kept_backups"));
    }
    fs::rename(&away, repository).unwrap();
    // That there is no need for a backup is no failure, and no success either.
    let (status, err, skipped) = run(&["--unless-newer-than", "1h"]);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(skipped.get("last_run_success", &of_run), Some(0.0));
    assert_back(scene.cluster.n(1));
}

/// Whoever comes while the other works waits for its end, and has a backup then.
fn one_backup_comes_of_two_timers(scene: &Scene) {
    let before = scene.program.manifests().len();
    let ran = scene.run(2, &["run", "--json", "--unless-newer-than", "1h"]);
    assert_eq!((ran.status, text(&json(&ran), "/outcome")), (Some(0), "recent"), "{}", ran.err);
    let begun = Instant::now();
    wait_until("it is older than a second", || begun.elapsed() > Duration::from_millis(1100));
    let start =
        |number| scene.words(number, &["run", "--json", "--unless-newer-than", "1s"]).spawn().unwrap();
    let both = [1, 2].map(start).map(Ran::finish);
    let mut outcomes = both.each_ref().map(|ran| {
        assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
        text(&json(ran), "/outcome").to_owned()
    });
    outcomes.sort();
    assert_eq!(outcomes, ["complete", "recent"], "{}{}", both[0].err, both[1].err);
    assert_eq!(scene.program.manifests().len(), before + 1);
    scene.cluster.nodes().for_each(assert_back);
}

/// A backup that has begun to read; its own process, and the one that reads.
fn slow(scene: &Scene) -> (Child, i32) {
    let before = scene.program.files();
    let mut child = scene.words(1, &["run"]).env(SLOW.0, SLOW.1).spawn().unwrap();
    let mut reader = None;
    wait_until("it reads", || {
        assert!(child.try_wait().unwrap().is_none());
        let is_new = |name: &&String| name.ends_with("status.json") && !before.contains(*name);
        let files = scene.program.files();
        let status = files.iter().find(is_new).map(|name| scene.program.repository().join(name));
        let reads = status.and_then(|file| serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok());
        reader = reader_below(&child);
        reads.is_some_and(|status| status["bytes_done"].as_u64() > Some(0)) && reader.is_some()
    });
    (child, reader.unwrap())
}

/// Every thread may be the parent of a child.
fn reader_below(child: &Child) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).ok()?;
    let below = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    below
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .next()
}

fn ended_early_it_leaves_no_backup_and_no_desync(scene: &Scene) {
    let before = scene.program.manifests().len();
    // While it reads another one does not begin.
    let (child, _) = slow(scene);
    let id = newest_attempt(scene);
    for (words, why) in [
        (&["run"][..], "'n1' is Donor/Desynced"),
        (&["run", "--force"], "another backup or run is under way ("),
    ] {
        let ran = scene.run(2, words);
        assert!(ran.status == Some(1) && ran.err.contains(why), "{}", ran.err);
    }
    signal(&child, Signal::SIGTERM);
    let ran = Ran::finish(child);
    assert!(
        ran.status == Some(1) && ran.err.contains("no backup was made: stopped by SIGTERM"),
        "{}",
        ran.err
    );
    assert_back(scene.cluster.n(1));
    let status = attempt(scene, &id);
    assert_eq!(text(&status, "/state"), "failed", "{status:#}");

    let (mut child, reader) = slow(scene);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the program that reads has ended", || !is_alive(reader));
    assert_eq!(scene.desync(1), "1", "nobody has come yet");
    let ran = scene.run(1, &["check", "--sample", "0"]);
    assert!(ran.out.contains("a run ('backup' since ") && ran.out.contains("let in again"), "{}", ran.out);
    assert_back(scene.cluster.n(1));

    let (child, reader) = slow(scene);
    signal_pid(reader, Signal::SIGKILL);
    let ran = Ran::finish(child);
    assert!(ran.status == Some(1) && ran.err.contains("no backup was made: "), "{}", ran.err);
    assert_back(scene.cluster.n(1));
    assert_eq!(scene.program.manifests().len(), before, "a backup that looks complete");

    // A server that dies under it is no desynced one any more.
    let (child, _) = slow(scene);
    scene.cluster.n(1).kill9();
    let ran = Ran::finish(child);
    assert!(ran.status == Some(1) && ran.err.contains("has gone away"), "{}", ran.err);
    assert_eq!(scene.program.manifests().len(), before, "a backup that looks complete");
    scene.cluster.n(1).come_back();
    assert_back(scene.cluster.n(1));
}

fn signal_pid(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

fn newest_attempt(scene: &Scene) -> String {
    let files = scene.program.files();
    let newest = files.iter().filter(|name| name.ends_with("status.json")).max().unwrap();
    newest.clone()
}

fn attempt(scene: &Scene, name: &str) -> Value {
    serde_json::from_slice(&fs::read(scene.program.repository().join(name)).unwrap()).unwrap()
}

/// A real disk.
fn a_repository_that_gets_full_leaves_no_backup_and_no_desync(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let place = scene.cluster.make_dir("small");
    let _disk = SmallDisk::mount(&place, 1);
    fs::write(place.join("ballast"), vec![0; 700 << 10]).unwrap();
    let ran = cli("run").own_defaults().arg("--defaults-file").arg(n1.cnf()).on(&place).run();
    assert!(ran.status == Some(1) && ran.stderr.contains("No space left on device"), "{ran:?}");
    assert!(ran.stderr.contains("node 'n1' is let in again"), "{}", ran.stderr);
    assert_back(n1);
    let listed = cli("list --json").on(&place).run().json();
    assert_eq!(listed["backups"], serde_json::json!([]), "{listed:#}");
}

fn the_backup_makes_a_node_that_joins_by_ist(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let manifest = scene.program.newest();
    n1.stop();
    n1.wipe_datadir();
    let said = scene.program.restore(&manifest, &n1.datadir(), &[]);
    assert!(said.contains("mariadb-backup has prepared it"), "{said}");
    n1.own_datadir();
    rejoin_by_ist(n1, &manifest);
    assert_same_rows(scene.cluster.nodes().map(|node| &**node));
}
