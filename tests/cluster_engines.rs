//! A node with MyRocks, whose tables no state transfer holds still: refused, or left out knowingly, wherever they are.

mod support;

use std::fs;
use std::path::Path;

use support::cli::{Answer, cli};
use support::program::{text, warnings, with_program};
use support::{Cluster, ClusterOptions, Garbd, Node, PATIENCE, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// Where `scripts/install-deps` unpacks the engine: installed as a package, it would be loaded by every server of the machine.
const ENGINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rocksdb/ha_rocksdb.so");

/// Where the server's own plugins are.
const PLUGINS: &str = "/usr/lib/mysql/plugin";

#[test]
#[ignore = "needs MariaDB, Galera and the MyRocks engine of scripts/install-deps"]
fn tables_that_no_freeze_holds_still_are_refused_or_left_out_knowingly_wherever_they_are() {
    let options = with_program(ClusterOptions::new(), BINARY)
        .mysqld("plugin_dir={base}/plugins")
        .mysqld("plugin_load_add=ha_rocksdb")
        .mysqld("plugin_maturity=unknown")
        .mysqld("rocksdb_datadir={dir}/rocks");
    let cluster = Cluster::prepare(1, &options);
    let plugins = cluster.make_dir("plugins");
    for plugin in fs::read_dir(PLUGINS).unwrap().map(Result::unwrap) {
        std::os::unix::fs::symlink(plugin.path(), plugins.join(plugin.file_name())).unwrap();
    }
    let engine = plugins.join("ha_rocksdb.so");
    fs::copy(ENGINE, &engine)
        .unwrap_or_else(|error| panic!("no '{ENGINE}' ({error}): run scripts/install-deps"));
    let node = cluster.n(1);
    start(node);
    node.exec("CREATE DATABASE d");
    node.exec("CREATE TABLE d.i (a INT PRIMARY KEY) ENGINE=InnoDB");
    let program = Program::of(&cluster);
    both_ways(&cluster, &program, &node.dir().join("rocks"));

    // Where the engine puts them unless it is told otherwise.
    node.exec("DROP TABLE d.r");
    node.stop();
    change(node, &format!("rocksdb_datadir={}/rocks\n", node.dir().display()), "");
    start(node);
    both_ways(&cluster, &program, &node.datadir().join("#rocksdb"));
}

/// Refused before the freeze by all who take a backup, and told by `check`; where it is allowed, without these tables.
fn both_ways(cluster: &Cluster, program: &Program, folder: &Path) {
    let node = cluster.n(1);
    node.exec("CREATE TABLE d.r (a INT PRIMARY KEY) ENGINE=ROCKSDB");
    node.exec("INSERT INTO d.r VALUES (1)");
    assert!(folder.join("CURRENT").is_file(), "the tables are not in '{}'", folder.display());
    let holds = format!("{} holds MyRocks tables", folder.display());
    assert_told(&check(node), "error", &holds);
    let before = program.manifests().len();
    let refused = format!("'{}' holds MyRocks tables", folder.display());
    let asked = Garbd::backup_and_wait(cluster, 1, None, PATIENCE);
    let log = node.log_since(asked.donor_mark);
    assert!(log.contains(&refused), "{log}");
    assert_eq!(node.paused_since(asked.donor_mark), []);
    let ran = program.on(node, &["run", "--force"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1) && said.contains(&refused), "{said}");
    assert_eq!(program.manifests().len(), before);

    let groups = fs::read_to_string(node.cnf()).unwrap();
    fs::write(node.cnf(), format!("{groups}\n[wsrep_sst_backup]\nallow-rocksdb\n")).unwrap();
    let left = format!("{}: MyRocks tables are left out of backups", folder.display());
    assert_told(&check(node), "warning", &left);
    let manifest = program.back_up(cluster, 1);
    let left = format!("'{}' is left out: MyRocks tables are not in this backup", folder.display());
    assert_eq!(warnings(&manifest).matches(&left).count(), 1, "{}", warnings(&manifest));
    let members = program.archive(&manifest).members();
    let of_engine = |name: &&String| name.contains("rocks");
    assert_eq!(members.iter().find(of_engine), None);
    assert!(members.iter().any(|name| name == "d/i.ibd"), "{members:?}");
    program.ok(&["verify", text(&manifest, "/id")]);

    // MariaDB's own program copies them, wherever they are, and a restore has them in one place.
    fs::write(node.cnf(), format!("{groups}\n[wsrep_sst_backup]\nallow-rocksdb\nmethod=mariadb-backup\n"))
        .unwrap();
    let ran = program.on(node, &["run", "--force"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let manifest = program.manifests().pop().unwrap();
    let told = warnings(&manifest);
    assert!(told.contains("MyRocks tables are in this backup") && !told.contains("left out"), "{told}");
    let is_usual = folder.starts_with(node.datadir());
    assert_eq!(!told.contains("move them there, or change that variable"), is_usual, "{told}");
    let target = cluster.dir().join(if is_usual { "usual" } else { "moved" });
    program.restore(&manifest, &target, &["--as", "cluster"]);
    assert!(target.join("#rocksdb/CURRENT").is_file());
    fs::write(node.cnf(), groups).unwrap();
}

fn start(node: &Node) {
    node.start(true);
    node.wait_synced(PATIENCE);
}

/// Replaces a text of the node's option file, which must be there.
fn change(node: &Node, old: &str, new: &str) {
    let before = fs::read_to_string(node.cnf()).unwrap();
    assert!(before.contains(old), "no '{old}' in {before}");
    fs::write(node.cnf(), before.replace(old, new)).unwrap();
}

fn check(node: &Node) -> Answer {
    let file = format!("--defaults-file={}", node.cnf().display());
    cli("check --json --sample 0").own_defaults().arg(file).run()
}

#[track_caller]
fn assert_told(answer: &Answer, level: &str, words: &str) {
    let all: serde_json::Value =
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let findings = all["findings"].as_array().unwrap();
    let fits = |finding: &&serde_json::Value| {
        finding["topic"] == "data" && finding["level"] == level && text(finding, "/text").contains(words)
    };
    assert_eq!(findings.iter().filter(fits).count(), 1, "{level} '{words}' in {all:#}");
}
