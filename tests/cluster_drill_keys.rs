//! `drill` of a backup with encrypted tables, on a machine that has the keys and on one that has not.

mod support;

use std::fs;

use support::program::{Ran, text, with_program};
use support::{Cluster, ClusterOptions, PATIENCE, Program};

/// As `file_key_management` reads them: numbers and keys.
const KEYS: &str = "1;770A8A65DA156D24EE2A093277530142\n2;F5502320F8429037B8DAEF761B189D12\n";
/// The line of the option file without which the plugin has no keys.
const LINE: &str = "loose_file_key_management_filename";

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_key_or_a_plugin_that_is_missing_here_is_not_held_against_the_backup() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .mysqld("plugin_load_add=file_key_management")
        .mysqld(&format!("{LINE}={{base}}/keys"));
    let cluster = Cluster::prepare(1, &options);
    let keys = cluster.dir().join("keys");
    fs::write(&keys, KEYS).unwrap();
    let node = cluster.n(1);
    node.start(true);
    node.wait_synced(PATIENCE);
    let program = Program::of(&cluster);
    node.exec("CREATE DATABASE d");
    node.exec("CREATE TABLE d.secret (i INT PRIMARY KEY) ENGINE=InnoDB ENCRYPTED=YES ENCRYPTION_KEY_ID=2");
    node.exec("INSERT INTO d.secret VALUES (1)");
    let backup = program.back_up(&cluster, 1);
    let scratch = cluster.dir().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let drill = || {
        let scratch = scratch.display().to_string();
        let words = ["drill", text(&backup, "/id"), "--scratch", &scratch, "--no-record"];
        Ran::finish(program.on(node, &words).spawn().unwrap())
    };
    let proved = drill();
    assert_eq!(proved.status, Some(0), "{proved:?}");
    let undone = |told: &str| {
        let ran = drill();
        assert!(ran.status == Some(1) && ran.err.contains(told), "{ran:?}");
        eprintln!("{}", ran.err.trim());
    };
    fs::write(&keys, KEYS.lines().next().unwrap()).unwrap();
    undone("a key, or the plugin that gives keys, is missing here");
    let cnf = fs::read_to_string(node.cnf()).unwrap();
    let without: String =
        cnf.lines().filter(|line| !line.starts_with(LINE)).map(|line| format!("{line}\n")).collect();
    fs::write(node.cnf(), without).unwrap();
    undone("the plugin");
    fs::write(node.cnf(), cnf).unwrap();
    fs::write(&keys, KEYS).unwrap();
    assert_eq!(drill().status, Some(0));
}
