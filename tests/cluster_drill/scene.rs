//! A cluster with backups by every method, and drills of them on the machine of its second node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::cnf::CLUSTER_NAME;
use super::support::fixtures::{create_replicated_zoo, fill_bulk};
use super::support::program::{Ran, text, with_program};
use super::support::{Cluster, ClusterOptions, Garbd, PATIENCE, Program, wait_until};

pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) program: Program,
    scratch: PathBuf,
    /// The second node's option file without a method.
    cnf: String,
}

impl Scene {
    pub(super) fn new() -> Self {
        let options = with_program(ClusterOptions::new().on_xfs(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
        let cluster = Cluster::start(2, &options);
        let program = Program::of(&cluster);
        create_replicated_zoo(&cluster);
        // The program itself does not quote a backtick in a name (seen with 10.11.19): doc/limits.md.
        cluster.n(1).exec("DROP DATABASE `back``tick`");
        fill_bulk(cluster.n(1), "t", 16);
        cluster.n(1).exec("CREATE DATABASE d");
        cluster.n(1).exec("CREATE TABLE d.gone (i INT PRIMARY KEY) ENGINE=InnoDB");
        cluster.n(1).exec("INSERT INTO d.gone VALUES (1), (2)");
        cluster.n(1).exec("CREATE TABLE d.discarded (i INT PRIMARY KEY) ENGINE=InnoDB");
        assert!(wait_until(PATIENCE, || cluster.n(1).position() == cluster.n(2).position()));
        let scratch = cluster.dir().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let cnf = fs::read_to_string(cluster.n(2).cnf()).unwrap();
        Self { cluster, program, scratch, cnf }
    }

    /// A backup of the second node by that method.
    pub(super) fn back_up(&self, method: &str) -> Value {
        self.back_up_with(method, "")
    }

    /// The same with more settings, in lines.
    pub(super) fn back_up_with(&self, method: &str, more: &str) -> Value {
        let before = self.program.manifests().len();
        let donor = self.cluster.n(2);
        fs::write(donor.cnf(), format!("{}method={method}\n{more}", self.cnf)).unwrap();
        let outcome = Garbd::backup_and_wait(&self.cluster, 2, None, PATIENCE);
        let mut manifests = self.program.manifests();
        assert_eq!(manifests.len(), before + 1, "{}", donor.log_since(outcome.donor_mark));
        donor.wait_synced(PATIENCE);
        let newest = manifests.pop().unwrap();
        assert_eq!(text(&newest, "/method"), method);
        newest
    }

    /// A backup that the second node's machine takes without garbd, by that method.
    pub(super) fn run(&self, method: &str) -> Value {
        let donor = self.cluster.n(2);
        fs::write(donor.cnf(), format!("{}method={method}\n", self.cnf)).unwrap();
        let before = self.program.manifests().len();
        let ran = Ran::finish(self.program.on(donor, &["run"]).spawn().unwrap());
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let mut manifests = self.program.manifests();
        assert_eq!(manifests.len(), before + 1, "{ran:?}");
        manifests.pop().unwrap()
    }

    /// The folder of a backup.
    pub(super) fn folder(&self, backup: &Value) -> PathBuf {
        self.program.repository().join(CLUSTER_NAME).join(text(backup, "/id"))
    }

    pub(super) fn record(&self, backup: &Value) -> Value {
        serde_json::from_slice(&fs::read(self.folder(backup).join("drill.json")).unwrap()).unwrap()
    }

    /// The scratch folder of drills.
    pub(super) fn inside(&self, name: &str) -> PathBuf {
        self.scratch.join("wsrep_sst_backup-drill").join(name)
    }

    pub(super) fn words(&self, backup: &Value, more: &[&str]) -> Command {
        let scratch = self.scratch.display().to_string();
        let words = [&["drill", text(backup, "/id"), "--scratch", &scratch, "--json"], more].concat();
        self.program.on(self.cluster.n(2), &words)
    }

    pub(super) fn drill(&self, backup: &Value, more: &[&str]) -> Ran {
        Ran::finish(self.words(backup, more).spawn().unwrap())
    }

    /// A drill that fails; its step and the reason.
    #[track_caller]
    pub(super) fn fails(&self, backup: &Value) -> (String, String) {
        let ran = self.drill(backup, &[]);
        assert_eq!(ran.status, Some(4), "{ran:?}");
        self.assert_swept();
        let record = self.record(backup);
        eprintln!("{}: {}", text(&record, "/failed_at"), text(&record, "/reason"));
        (text(&record, "/failed_at").to_owned(), text(&record, "/reason").to_owned())
    }

    #[track_caller]
    pub(super) fn assert_swept(&self) {
        assert!(
            !self.inside("").exists(),
            "{:?}",
            fs::read_dir(self.inside("")).map(Iterator::collect::<Vec<_>>)
        );
        assert_eq!(self.running(), Vec::<String>::new());
    }

    /// Processes that have the scratch folder in their command lines; the drills themselves have.
    pub(super) fn running(&self) -> Vec<String> {
        let scratch = self.inside("").display().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| {
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&scratch).then_some(line)
        });
        lines.collect()
    }

    /// What something gives, and how long the slowest query on the second node took meanwhile.
    pub(super) fn beside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> (T, Duration) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut slowest = Duration::ZERO;
                while !done.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    self.cluster.n(2).scalar("SELECT COUNT(*) FROM d.gone");
                    slowest = slowest.max(began.elapsed());
                    std::thread::sleep(Duration::from_millis(20));
                }
                slowest
            });
            let outcome = work();
            done.store(true, Ordering::Relaxed);
            (outcome, asking.join().unwrap())
        })
    }
}
