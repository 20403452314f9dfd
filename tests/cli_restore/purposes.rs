//! What each `--as` leaves, and the steps it prints.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::restore;
use crate::support::cli::forge::{Forge, ID, UUID};
use crate::support::cli::tree::{paths, tree};
use crate::support::cli::{Answer, open_folder};

/// The steps and notes, which begin behind the two lines of what was done.
fn advice(answer: &Answer) -> String {
    let (head, advice) = answer.done().split_once("\nNext:\n").unwrap();
    let (done, notes) = head.split_once(&format!("\nPosition: {UUID}:417\n")).unwrap();
    assert!(done.starts_with(&format!("Restored backup {ID} to /")), "{done}");
    assert!(done.ends_with(" ms; every SHA-256 was compared.") && !done.contains('\n'), "{done}");
    format!("{notes}Next:\n{advice}")
}

#[test]
fn a_node_asks_for_ist_from_the_position_of_the_backup() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let target = folder.path().join("data");
    for more in ["", "--as node"] {
        let answer = restore(&folder.path().join("r"), &target, more);
        assert_eq!(
            advice(&answer),
            format!(
                "Next:\n  1. See that the server's option files say  datadir = {}\n  \
                 2. Start the node:  systemctl start mariadb  - it joins cluster 'c' by IST from seqno 417 on, as long \
                 as a member still has the write sets after it\n  \
                 3. See that it did:  mariadb -e \"SHOW STATUS LIKE 'wsrep_local_state_comment'\"  says Synced, and the \
                 error log says 'Receiving IST'\n",
                target.display()
            )
        );
        let grastate = fs::read_to_string(target.join("grastate.dat")).unwrap();
        let text = format!(
            "# GALERA saved state\nversion: 2.1\nuuid:    {UUID}\nseqno:   417\nsafe_to_bootstrap: 0\n"
        );
        assert_eq!(grastate, text);
        // Nothing of the archive's own is left to be taken for the server's.
        let names = [
            "aria_log_control",
            "db",
            "db/db.opt",
            "db/t.MYD",
            "empty",
            "grastate.dat",
            "ibdata1",
            "undo001",
        ];
        assert_eq!(paths(&tree(&target)), names);
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn the_first_node_of_a_cluster_may_be_bootstrapped() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let target = folder.path().join("data dir");
    let answer = restore(&folder.path().join("r"), &target, "--as cluster");
    assert_eq!(
        advice(&answer),
        format!(
            "Next:\n  1. See that the server's option files say  datadir = {}\n  \
             2. See that no server of the old cluster runs anywhere\n  \
             3. On this node only, start the new cluster:  galera_new_cluster\n  \
             4. On every other node, restore the same backup:  wsrep_sst_backup restore {ID} --to DATADIR --as node\n  \
             5. On every other node, one after the other:  systemctl start mariadb  - they join by IST, nothing is \
             copied again\n  \
             6. See that all are there:  mariadb -e \"SHOW STATUS LIKE 'wsrep_cluster_size'\"\n",
            target.display()
        )
    );
    let grastate = fs::read_to_string(target.join("grastate.dat")).unwrap();
    assert!(grastate.ends_with("seqno:   417\nsafe_to_bootstrap: 1\n"), "{grastate}");
}

#[test]
fn a_standalone_server_knows_nothing_of_a_cluster() {
    let folder = open_folder();
    Forge::new(ID)
        .file("wsrep_sst_backup_replica.sql", "of an earlier restore")
        .write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let answer = restore(&folder.path().join("r"), &target, "--as standalone");
    assert_eq!(
        advice(&answer),
        format!(
            "Next:\n  1. See that the server's option files say  datadir = {}\n  \
             2. See that the option files say  wsrep_on = OFF  (or have no wsrep_cluster_address), and a server_id of its \
             own\n  \
             3. Start the server:  systemctl start mariadb\n",
            target.display()
        )
    );
    let names = ["aria_log_control", "db", "db/db.opt", "db/t.MYD", "empty", "ibdata1", "undo001"];
    assert_eq!(paths(&tree(&target)), names);
}

#[test]
fn a_replica_gets_its_position_and_the_statements() {
    let folder = open_folder();
    // A donor that was once restored as a replica itself has a file of that name.
    Forge::new(ID)
        .file("wsrep_sst_backup_replica.sql", "of an earlier restore")
        .write(&folder.path().join("r"));
    let target = folder.path().join("data dir");
    let answer = restore(&folder.path().join("r"), &target, "--as replica");
    let place = target.display();
    assert_eq!(
        advice(&answer),
        format!(
            "Next:\n  1. See that the server's option files say  datadir = {place}\n  \
             2. See that the option files say  wsrep_on = OFF  (or have no wsrep_cluster_address), and a server_id of its \
             own\n  \
             3. Start the server:  systemctl start mariadb\n  \
             4. Copy '{place}/wsrep_sst_backup_replica.sql' to a place that only you can write to, edit host, user and \
             password in the copy, then run it:  mariadb --sandbox < COPY\n  \
             5. The master must be the donor 'n1' itself, unless the cluster runs with wsrep_gtid_mode = ON: only then \
             have all nodes the same GTIDs\n  \
             6. See that it follows:  mariadb -e 'SHOW REPLICA STATUS\\G'\n"
        )
    );
    let script = fs::read_to_string(target.join("wsrep_sst_backup_replica.sql")).unwrap();
    assert_eq!(
        script,
        format!(
            "-- Replica from backup {ID} of node 'n1' (cluster 'c', {UUID}:417).\n\
             -- Replace host, user and password; the master must be that node, or any node where wsrep_gtid_mode = ON.\n\
             SET GLOBAL gtid_slave_pos = '0-1-400';\n\
             CHANGE MASTER TO\n  MASTER_HOST = 'n1',\n  MASTER_PORT = 3306,\n  MASTER_USER = 'repl',\n  \
             MASTER_PASSWORD = '',\n  MASTER_USE_GTID = slave_pos;\nSTART SLAVE;\n"
        )
    );
    assert!(!target.join("grastate.dat").exists());
}

#[test]
fn a_name_is_never_a_statement() {
    let folder = open_folder();
    let node = "n'1; DROP\nDATABASE d; -- \\";
    let forge = Forge::new(ID)
        .manifest(|manifest| (manifest["node"], manifest["cluster"]) = (node.into(), node.into()));
    forge.write(&folder.path().join("r"));
    let target = folder.path().join("data");
    restore(&folder.path().join("r"), &target, "--as replica").done();
    let script = fs::read_to_string(target.join("wsrep_sst_backup_replica.sql")).unwrap();
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines.len(), 10, "{script}");
    assert_eq!(lines[4], "  MASTER_HOST = 'n''1; DROP DATABASE d; -- \\\\',");
    assert!(lines[0].starts_with("-- Replica from ") && lines[1].starts_with("-- Replace "), "{script}");
}

/// What a backup without a position for replicas is told.
fn refused_as_replica(change: impl FnOnce(&mut Value)) {
    let folder = open_folder();
    Forge::new(ID).manifest(change).write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let message = format!(
        "backup {ID} has no binlog position: the donor had no binary log, or SQL did not answer. A replica cannot be \
         built from it"
    );
    restore(&folder.path().join("r"), &target, "--as replica").fails(1, &message);
    assert!(!target.exists());
    restore(&folder.path().join("r"), &target, "--as standalone").done();
}

#[test]
fn without_a_position_there_is_no_replica() {
    refused_as_replica(|manifest| manifest["mariadb_gtid"]["binlog_pos"] = Value::Null);
    refused_as_replica(|manifest| manifest["mariadb_gtid"]["binlog_pos"] = "".into());
    refused_as_replica(|manifest| manifest["mariadb_gtid"] = serde_json::json!({}));
}

#[test]
fn an_account_of_the_transfer_is_named() {
    let folder = open_folder();
    let table =
        b"\x00\x09localhost\x1ewsrep.sst.1795174000_node-1.x{\"access\":18446744073709551615}\x00".to_vec();
    Forge::new(ID).directory("mysql").file("mysql/global_priv.MAD", table).write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let answer = restore(&folder.path().join("r"), &target, "--as node");
    let text = advice(&answer);
    let account = "'wsrep.sst.1795174000_node-1.x'@'localhost'";
    assert!(
        text.starts_with(&format!(
            "\nNote: The backup holds the account {account}, which the donor had made for the state transfer and which \
             has all privileges.\nNext:\n"
        )),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("\n  4. Drop that account:  mariadb -e \"DROP USER IF EXISTS {account}\"\n")),
        "{text}"
    );
    assert!(Path::new(&target).join("mysql/global_priv.MAD").is_file());
}
