//! Servers of several versions: a cluster that is being upgraded, backed up from either side, and backups of older servers on a newer one.
//!
//! Each server runs in a root directory of its own ([`Root`]); they share this machine's loopback.

mod support;

use std::process::Output;

use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{rejoin_by_ist, text, with_program};
use support::{
    Cluster, ClusterOptions, Join, PATIENCE, Program, Replica, Root, Server, Writer, all_checksums,
    assert_same_rows, wait_until,
};

fn of(root: &Root) -> ClusterOptions {
    with_program(ClusterOptions::new().server(root), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
}

/// A client of the server's own version, which must succeed.
#[track_caller]
fn client(server: &Server, program: &str, words: &[&str]) -> String {
    let socket = format!("--socket={}", server.socket().display());
    let output: Output = server
        .command(program)
        .args(["--no-defaults", "-uroot", "--default-character-set=utf8mb4", &socket])
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program}: {said}");
    said
}

#[test]
#[ignore = "needs MariaDB and Galera, and root for servers of other versions"]
fn a_cluster_that_is_being_upgraded_is_backed_up_from_either_side() {
    let (old, new) = (Root::of("10.11"), Root::of("11.8"));
    let cluster = Cluster::start(2, &of(&old));
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 16);
    // The second node is upgraded as MariaDB's manual has it.
    let second = cluster.n(2);
    second.stop();
    second.move_to(&new);
    let joined = second.rejoin();
    assert!(matches!(joined, Join::Ist { .. }), "{joined:?}");
    client(second, "mariadb-upgrade", &["--skip-write-binlog"]);
    let mut manifests = Vec::new();
    for (number, series, root) in [(1, "10.11", &old), (2, "11.8", &new)] {
        let (node, other) = (cluster.n(number), cluster.n(3 - number));
        assert!(node.variable("version").starts_with(series), "{}", node.variable("version"));
        let writer = Writer::start(other, 100);
        let manifest = program.back_up(&cluster, number);
        assert!(text(&manifest, "/server/version").starts_with(series), "{manifest:#}");
        program.ok(&["verify", text(&manifest, "/id")]);
        node.stop();
        node.wipe_datadir();
        let said = program.within(root).restore(&manifest, &node.datadir(), &[]);
        assert!(!said.contains("mariadb-upgrade"), "it is its own version: {said}");
        rejoin_by_ist(node, &manifest);
        let stats = writer.stop();
        assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
        assert!(wait_until(PATIENCE, || node.position() == other.position()));
        assert_same_rows(cluster.nodes().map(|node| &**node));
        manifests.push(manifest);
    }
    // What the newer server wrote is nothing for the older one.
    let place = cluster.dir().join("older").display().to_string();
    let refused = program.within(&old).run(&["restore", text(&manifests[1], "/id"), "--to", &place]);
    assert!(refused.status != Some(0) && refused.err.contains("is MariaDB 10.11, backup"), "{refused:?}");
}

#[test]
#[ignore = "needs MariaDB and Galera, and root for servers of other versions"]
fn backups_of_older_servers_start_on_a_newer_one_after_the_printed_steps() {
    let new = Root::of("11.8");
    for series in ["10.5", "10.11"] {
        upgraded(series, &new);
    }
}

fn upgraded(series: &str, new: &Root) {
    let old = Root::of(series);
    let cluster = Cluster::start(1, &of(&old));
    let program = Program::of(&cluster);
    let node = cluster.n(1);
    assert!(node.variable("version").starts_with(series), "{}", node.variable("version"));
    create_replicated_zoo(&cluster);
    fill_bulk(node, "t", 16);
    let rows = all_checksums(node);
    let manifest = program.back_up(&cluster, 1);
    node.stop();

    let server = Replica::prepare(cluster.scratch(), "upgraded", &[]);
    let restore = || {
        let said = program.within(new).restore(&manifest, &server.datadir(), &["--as", "standalone"]);
        let steps = said.lines().filter_map(|line| Some(line.trim_start().split_once(". ")?.1.to_owned()));
        steps.collect::<Vec<_>>()
    };
    let steps = restore();
    let first = format!(
        "Let a server of MariaDB {series} start on the directory first, by itself (--wsrep-on=OFF), and shut it down"
    );
    assert_eq!(steps.iter().any(|step| step.starts_with(&first)), series == "10.5", "{steps:#?}");
    if series == "10.5" {
        refuses_without_the_first_step(&server, new);
        wipe(&server);
        restore();
        server.move_to(&old);
        server.spawn(&["--wsrep-on=OFF"]);
        server.wait_answering(PATIENCE);
        server.stop();
    }
    assert!(steps.iter().any(|step| step.contains("mariadbd --help --verbose")), "{steps:#?}");
    server.move_to(new);
    let takes = server
        .command("mariadbd")
        .arg(format!("--defaults-file={}", server.cnf().display()))
        .args(["--help", "--verbose"])
        .output();
    assert!(takes.unwrap().status.success(), "the option file is none for 11.8");
    server.start();
    assert!(steps.iter().any(|step| step.contains("run  mariadb-upgrade  (from ")), "{steps:#?}");
    client(&server, "mariadb-upgrade", &[]);
    assert!(server.variable("version").starts_with("11.8"));
    assert_eq!(all_checksums(&server), rows, "the rows of {series}");
    let checked = client(&server, "mariadb-check", &["--all-databases"]);
    let bad: Vec<&str> =
        checked.lines().filter(|line| line.contains("rror") || line.contains("orrupt")).collect();
    assert!(bad.is_empty(), "{bad:?}");
    server.stop();
}

/// That step is needed: InnoDB of the new server does not start on the redo log.
fn refuses_without_the_first_step(server: &Replica, new: &Root) {
    server.move_to(new);
    server.spawn(&[]);
    let status = server.wait_ended(PATIENCE);
    assert!(!status.success(), "{}", server.log_tail());
    let said = "Upgrade after a crash is not supported";
    assert!(server.log().contains(said), "{}", server.log_tail());
}

fn wipe(server: &Replica) {
    std::fs::remove_dir_all(server.datadir()).unwrap();
}
