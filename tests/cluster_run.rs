//! `run` on real nodes: a command while its node is desynced, and the way back from each end.
//!
//! What the node was is asserted by the node itself: `wsrep_desync`, its state, its counters.

#[path = "cluster_run/backup.rs"]
mod backup;
#[path = "cluster_run/replica.rs"]
mod replica;
#[path = "cluster_run/replica_backup.rs"]
mod replica_backup;
#[path = "cluster_run/scene.rs"]
mod scene;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replica::a_replica_stands_and_catches_up;
use scene::{Scene, assert_all_end, assert_back, signal, wait_until};
use support::program::{Ran, with_program};
use support::{AsideWatch, Cluster, ClusterOptions, PATIENCE, Program, Writer, assert_same_rows};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_node_is_desynced_while_a_command_runs_and_comes_back_from_every_end() {
    let options = with_program(ClusterOptions::new(), BINARY);
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let scene = Scene { cluster, program };
    the_command_has_its_node_and_its_status_is_ours(&scene);
    the_queue_drains_before_the_node_is_let_in(&scene);
    a_queue_that_is_too_long_lets_the_node_in_at_once(&scene);
    whoever_had_to_wait_would_be_seen(&scene);
    killed_it_is_cured(&scene);
    asked_to_end_it_ends_all(&scene);
    what_it_was_started_to_ignore_it_ignores(&scene);
    one_at_a_time(&scene);
    of_others_is_left_alone(&scene);
    neither_a_node_nor_a_server_by_itself(&scene);
    a_server_that_was_restarted_is_not_desynced(&scene);
    killed_at_any_moment_the_next_one_cures_it(&scene);
    a_replica_stands_and_catches_up(&scene);
    let left: Vec<_> = scene.program.files().into_iter().filter(|name| !name.contains('/')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[ignore = "needs MariaDB, Galera and root"]
fn a_node_that_is_desynced_backs_itself_up_and_comes_back_from_every_end() {
    let cluster = Cluster::start(2, &with_program(ClusterOptions::new(), BINARY));
    let program = Program::of(&cluster);
    backup::a_node_backs_itself_up(cluster, program);
}

fn the_command_has_its_node_and_its_status_is_ours(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let look = "mariadb --socket=$WSREP_RUN_SOCKET -uroot -BNe 'SELECT @@GLOBAL.wsrep_desync, @@wsrep_node_name'; echo $WSREP_RUN_DATADIR; echo $WSREP_RUN_SOCKET $WSREP_RUN_NODE";
    let ran = scene.run(1, &["run", "--", "sh", "-c", look]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "1\tn1", "{}", ran.err);
    assert_eq!(Path::new(lines[1]), n1.datadir());
    assert_eq!(lines[2], format!("{} n1", n1.socket().display()));
    assert!(
        ran.err.contains("node 'n1' is let in again: its receive queue was empty; Synced after"),
        "{}",
        ran.err
    );
    assert_back(n1);
    for (script, status) in [("false", 1), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let ran = scene.run(1, &["run", "--", "sh", "-c", script]);
        assert_eq!(ran.status, Some(status), "{script}: {}", ran.err);
        assert_back(n1);
    }
    let ran = scene.run(1, &["run", "--", "/no/such/program"]);
    assert_eq!(ran.status, Some(127), "{}", ran.err);
    assert!(ran.err.contains("cannot start '/no/such/program': No such file"), "{}", ran.err);
    assert_back(n1);
}

/// A lock keeps the node from applying; what it has not got to by the end of the command is applied first.
fn the_queue_drains_before_the_node_is_let_in(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    let (writer, watch) = (Writer::start(n2, 400), AsideWatch::start(n1));
    let ran = with_a_queue(scene, 500);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.err.contains("write sets waited in the receive queue"), "{}", ran.err);
    assert!(ran.err.contains("its receive queue of ") && ran.err.contains(" drained in "), "{}", ran.err);
    assert_back(n1);
    assert_eq!(watch.flow_control_aside(), 0, "somebody had to wait");
    writer.stop();
    wait_until("both have the same", || n1.position() == n2.position());
    assert_same_rows([n1, n2].map(|node| &**node));
}

/// What has given the command up does not wait for the queue either.
fn a_queue_that_is_too_long_lets_the_node_in_at_once(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    let writer = Writer::start(n2, 400);
    let lock =
        "mariadb --socket=$WSREP_RUN_SOCKET -uroot -e 'FLUSH TABLES WITH READ LOCK; SELECT SLEEP(600)'";
    let ran = scene.run(1, &["run", "--queue-limit=300", "--", "sh", "-c", lock]);
    assert_eq!(ran.status, Some(1), "{}", ran.err);
    assert!(ran.err.contains("more than queue-limit (300): the command was ended"), "{}", ran.err);
    assert!(ran.err.contains(" write sets still wait after ") && !ran.err.contains("drained"), "{}", ran.err);
    writer.stop();
    wait_until("both have the same", || n1.position() == n2.position());
    assert_back(n1);
}

/// With `gcs.sync_donor` a desync keeps nobody from waiting. Switched on at run time it is in no variable, so the run begins.
fn whoever_had_to_wait_would_be_seen(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    let options = [("gcs.sync_donor", "yes", "no"), ("gcs.fc_limit", "4", "100")];
    for (option, value, _) in options {
        n1.set_provider_option(option, value);
    }
    let (writer, watch) = (Writer::start(n2, 400), AsideWatch::start(n1));
    // Of two nodes the limit is 1.4 times as much; then nobody writes.
    let ran = with_a_queue(scene, 6);
    for (option, _, before) in options {
        n1.set_provider_option(option, before);
    }
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert_back(n1);
    assert!(watch.flow_control_aside() > 0);
    writer.stop();
}

/// A command that locks the node until so many write sets wait.
fn with_a_queue(scene: &Scene, longer_than: u32) -> Ran {
    let queue = "SHOW GLOBAL STATUS LIKE 'wsrep_local_recv_queue'";
    // The lock goes with its session when the queue is long, and the command with it.
    let script = format!(
        "mariadb --socket=$WSREP_RUN_SOCKET -uroot -e 'FLUSH TABLES WITH READ LOCK; SELECT SLEEP(600)' & lock=$!; \
         until [ \"$(mariadb --socket=$WSREP_RUN_SOCKET -uroot -BNe \"{queue}\" | cut -f2)\" -gt {longer_than} ]; do sleep 0.05; done; kill $lock"
    );
    scene.run(1, &["run", "--", "sh", "-c", &script])
}

/// What is left is told and ended by each of those who may come next; no process is left at all.
fn killed_it_is_cured(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    for (number, next) in
        [&["run", "--resync"][..], &["run", "--", "true"], &["check", "--sample", "0"]].iter().enumerate()
    {
        let (mut child, pids) = scene.endless(1, &format!("killed{number}"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_all_end(&pids);
        assert_eq!(scene.desync(1), "1", "nobody has come yet");
        let ran = scene.run(1, next);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(told.contains("was killed") && told.contains("let in again"), "{next:?}: {told}");
        assert_back(n1);
    }
    // The guard is killed: the command goes with it, and the rest is the usual end.
    let (child, pids) = scene.endless(1, "guard");
    let below = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    kill(Pid::from_raw(below.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    let ran = Ran::finish(child);
    assert_eq!(ran.status, Some(137), "{}", ran.err);
    assert_all_end(&pids);
    assert_back(n1);
    // Nothing is left, and that is no error.
    let ran = scene.run(1, &["run", "--resync"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
}

fn asked_to_end_it_ends_all(scene: &Scene) {
    for (end, again) in [(Signal::SIGTERM, false), (Signal::SIGINT, true)] {
        let (child, pids) = scene.endless(1, end.as_ref());
        signal(&child, end);
        if again {
            signal(&child, end);
        }
        let ran = Ran::finish(child);
        assert_eq!(ran.status, Some(1), "{}", ran.err);
        assert!(ran.err.contains("interrupted: the command was ended"), "{}", ran.err);
        assert_all_end(&pids);
        assert_back(scene.cluster.n(1));
    }
}

/// Started by `nohup`, it outlives its terminal.
fn what_it_was_started_to_ignore_it_ignores(scene: &Scene) {
    let script = "trap '' HUP; exec \"$@\"";
    let mut command = Command::new("sh");
    let inner = scene.words(
        1,
        &["run", "--", "sh", "-c", "kill -HUP $PPID $$; kill -HUP $(ps -o ppid= $PPID); sleep 0.3; exit 5"],
    );
    command.args(["-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    let ran = Ran::finish(
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    assert_eq!(ran.status, Some(5), "{}{}", ran.out, ran.err);
    assert_back(scene.cluster.n(1));
}

fn one_at_a_time(scene: &Scene) {
    let (child, pids) = scene.endless(1, "first");
    for (number, why) in
        [(2, "'n1' is Donor/Desynced"), (1, "another run is under way on this server ('sh' since ")]
    {
        let ran = scene.run(number, &["run", "--", "touch", "/dev/null/never"]);
        assert!(ran.status == Some(1) && ran.err.contains(why), "{}", ran.err);
    }
    // Where the members cannot be seen the repository decides.
    let ran = scene.run(2, &["run", "--force", "--", "true"]);
    assert!(ran.status == Some(1) && ran.err.contains("another backup or run is under way ("), "{}", ran.err);
    let ran = scene.run(1, &["run", "--resync"]);
    assert!(
        ran.status == Some(1) && ran.err.contains("another run is under way on this server"),
        "{}",
        ran.err
    );
    assert_eq!((scene.desync(1), scene.desync(2)), ("1".into(), "0".into()));
    signal(&child, Signal::SIGHUP);
    Ran::finish(child);
    assert_all_end(&pids);
    assert_back(scene.cluster.n(1));
}

fn of_others_is_left_alone(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    n1.exec("SET GLOBAL wsrep_desync=ON");
    let ran = scene.run(1, &["run", "--force", "--", "true"]);
    assert!(
        ran.status == Some(1) && ran.err.contains("node 'n1' is Donor/Desynced, not Synced"),
        "{}",
        ran.err
    );
    let ran = scene.run(2, &["run", "--", "true"]);
    assert!(
        ran.status == Some(1) && ran.err.contains("'n1' is Donor/Desynced: another backup"),
        "{}",
        ran.err
    );
    for words in [&["run", "--resync"][..], &["check", "--sample", "0"]] {
        let ran = scene.run(1, words);
        assert!(!format!("{}{}", ran.out, ran.err).contains("let in again"), "{}{}", ran.out, ran.err);
    }
    assert_eq!(scene.desync(1), "1");
    n1.exec("SET GLOBAL wsrep_desync=OFF");
    n1.wait_synced(PATIENCE);
}

/// `wsrep_on=OFF` on a member: nothing is taken of it, also with `--force`, and nothing is changed.
fn neither_a_node_nor_a_server_by_itself(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    n1.exec("SET GLOBAL wsrep_on=OFF");
    for words in [&["run"][..], &["run", "--force"], &["run", "--", "touch", "/dev/null/never"]] {
        let ran = scene.run(1, words);
        assert!(
            ran.status == Some(1) && ran.err.contains("is in a cluster and has wsrep_on=OFF"),
            "{}",
            ran.err
        );
    }
    n1.exec("SET GLOBAL wsrep_on=ON");
    assert_back(n1);
}

/// The desync that a killed run has left ends with its server; one that an administrator sets on the next is his.
fn a_server_that_was_restarted_is_not_desynced(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let (mut child, pids) = scene.endless(1, "restart");
    let begun = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_all_end(&pids);
    n1.stop();
    let ran = scene.run(1, &["run", "--resync"]);
    assert!(ran.status == Some(0) && ran.err.contains("has ended or was started anew"), "{}", ran.err);
    let (mut child, pids) = {
        n1.start(false);
        n1.wait_synced(PATIENCE);
        scene.endless(1, "again")
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_all_end(&pids);
    n1.stop();
    wait_until("another second", || begun.elapsed() > Duration::from_secs(2));
    n1.start(false);
    n1.wait_synced(PATIENCE);
    n1.exec("SET GLOBAL wsrep_desync=ON");
    let ran = scene.run(1, &["run", "--resync"]);
    assert!(ran.status == Some(1) && ran.err.contains("was started anew since this program"), "{}", ran.err);
    assert_eq!(scene.desync(1), "1");
    n1.exec("SET GLOBAL wsrep_desync=OFF");
    let ran = scene.run(1, &["run", "--resync"]);
    assert!(ran.status == Some(0) && ran.err.contains("has ended or was started anew"), "{}", ran.err);
    assert_back(n1);
}

/// The moments in which a run is killed lie a little later each time, from before its first word to about its last.
fn killed_at_any_moment_the_next_one_cures_it(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let (mut cured, mut begun) = (0, 0);
    let started = Instant::now();
    assert_eq!(scene.run(1, &["run", "--", "sleep", "0.1"]).status, Some(0));
    let whole = started.elapsed();
    for round in 0..16 {
        let mut child = scene.words(1, &["run", "--", "sleep", "0.1"]).spawn().unwrap();
        // Not a wait for anything: any length is right.
        std::thread::sleep(whole * round / 16);
        let _ = child.kill();
        let ran = Ran::finish(child);
        begun += i32::from(ran.err.contains("is desynced"));
        let ran = scene.run(1, &["run", "--resync"]);
        assert_eq!(ran.status, Some(0), "round {round}: {}", ran.err);
        cured += i32::from(ran.err.contains("was killed"));
        assert_back(n1);
        // One that was killed before its note leaves a lease, which others mind for a minute, or its temporary file, which nobody minds.
        for name in scene.program.files().iter().filter(|name| name.contains("asking.")) {
            fs::remove_file(scene.program.repository().join(name)).unwrap();
        }
    }
    eprintln!("16 runs killed: {begun} had desynced the node, {cured} were cured by the next");
    assert!(cured > 0 && begun > cured / 2, "{begun} {cured}");
}
