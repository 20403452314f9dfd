//! What a dump of a node has is what the node had: a server restored from a physical backup of before replicates up to the dump's position and no further, and
//! has the same rows, table by table, as one into which the dump was loaded.

use super::Scene;
use super::support::program::{Ran, text};
use super::support::replica::create_account;
use super::support::{Clients, PATIENCE, Replica, assert_same_rows, sql, template, wait_until};

pub(super) fn a_dump_equals_a_physical_backup_at_its_position(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    create_account(n1);
    n1.sql_all(&["TRUNCATE d.log", "UPDATE d.acc SET n = 0"]);
    let ran = scene.ran(&[("METHOD", "mariadb-backup")]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let physical = scene.program.newest();
    n2.wait_synced(PATIENCE);
    let base = n1.position().seqno;
    let clients = Clients::start(&scene.cluster);
    assert!(wait_until(PATIENCE, || n1.position().seqno > base + 100));
    let ran = scene.ran(&[]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let dump = scene.program.newest();
    n2.wait_synced(PATIENCE);
    let further = n1.position().seqno + 50;
    assert!(wait_until(PATIENCE, || n1.position().seqno > further));
    assert!(clients.stop() > 100);

    let at = text(&dump, "/mariadb_gtid/binlog_pos");
    let replayed = server(scene, "replayed");
    scene.program.restore(&physical, &replayed.datadir(), &["--as", "standalone"]);
    replayed.start();
    replayed.exec(&format!(
        "SET GLOBAL gtid_slave_pos = {}",
        sql::literal(text(&physical, "/mariadb_gtid/binlog_pos"))
    ));
    replayed.exec(&format!(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='repl', MASTER_PASSWORD='repl', MASTER_USE_GTID=slave_pos",
        n2.port()
    ));
    replayed.exec(&format!("START SLAVE UNTIL master_gtid_pos = {}", sql::literal(at)));
    // Slave_SQL_Running of the default connection.
    let runs = || replayed.sql("SHOW ALL SLAVES STATUS").iter().any(|row| row[13] == "Yes");
    replayed.wait_for("the dump's position", PATIENCE, || {
        replayed.assert_no_error();
        !runs()
    });

    let loaded = server(scene, "loaded");
    template::fill(&loaded.datadir(), scene.cluster.scratch().user(), None);
    loaded.start();
    let socket = loaded.socket().display().to_string();
    let words = ["restore", text(&dump, "/id"), "--into", &socket];
    let ran = Ran::finish(scene.program.on(&loaded, &words).spawn().unwrap());
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let same = assert_same_rows([&*replayed, &*loaded]);
    let rows = same[&("d".to_owned(), "log".to_owned())].rows;
    assert!(rows >= 100 && same.len() > 4, "{same:?}");
    assert!(rows < n1.scalar("SELECT COUNT(*) FROM d.log").parse().unwrap(), "the writers went on");
}

fn server(scene: &Scene, name: &str) -> Replica {
    Replica::prepare(scene.cluster.scratch(), name, &["[wsrep_sst_backup]\nuser=root"])
}
