//! One node whose data directory lies behind a link that all its options are spelt through, and which replicates from two
//! masters, has its keys among its data and its Galera files elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::options;
use super::support::program::{text, warnings};
use super::support::{Cluster, Node, PATIENCE, Program};

/// Files that no backup has, by what their paths hold.
const LEFT_OUT: [&str; 9] = [
    "relay-bin",
    "master",
    "relay-log",
    "keys.txt",
    "general.log",
    "gcache/",
    ".wsrep_sst_backup/",
    "gvwstate",
    "galera.cache",
];

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_replica_behind_a_link_is_backed_up_without_its_masters_its_keys_and_its_logs() {
    let cluster = Cluster::prepare(
        1,
        &options()
            .without_binlog()
            .mysqld("log_bin={dir}/data/binlog")
            .mysqld("general_log=ON")
            .mysqld("general_log_file={dir}/data/general.log")
            .mysqld("plugin_load_add=file_key_management")
            .mysqld("file_key_management_filename={dir}/data/keys.txt")
            .mysqld("wsrep_data_home_dir={dir}/wsrep")
            .provider("gcache.dir={dir}/data/gcache"),
    );
    let node = cluster.n(1);
    let (link, real) = (node.datadir(), node.dir().join("real"));
    let home = node.outside_dir("wsrep");
    move_behind_link(&cluster, node);
    node.start(true);
    node.wait_synced(PATIENCE);
    let program = Program::of(&cluster);
    make_replica(node);

    let manifest = program.back_up(&cluster, 1);
    let members = program.archive(&manifest).members_of_server();
    for left in LEFT_OUT {
        let found: Vec<&String> =
            members.iter().filter(|name| name.contains(left) && !name.starts_with("mysql/")).collect();
        assert!(found.is_empty() || found == ["gcache/"], "{left}: {found:?}");
    }
    let logs: Vec<&String> = members.iter().filter(|name| name.starts_with("binlog.")).collect();
    assert_eq!(logs.len(), 2, "the newest log and the index: {logs:?}");
    assert!(members.contains("ibdata1"));
    assert_masters_are_told(&manifest);
    assert_eq!(text(&manifest, "/server/wsrep_data_home_dir"), home.to_str().unwrap());
    assert!(warnings(&manifest).contains("file_key_management is active: its keys are not in the backup"));
    let shown = program.ok(&["show", "latest"]);
    assert!(shown.contains("'src1' from repl@127.0.0.1:1, m-bin.000003 at 815"), "{shown}");

    assert_check_warns(&program, node);

    let rows = node.scalar("SELECT GROUP_CONCAT(id, v ORDER BY id) FROM d.t");
    node.stop();
    restore_beside(&program, &manifest, node, &real);
    restore_in_place(&program, &manifest, node, (&link, &real), &home);
    let mark = node.log_mark();
    node.start(true);
    node.wait_synced(PATIENCE);
    let position = format!("{}:{}", text(&manifest, "/gtid/uuid"), manifest["gtid"]["seqno"]);
    assert!(node.log_since(mark).contains(&position), "{position} is not in the log\n{}", node.log_tail());
    assert_eq!(node.sql("SHOW ALL SLAVES STATUS"), Vec::<Vec<String>>::new());
    assert_eq!(node.scalar("SELECT GROUP_CONCAT(id, v ORDER BY id) FROM d.t"), rows);
}

/// `data` becomes a link to `real`, which has the keys.
fn move_behind_link(cluster: &Cluster, node: &Node) {
    let (link, real) = (node.datadir(), node.dir().join("real"));
    fs::rename(&link, &real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(real.join("keys.txt"), "1;770A8A65DA156D24EE2A093277530142\n").unwrap();
    fs::create_dir(real.join("gcache")).unwrap();
    cluster.scratch().user().own_tree(&real);
}

/// Two masters that are never there, one by position; several binary logs, and a table.
fn make_replica(node: &Node) {
    for statement in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB",
        "INSERT INTO d.t VALUES (1, 'one'), (2, 'two')",
        "FLUSH BINARY LOGS",
        "FLUSH BINARY LOGS",
        "CHANGE MASTER 'src1' TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='repl', \
         MASTER_PASSWORD='geheim', MASTER_USE_GTID=no, MASTER_LOG_FILE='m-bin.000003', MASTER_LOG_POS=815",
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=2, MASTER_USER='repl', MASTER_PASSWORD='geheim', \
         MASTER_USE_GTID=slave_pos",
        "START SLAVE 'src1'",
    ] {
        node.exec(statement);
    }
    assert_eq!(node.sql("SHOW ALL SLAVES STATUS").len(), 2);
    let files: Vec<String> = names(&node.datadir());
    for file in ["master.info", "master-src1.info", "multi-master.info", "pid-relay-bin-src1.000001"] {
        assert!(files.iter().any(|name| name == file), "no {file} in {files:?}: nothing would be proved");
    }
}

fn assert_masters_are_told(manifest: &Value) {
    let masters = manifest["replication"].as_array().unwrap();
    let told: Vec<String> = masters
        .iter()
        .map(|master| {
            let text = |name: &str| master[name].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| master[name].as_u64().unwrap_or_default();
            assert_eq!(text("source"), "server", "the frozen server has not answered");
            format!(
                "{} {} {} {} {} {}",
                text("name"),
                text("host"),
                number("port"),
                text("user"),
                text("using_gtid"),
                number("log_pos")
            )
        })
        .collect();
    assert_eq!(told, [" 127.0.0.1 2 repl Slave_Pos 0", "src1 127.0.0.1 1 repl No 815"]);
    assert!(!manifest.to_string().contains("geheim"));
}

/// `check` says beforehand what the backup leaves out.
fn assert_check_warns(program: &Program, node: &Node) {
    let file = format!("--defaults-file={}", node.cnf().display());
    let told = program.run(&["check", "--json", "--sample=0", &file]).out;
    let told: Value = serde_json::from_str(&told).unwrap();
    let findings = told["findings"].as_array().unwrap();
    for (topic, words) in [
        ("replication", "'src1' from repl@127.0.0.1:1, m-bin.000003 at 815"),
        ("restore", "a restored node looks for grastate.dat there"),
        ("data", "keys.txt' is left out of backups"),
    ] {
        let fits = |finding: &&Value| {
            finding["topic"] == topic
                && finding["level"] == "warning"
                && text(finding, "/text").contains(words)
        };
        assert_eq!(findings.iter().filter(fits).count(), 1, "{topic} {words} in {told:#}");
    }
}

/// A restore to another place changes nothing in the old data directory.
fn restore_beside(program: &Program, manifest: &Value, node: &Node, real: &Path) {
    let before = state(real);
    let new = node.dir().join("new");
    let said = program.restore(manifest, &new, &[]);
    assert_eq!(state(real), before, "the old data directory was written to");
    for words in [
        "CHANGE MASTER 'src1' TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='repl', MASTER_PASSWORD='...', \
         MASTER_LOG_FILE='m-bin.000003', MASTER_LOG_POS=815",
        "looks for its position there",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let index = fs::read_to_string(new.join("binlog.index")).unwrap();
    assert!(index.starts_with(new.to_str().unwrap()), "the index leads elsewhere: {index}");
}

/// In place the position goes where the server looks for it, and one that is there already is not written over.
fn restore_in_place(
    program: &Program,
    manifest: &Value,
    node: &Node,
    (link, real): (&Path, &Path),
    home: &Path,
) {
    fs::rename(real, node.dir().join("lost")).unwrap();
    fs::create_dir(real).unwrap();
    let file = format!("--defaults-file={}", node.cnf().display());
    let words = ["restore", text(manifest, "/id"), "--to", real.to_str().unwrap(), "--as", "cluster", &file];
    let refused = program.run(&words);
    assert_eq!(refused.status, Some(1), "{}", refused.out);
    assert!(refused.err.contains("wsrep/grastate.dat' exists"), "{}", refused.err);
    assert_eq!(names(real), Vec::<String>::new());
    fs::remove_file(home.join("grastate.dat")).unwrap();
    let said = program.ok(&words);
    assert!(said.contains("wsrep/grastate.dat' as well"), "{said}");
    let seqno = format!("seqno:   {}", manifest["gtid"]["seqno"]);
    assert!(fs::read_to_string(home.join("grastate.dat")).unwrap().contains(&seqno));
    assert!(link.join("ibdata1").is_file());
    fs::copy(node.dir().join("lost/keys.txt"), real.join("keys.txt")).unwrap();
}

/// Names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Size, inode and times of all files below.
fn state(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let data = fs::symlink_metadata(&path).unwrap();
            if data.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (data.len(), data.ino(), data.mtime() * 1_000_000_000 + data.mtime_nsec()));
        }
    }
    found
}
