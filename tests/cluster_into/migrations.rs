//! The migrations of `doc/logical.md`, as they are printed. Old and new server are of one version here.

use std::fs;

use super::machine::{Host, Machine};
use super::scene::Scene;
use super::support::{Server, all_checksums};

pub(super) fn as_they_are_printed(scene: &Scene) {
    let Scene { source, cluster } = scene;
    // The last test has brought those of a node.
    scene.drop_names();
    // Galera would have the rows of this one on one node.
    source.exec("ALTER TABLE app.notes ENGINE=InnoDB");
    clear(cluster.n(2));
    let wanted = all_checksums(source);
    let socket = cluster.n(2).socket().display().to_string();
    Machine::of(cluster, Host::Node(cluster.n(2))).run(
        "standalone-to-galera",
        &[("OLD", "127.0.0.1"), ("PORT", &source.variable("port")), ("NODE", &socket)],
    );
    scene.settle(2);
    for node in cluster.nodes() {
        assert_eq!(all_checksums(node), wanted, "{}", node.name());
        Scene::logged_in(node.port(), "SELECT COUNT(*) FROM app.t");
    }
    scene.every_node_has_its_accounts();
    clear(source);
    let old = cluster.n(3).port().to_string();
    let here = source.socket().display().to_string();
    Machine::of(cluster, Host::Server(source))
        .run("galera-to-standalone", &[("NODE", "127.0.0.1"), ("PORT", &old), ("SERVER", &here)]);
    assert_eq!(all_checksums(source), wanted);
    let port = source.variable("port").parse().unwrap();
    Scene::logged_in(port, "SELECT COUNT(*) FROM app.t");
    operators_files(scene, &socket);
}

/// One for each time; what is in them differs.
fn operators_files(scene: &Scene, socket: &str) {
    let folder = scene.cluster.make_dir("dumps");
    for (time, name) in [
        ("2026-11-19T12:00:00Z", "gzip.sql"),
        ("2026-11-20T12:00:00Z", "sql.bz2"),
        ("2026-11-21T12:00:00Z", "sql.gz"),
    ] {
        scene.source.exec(&format!("REPLACE INTO app.notes VALUES (4711, '{time}')"));
        let plain = scene.dump("plain.sql", &["--all-databases", "--routines", "--events"]);
        let program = if name.contains("bz2") { "bzip2" } else { "gzip" };
        let packed = std::process::Command::new(program).args(["-c", &plain]).output().unwrap().stdout;
        fs::write(folder.join(format!("backup.{time}.{name}")), packed).unwrap();
    }
    clear(scene.cluster.n(2));
    Machine::of(&scene.cluster, Host::Node(scene.cluster.n(2))).run(
        "operator-file",
        &[("FOLDER", folder.to_str().unwrap()), ("TIME", "2026-11-21T11:59:59Z"), ("NODE", socket)],
    );
    scene.settle(2);
    let loaded = scene.cluster.n(1).scalar("SELECT v FROM app.notes WHERE id = 4711");
    assert_eq!(loaded, "2026-11-20T12:00:00Z");
    let word = folder.to_str().unwrap();
    scene
        .load(2, &["--file", word, "--target-time", "2026-11-19T11:00:00Z"])
        .fails_with(2, "the oldest dump in");
}

/// Without what the source has.
fn clear(server: &Server) {
    server.sql_all(&[
        "DROP DATABASE IF EXISTS app",
        "DROP DATABASE IF EXISTS `a``b`",
        "DROP USER IF EXISTS app@'127.0.0.1'",
    ]);
    if server.sql("SELECT User FROM mysql.user WHERE User = 'readers'").len() == 1 {
        server.exec("DROP ROLE readers");
    }
}
