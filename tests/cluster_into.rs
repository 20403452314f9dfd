//! Dumps that go into a cluster that runs, and what stops them.
#![allow(unreachable_pub, reason = "helpers are modules of this binary")]

#[path = "runbooks/book.rs"]
mod book;
#[path = "runbooks/machine.rs"]
mod machine;
#[path = "cluster_into/migrations.rs"]
mod migrations;
#[path = "cluster_into/scene.rs"]
mod scene;
#[path = "cluster_into/stops.rs"]
mod stops;
mod support;

use std::fs;

use scene::{ACCOUNT, Scene};
use support::all_checksums;
use support::cli::cli;
use support::cli::dumps::put_dump;
use support::cli::forge::ID;

const TEXT: &str = include_str!("../doc/logical.md");

#[test]
fn every_migration_is_run_by_this_test() {
    book::assert_each_is_run_by(include_str!("cluster_into/migrations.rs"));
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_dump_of_a_server_goes_into_a_cluster_and_what_stops_it_is_told() {
    let scene = Scene::new();
    let file = scene.dump("all.sql", &["--all-databases", "--routines", "--events"]);
    stops::nothing_is_sent_of_a_dump_that_is_not_whole(&scene, &file);
    everything_is_on_every_node(&scene, &file);
    what_is_there_is_not_overwritten_unawares(&scene, &file);
    one_database_alone(&scene, &file);
    users_come_as_statements(&scene);
    a_backup_as_a_file(&scene, &file);
    stops::at_the_first_statement_that_is_refused(&scene, &file);
    stops::whatever_becomes_of_the_client(&scene, &file);
    stops::a_statement_that_is_too_long(&scene, &file);
    stops::a_node_that_is_out_of_its_cluster(&scene, &file);
    a_cluster_goes_into_a_server(&scene);
    migrations::as_they_are_printed(&scene);
}

/// The source has all that a dump can have; of tables that Galera does not replicate the rows are on one node, and that is told.
fn everything_is_on_every_node(scene: &Scene, file: &str) {
    let said = scene.load(2, &["--file", file]);
    let said = said.done();
    assert!(said.contains("every node of the cluster (nodes 3) has it"), "{said}");
    assert!(said.contains("Databases: a`b, app\n"), "{said}");
    assert!(said.contains("the tables of the database mysql were left out"), "{said}");
    assert!(said.contains("users and grants are not loaded"), "{said}");
    assert!(said.contains("on this node alone: app.notes (MyISAM)"), "{said}");
    let mut wanted = all_checksums(&scene.source);
    let notes = ("app".to_owned(), "notes".to_owned());
    assert!(wanted.remove(&notes).is_some());
    for node in scene.cluster.nodes() {
        let mut found = all_checksums(node);
        found.remove(&notes);
        assert_eq!(found, wanted, "{}", node.name());
        let routine = node
            .scalar("SELECT ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_NAME = 'p'");
        assert!(routine.contains("-- USE `a``b`;\n"), "its comments are kept: {routine}");
        let trigger = "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'app'";
        assert_eq!(node.scalar(trigger), "1");
    }
    scene.every_node_has_its_accounts();
}

fn what_is_there_is_not_overwritten_unawares(scene: &Scene, file: &str) {
    let node = scene.cluster.n(2);
    node.exec("INSERT INTO app.t (id, v) VALUES (4000000, 'later')");
    scene.load(2, &["--file", file]).fails_with(1, "has tables already in a`b (tables 1), app (tables 4)");
    assert_eq!(node.scalar("SELECT COUNT(*) FROM app.t WHERE id = 4000000"), "1");
    node.exec("CREATE TABLE app.other (id INT PRIMARY KEY)");
    scene.load(2, &["--file", file, "--overwrite"]).done();
    assert_eq!(node.scalar("SELECT COUNT(*) FROM app.t WHERE id = 4000000"), "0");
    assert_eq!(node.scalar("SELECT COUNT(*) FROM app.other"), "0", "what is not in the dump stays");
    node.exec("DROP TABLE app.other");
}

fn one_database_alone(scene: &Scene, file: &str) {
    scene
        .load(2, &["--file", file, "--database", "nowhere"])
        .fails_with(2, "holds no database 'nowhere': it holds a`b, app");
    scene.load(2, &["--file", file, "--database", "mysql"]).fails_with(2, "--users makes users and grants");
    let node = scene.cluster.n(2);
    node.sql_all(&["DROP DATABASE `a``b`", "DELETE FROM app.child", "DELETE FROM app.t"]);
    let said = scene.load(2, &["--file", file, "--database", "a`b"]);
    assert!(said.done().contains("databases 1, tables 1"), "{}", said.stdout);
    let wanted = all_checksums(&scene.source);
    let key = ("a`b".to_owned(), "x;".to_owned());
    for node in scene.cluster.nodes() {
        assert_eq!(all_checksums(node)[&key], wanted[&key], "{}", node.name());
    }
    assert_eq!(node.scalar("SELECT COUNT(*) FROM app.t"), "0", "the other one was left alone");
    // A dump that names no database.
    let one = scene.dump("one.sql", &["a`b"]);
    scene.load(2, &["--file", &one]).fails_with(2, "say with --database into which one");
    scene
        .load(2, &["--file", &one, "--database", "fresh"])
        .fails_with(1, "CREATE DATABASE `fresh` there first");
    node.exec("CREATE DATABASE fresh");
    scene.load(2, &["--file", &one, "--database", "fresh"]).done();
    let fresh = ("fresh".to_owned(), "x;".to_owned());
    assert_eq!(all_checksums(scene.cluster.n(3))[&fresh], wanted[&key]);
    node.exec("DROP DATABASE fresh");
}

fn users_come_as_statements(scene: &Scene) {
    let file = scene.dump("users.sql", &["--system=users"]);
    scene.load(2, &["--file", &file]).fails_with(2, "but users and grants: --users loads them");
    let before = scene
        .cluster
        .n(1)
        .sql("SELECT User, Host, Priv FROM mysql.global_priv WHERE User = 'root' ORDER BY 1, 2");
    let said = scene.load(2, &["--file", &file, "--users"]);
    let said = said.done();
    assert!(
        said.contains("Accounts made: ") && said.contains(ACCOUNT) && said.contains("role readers"),
        "{said}"
    );
    assert!(said.contains("they stay as they were: ") && said.contains("root@localhost"), "{said}");
    let after = scene
        .cluster
        .n(1)
        .sql("SELECT User, Host, Priv FROM mysql.global_priv WHERE User = 'root' ORDER BY 1, 2");
    assert_eq!(before, after, "whoever loads it is not locked out");
    scene.every_node_has_its_accounts();
    let grants = |server: &support::Server| {
        let mut grants = server.sql("SHOW GRANTS FOR app@'127.0.0.1'").concat();
        grants.sort();
        grants
    };
    for node in scene.cluster.nodes() {
        assert_eq!(grants(node), grants(&scene.source), "{}", node.name());
        assert_eq!(Scene::logged_in(node.port(), "SELECT COUNT(*) FROM app.t"), "0", "{}", node.name());
    }
    scene.cluster.n(1).exec("ALTER USER app@'127.0.0.1' IDENTIFIED BY 'another'");
    scene.load(2, &["--file", &file, "--users"]).done();
    assert!(Scene::try_log_in(scene.cluster.n(3).port()).is_err(), "what is there stays");
    scene.load(2, &["--file", &file, "--users", "--overwrite"]).done();
    Scene::logged_in(scene.cluster.n(3).port(), "SELECT 1");
    scene.every_node_has_its_accounts();
}

/// The same statements in a repository, users and grants beside them.
fn a_backup_as_a_file(scene: &Scene, file: &str) {
    let repository = scene.path("dumps-of-ours");
    let users = fs::read(scene.path("users.sql")).unwrap();
    let folder = put_dump(&repository, ID, &fs::read(file).unwrap(), Some(&users));
    let place = scene.cluster.n(2).socket().display().to_string();
    let load = |words: &[&str]| {
        let answer = scene.command(&place, &[&[ID], words].concat()).on(&repository).run();
        scene.settle(2);
        answer
    };
    cli("verify latest").on(&repository).run().done();
    scene.cluster.n(2).sql_all(&["DROP DATABASE app", "DROP DATABASE `a``b`", "DROP USER app@'127.0.0.1'"]);
    let said = load(&["--users"]);
    assert!(
        said.done().contains(&format!("Loaded backup {ID} into")) && said.stdout.contains(ACCOUNT),
        "{}",
        said.stdout
    );
    let notes = ("app".to_owned(), "notes".to_owned());
    let wanted = all_checksums(&scene.source);
    for node in scene.cluster.nodes() {
        let found = all_checksums(node);
        assert!(
            found.iter().all(|(table, rows)| *table == notes || wanted[table] == *rows),
            "{}",
            node.name()
        );
        assert_eq!(found.len(), wanted.len());
        Scene::logged_in(node.port(), "SELECT 1");
    }
    let before = scene.cluster.n(2).position();
    for name in ["backup.2026-11-20T11:34:52Z.sql.gz", "users.2026-11-20T11:34:52Z.sql.gz"] {
        let object = folder.join(name);
        let whole = fs::read(&object).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        fs::write(&object, flipped).unwrap();
        load(&["--users", "--overwrite"]).fails_with(4, name);
        fs::write(&object, whole).unwrap();
    }
    assert_eq!(scene.cluster.n(2).position(), before, "nothing was sent of what is damaged");
}

fn a_cluster_goes_into_a_server(scene: &Scene) {
    // Waits until that node has all that was loaded into another one.
    let wanted = all_checksums(scene.cluster.n(1));
    let file =
        scene.dump_of(scene.cluster.n(1), "cluster.sql", &["--all-databases", "--routines", "--events"]);
    let socket = scene.source.socket().display().to_string();
    scene.source.sql_all(&["DROP DATABASE app", "DROP DATABASE `a``b`"]);
    let said = scene.load_into(&socket, &["--file", &file]);
    assert!(!said.done().contains("Galera"), "{}", said.stdout);
    assert_eq!(all_checksums(&scene.source), wanted);
    // By mariadb-dump's own users table, on a server of the same version.
    let users = scene.cluster.n(1).sql("SELECT User, Host FROM mysql.global_priv ORDER BY 1, 2");
    scene.load_into(&socket, &["--file", &file, "--overwrite", "--system-tables"]).done();
    scene.source.exec("FLUSH PRIVILEGES");
    assert_eq!(scene.source.sql("SELECT User, Host FROM mysql.global_priv ORDER BY 1, 2"), users);
    scene.load(2, &["--file", &file, "--system-tables"]).fails_with(1, "nobody could log in on the others");
    fs::remove_file(file).unwrap();
}
