//! What `backup` says when it does not come to a backup: each cause is named, within a time limit.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::{Asking, ClusterOptions, PATIENCE, copy_program, wait_until};

/// The longest wait is that for a group that does not answer: 45 s, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs MariaDB and Galera"]
fn backup_names_what_is_wrong_within_its_time_limit() {
    let stage = Stage::with(2, ClusterOptions::new().can_be_cut_off());
    // Those that wait for nothing but garbd's patience do so while the others come and go.
    let waiting = [
        (other_group(&stage), "a group that is not called 'nothing_like_it'"),
        (nobody_listens(&stage), "no member answers there"),
        (tls_that_is_not_spoken(&stage), "TLS does not fit"),
    ];
    refused_at_once(&stage);
    a_donor_without_our_program(&stage);
    a_busy_donor(&stage);
    a_cluster_that_is_not_primary(&stage);
    the_last_synced_node(&stage);
    for (asking, why) in waiting {
        ends(asking, "failed", why);
    }
    assert_eq!(stage.administrator.leftovers(), Vec::<String>::new());
}

#[track_caller]
fn ends(asking: Asking, outcome: &str, why: &str) {
    let told = asking.finish();
    told.ended(outcome, why);
    assert!(told.took < LIMIT, "{told}");
    println!("{:>6.1} s  {outcome}: {}", told.took.as_secs_f64(), told.text("error"));
}

fn other_group(stage: &Stage) -> Asking {
    let address = format!("--address=gcomm://{}", stage.cluster.members());
    stage.administrator.elsewhere(&["--cluster=nothing_like_it", &address])
}

fn nobody_listens(stage: &Stage) -> Asking {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    stage.administrator.elsewhere(&["--cluster=wsb_test", &format!("--address=gcomm://127.0.0.1:{port}")])
}

fn tls_that_is_not_spoken(stage: &Stage) -> Asking {
    let folder = stage.cluster.dir().join("tls");
    fs::create_dir(&folder).unwrap();
    super::tls::make_certificate(&folder);
    let place = folder.display();
    let options = format!(
        "--provider-options=socket.ssl_ca={place}/cert.pem;socket.ssl_cert={place}/cert.pem;socket.ssl_key={place}/key.pem"
    );
    stage.administrator.outside(&[&options])
}

/// What SQL or this machine tells before anybody is asked, and what the group tells at once.
fn refused_at_once(stage: &Stage) {
    let on = |more: &[&str]| stage.administrator.on(&stage.cluster, 1, more);
    ends(on(&["--donor=n7"]), "refused", "unknown donor 'n7': the members of the cluster are n1, n2");
    ends(on(&["--cluster=other"]), "refused", "the cluster is called 'wsb_test' by its members, not 'other'");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    ends(on(&[&listen]), "failed", "garbd cannot listen on '127.0.0.1:");
    ends(on(&["--garbd=/nonexistent/garbd"]), "failed", "cannot start garbd ('/nonexistent/garbd')");
    let outside = stage.administrator.outside(&["--donor=n7"]);
    ends(outside, "failed", "the cluster has no donor for 'n7'");
}

/// What answers in the place of our program. One is asked after the other: each `backup` looks whether the lock is to be had, and
/// that counts as a flush.
fn a_donor_without_our_program(stage: &Stage) {
    let (program, kept) = (stage.cluster.program(), stage.cluster.dir().join("kept"));
    fs::rename(&program, &kept).unwrap();
    // 127 is what a shell says where there is none at all.
    for (script, status) in [("exit 127", "127"), ("exit 7", "7 (")] {
        ends(
            ask_another_program(stage, Some(script), status),
            "failed",
            "The server was never frozen: mysqld on n2 finds no wsrep_sst_backup, or it failed",
        );
    }
    // Behind ours in the server's PATH stands that of the distribution.
    let stock = ask_another_program(stage, None, "WSREP_SST: [INFO]");
    ends(
        stock,
        "failed",
        "Its tables were flushed meanwhile, so it seems that a program did answer: the stock wsrep_sst_backup script",
    );
    fs::rename(&kept, &program).unwrap();
    stage.back_up();
}

/// Asks while there is this script in the place of the program, or nothing; the donor is Synced again, and its log has
/// this sign of what has answered.
fn ask_another_program(stage: &Stage, script: Option<&str>, sign: &str) -> Asking {
    let program = stage.cluster.program();
    if let Some(script) = script {
        let file = stage.cluster.dir().join("script");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        copy_program(&file, &program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mark = stage.donor().log_mark();
    let mut asking = stage.ask(&[]);
    asking.wait_said("n2 is the donor");
    stage.donor().wait_donor_done(mark, PATIENCE);
    let log = stage.donor().log_since(mark);
    assert!(log.contains(sign), "no '{sign}' in:\n{log}");
    let _ = fs::remove_file(&program);
    asking
}

fn a_busy_donor(stage: &Stage) {
    let desync = |on: &str| stage.donor().exec(&format!("SET GLOBAL wsrep_desync = {on}"));
    desync("ON");
    ends(stage.ask(&[]), "refused", "'n2' is Donor/Desynced: 'n2': wsrep_desync is ON there");
    ends(stage.ask(&["--force"]), "refused", "no donor that is asked for can give a backup now: 'n2' is");
    ends(stage.administrator.outside(&["--donor=n2"]), "failed", "'n2' was busy for 20 s");
    // Forced: the other node is frozen although this one does not serve.
    let forced = stage.administrator.on(&stage.cluster, 1, &["--donor=n1", "--force"]).finish();
    stage.assert_whole(forced.complete());
    assert!(forced.err.contains("forced: 'n2' is Donor/Desynced"), "{forced}");
    desync("OFF");
    stage.donor().wait_synced(PATIENCE);
}

/// One of two is cut off: neither has the majority.
fn a_cluster_that_is_not_primary(stage: &Stage) {
    let isolate = |on: u8| {
        stage.donor().set_provider_option("gmcast.isolate", on);
    };
    let is = |status: &str| {
        wait_until(PATIENCE, || {
            stage.cluster.nodes().all(|node| node.status("wsrep_cluster_status") == status)
        })
    };
    isolate(1);
    assert!(is("non-Primary"));
    let asking = stage.administrator.on(&stage.cluster, 1, &[]);
    ends(asking, "refused", "the cluster is not Primary");
    let forced = stage.administrator.on(&stage.cluster, 1, &["--force"]);
    ends(forced, "failed", "members answer, but not as part of a Primary component");
    isolate(0);
    assert!(is("Primary"), "{}", stage.donor().log_tail());
    stage.cluster.nodes().for_each(|node| node.wait_synced(PATIENCE));
}

fn the_last_synced_node(stage: &Stage) {
    stage.cluster.n(1).stop();
    ends(stage.ask(&[]), "refused", "'n2' is the only Synced node");
    let forced = stage.ask(&["--force"]).finish();
    stage.assert_whole(forced.complete());
    assert!(forced.err.contains("forced: 'n2' is the only Synced node"), "{forced}");
    stage.cluster.n(1).rejoin();
}
