//! Tables and databases behind links that are made by hand.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::fixtures::OUTSIDE;
use crate::support::program::text;
use crate::support::sql::quote;
use crate::support::{Cluster, Node, Program, Server};

/// A backup without a binlog position is refused as a replica before anything is written.
pub(super) fn assert_no_replica(cluster: &Cluster, program: &Program, manifest: &Value) {
    let target = cluster.dir().join("never");
    let words = ["restore", text(manifest, "/id"), "--to", target.to_str().unwrap(), "--as", "replica"];
    let ran = program.run(&words);
    assert_eq!(ran.status, Some(1), "{}", ran.out);
    assert!(ran.err.contains("has no binlog position"), "{}", ran.err);
    assert!(!target.exists());
}

/// A database whose directory will be reached over two links.
pub(super) fn create_indirect(server: &Server) {
    server.exec("CREATE DATABASE indirect");
    server.exec("CREATE TABLE indirect.t (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB");
    server.sql_all(&["USE zoo", "INSERT INTO indirect.t SELECT seq, 'over two links' FROM seq_1_to_40"]);
}

/// Moves it away on a stopped node: `data/indirect` is a relative link to a link to the real directory.
pub(super) fn link_indirect(node: &Node) {
    let outside = node.outside_dir(OUTSIDE);
    fs::rename(node.datadir().join("indirect"), outside.join("real")).unwrap();
    symlink("real", outside.join("via")).unwrap();
    symlink(format!("../{OUTSIDE}/via"), node.datadir().join("indirect")).unwrap();
}

/// Replaces texts, which must be there, in a node's option file.
pub(super) fn edit(node: &Node, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(node.cnf()).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "no '{old}' in {text}");
        text = text.replace(old, new);
    }
    fs::write(node.cnf(), text).unwrap();
}

/// `CHECK TABLE` for every table of the users.
pub(super) fn check_tables(server: &Server) {
    let tables = server.sql(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN \
         ('mysql', 'sys', 'information_schema', 'performance_schema')",
    );
    assert!(tables.len() > 30);
    for table in tables {
        let name = format!("{}.{}", quote(&table[0]), quote(&table[1]));
        let found = server.sql(&format!("CHECK TABLE {name} EXTENDED"));
        let sound = |row: &Vec<String>| row[3] == "OK" || row[3].contains("doesn't support check");
        assert!(found.iter().all(sound), "{name}: {found:?}");
    }
}
