//! Donors whose storage answers in doubt, or lets them put and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wsrep_sst_backup::storage::Storage;

use crate::donor::{command_by, donor};
use crate::proxy::{Proxy, Said, Way};
use crate::refusal;
use crate::server::{FileServer, settings, storage};
use crate::support::noise;

fn is_manifest(head: &str) -> bool {
    head.starts_with("put ") && head.lines().next().is_some_and(|line| line.contains("manifest.json"))
}

#[test]
fn a_manifest_of_which_nobody_knows_whether_it_arrives_keeps_its_archive() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let donor = donor(&proxy.endpoint(), "stall-timeout=5s");
    proxy.line.answers(|head| {
        if is_manifest(head) {
            refusal("500 Internal Server Error", "InternalError", "Perhaps.")
        } else {
            None
        }
    });
    let outcome = donor.asks().run();
    assert!(outcome.code != Some(0) && !outcome.stdout.contains("\ndone "), "{}", outcome.stderr);
    let errors = outcome.messages("ERROR");
    let is_told = errors.iter().any(|line| line.contains("it is not known whether backup 20"));
    assert!(is_told && !errors.iter().any(|line| line.contains("no backup was made")), "{errors:?}");
    let direct = storage("backups", &settings(&server.endpoint()));
    let cluster = direct.folders("").unwrap().remove(0);
    let folder = format!("{cluster}/{}", direct.folders(&cluster).unwrap()[0]);
    let names: Vec<String> = direct.objects(&folder).unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["backup.tar.zst", "index.json.zst", "status.json"]);
    let status = direct.read_small(&format!("{folder}/status.json"), 1 << 16).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    assert_eq!(status["state"], "failed");
    assert!(status["error"].as_str().unwrap().starts_with("it is not known"), "{status}");
}

#[test]
fn a_manifest_whose_answer_was_lost_for_good_is_found() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let donor = donor(&proxy.endpoint(), "stall-timeout=5s");
    let direct = storage("backups", &settings(&server.endpoint()));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    proxy.line.answers(move |head| {
        if !is_manifest(head) {
            return None;
        }
        // The first one arrives; nobody hears of it, and none after it gets through.
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        if first { Some(Said::lost()) } else { refusal("503 Slow Down", "SlowDown", "Later.") }
    });
    let outcome = donor.asks().run();
    assert!(seen.load(Ordering::Relaxed) > 1);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("it may have been stored all the same; looking for it"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stdout.contains("\ndone "), "{}", outcome.stdout);
    command_by(&server.endpoint(), "verify latest", &donor).run().done();
    drop(direct);
}

#[test]
fn a_key_that_may_only_put_is_enough_for_a_donor() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let donor = donor(&proxy.endpoint(), "prune-after-backup\nkeep-last=1");
    donor.write("db/noise.MYD", noise(20 << 20, 1));
    let fails = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&fails);
    proxy.line.answers(move |head| {
        let puts = head.starts_with("put ") || head.starts_with("post ");
        let breaks = now.load(Ordering::Relaxed) && is_manifest(head);
        if puts && !breaks { None } else { refusal("403 Forbidden", "AccessDenied", "Access Denied.") }
    });
    let trial = storage("backups", &settings(&proxy.endpoint())).try_object().unwrap();
    let refused = [&trial.listed, &trial.read, &trial.removed];
    assert!(trial.put.is_ok() && refused.iter().all(|outcome| outcome.is_err()), "{trial:?}");
    let outcome = donor.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("\ndone "), "{}", outcome.stdout);
    assert_eq!(outcome.messages("ERROR"), Vec::<&str>::new());
    let told = outcome.stderr.matches("the key may put objects and not read them").count();
    assert_eq!(told, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the backups were not pruned: cannot list"), "{}", outcome.stderr);
    let unseen = "so nobody has looked whether what was stored is there in its size";
    assert!(outcome.messages("INFO").iter().any(|line| line.contains(unseen)), "{}", outcome.stderr);
    command_by(&server.endpoint(), "verify latest", &donor).run().done();

    // What has failed cannot be taken back, and that is said once.
    fails.store(true, Ordering::Relaxed);
    let outcome = donor.asks().run();
    assert!(outcome.code != Some(0) && !outcome.stdout.contains("\ndone "), "{}", outcome.stderr);
    let left = outcome.stderr.matches("what is left of this run stays until 'prune' removes it").count();
    assert_eq!(left, 1, "{}", outcome.stderr);
    let listed = command_by(&server.endpoint(), "list --json", &donor).run().json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["incomplete"][0]["status"]["state"], "failed", "{listed}");
}

/// What a server says of an object that has lost its end.
fn is_short(head: &str) -> Option<Said> {
    let is_asked =
        head.starts_with("head ") && head.lines().next().is_some_and(|line| line.contains("backup.tar.zst"));
    let headers = "Last-Modified: Fri, 20 Nov 2026 11:34:52 GMT\r\nETag: \"x\"\r\n".to_owned();
    is_asked.then(|| Said { status: "200 OK", headers, body: "short".into() })
}

#[test]
fn a_bucket_that_does_not_have_what_it_has_taken_makes_no_backup_and_costs_none() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let donor = donor(&proxy.endpoint(), "");
    donor.write("db/noise.MYD", noise(20 << 20, 1));
    for _ in 0..2 {
        let outcome = donor.asks().run();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    donor.configure("wsrep_sst_backup", "prune-after-backup\nkeep-last=1");
    proxy.line.answers(is_short);
    let outcome = donor.asks().run();
    assert!(outcome.code != Some(0) && !outcome.stdout.contains("\ndone "), "{}", outcome.stderr);
    let errors = outcome.messages("ERROR");
    let words = "is not what was written: it has 5 bytes, the manifest says ";
    assert!(errors.iter().any(|line| line.contains(words)), "{errors:?}");
    assert!(errors.iter().any(|line| line.contains("no backup was made")), "{errors:?}");
    let listed = command_by(&server.endpoint(), "list --json", &donor).run().json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed["incomplete"][0]["status"]["state"], "failed", "{listed}");
    let direct = storage("backups", &settings(&server.endpoint()));
    let cluster = direct.folders("").unwrap().remove(0);
    let failed = listed["incomplete"][0]["id"].as_str().unwrap();
    let left = direct.objects(&format!("{cluster}/{failed}")).unwrap();
    let left: Vec<String> = left.into_iter().map(|object| object.name).collect();
    assert_eq!(left, ["status.json"], "it is taken back");
}
