//! `drill --join` on real clusters: the drilled server joins by IST while clients write, is never in their way, and is gone afterwards, however the
//! drill ends.

#[path = "cluster_drill_join/harm.rs"]
mod harm;
#[path = "cluster_drill_join/scene.rs"]
mod scene;
mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use scene::{Scene, send};
use serde_json::Value;
use support::cnf::CLUSTER_NAME;
use support::fixtures::fill_bulk;
use support::program::{Ran, gtid, number, text};
use support::{PATIENCE, Writer, wait_until};

/// What a donor says that was asked for a state transfer, of whatever kind.
const ASKED: [&str; 3] = ["requested state transfer", "IST request", "DONOR/DESYNCED"];

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_drilled_server_joins_by_ist_while_clients_write_and_leaves_the_cluster_as_it_was() {
    let scene = Scene::new(3);
    let backup = scene.back_up_late();
    let first = scene.cluster.n(1);
    // Whoever cannot carry out what is said of accounts is voted out of the cluster.
    first.exec("CREATE USER drilled@localhost IDENTIFIED BY 'x'");
    let writer = Writer::start(first, 100);
    assert!(wait_until(PATIENCE, || first.position().seqno > gtid(&backup).seqno + 50));
    let marks = [1, 2, 3].map(|n| scene.cluster.n(n).log_mark());
    writer.take_stats();
    let ran = scene.drill(&backup, &["--query", "SELECT COUNT(*) FROM d.t", "--expect", "0"]);
    let told = writer.take_stats();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    let join = &said["drill"]["join"];
    assert!(number(join, "/writesets") > 50, "{said:#}");
    assert_eq!(said["notes"].as_array().map(Vec::len), Some(0), "{said:#}");
    eprintln!("{join}; longest pause of the writer {:?}, {} commits", told.longest_pause, told.commits);
    assert_eq!(told.errors, 0);
    assert!(told.longest_pause < Duration::from_secs(3), "{told:?}");
    scene.assert_calm(3);
    writer.stop();
    let logs: Vec<String> =
        [1, 2, 3].into_iter().zip(marks).map(|(n, mark)| scene.cluster.n(n).log_since(mark)).collect();
    let log = logs.concat();
    assert!(log.contains(&format!("IST request: {}", gtid(&backup).uuid)), "no member was asked: {log}");
    let transfers: Vec<&str> = log.lines().filter(|line| line.contains("--role 'donor'")).collect();
    assert!(
        !transfers.is_empty() && transfers.iter().all(|line| line.contains(" --bypass")),
        "{transfers:?}"
    );
    for (n, mark) in [1, 2, 3].into_iter().zip(marks) {
        assert_eq!(scene.cluster.n(n).paused_since(mark), [], "n{n} stood still");
    }
    assert!(!log.contains("nconsisten"), "{log}");
    let shown = scene.program.ok(&["show", text(&backup, "/id")]);
    assert!(shown.contains(", joined its cluster in ") && shown.contains(" write sets by IST)"), "{shown}");
    assert!(!scene.runs());
    a_question_writes_nothing(&scene, &backup);
    a_member_that_is_busy_or_cut_off_is_left_alone(&scene, &backup);
    harm::a_server_here_that_has_left_the_cluster_is_no_hindrance(&scene, &backup);
    harm::triggers_of_servers_do_not_come_into_the_cluster(&scene);
}

#[test]
#[ignore = "needs MariaDB and Galera, root"]
fn a_guest_that_hangs_has_no_room_or_is_cut_off_takes_nothing_from_the_others() {
    let scene = Scene::new(3);
    let backup = scene.back_up_late();
    let first = scene.cluster.n(1);
    let writer = Writer::start(first, 50);
    assert!(wait_until(PATIENCE, || first.position().seqno > gtid(&backup).seqno + 20));
    harm::a_disk_that_gets_full_ends_the_visit(&scene, &backup, &writer);
    harm::a_guest_that_hangs_is_left_behind(&scene, &backup, &writer);
    writer.stop();
    harm::a_guest_stays_until_the_nodes_are_a_cluster_again(&scene);
    harm::where_a_guest_has_left_too_early_an_administrator_forms_the_cluster_again(&scene);
}

fn a_question_writes_nothing(scene: &Scene, backup: &Value) {
    let ran = scene.drill(backup, &["--query", "INSERT INTO d.t VALUES (1)", "--expect", ""]);
    // The administrator's mistake, and no fault of the backup.
    assert!(ran.status == Some(1) && ran.err.contains("READ ONLY transaction"), "{ran:?}");
}

fn a_member_that_is_busy_or_cut_off_is_left_alone(scene: &Scene, backup: &Value) {
    let (second, third) = (scene.cluster.n(2), scene.cluster.n(3));
    let mark = scene.cluster.n(1).log_mark();
    third.exec("SET GLOBAL wsrep_desync=ON");
    let ran = scene.drill(backup, &[]);
    assert!(ran.status == Some(1) && ran.err.contains("'n3' is Donor/Desynced"), "{ran:?}");
    third.exec("SET GLOBAL wsrep_desync=OFF");
    third.wait_synced(PATIENCE);
    second.set_provider_option("gmcast.isolate", 1);
    second
        .wait_for("a non-primary component", PATIENCE, || second.status("wsrep_cluster_status") != "Primary");
    let ran = scene.drill(backup, &[]);
    assert!(ran.status == Some(1) && ran.err.contains("is not in the Primary component"), "{ran:?}");
    second.set_provider_option("gmcast.isolate", 0);
    second.wait_synced(PATIENCE);
    let log = scene.cluster.n(1).log_since(mark);
    assert!(!log.contains("backup-drill-"), "{log}");
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn two_nodes_stay_primary_whatever_becomes_of_the_drill_and_none_is_asked_for_what_it_has_not() {
    let scene = Scene::new(2);
    let first = scene.cluster.n(1);
    let writer = Writer::start(first, 50);
    let backup = scene.back_up_late();
    assert!(wait_until(PATIENCE, || first.position().seqno > gtid(&backup).seqno + 20));
    harm::killed_on_its_way(&scene, &backup, &writer);
    for (signal, status) in [(Signal::SIGTERM, Some(1)), (Signal::SIGKILL, None)] {
        writer.take_stats();
        let child = scene.joined(&backup);
        send(&child, signal);
        send(&child, Signal::SIGCONT);
        let ran = Ran::finish(child);
        assert_eq!(ran.status, status, "{ran:?}");
        assert!(wait_until(PATIENCE, || !scene.runs()), "{signal}: a server is left");
        assert!(wait_until(PATIENCE, || first.status("wsrep_cluster_size") == "2"), "{signal}");
        scene.assert_calm(2);
        let stood = first.position().seqno;
        assert!(wait_until(PATIENCE, || first.position().seqno > stood + 10), "{signal}: nobody writes");
        let commits = writer.take_stats();
        eprintln!("{signal}: longest pause of the writer {:?}", commits.longest_pause);
        assert!(commits.errors == 0 && commits.longest_pause < Duration::from_secs(4), "{commits:?}");
        let folder = scene.program.repository().join(CLUSTER_NAME).join(text(&backup, "/id"));
        assert!(!folder.join("drill.json").exists(), "nothing is said of the backup");
    }
    let ran = scene.drill(&backup, &["--tables", "none"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    scene.assert_calm(2);
    writer.stop();
    // Its write sets leave the gcaches of the members while the server is on its way to them, with everything that was asked before.
    let marks = [1, 2].map(|n| scene.cluster.n(n).log_mark());
    let child = scene.stopped_at(&backup, "wsrep_load(): loading provider library");
    // It is in the group then: a large write set that is on its way while the group changes may fail.
    let is_asking = || scene.log_of_drill().contains("--role 'joiner'");
    assert!(wait_until(PATIENCE, is_asking), "{}", scene.log_of_drill());
    fill_bulk(first, "bulk", 64);
    send(&child, Signal::SIGCONT);
    let late = Ran::finish(child);
    let told = "the server did not join the cluster: IST is not possible any more";
    assert!(late.status == Some(1) && late.err.contains(told), "{late:?}");
    assert!(wait_until(PATIENCE, || first.position() == scene.cluster.n(2).position()));
    // And before anything is begun.
    let ran = scene.drill(&backup, &[]);
    let told = "no server joins the cluster (--join): IST is not possible any more";
    assert!(ran.status == Some(1) && ran.err.contains(told), "{ran:?}");
    eprintln!("{}\n{}", late.err.trim(), ran.err.trim());
    for (n, mark) in [1, 2].into_iter().zip(marks) {
        let log = scene.cluster.n(n).log_since(mark);
        let asked = ASKED.iter().find(|text| log.contains(**text));
        assert_eq!(asked, None, "n{n} was asked: {log}");
    }
    scene.assert_calm(2);
}
