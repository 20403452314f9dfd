//! `restore --delta` on a real node: one that crashed, and whose files were damaged since, is made what a restore into an empty directory makes,
//! joins by IST, and has the rows of the others. On the way no server starts on it.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::cli::tree::{Tree, assert_same, tree, without_blocks};
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{Ran, number, recovered_position, rejoin_by_ist, text, under_strace, with_program};
use support::{
    Cluster, ClusterOptions, Node, PATIENCE, Program, Writer, assert_same_rows, noise, wait_until,
};

/// The node that is restored.
const LOST: usize = 3;
const MARK: &str =
    "This data directory is being restored by wsrep_sst_backup restore --delta and is not complete.";

#[test]
#[ignore = "needs MariaDB, Galera and strace"]
fn a_crashed_and_damaged_node_is_made_whole_by_what_differs_and_joins_by_ist() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let cluster = Cluster::start(3, &options);
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 48);
    let writer = Writer::start(cluster.n(1), 200);
    // Its own: other nodes have other LSNs in pages that they have written themselves.
    let manifest = program.back_up(&cluster, LOST);
    let node = cluster.n(LOST);
    let words =
        ["restore", text(&manifest, "/id"), "--delta", "--json", "--to", node.datadir().to_str().unwrap()]
            .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let in_use = program.run(&words);
    assert_eq!(in_use.status, Some(1), "{}", in_use.out);
    assert!(
        in_use.err.contains(&format!("is in use by mariadbd (pid {})", node.pid().unwrap())),
        "{}",
        in_use.err
    );
    std::thread::sleep(Duration::from_secs(1));
    node.kill9();
    damage(&node.datadir());
    std::thread::sleep(Duration::from_secs(1));

    killed(&cluster, &program, &words);
    no_server_starts(node);
    let told: Value = serde_json::from_str(&program.ok(&words)).unwrap();
    println!("{}", told["delta"]);
    let kept = told["delta"]["kept"]["files"].as_u64().unwrap();
    assert!(kept > 50, "{told}");
    let (read, all) = (told["delta"]["read_bytes"].as_i64().unwrap(), number(&manifest, "/archive/bytes"));
    assert!(read < all / 2, "{read} of {all} bytes were read");
    let fresh = cluster.make_dir("fresh");
    program.restore(&manifest, &fresh, &[]);
    let left = told["delta"]["left"].as_array().unwrap();
    let left =
        left.iter().map(|path| Path::new(path.as_str().unwrap()).strip_prefix(node.datadir()).unwrap());
    let mut found = still(&node.datadir());
    left.for_each(|path| drop(found.remove(path).expect("what was left is there")));
    assert_same(&found, &still(&fresh));

    node.own_datadir();
    rejoin_by_ist(node, &manifest);
    let stats = writer.stop();
    assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
}

/// The command that moves newer binary logs away, as the program prints it, leaves nothing on which a server would not start.
#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_cluster_begins_anew_where_newer_binary_logs_were_moved_away_as_is_printed() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let cluster = Cluster::start(1, &options);
    let (program, node) = (Program::of(&cluster), cluster.n(1));
    node.exec("CREATE DATABASE d");
    let manifest = program.back_up(&cluster, 1);
    node.exec("FLUSH BINARY LOGS");
    node.exec("CREATE TABLE d.newer (i INT PRIMARY KEY)");
    let logs = node.sql("SHOW BINARY LOGS").len();
    node.stop();
    let target = node.datadir();
    let words =
        ["restore", text(&manifest, "/id"), "--delta", "--as", "cluster", "--to", target.to_str().unwrap()];
    let refused = program.run(&words);
    assert_eq!(refused.status, Some(1), "{}", refused.err);
    let command = refused.err.lines().find_map(|line| line.split_once("restore again:  "));
    let (_, command) = command.unwrap_or_else(|| panic!("no command: {}", refused.err));
    println!("{command}");
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
    let away = fs::read_dir(target.with_extension("binlogs")).unwrap();
    let names: Vec<String> = away.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() > logs && names.contains(&"binlog.index".to_owned()), "{names:?}");
    program.ok(&words);
    node.own_datadir();
    node.start(true);
    node.wait_synced(PATIENCE);
    assert!(node.sql("SHOW TABLES IN d").is_empty());
    node.exec("CREATE TABLE d.again (i INT PRIMARY KEY)");
    node.stop();
}

/// Everything but the time of the file that the restore itself writes, and how a file system lays out a file that a server has written.
fn still(root: &Path) -> Tree {
    let mut tree = tree(root);
    tree.get_mut(Path::new("grastate.dat")).expect("a position").mtime = (0, 0);
    without_blocks(&tree)
}

/// Pages with other bytes, one file that is cut, one that is gone, one that nobody knows.
fn damage(datadir: &Path) {
    let open = |name: &str| File::options().write(true).open(datadir.join(name)).unwrap();
    for page in [3, 700, 701, 1500] {
        open("bulk/t.ibd").write_all_at(&noise(16384, page), page * 16384).unwrap();
    }
    open("ibdata1").write_all_at(&noise(16384, 9), 7 * 16384).unwrap();
    open("zoo/plain.ibd").set_len(16384).unwrap();
    fs::remove_file(datadir.join("mysql/global_priv.MAD")).unwrap();
    fs::write(datadir.join("bulk/stale.ibd"), noise(65536, 10)).unwrap();
}

/// The restore is killed when it has written two pieces of files.
fn killed(cluster: &Cluster, program: &Program, words: &[&str]) {
    let node = cluster.n(LOST);
    let trace = cluster.dir().join("trace");
    let options = "-e trace=pwrite64 -e inject=pwrite64:signal=SIGKILL:when=3";
    let mut command = under_strace(&program.on(node, words), options, &trace);
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    let ran = Ran::finish(child);
    assert_eq!(ran.status, None, "{}{}", ran.out, ran.err);
    assert!(fs::read_to_string(node.datadir().join("ibdata1")).unwrap().starts_with(MARK));
    assert!(!node.datadir().join("grastate.dat").exists());
}

/// Neither to serve nor to say a position. (One that is to join its cluster takes a full SST, over all of it.)
fn no_server_starts(node: &Node) {
    node.own_datadir();
    let (position, said) = recovered_position(&node.cnf(), &node.datadir());
    assert_eq!(position, None, "{said}");
    assert!(said.contains("ibdata1"), "{said}");
    let mark = node.log_mark();
    node.spawn(&["--wsrep-on=OFF"]);
    let ended = wait_until(Duration::from_secs(60), || node.exit_status().is_some());
    assert!(ended, "mariadbd runs on half of a restore\n{}", node.log_tail());
    assert!(!node.wait_ended(PATIENCE).success());
    let log = node.log_since(mark);
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("[ERROR]")).collect();
    println!("{}", errors.join(" | "));
    assert!(errors.iter().any(|line| line.contains("ibdata1")), "{log}");
}
