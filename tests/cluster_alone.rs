//! Servers that are no nodes of a cluster, a master and its replica: dumps that are exact at their position, and `run` whatever becomes of the server
//! or of the repository.
//!
//! That a dump is exact is proved by MariaDB itself: a server restored from a physical backup replicates up to the dump's position and stops there; then it
//! has the same rows, table by table, as a server into which the dump was loaded.

#[path = "cluster_alone/faults.rs"]
mod faults;
#[path = "cluster_alone/scene.rs"]
mod scene;
mod support;

use std::io::Read;

use flate2::read::MultiGzDecoder;
use scene::{Clients, DUMP, Scene};
use serde_json::Value;
use support::assert_same_rows;
use support::program::text;

#[test]
#[ignore = "needs MariaDB, mariadb-backup and root"]
fn a_master_and_its_replica_are_dumped_and_backed_up_whatever_becomes_of_them() {
    let scene = Scene::new();
    let physical = scene.backed_up(&scene.master, &[]);
    a_server_by_itself_is_drilled(&scene, &physical);
    let clients = Clients::start(&scene.master);
    clients.wait_for(50);
    let dump = scene.backed_up(&scene.master, DUMP);
    clients.wait_for(20);
    a_dump_says_where_its_server_stood(&scene, &dump);
    let replica = scene.replayed(&physical, text(&dump, "/mariadb_gtid/binlog_pos"));
    let loaded = scene.loaded(&dump);
    let same = assert_same_rows([&*replica, &*loaded]);
    assert!(same[&("d".to_owned(), "log".to_owned())].rows > 50, "{same:?}");
    loaded.stop();

    // From here on it is a replica of the master, which is written to.
    replica.exec("START SLAVE");
    a_replica_is_dumped_while_nothing_is_applied(&scene, &replica, &physical);
    assert!(clients.stop() > 70);
    faults::a_delayed_replica_is_not_waited_for_longer_than_its_delay(&scene, &replica);
    faults::a_server_that_was_started_anew_meanwhile_fails_the_command(&scene, &replica);
    faults::a_repository_that_gets_full_leaves_no_backup_and_a_replica_that_runs(&scene, &replica);
    faults::where_no_server_runs_resync_says_so(&scene);
}

/// mariadb-backup leaves the binary log behind, and nothing was replicated: there is no position that could be compared.
fn a_server_by_itself_is_drilled(scene: &Scene, physical: &Value) {
    let drilled = scene
        .cli("drill --json")
        .arg(text(physical, "/id"))
        .arg("--scratch")
        .arg(scene.scratch.dir())
        .run()
        .json();
    assert_eq!(
        (&drilled["outcome"], &drilled["drill"]["position"]),
        (&"proved".into(), &Value::Null),
        "{drilled:#}"
    );
    assert!(drilled["notes"].to_string().contains("tells no position that could be compared"), "{drilled:#}");
}

fn a_dump_says_where_its_server_stood(scene: &Scene, dump: &Value) {
    assert_eq!((&dump["format"], &dump["gtid"]), (&2.into(), &Value::Null), "{dump:#}");
    assert_eq!((text(dump, "/method"), text(dump, "/content")), ("logical", "sql"));
    assert_eq!(dump["replication"], serde_json::json!([]));
    assert_eq!(rows(scene, dump), counted(dump) - scene.before, "as many rows as transactions");
    let id = text(dump, "/id");
    let checked = scene.check(&scene.master, "method=logical");
    let told = "('run') is taken by logical: the server is locked for about";
    assert!(checked.stdout.contains(told), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("nothing is left out: no engine that is not frozen"),
        "{}",
        checked.stdout
    );
    assert!(scene.cli("verify").arg(id).run().done().contains("is intact"));
    let at = text(dump, "/mariadb_gtid/binlog_pos");
    assert!(scene.cli("show").arg(id).run().done().contains(at));
    let listed = scene.cli("list").run();
    assert!(listed.done().contains(at) && listed.stdout.contains("  dump"), "{}", listed.stdout);
}

fn a_replica_is_dumped_while_nothing_is_applied(scene: &Scene, replica: &support::Replica, physical: &Value) {
    let ran = scene.run_on(replica, DUMP).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("the replica's SQL threads run again: the default connection caught up"),
        "{ran:?}"
    );
    assert!(scene::applies(replica));
    let dump = scene.newest();
    let at = text(&dump, "/mariadb_gtid/slave_pos");
    assert_eq!(
        (dump["replication"][0]["host"].as_str(), at.is_empty()),
        (Some("127.0.0.1"), false),
        "{dump:#}"
    );
    let begun = seqno(text(physical, "/mariadb_gtid/binlog_pos"));
    assert_eq!(rows(scene, &dump), seqno(at) - begun, "what it had applied, to the transaction");
    assert!(scene.cli("verify").arg(text(&dump, "/id")).run().done().contains("is intact"));
}

fn seqno(position: &str) -> u64 {
    position.rsplit_once('-').unwrap().1.parse().unwrap()
}

fn counted(dump: &Value) -> u64 {
    seqno(text(dump, "/mariadb_gtid/binlog_pos"))
}

/// Each client adds a row and counts it in one transaction: what a dump has of both must agree.
fn rows(scene: &Scene, dump: &Value) -> u64 {
    let object = scene.folder(dump).join(text(dump, "/archive/name"));
    let mut statements = String::new();
    MultiGzDecoder::new(std::fs::File::open(object).unwrap()).read_to_string(&mut statements).unwrap();
    let rows_of = |table: &str| -> Vec<Vec<u64>> {
        let begin = format!("INSERT INTO `{table}` VALUES\n");
        let all = statements.split(&begin).skip(1).flat_map(|rest| rest.split(";\n").next().unwrap().lines());
        all.map(|line| {
            line.trim_matches(|c| "(),".contains(c)).split(',').map(|n| n.parse().unwrap()).collect()
        })
        .collect()
    };
    let rows = rows_of("log").len() as u64;
    assert_eq!(rows_of("acc").iter().map(|row| row[1]).sum::<u64>(), rows, "two tables of one moment");
    rows
}
