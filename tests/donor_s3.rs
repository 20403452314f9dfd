//! A donor whose repository is a bucket: whole backups, or none, whatever becomes of its requests.

#[path = "storage/donor.rs"]
mod donor;
#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use donor::{command, donor};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use proxy::{Fault, Proxy, Way};
use server::{FileServer, SECRET, settings};
use support::cli::open_folder;
use support::scripted_mysqld::Outcome;
use support::trees::assert_same_files;
use support::{ScriptedMysqld, noise};
use wsrep_sst_backup::config::Retention;
use wsrep_sst_backup::prune::{PrunePlan, Tally, carry_out};

const MIB: u64 = 1 << 20;

/// The complete backups, and the attempts that are none.
fn listed(server: &ScriptedMysqld) -> (usize, Vec<serde_json::Value>) {
    let list = command("list --json", server).run().json();
    (list["backups"].as_array().unwrap().len(), list["incomplete"].as_array().unwrap().clone())
}

/// `done`, and a backup that verifies.
fn assert_backed_up(server: &ScriptedMysqld, outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("\ndone "), "{}", outcome.stdout);
    assert_eq!(outcome.messages("ERROR"), Vec::<&str>::new());
    command("verify latest", server).run().done();
}

/// Restores the newest backup and compares it with the server's files.
fn assert_restored(server: &ScriptedMysqld) {
    let folder = open_folder();
    let target = folder.path().join("data");
    // Connections that break are told on stderr.
    let restored = command("restore latest --as standalone", server).to(&target).run();
    assert_eq!(restored.status, Some(0), "{}", restored.stderr);
    assert_same_files(&server.datadir(), &target);
}

#[test]
fn a_backup_goes_into_a_bucket_and_comes_back() {
    let storage = FileServer::start();
    let server = donor(&storage.endpoint(), "");
    server.write("db/noise.MYD", noise(40 << 20, 1));
    let outcome = server.asks().run();
    assert_backed_up(&server, &outcome);
    assert!(outcome.stderr.contains("to 's3://bucket/backups'"), "{}", outcome.stderr);
    assert_restored(&server);
    let shown = command("show latest --json", &server).run().json();
    assert_eq!(shown["node"], "donor1");
    assert_eq!((listed(&server).0, storage.unfinished()), (1, vec![]));
    for said in [outcome.stderr, command("list", &server).run().done().to_owned()] {
        assert!(!said.contains(SECRET) && !said.contains("key-of-tests"), "{said}");
    }
    command("list --repository s3://none/x", &server).run().fails_with(1, "HTTP status 404 NoSuchBucket");
}

#[test]
fn a_backup_and_a_restore_that_lose_their_connection_five_times_each_are_whole() {
    let storage = FileServer::start();
    let cuts = [1, 9, 20, 33, 50].map(|mib| mib * MIB);
    let up = Proxy::start(storage.address, Way::Up, &cuts);
    let server = donor(&up.endpoint(), "");
    server.write("db/noise.MYD", noise(60 << 20, 2));
    let outcome = server.asks().run();
    assert_backed_up(&server, &outcome);
    assert_eq!(up.line.cut.load(Ordering::Relaxed), 5, "{}", outcome.stderr);
    let down = Proxy::start(storage.address, Way::Down, &cuts);
    server.configure("wsrep_sst_backup", &format!("s3-endpoint={}", down.endpoint()));
    assert_restored(&server);
    assert_eq!(down.line.cut.load(Ordering::Relaxed), 5);
    assert_eq!(storage.unfinished(), Vec::<String>::new());
}

/// `prune` with its clock, and that of the storage, at this distance from now.
fn prune_in(hours: u64, server: &FileServer) -> Tally {
    let hours = Duration::from_secs(hours * 3600);
    server.leap.take(hours);
    let storage = server::storage("backups", &settings(&server.endpoint()));
    let now = Timestamp::now() + hours;
    let policy = Retention { last: Some(1), ..Retention::default() };
    let plan = PrunePlan::make(&storage, None, &policy, now).unwrap();
    let tally = carry_out(&storage, &plan, &|| false);
    assert_eq!((&tally.failed, &tally.spared), (&vec![], &vec![]), "{plan:?}");
    tally
}

/// Tomorrow's `prune` leaves nothing in the bucket but whole backups.
fn assert_no_orphan_after_prune(server: &FileServer, complete: usize, what: &str) {
    prune_in(25, server);
    assert_eq!((server.unfinished(), server.begun.keys()), (vec![], vec![]), "{what}");
    let find = Command::new("find").arg(server.bucket()).args(["-type", "f", "-printf", "%f\n"]).output();
    let found = String::from_utf8(find.unwrap().stdout).unwrap();
    let mut files: Vec<&str> = found.lines().collect();
    files.sort_unstable();
    // A sign of the donor that could not be removed is left empty, and nobody minds it.
    let is_refused = |file: &str| what.contains(&format!("DELETE /bucket/backups/{file} "));
    files.retain(|file| !(file.starts_with("freezing.") && is_refused(file)));
    let expected: &[&str] = match complete {
        0 => &[],
        _ => &[".claim", "backup.tar.", "index.json.zst", "manifest.json", "status.json", "verify.json"],
    };
    let is_whole = files.len() == expected.len();
    let is_whole = is_whole && files.iter().zip(expected).all(|(file, name)| file.starts_with(name));
    assert!(is_whole, "{what}: {files:?}");
}

#[test]
fn one_table_out_of_a_bucket_costs_little_more_than_its_blocks() {
    let storage = FileServer::start();
    let server = donor(&storage.endpoint(), "");
    server.write("db/before.MYD", noise(24 << 20, 4));
    server.write("db/little.MYD", noise(100 << 10, 5));
    server.write("db/zzz.MYD", noise(24 << 20, 6));
    assert_backed_up(&server, &server.asks().run());
    // The connection over which half of the archive has come is cut: a block has at most 4 MiB, and what is on its way when the reader
    // seeks comes too.
    let proxy = Proxy::start(storage.address, Way::Down, &[24 * MIB]);
    server.configure("wsrep_sst_backup", &format!("s3-endpoint={}", proxy.endpoint()));
    let folder = open_folder();
    let target = folder.path().join("tables");
    command("restore latest --only db.little", &server).to(&target).run().done();
    assert_eq!(std::fs::read(target.join("db/little.MYD")).unwrap(), noise(100 << 10, 5));
    assert_eq!(proxy.line.cut.load(Ordering::Relaxed), 0, "{:#?}", proxy.line.requests());
}

/// Runs a donor whose `number`th request has a fault; its outcome, whether there is a backup, and how many requests
/// there were.
fn with_fault(number: usize, fault: Fault, more: &str) -> (Outcome, bool, usize) {
    let storage = FileServer::start();
    let proxy = Proxy::start(storage.address, Way::Up, &[]);
    *proxy.line.fault.lock().unwrap() = Some((number, fault));
    let server = donor(&proxy.endpoint(), more);
    server.write("db/noise.MYD", noise(20 << 20, 3));
    let outcome = server.asks().run();
    let requests = proxy.line.requests().len();
    server.configure("wsrep_sst_backup", &format!("s3-endpoint={}", storage.endpoint()));
    let (complete, incomplete) = listed(&server);
    if complete == 1 {
        command("verify latest", &server).run().done();
    }
    let line = proxy.line.requests().get(number).cloned().unwrap_or_default();
    // Nobody can take back what he does not know of.
    let has_orphan = fault == Fault::AnswerLost && line.contains("?uploads");
    assert_eq!(!storage.unfinished().is_empty(), has_orphan, "request {number}, {line}");
    assert!(complete + incomplete.len() <= 1, "request {number}, {line}: {incomplete:?}");
    assert_eq!(
        outcome.stdout.contains("\ndone "),
        complete == 1,
        "request {number}, {line}: {}",
        outcome.stderr
    );
    let froze = outcome.stdout.contains("flush tables\n");
    assert_eq!(froze, outcome.stdout.contains("\ncontinue\n"), "request {number}: {}", outcome.stdout);
    assert_no_orphan_after_prune(&storage, complete, &format!("request {number}, {line}"));
    (outcome, complete == 1, requests)
}

#[test]
fn a_request_that_is_refused_for_good_leaves_a_whole_backup_or_none() {
    let (_, complete, requests) = with_fault(usize::MAX, Fault::Denied, "");
    assert!(complete && requests > 10, "{requests}");
    let mut outcomes = Vec::new();
    for number in 0..requests {
        let (outcome, complete, _) = with_fault(number, Fault::Denied, "");
        // What is written to status.json is not worth a backup.
        assert_eq!(outcome.code == Some(0), complete, "{}", outcome.stderr);
        outcomes.push(complete);
    }
    let failed = outcomes.iter().filter(|complete| !**complete).count();
    assert!(failed >= 5, "{outcomes:?}");
}

#[test]
fn a_request_whose_answer_is_lost_costs_no_backup() {
    let (_, _, requests) = with_fault(usize::MAX, Fault::Denied, "");
    for number in 0..requests {
        let (outcome, complete, _) = with_fault(number, Fault::AnswerLost, "");
        assert!(complete && outcome.code == Some(0), "request {number}: {}", outcome.stderr);
    }
}

#[test]
fn a_request_that_is_never_answered_is_given_up_or_asked_again() {
    for number in [0, 1, 2, 5, 8, 11] {
        // An attempt is given up after 2 s and an operation after 6 s. Only a completion has no second attempt, because
        // a server may work on it for long.
        let (outcome, complete, _) = with_fault(number, Fault::Unanswered, "stall-timeout=15s");
        assert!(complete || number > 2, "request {number}: {}", outcome.stderr);
    }
}

#[test]
fn a_request_that_is_answered_late_does_no_harm() {
    for number in [3, 6, 9] {
        let (outcome, complete, _) = with_fault(number, Fault::Late(Duration::from_secs(1)), "");
        assert!(complete, "request {number}: {}", outcome.stderr);
    }
}

#[test]
fn a_storage_that_falls_silent_is_given_up_and_the_server_thawed() {
    let storage = FileServer::start();
    let proxy = Proxy::start(storage.address, Way::Up, &[]);
    let server = donor(&proxy.endpoint(), "stall-timeout=6s\ncompression=none");
    server.write("db/noise.MYD", noise(200 << 20, 4));
    let run = server.asks().progress().start();
    run.wait_for("total ");
    proxy.line.stalled.store(true, Ordering::Relaxed);
    let outcome = run.finish();
    proxy.line.stalled.store(false, Ordering::Relaxed);
    assert!(
        outcome.stdout.contains("\ncontinue\n") && !outcome.stdout.contains("done"),
        "{}",
        outcome.stdout
    );
    assert_ne!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(listed(&server).0, 0, "{}", outcome.stderr);
}

/// A server that shuts down waits for the program, and its signal comes to both.
#[test]
fn a_stopped_server_is_not_held_up_by_what_is_read_behind_the_backup() {
    let storage = FileServer::start();
    let proxy = Proxy::start(storage.address, Way::Up, &[]);
    let server = donor(&proxy.endpoint(), "");
    server.configure("wsrep_sst_backup", &format!("metrics-file={}", server.path("metrics.prom").display()));
    let (line, is_stored) = (Arc::clone(&proxy.line), AtomicBool::new(false));
    proxy.line.answers(move |head| {
        is_stored.fetch_or(head.starts_with("put ") && head.contains("manifest.json"), Ordering::Relaxed);
        let is_list = head.starts_with("get ") && head.contains("list-type");
        line.stalled.fetch_or(is_list && is_stored.load(Ordering::Relaxed), Ordering::Relaxed);
        None
    });
    let run = server.asks().start();
    run.wait_for("done ");
    assert!(support::wait_until(Duration::from_secs(60), || proxy.line.stalled.load(Ordering::Relaxed)));
    let since = run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    // Without the signal it is given ten.
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}: {}", since.elapsed(), outcome.stderr);
    proxy.line.answers(|_| None);
    proxy.line.stalled.store(false, Ordering::Relaxed);
    assert_eq!((outcome.code, listed(&server).0), (Some(0), 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("metrics.prom' was not written in time"), "{}", outcome.stderr);
}

#[test]
fn a_donor_that_is_killed_or_stopped_while_it_copies_leaves_no_backup() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let storage = FileServer::start();
        let server = donor(&storage.endpoint(), "");
        server.make_slow(60);
        let run = server.asks().progress().start();
        run.wait_for("total ");
        assert!(
            support::wait_until(Duration::from_secs(60), || !storage.unfinished().is_empty()),
            "{signal}"
        );
        run.signal(signal);
        let outcome = run.finish();
        assert_eq!(listed(&server).0, 0, "{signal}: {}", outcome.stderr);
        if signal == Signal::SIGTERM {
            assert_eq!(storage.unfinished(), Vec::<String>::new(), "{}", outcome.stderr);
        }
        let left = storage.begun.keys();
        assert_eq!(left.len(), usize::from(signal == Signal::SIGKILL), "{left:?}");
        std::fs::remove_file(server.datadir().join("db/noise.MYD")).unwrap();
        assert_backed_up(&server, &server.asks().run());
        // It may still run, as far as today's `prune` can know.
        prune_in(0, &storage);
        assert_eq!(storage.begun.keys(), left);
        assert_no_orphan_after_prune(&storage, 1, signal.as_str());
    }
}

/// The program's peak memory, KiB, by the system's own word.
fn peak(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find(|line| line.starts_with("VmHWM:"))?.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[test]
#[ignore = "writes 6 GB and takes a minute"]
fn three_gigabytes_need_no_more_than_96_mib() {
    let storage = FileServer::start();
    // At the lowest priority beside other tests it would take its time to verify.
    let server = donor(&storage.endpoint(), "skip-low-priority");
    // Nothing that compresses compares one file with another.
    let table = noise(100_000_000, 1);
    for number in 0..30 {
        server.write(format!("db/t{number}.MYD"), &table);
    }
    let mut run = server.asks().start();
    let mut highest = 0;
    while !run.has_ended() {
        highest = peak(run.pid()).unwrap_or(0).max(highest);
        std::thread::sleep(Duration::from_millis(2));
    }
    let outcome = run.finish();
    assert!(outcome.stdout.contains("\ndone "), "{}", outcome.stderr);
    let verified = command("verify latest", &server).run();
    println!("backup: {} MiB, {:?}; verify: {} MiB", highest >> 10, outcome.took, verified.peak_kib >> 10);
    assert_eq!(verified.status, Some(0), "{}", verified.stderr);
    assert!((1 << 10..=96 << 10).contains(&highest), "{highest} KiB");
    assert!((1 << 10..=96 << 10).contains(&verified.peak_kib), "{} KiB", verified.peak_kib);
}
