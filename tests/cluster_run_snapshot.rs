//! `run` on a node whose file system clones: the node is locked for a moment, nobody joins the group, and what comes of it recovers to its position.

mod support;

use std::process::{Command, Stdio};

use serde_json::Value;
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{Ran, gtid, number, recover_and_rejoin, text, with_program};
use support::{
    AsideWatch, Cluster, ClusterOptions, Definer, PATIENCE, Program, Writer, assert_same_rows, wait_until,
};

struct Scene {
    cluster: Cluster,
    program: Program,
}

impl Scene {
    fn command(&self, words: &[&str]) -> Command {
        self.program.on(self.cluster.n(2), words)
    }

    fn run(&self, words: &[&str]) -> Ran {
        Ran::finish(self.command(words).spawn().unwrap())
    }
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn a_node_is_locked_for_a_moment_and_its_backup_recovers_to_the_position() {
    let options = with_program(ClusterOptions::new().on_xfs(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let scene = Scene { cluster, program };
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    create_replicated_zoo(&scene.cluster);
    fill_bulk(n1, "t", 16);
    assert_eq!(n2.variable("innodb_flush_log_at_trx_commit"), "0");
    let mark = n1.log_mark();
    let mut writers = vec![Writer::start(n1, 60)];
    assert!(wait_until(PATIENCE, || writers[0].take_stats().commits > 0));
    let mut manifests = vec![backup(&scene)];
    // Now pages are written all the time, tables come and go, and clients write here too.
    n2.sql_all(&["SET GLOBAL innodb_max_dirty_pages_pct=0", "SET GLOBAL innodb_max_dirty_pages_pct_lwm=0"]);
    writers.push(Writer::start(n2, 200));
    let definer = Definer::start(n1);
    assert!(wait_until(PATIENCE, || definer.rounds() > 3));
    manifests.extend((0..2).map(|_| backup(&scene)));
    let log = n1.log_since(mark);
    assert!(!log.contains("view(view_id"), "somebody has joined or left: {log}");
    held_up_it_is_given_up(&scene);
    where_clones_fail_another_method_is_taken(&scene);
    drop(definer);
    let id = text(&manifests[0], "/id").to_owned();
    let refused = scene.program.run(&["restore", &id, "--to", "/tmp/nowhere", "--only", "zoo.child"]);
    assert!(refused.status == Some(2) && refused.err.contains("restore it as a whole"), "{refused:?}");
    for manifest in &manifests {
        recover_and_rejoin(&scene.program, scene.cluster.n(2), manifest);
    }
    for writer in writers {
        let stats = writer.stop();
        assert!(stats.commits > 0, "{stats:?}");
    }
    wait_until(PATIENCE, || n1.position() == n2.position());
    assert_same_rows(scene.cluster.nodes().map(|node| &**node));
}

/// A backup, for which nobody had to wait as long as the node was out of its cluster's flow control.
fn backup(scene: &Scene) -> Value {
    let n2 = scene.cluster.n(2);
    let (mark, watch) = (n2.log_mark(), AsideWatch::start(n2));
    let ran = scene.run(&["run", "--json"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    n2.wait_synced(PATIENCE);
    assert_eq!(watch.flow_control_aside(), 0, "somebody had to wait");
    let log = n2.log_since(mark);
    assert_eq!(
        steps(&log),
        ["desync", "lock", "unlock", "in"],
        "the lock stands inside of the desync: {log}"
    );
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((text(&told, "/outcome"), &told["donor_synced"]), ("complete", &true.into()), "{told:#}");
    let manifest = scene.program.newest();
    assert_eq!((text(&manifest, "/method"), text(&manifest, "/files_state")), ("snapshot", "crashed"));
    assert_eq!((number(&manifest, "/format"), &manifest["live_redo"]), (2, &Value::Null));
    // The lock of the whole server pauses the provider, and the server tells where.
    assert_eq!(n2.frozen_since(mark), Some(gtid(&manifest)), "{}", n2.log_since(mark));
    assert_eq!(n2.scalar("SELECT @@GLOBAL.wsrep_desync"), "0");
    assert!(ran.err.contains("is let in again: its receive queue"), "{}", ran.err);
    let beyond = number(&manifest, "/frozen_ms") - number(&manifest, "/flush_ms");
    eprintln!("locked for {beyond} ms beyond the {} ms of waiting", number(&manifest, "/flush_ms"));
    scene.program.ok(&["verify", text(&manifest, "/id")]);
    manifest
}

/// What the node has done, as its own log has it: the lock, which would desync the node by itself, finds it desynced.
fn steps(log: &str) -> Vec<&'static str> {
    const STEPS: [(&str, &str); 4] = [
        (" (n2) desyncs itself from group", "desync"),
        ("WSREP: Desyncing and pausing the provider", "lock"),
        ("WSREP: Resuming and resyncing the provider", "unlock"),
        ("WSREP: Shifting DONOR/DESYNCED -> JOINED", "in"),
    ];
    let step = |line: &str| STEPS.iter().find(|(words, _)| line.contains(words)).map(|(_, step)| *step);
    log.lines().filter_map(step).collect()
}

/// A clone of a large file fails under the lock, which no trial shows; so it is with a quota. The lock is given back, and the program is none that this stops.
fn where_clones_fail_another_method_is_taken(scene: &Scene) {
    const MOST: u64 = 40 << 20;
    let n2 = scene.cluster.n(2);
    // On its tables mariadb-backup 10.11.19 fails.
    scene.cluster.n(1).exec("DROP DATABASE `back``tick`");
    let large = n2.datadir().join("zoo/large.txt");
    std::fs::File::create(&large).unwrap().set_len(2 * MOST).unwrap();
    let command = scene.command(&["run"]);
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--fsize={MOST}")).arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mark = n2.log_mark();
    let ran = Ran::finish(limited.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    std::fs::remove_file(&large).unwrap();
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let told = ["the method snapshot gives up: ", "zoo/large.txt', could not be cloned"];
    assert!(told.iter().all(|told| ran.err.contains(told)), "{}", ran.err);
    n2.wait_synced(PATIENCE);
    let manifest = scene.program.newest();
    assert_eq!(text(&manifest, "/method"), "mariadb-backup");
    let passed = &manifest["method_reason"]["passed"];
    assert!(passed.to_string().contains("could not be cloned"), "{passed}");
    let steps = steps(&n2.log_since(mark));
    assert_eq!(&steps[..3], ["desync", "lock", "unlock"], "{steps:?}");
    assert_eq!(steps.last(), Some(&"in"), "{steps:?}");
    scene.program.ok(&["verify", text(&manifest, "/id")]);
}

/// Somebody holds a table: the lock is tried in slices, and given up; nothing of it is left.
fn held_up_it_is_given_up(scene: &Scene) {
    let n2 = scene.cluster.n(2);
    let before = scene.program.manifests().len();
    let mut holder = n2.session();
    support::sql::query(&mut holder, "LOCK TABLES zoo.child WRITE").unwrap();
    let mut command = scene.command(&["run"]);
    command.envs([("WSREP_SST_BACKUP_FLUSH_TIMEOUT", "2s"), ("WSREP_SST_BACKUP_LOCK_TIMEOUT", "1s")]);
    let ran = Ran::finish(command.spawn().unwrap());
    assert!(
        ran.status == Some(1) && ran.err.contains("was not to be had for 2 s (flush-timeout)"),
        "{}",
        ran.err
    );
    support::sql::query(&mut holder, "UNLOCK TABLES").unwrap();
    n2.wait_synced(PATIENCE);
    assert_eq!(scene.program.manifests().len(), before);
}
