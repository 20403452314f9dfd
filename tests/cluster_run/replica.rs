//! `run` on a replica of the cluster.

use std::fs;

use nix::sys::signal::Signal;

use super::scene::{Scene, assert_all_end, signal};
use super::support::program::{Ran, text};
use super::support::replica::create_account;
use super::support::{PATIENCE, Replica, Writer, assert_same_rows};

/// The SQL threads that ran stand while the command runs, and run again after every end; one that did not run is left alone.
pub(super) fn a_replica_stands_and_catches_up(scene: &Scene) {
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
    assert!(ran.status == Some(3) && ran.err.contains("nothing is stopped for it"), "{}", ran.err);

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
