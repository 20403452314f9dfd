//! The ready script for btrfs with real servers: a donor whose snapshots root takes behind a socket, and `run`, which takes them itself. What comes of
//! them is exact, and none is left.

mod support;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{Ran, gtid, number, recover_and_rejoin, rejoin_by_ist, text, with_program};
use support::{Cluster, ClusterOptions, Definer, PATIENCE, Program, Writer, assert_same_rows, wait_until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/snapshot/btrfs");

/// Root's own: the script, the option file that names it, and where notes lie.
fn roots(folder: &Path) -> String {
    let script = folder.join("btrfs");
    let called = folder.join("called");
    let text = format!(
        "#!/bin/sh\necho \"$1\" >>{}\nexec {SCRIPT} \"$1\" {}\n",
        called.display(),
        folder.join("place").display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.display();
    let lines = format!("snapshot-command={script} take\nsnapshot-release-command={script} release");
    fs::write(folder.join("root.cnf"), format!("[wsrep_sst_backup]\n{lines}\n")).unwrap();
    lines
}

/// What systemd does for a socket with `Accept=yes`.
fn listen(socket: &Path, folder: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (options, notes) = (folder.join("root.cnf"), folder.join("notes"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut helper = Command::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
                .args(["snapshot-helper", "--defaults-file"])
                .arg(&options)
                .arg("--notes")
                .arg(&notes)
                .stdin(Stdio::from(OwnedFd::from(stream.unwrap())))
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::spawn(move || helper.wait());
        }
    });
}

fn snapshots(cluster: &Cluster) -> usize {
    let base = cluster.n(1).dir().parent().unwrap().to_owned();
    let list = Command::new("btrfs").args(["subvolume", "list", "-r"]).arg(base).output().unwrap();
    assert!(list.status.success(), "{list:?}");
    String::from_utf8_lossy(&list.stdout).lines().count()
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and btrfs-progs"]
fn snapshots_of_btrfs_are_exact_by_state_transfer_and_by_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = with_program(ClusterOptions::new().on_btrfs(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "snapshot-socket={base}/snapshot.sock")
        .group("wsrep_sst_backup", "limit-rate=40M");
    for line in roots(folder.path()).lines() {
        options = options.group("wsrep_sst_backup", line);
    }
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let (n1, n2) = (cluster.n(1), cluster.n(2));
    let base = n1.dir().parent().unwrap();
    // The script makes snapshots in a folder of root's only; garbd leaves its log beside that.
    chown(base, Some(0), Some(0)).unwrap();
    fs::set_permissions(base, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(base.join("snapshots")).unwrap();
    symlink(base.join("snapshots"), folder.path().join("place")).unwrap();
    listen(&base.join("snapshot.sock"), folder.path());
    create_replicated_zoo(&cluster);
    fill_bulk(n1, "t", 32);
    let checked = program.on(n2, &["check", "--sample", "0"]).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("take' is run by whoever is behind '"), "{told}");
    assert!(
        told.contains("snapshot (auto): the server stands still while snapshot-command is at work, 30.0 s"),
        "{told}"
    );
    let writer = Writer::start(n1, 200);
    let definer = Definer::start(n1);
    assert!(wait_until(PATIENCE, || definer.rounds() > 3));
    let mark = n2.log_mark();
    // At the position where the server says that it has paused.
    let by_garbd = program.back_up(&cluster, 2);
    assert!(n2.log_since(mark).contains("snapshot-command took"), "{}", n2.log_since(mark));
    let by_lock = run(&cluster, &program);
    drop(definer);
    for (manifest, state) in [(&by_garbd, None), (&by_lock, Some("crashed"))] {
        assert_eq!((text(manifest, "/method"), number(manifest, "/damaged_pages")), ("snapshot", 0));
        assert_eq!(manifest.get("files_state").and_then(Value::as_str), state);
        program.ok(&["verify", text(manifest, "/id")]);
        let beyond = number(manifest, "/frozen_ms") - number(manifest, "/flush_ms");
        eprintln!("the server stood still for {beyond} ms beyond its flush");
    }
    assert_eq!(snapshots(&cluster), 0);
    let called = fs::read_to_string(folder.path().join("called")).unwrap();
    assert_eq!(called, "take\nrelease\ntake\nrelease\n");
    n2.wait_synced(PATIENCE);
    n2.stop();
    n2.wipe_datadir();
    program.restore(&by_garbd, &n2.datadir(), &[]);
    rejoin_by_ist(n2, &by_garbd);
    recover_and_rejoin(&program, n2, &by_lock);
    let stats = writer.stop();
    assert!(stats.commits > 0, "{stats:?}");
    wait_until(PATIENCE, || n1.position() == n2.position());
    assert_same_rows(cluster.nodes().map(|node| &**node));
}

/// `run` as root, where nobody is behind the socket.
fn run(cluster: &Cluster, program: &Program) -> Value {
    let n2 = cluster.n(2);
    n2.wait_synced(PATIENCE);
    let mark = n2.log_mark();
    let mut command = program.on(n2, &["run", "--json"]);
    command.env("WSREP_SST_BACKUP_SNAPSHOT_SOCKET", "/nowhere");
    let ran = Ran::finish(command.spawn().unwrap());
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let manifest = program.newest();
    assert_eq!(n2.frozen_since(mark), Some(gtid(&manifest)), "{}", n2.log_since(mark));
    manifest
}
