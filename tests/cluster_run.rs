//! `run` on real nodes: a command while its node is desynced, and the way back from each end.
//!
//! What the node was is asserted by the node itself: `wsrep_desync`, its state, its counters.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::assert_same_rows;
use support::program::{Ran, text, with_program};
use support::replica::create_account;
use support::{Cluster, ClusterOptions, Node, PATIENCE, Program, Replica, Server, Writer};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// A cluster whose nodes run commands.
struct Scene {
    cluster: Cluster,
    program: Program,
}

impl Scene {
    /// The words of a command line on a node, by its option file.
    fn words(&self, number: usize, words: &[&str]) -> Command {
        self.words_for(self.cluster.n(number), words)
    }

    fn words_for(&self, server: &Server, words: &[&str]) -> Command {
        let mut command = Command::new(self.cluster.program());
        command
            .arg(words[0])
            .arg("--defaults-file")
            .arg(server.cnf())
            .arg("--repository")
            .arg(self.program.repository())
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, number: usize, words: &[&str]) -> Ran {
        Ran::finish(self.words(number, words).spawn().unwrap())
    }

    fn run_for(&self, server: &Server, words: &[&str]) -> Ran {
        Ran::finish(self.words_for(server, words).spawn().unwrap())
    }

    fn endless(&self, number: usize, mark: &str) -> (Child, PathBuf) {
        self.endless_for(self.cluster.n(number), mark)
    }

    /// A command of the shell that runs until it is ended; returns when it has begun. It has a child in the background.
    fn endless_for(&self, server: &Server, mark: &str) -> (Child, PathBuf) {
        let pids = self.cluster.make_dir("marks").join(mark);
        let script =
            format!("trap '' HUP; sleep 4711 & echo $$ $! >{0}.new; mv {0}.new {0}; wait", pids.display());
        let mut child = self.words_for(server, &["run", "--", "sh", "-c", &script]).spawn().unwrap();
        let has_ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        support::wait_until(PATIENCE, || pids.exists() || has_ended(&mut child));
        if !pids.exists() {
            let _ = child.kill();
            panic!("the command has not begun: {:?}", Ran::finish(child));
        }
        (child, pids)
    }

    fn desync(&self, number: usize) -> String {
        self.cluster.n(number).scalar("SELECT @@GLOBAL.wsrep_desync")
    }
}

#[track_caller]
fn assert_back(node: &Node) {
    assert_eq!(node.scalar("SELECT @@GLOBAL.wsrep_desync"), "0");
    node.wait_synced(PATIENCE);
    assert_eq!(node.status("wsrep_desync_count"), "0");
    let beside = fs::read_dir(node.socket().parent().unwrap()).unwrap().flatten();
    let left: Vec<_> = beside.map(|entry| entry.file_name()).filter(|name| is_note(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(support::wait_until(PATIENCE, condition), "{what}");
}

fn is_note(name: &OsStr) -> bool {
    name.to_string_lossy().contains("desync")
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
fn assert_all_end(pids: &Path) {
    let pids: Vec<i32> =
        fs::read_to_string(pids).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    wait_until("the command and its child have ended", || !pids.iter().any(|pid| is_alive(*pid)));
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_node_is_desynced_while_a_command_runs_and_comes_back_from_every_end() {
    let options = with_program(ClusterOptions::new(), BINARY);
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let scene = Scene { cluster, program };
    the_command_has_its_node_and_its_status_is_ours(&scene);
    the_queue_drains_before_the_node_is_let_in(&scene);
    killed_it_is_cured(&scene);
    asked_to_end_it_ends_all(&scene);
    one_at_a_time(&scene);
    of_others_is_left_alone(&scene);
    a_server_that_was_restarted_is_not_desynced(&scene);
    killed_at_any_moment_the_next_one_cures_it(&scene);
    a_replica_stands_and_catches_up(&scene);
    let left: Vec<_> = scene.program.files().into_iter().filter(|name| !name.contains('/')).collect();
    assert!(left.is_empty(), "{left:?}");
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
    assert!(ran.err.contains("cannot run '/no/such/program': No such file"), "{}", ran.err);
    assert_back(n1);
}

/// A lock keeps the node from applying; what it has not got to by the end of the command is applied first.
fn the_queue_drains_before_the_node_is_let_in(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    let sent = [n1, n2].map(Node::flow_control_sent);
    let writer = Writer::start(n2, 400);
    let queue = "SHOW GLOBAL STATUS LIKE 'wsrep_local_recv_queue'";
    // The lock goes with its session when the queue is long, and the command with it.
    let script = format!(
        "mariadb --socket=$WSREP_RUN_SOCKET -uroot -e 'FLUSH TABLES WITH READ LOCK; SELECT SLEEP(600)' & lock=$!; \
         until [ \"$(mariadb --socket=$WSREP_RUN_SOCKET -uroot -BNe \"{queue}\" | cut -f2)\" -gt 500 ]; do sleep 0.05; done; kill $lock"
    );
    let ran = scene.run(1, &["run", "--", "sh", "-c", &script]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.err.contains("write sets waited in the receive queue"), "{}", ran.err);
    assert!(ran.err.contains("its receive queue of ") && ran.err.contains(" drained in "), "{}", ran.err);
    assert_back(n1);
    writer.stop();
    assert_eq!([n1, n2].map(Node::flow_control_sent), sent);
    wait_until("both have the same", || n1.position() == n2.position());
    assert_same_rows([n1, n2].map(|node| &**node));
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
    assert!(ran.status == Some(0) && ran.err.contains("has ended or was started anew"), "{}", ran.err);
    assert_eq!(scene.desync(1), "1");
    n1.exec("SET GLOBAL wsrep_desync=OFF");
    assert_back(n1);
}

/// The moments in which a run is killed lie a little further apart each time, from before its first word to behind its last.
fn killed_at_any_moment_the_next_one_cures_it(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let (mut cured, mut begun) = (0, 0);
    for round in 0..16 {
        let mut child = scene.words(1, &["run", "--", "sleep", "0.1"]).spawn().unwrap();
        // Not a wait for anything: any length is right.
        std::thread::sleep(Duration::from_millis(round * 20));
        let _ = child.kill();
        let ran = Ran::finish(child);
        begun += i32::from(ran.err.contains("is desynced"));
        let ran = scene.run(1, &["run", "--resync"]);
        assert_eq!(ran.status, Some(0), "round {round}: {}", ran.err);
        cured += i32::from(ran.err.contains("was killed"));
        assert_back(n1);
        // One that was killed before its note leaves a lease, which others mind for a minute.
        for name in scene.program.files().iter().filter(|name| name.starts_with("asking.")) {
            fs::remove_file(scene.program.repository().join(name)).unwrap();
        }
    }
    eprintln!("16 runs killed: {begun} had desynced the node, {cured} were cured by the next");
    assert!(cured > 0 && begun > cured / 2, "{begun} {cured}");
}

/// The SQL threads that ran stand while the command runs, and run again after every end; one that did not run is left alone.
fn a_replica_stands_and_catches_up(scene: &Scene) {
    let master = scene.cluster.n(2);
    create_account(master);
    let manifest = scene.program.back_up(&scene.cluster, 2);
    let replica =
        Replica::prepare(scene.cluster.scratch(), "r1", &["log_bin=binlog", "log_slave_updates=ON"]);
    fs::write(
        replica.cnf(),
        format!(
            "{}[wsrep_sst_backup]\nuser=root\nsocket={}\n",
            fs::read_to_string(replica.cnf()).unwrap(),
            replica.socket().display()
        ),
    )
    .unwrap();
    scene.program.restore(&manifest, &replica.datadir(), &["--as", "standalone"]);
    replica.start();
    // Neither a node nor a replica: the command, and nothing else.
    let ran = scene.run_for(&replica, &["run", "--", "sh", "-c", "exit 3"]);
    assert!(ran.status == Some(3) && ran.err.contains("nothing is stopped for the command"), "{}", ran.err);

    replica.follow(master, text(&manifest, "/mariadb_gtid/binlog_pos"));
    replica.exec("CHANGE MASTER 'idle' TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'");
    replica.wait_caught_up(master, PATIENCE);
    let threads = || {
        // Connection_name and Slave_SQL_Running.
        let all = replica.sql("SHOW ALL SLAVES STATUS");
        let running = |name: &str| all.iter().any(|row| row[0] == name && row[13] == "Yes");
        (running(""), running("idle"))
    };
    assert_eq!(threads(), (true, false));
    let writer = Writer::start(master, 100);
    let commits = master.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
    let look = "q() { mariadb --socket=$WSREP_RUN_SOCKET -uroot -BNe \"$1\"; }; q 'SELECT @@gtid_slave_pos'; sleep 1; q 'SELECT @@gtid_slave_pos'; mariadb --socket=$WSREP_RUN_SOCKET -uroot -Be 'SHOW SLAVE STATUS\\G' | grep Slave_SQL_Running:";
    let ran = scene.run_for(&replica, &["run", "--", "sh", "-c", look]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let lines: Vec<&str> = ran.out.lines().map(str::trim).collect();
    assert!(lines.len() == 3 && lines[0] == lines[1] && lines[2] == "Slave_SQL_Running: No", "{lines:?}");
    assert!(ran.err.contains("'idle' from x@127.0.0.1:1, by GTID (Slave_Pos) does not apply"), "{}", ran.err);
    assert!(
        ran.err.contains("the replica's SQL threads run again: the default connection caught up after"),
        "{}",
        ran.err
    );
    assert_eq!(threads(), (true, false));
    assert_ne!(master.scalar("SELECT @@GLOBAL.gtid_binlog_pos"), commits, "nothing was written meanwhile");

    for next in [&["run", "--resync"][..], &["check", "--sample", "0"]] {
        let (mut child, pids) = scene.endless_for(&replica, &format!("replica-{}", next[0]));
        assert_eq!(threads(), (false, false));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_all_end(&pids);
        assert_eq!(threads(), (false, false), "nobody has come yet");
        let ran = scene.run_for(&replica, next);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(told.contains("was killed") && told.contains("run again"), "{next:?}: {told}");
        assert_eq!(threads(), (true, false));
    }
    let (child, pids) = scene.endless_for(&replica, "replica-term");
    signal(&child, Signal::SIGTERM);
    assert_eq!(Ran::finish(child).status, Some(1));
    assert_all_end(&pids);
    assert_eq!(threads(), (true, false));
    writer.stop();
    replica.wait_caught_up(master, PATIENCE);
    assert_same_rows([&**master, &*replica]);
}
