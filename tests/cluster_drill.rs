//! `drill` on real servers: it passes on good backups of every method, fails with the reason on bad ones, leaves nothing however it ends, and the
//! server of the machine notices nothing.

#[path = "cluster_drill/bad.rs"]
mod bad;
#[path = "cluster_drill/killed.rs"]
mod killed;
#[path = "cluster_drill/scene.rs"]
mod scene;
mod support;

use std::time::{Duration, Instant};

use scene::Scene;
use serde_json::Value;
use support::program::{gtid, number, text};

/// Each of them, as a donor takes it; the file system clones.
const METHODS: [&str; 5] = ["logical", "mariadb-backup", "freeze", "precopy", "snapshot"];

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn good_backups_are_proved_bad_ones_fail_and_nobody_notices() {
    let scene = Scene::new();
    let backups = METHODS.map(|method| {
        if method == "freeze" {
            // Nothing is wrong with files that have it; the two before cannot take it at all.
            scene.cluster.n(2).exec("ALTER TABLE d.discarded DISCARD TABLESPACE");
        }
        // Where precopy is refused there is one more by freeze.
        let is_refused = method == "precopy" && !scene.cluster.n(2).has_followable_redo();
        scene.back_up(if is_refused { "freeze" } else { method })
    });
    // Without garbd a snapshot needs a redo log whose checkpoint is understood.
    let crashed = scene.cluster.n(2).has_followable_redo().then(|| scene.run("snapshot"));
    assert!(crashed.iter().all(|backup| text(backup, "/files_state") == "crashed"));
    let all = || backups.iter().chain(&crashed);
    all().for_each(|backup| proved(&scene, backup));
    scene.cluster.n(1).exec("INSERT INTO d.gone VALUES (3)");
    all().filter(|backup| text(backup, "/method") != "logical").for_each(|backup| joins(&scene, backup));
    let [dump, stream, freeze, later, _] = &backups;
    killed::at_each_step_of_a_dump(&scene, dump);
    what_the_record_is_shown_as(&scene, freeze);
    answers_decide(&scene, freeze);
    bad::a_server_that_is_too_old(&scene, freeze);
    bad::a_manifest_with_another_position(&scene, later);
    bad::a_stream_that_was_changed(&scene, stream);
    bad::a_dump_that_was_cut_in_half(&scene, dump);
    bad::a_page_that_was_damaged_on_the_donor(&scene);
    bad::a_tablespace_that_is_missing(&scene);
    killed::at_each_step_nothing_runs_and_the_next_one_sweeps(&scene, freeze);
}

/// At the position, with the rows that the donor had.
fn proved(scene: &Scene, backup: &Value) {
    let method = text(backup, "/method");
    let rows = scene.cluster.n(2).scalar("SELECT COUNT(*) FROM bulk.t");
    let began = Instant::now();
    let donor = scene.cluster.n(2);
    let mark = donor.log_mark();
    let (ran, slowest) = scene.beside(|| {
        scene.drill(
            backup,
            &["--query", "SELECT COUNT(*), 'a b' FROM bulk.t", "--expect", &format!("{rows}\ta b")],
        )
    });
    assert_eq!(ran.status, Some(0), "{method}: {ran:?}");
    let log = donor.log_since(mark);
    // That a look at the group comes late is the machine's doing: others are at work on it.
    let mut complaints = log.lines().filter(|line| !line.contains("WSREP: last inactive check more than "));
    assert!(
        !complaints.any(|line| line.contains("[ERROR]") || line.contains("[Warning]")),
        "the live server speaks of a drill: {log}"
    );
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let drill = &told["drill"];
    if method == "logical" {
        assert_eq!(drill["position"], Value::Null, "{drill:#}");
    } else {
        assert_eq!(text(drill, "/position"), gtid(backup).to_string(), "{method}");
    }
    let checked = number(drill, "/tables/checked");
    assert!(checked > 40 && checked == number(drill, "/tables/all"), "{method}: {drill:#}");
    assert!(number(drill, "/rows") > rows.parse().unwrap() && number(drill, "/queries") == 1, "{drill:#}");
    let notes = told["notes"].to_string();
    let is_late = !["logical", "mariadb-backup"].contains(&method);
    assert_eq!(notes.contains("the first one is d.discarded"), is_late, "{method}: {notes}");
    scene.assert_swept();
    eprintln!(
        "{method}: {} ms, restore {} ms, start {} ms, check {} ms, {checked} tables; slowest query beside it {} ms",
        began.elapsed().as_millis(),
        drill["restore_ms"],
        drill["start_ms"],
        drill["check_ms"],
        slowest.as_millis()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// Its cluster by IST. No donor before MariaDB 10.6 is asked for one.
fn joins(scene: &Scene, backup: &Value) {
    let nodes = [1, 2].map(|number| scene.cluster.n(number));
    let marks = nodes.map(|node| node.log_mark());
    let members = format!("127.0.0.1:{}", nodes[0].port());
    let ran = scene.drill(backup, &["--tables", "none", "--join", "--members", &members]);
    let method = text(backup, "/method");
    let log: String = nodes.iter().zip(marks).map(|(node, mark)| node.log_since(mark)).collect();
    if nodes[0].series() < (10, 6) {
        let is_told = ran.err.contains("whose own script 'wsrep_sst_backup' gives no IST");
        assert!(ran.status == Some(1) && is_told, "{method}: {ran:?}");
        assert!(!log.contains("backup-drill-"), "{method}: {log}");
        return;
    }
    assert_eq!(ran.status, Some(0), "{method}: {ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(number(&told, "/drill/join/writesets") > 0, "{method}: {told:#}");
    assert!(log.contains(&format!("IST request: {}", gtid(backup).uuid)), "{method}: {log}");
    scene.assert_swept();
    for node in nodes {
        let now = (node.status("wsrep_cluster_size"), node.state(), node.flow_control_sent());
        assert_eq!(now, ("2".into(), "Synced".into(), 0), "{method}: {}", node.name());
    }
    eprintln!("{method}: {}", told["drill"]["join"]);
}

fn what_the_record_is_shown_as(scene: &Scene, backup: &Value) {
    let id = text(backup, "/id");
    let shown = scene.program.ok(&["show", id]);
    assert!(
        shown.contains(": proved, ") && shown.contains("from nothing to a server that answers"),
        "{shown}"
    );
    assert!(scene.program.ok(&["list"]).contains("drilled 20"));
    let again = scene.drill(backup, &["--tables", "none"]);
    assert_eq!(again.status, Some(0), "{again:?}");
    assert_eq!(number(&scene.record(backup), "/tables/checked"), 0, "the newer one counts");
}

/// An answer that was not expected fails the drill, and is no damage of the backup.
fn answers_decide(scene: &Scene, backup: &Value) {
    let ran = scene.drill(
        backup,
        &["--tables", "none", "--query", "SELECT 1", "--expect", "1", "--query", "SELECT 2", "--expect", "3"],
    );
    assert_eq!(ran.status, Some(4), "{ran:?}");
    let record = scene.record(backup);
    assert_eq!((text(&record, "/failed_at"), number(&record, "/queries")), ("query", 1));
    assert_eq!(text(&record, "/reason"), "'SELECT 2' was answered with '2', and '3' was expected");
    let listed = scene.program.json(&["list"]);
    let all = listed["backups"].as_array().unwrap();
    let own = all.iter().find(|one| one["id"] == backup["id"]).unwrap();
    assert_eq!(own["doubt"], Value::Null, "{own:#}");
    let sampled = scene.drill(backup, &["--tables", "sample"]);
    assert_eq!(sampled.status, Some(0), "{sampled:?}");
}
