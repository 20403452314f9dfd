//! `copy` from and into buckets: whole backups or none, whatever becomes of the requests.

#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use proxy::{Fault, Proxy, Way};
use server::{FileServer, KEY_ID, SECRET, settings, storage};
use support::cli::forge::{Forge, adopt_archive};
use support::cli::{Cli, cli, open_folder};
use wsrep_sst_backup::config::Retention;
use wsrep_sst_backup::prune::{PrunePlan, carry_out};

const ID: &str = "20261120T113452Z_n1";
const MIB: u64 = 1 << 20;

/// A directory with one backup; with an archive of so many MiB, which is none then, where that is not 0.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(mebibytes: usize) -> Self {
        let place = Self { folder: open_folder() };
        let folder = Forge::new(ID).write(&place.path("here"));
        fs::write(folder.join("status.json"), "{}").unwrap();
        if mebibytes > 0 {
            let archive: Vec<u8> =
                (0..(mebibytes as u64) << 17).flat_map(|n| (n * n).to_le_bytes()).collect();
            fs::write(folder.join("backup.tar.zst"), archive).unwrap();
            adopt_archive(&folder);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with these option files' lines.
    fn run(&self, line: &str, lines: &str) -> Cli {
        let cnf = self.path("my.cnf");
        fs::write(&cnf, lines).unwrap();
        cli(line).own_defaults().arg(format!("--defaults-file={}", cnf.display()))
    }

    /// A copy of the directory's backup into the bucket behind this address.
    fn to_bucket(&self, address: SocketAddr, more: &str) -> Cli {
        let lines =
            format!("[wsrep_sst_backup]\nrepository={}\n{}", self.path("here").display(), s3(address));
        self.run("copy latest --to s3://bucket/copies", &format!("{lines}{more}"))
    }
}

fn s3(address: SocketAddr) -> String {
    format!("s3-endpoint=http://{address}\ns3-access-key-id={KEY_ID}\ns3-secret-access-key={SECRET}\n")
}

/// Names and contents of a backup's objects in a repository that is a directory, or what a server keeps of a bucket.
fn objects(root: &Path) -> Vec<(String, Vec<u8>)> {
    let folder = root.join("c").join(ID);
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(String, Vec<u8>)> = names
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    found.sort();
    found
}

#[test]
fn from_a_directory_to_a_bucket_to_another_one_and_back() {
    let place = Place::new(0);
    let [first, second] = [FileServer::start(), FileServer::start()];
    let lines = [Proxy::start(first.address, Way::Up, &[]), Proxy::start(second.address, Way::Up, &[])];
    let groups = format!(
        "[wsrep_sst_backup]\nrepository=s3://bucket/near\n{}s3-session-token=token-of-the-first\n\
         [wsrep_sst_backup_far]\nrepository=s3://bucket/far\ns3-endpoint=http://{}\ns3-session-token=\n",
        s3(lines[0].address),
        lines[1].address
    );
    let here = place.path("here");
    let copy = |more: &str| place.run(&format!("copy {more}"), &groups);
    copy("--all --to s3://bucket/near").on(&here).run().done();
    assert_eq!(objects(&first.bucket().join("near")), objects(&here));
    copy("latest --to-defaults-group-suffix=_far").run().done();
    assert_eq!(objects(&second.bucket().join("far")), objects(&here));
    let back = place.path("back");
    fs::create_dir(&back).unwrap();
    let far = |line: &str| place.run(&format!("{line} --defaults-group-suffix=_far"), &groups);
    far("copy latest").to(&back).run().done();
    assert_eq!(objects(&back), objects(&here));
    far("verify latest").run().done();
    let restored = far("restore latest --as standalone").to(&place.path("data")).run();
    assert_eq!(restored.status, Some(0), "{}", restored.stderr);
    assert_eq!(far("copy latest --to s3://bucket/far").run().status, Some(2), "it is the same place");
    let again = copy("latest --to-defaults-group-suffix=_far").run();
    assert_eq!(again.done(), format!("Backup {ID} is in 's3://bucket/far' already.\n"));
    // Each server has heard its own key, and nothing of the other's.
    for (line, of_first) in [(&lines[0], true), (&lines[1], false)] {
        let (with, without) = line.line.with_header("GET", "x-amz-security-token: token-of-the-first");
        assert_eq!((with.is_empty(), without.is_empty()), (!of_first, of_first));
    }
}

#[test]
fn connections_that_break_on_both_sides_do_no_harm_and_memory_has_a_bound() {
    let place = Place::new(120);
    let [first, second] = [FileServer::start(), FileServer::start()];
    place.to_bucket(first.address, "").run().done();
    let cuts = [1, 9, 40, 77, 100].map(|mib| mib * MIB);
    let down = Proxy::start(first.address, Way::Down, &cuts);
    let up = Proxy::start(second.address, Way::Up, &cuts);
    let groups = format!(
        "[wsrep_sst_backup]\nrepository=s3://bucket/copies\n{}[wsrep_sst_backup2]\ns3-endpoint=http://{}\n",
        s3(down.address),
        up.address
    );
    let copied = place.run("copy latest --to s3://bucket/x --to-defaults-group-suffix=2", &groups).run();
    assert_eq!(copied.status, Some(0), "{}", copied.stderr);
    assert_eq!((down.line.cut.load(Ordering::Relaxed), up.line.cut.load(Ordering::Relaxed)), (5, 5));
    assert!(objects(&second.bucket().join("x")) == objects(&place.path("here")), "other bytes arrived");
    assert_eq!(second.unfinished(), Vec::<String>::new());
    println!("{} MiB", copied.peak_kib >> 10);
    assert!((1 << 10..=96 << 10).contains(&copied.peak_kib), "{} KiB", copied.peak_kib);
}

/// `prune` of the copies as it will be a day from now, by the storage's clock too; nothing but whole backups is left.
fn assert_no_orphan_after_prune(server: &FileServer, what: &str) {
    let copies = storage("copies", &settings(&server.endpoint()));
    let day = Duration::from_secs(25 * 3600);
    server.leap.take(day);
    let tomorrow = Timestamp::now() + day;
    let policy = Retention { last: Some(1), ..Retention::default() };
    let plan = PrunePlan::make(&copies, None, &policy, tomorrow).unwrap();
    let tally = carry_out(&copies, &plan, &|| false);
    assert_eq!((tally.failed, tally.spared), (vec![], vec![]), "{what}");
    assert_eq!((server.unfinished(), server.begun.keys()), (vec![], vec![]), "{what}");
}

#[test]
fn a_fault_at_any_request_leaves_a_whole_copy_or_none() {
    let place = Place::new(20);
    let here = objects(&place.path("here"));
    for fault in [Fault::Denied, Fault::AnswerLost] {
        let mut number = 0;
        loop {
            let server = FileServer::start();
            let proxy = Proxy::start(server.address, Way::Up, &[]);
            *proxy.line.fault.lock().unwrap() = Some((number, fault));
            let copied = place.to_bucket(proxy.address, "").run();
            let requests = proxy.line.requests();
            let what = format!("{fault:?} at {number}, {:?}: {}", requests.get(number), copied.stderr);
            let there = objects(&server.bucket().join("copies"));
            if there.iter().any(|(name, _)| name == "manifest.json") {
                // What is said of it in the end is no part of it.
                let without_status = |objects: &[(String, Vec<u8>)]| -> Vec<_> {
                    objects.iter().filter(|(name, _)| name != "status.json").cloned().collect()
                };
                assert!(
                    without_status(&there) == without_status(&here) && copied.status == Some(0),
                    "{what}"
                );
            } else {
                // Once an object may have its name, it stays, with the reason.
                let said = there.iter().find(|(name, _)| name == "status.json");
                let is_told =
                    said.is_some_and(|(_, said)| String::from_utf8_lossy(said).contains("\"failed\""));
                assert!(there.is_empty() || is_told, "{what}");
                assert!(copied.status == Some(1) && fault == Fault::Denied, "{what}");
                let again = place.to_bucket(server.address, "").run();
                // Nobody knows whose a folder is when his claim was not answered.
                let is_claim = requests[number].contains("/.claim") && again.stderr.contains("try again in");
                assert!(again.status == Some(0) || is_claim, "{what}, then: {}", again.stderr);
            }
            assert_no_orphan_after_prune(&server, &what);
            if number >= requests.len() {
                assert!(number > 12, "{requests:?}");
                break;
            }
            number += 1;
        }
    }
}

#[test]
fn one_that_is_killed_leaves_no_backup_and_prune_sweeps_its_upload() {
    let place = Place::new(120);
    let server = FileServer::start();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut running = place.to_bucket(server.address, "").start();
        running.wait_for("an upload", || !server.begun.keys().is_empty());
        std::thread::sleep(Duration::from_millis(50));
        running.signal(signal);
        let answer = running.finish();
        let there = objects(&server.bucket().join("copies"));
        assert!(there.iter().all(|(name, _)| name != "manifest.json"), "{signal}: {}", answer.stderr);
        let left = usize::from(signal == Signal::SIGKILL);
        assert_eq!((there.len(), server.begun.keys().len()), (left, left), "{signal}: {}", answer.stderr);
    }
    place.to_bucket(server.address, "").run().fails_with(1, "try again in a minute");
    assert_no_orphan_after_prune(&server, "killed");
    assert_eq!(objects(&server.bucket().join("copies")), []);
    place.to_bucket(server.address, "").run().done();
    assert!(objects(&server.bucket().join("copies")) == objects(&place.path("here")));
}
