//! `run` whatever goes wrong, at its steps: a backup that verifies or none, and a node that is back.

mod support;

use std::fs;
use std::process::Child;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::fixtures::fill_bulk;
use support::program::with_program;
use support::run_faults::{FaultScene, finish};
use support::{Cluster, ClusterOptions, PATIENCE, Program, Writer, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

fn scene() -> FaultScene {
    let cluster = Cluster::start(2, &with_program(ClusterOptions::new().on_xfs(), BINARY));
    fill_bulk(cluster.n(1), "t", 8);
    cluster.n(1).exec("CREATE DATABASE IF NOT EXISTS test");
    let program = Program::of(&cluster);
    FaultScene { cluster, program }
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device, xfsprogs and strace"]
fn whatever_goes_wrong_in_a_run_there_is_a_whole_backup_or_none_and_the_node_is_back() {
    let scene = scene();
    let writer = Writer::start(scene.cluster.n(1), 50);
    let (mut injected, mut cured) = (0, 0);
    for (method, call, fault, number) in [
        ("snapshot", "ioctl", "signal=SIGKILL", 9),
        ("snapshot", "ioctl", "error=ENOSPC", 9),
        ("snapshot", "write", "error=ENOSPC", 7),
        ("snapshot", "fsync", "signal=SIGKILL", 4),
        ("mariadb-backup", "write", "error=ENOSPC", 7),
        ("mariadb-backup", "read", "signal=SIGKILL", 60),
    ] {
        let begun = Instant::now();
        let outcome = scene.inject(method, call, fault, number);
        eprintln!("{method} {call} {fault} {number}: {outcome:?} after {:?}", begun.elapsed());
        injected += u32::from(outcome.injected);
        cured += u32::from(outcome.cured);
    }
    assert!(injected == 6 && cured > 1, "{injected} {cured}");
    assert!(writer.stop().commits > 0);
    a_full_disk_of_the_server_gives_up_the_clones(&scene);
    one_that_is_stopped_under_the_lock_does_not_keep_it(&scene);
    a_server_that_dies_under_the_lock_has_no_backup(&scene);
    one_that_dies_when_its_files_are_cloned_has_one_and_that_it_is_gone_is_told(&scene);
}

fn state(scene: &FaultScene, before: usize) -> Option<String> {
    let files = scene.program.files();
    let all: Vec<&String> = files.iter().filter(|name| name.ends_with("status.json")).collect();
    let newest = all.last().filter(|_| all.len() > before)?;
    let status: Value =
        serde_json::from_slice(&fs::read(scene.program.repository().join(newest)).ok()?).ok()?;
    status["state"].as_str().map(str::to_owned)
}

fn attempts(scene: &FaultScene) -> usize {
    scene.program.files().iter().filter(|name| name.ends_with("status.json")).count()
}

/// So slow that its clones live for a while.
fn slow(scene: &FaultScene) -> Child {
    let before = attempts(scene);
    let mut command = scene.command("snapshot");
    let mut child = command.env("WSREP_SST_BACKUP_LIMIT_RATE", "10M").spawn().unwrap();
    assert!(wait_until(PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        state(scene, before).as_deref() == Some("thawed")
    }));
    child
}

fn a_full_disk_of_the_server_gives_up_the_clones(scene: &FaultScene) {
    let before = scene.program.manifests().len();
    let child = slow(scene);
    assert!(!scene.holders().is_empty(), "there are no clones");
    let stat = nix::sys::statvfs::statvfs(scene.cluster.dir()).unwrap();
    let ballast = scene.cluster.dir().join("ballast");
    let bytes = stat.blocks_available() * stat.fragment_size() - (200 << 20);
    let file = fs::File::create(&ballast).unwrap();
    let bytes = i64::try_from(bytes).unwrap();
    nix::fcntl::fallocate(&file, nix::fcntl::FallocateFlags::empty(), 0, bytes).unwrap();
    let ran = finish(child, "a full disk");
    drop(file);
    fs::remove_file(&ballast).unwrap();
    assert!(ran.status == Some(1) && ran.err.contains("they were given up before it is full"), "{}", ran.err);
    let outcome = scene.judge("a full disk", &ran, before);
    assert!(!outcome.complete);
}

/// A backup that clones slowly, and holds the lock now.
fn locked(scene: &FaultScene) -> Child {
    let attempts = attempts(scene);
    let trace = scene.cluster.dir().join("trace");
    let options = "-e trace=ioctl -e inject=ioctl:delay_enter=40ms";
    let mut command = support::program::under_strace(&scene.command("snapshot"), options, &trace);
    let child = command.spawn().unwrap();
    assert!(wait_until(PATIENCE, || state(scene, attempts).as_deref() == Some("copying")));
    child
}

fn a_server_that_dies_under_the_lock_has_no_backup(scene: &FaultScene) {
    let before = scene.program.manifests().len();
    let child = locked(scene);
    scene.node().kill9();
    let ran = finish(child, "the server was killed");
    assert!(ran.status == Some(1) && ran.err.contains("no backup was made"), "{}", ran.err);
    scene.node().come_back();
    assert!(!scene.judge("killed under the lock", &ran, before).complete, "{}", ran.err);
}

/// The server hears nothing of it any more, and takes its lock back.
fn one_that_is_stopped_under_the_lock_does_not_keep_it(scene: &FaultScene) {
    let before = scene.program.manifests().len();
    let child = locked(scene);
    let program = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(program, Signal::SIGSTOP).unwrap();
    let node = scene.node();
    // The table is that of the rounds before.
    node.sql_all(&["SET SESSION lock_wait_timeout=90", "INSERT INTO test.w VALUES (NULL)"]);
    assert_eq!(node.status("wsrep_desync_count"), "1", "it is stopped still");
    kill(program, Signal::SIGCONT).unwrap();
    let ran = finish(child, "it was stopped");
    assert!(ran.status == Some(1) && ran.err.contains("no backup was made"), "{:?} {}", ran.status, ran.err);
    assert!(!scene.judge("stopped under the lock", &ran, before).complete, "{}", ran.err);
}

fn one_that_dies_when_its_files_are_cloned_has_one_and_that_it_is_gone_is_told(scene: &FaultScene) {
    let before = scene.program.manifests().len();
    let child = slow(scene);
    // In the moment in which the files are cloned the node is on its way back.
    scene.node().wait_synced(PATIENCE);
    scene.node().kill9();
    let ran = finish(child, "the server was killed");
    scene.node().come_back();
    assert!(scene.judge("killed when cloned", &ran, before).complete, "{}", ran.err);
    // Ended by a signal while it reads them: no backup.
    let before = scene.program.manifests().len();
    let child = slow(scene);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let ran = finish(child, "SIGTERM");
    assert!(ran.status == Some(1) && ran.err.contains("stopped by SIGTERM"), "{}", ran.err);
    assert!(!scene.judge("SIGTERM", &ran, before).complete);
}
