//! The cluster that the faults happen to, and the three accounts that must agree after each.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::common::say;
use crate::promises::Promises;
use crate::support::fixtures::{create_replicated_zoo, fill_bulk};
use crate::support::program::{donors_running, with_program};
use crate::support::{
    Administrator, Asking, Cluster, ClusterOptions, DonorProgram, Node, PATIENCE, Program, Told, Writer,
    wait_until,
};

pub(super) const TOLD: &str = "exit status, message and repository agree";
pub(super) const RELEASED: &str = "the donor is Synced again, and no program runs";
pub(super) const WRITES: &str = "the client's writes go on";

/// Who is written to, and who gives the backups.
const WRITTEN: usize = 1;
pub(super) const DONOR: usize = 2;

/// Bulk data beside one table of every kind, in MiB.
const BULK: u32 = 24;

/// Settings with which a backup lasts some seconds.
pub(super) const SLOW: &str = "compression-level=15\nthreads=1\n";

/// Three nodes, a client, an administrator.
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) program: Program,
    administrator: Administrator,
    writer: Writer,
    /// The donor's option file as it was.
    cnf: String,
    /// Folders of backups whose program was killed: those may keep temporary files.
    pub(super) killed: Vec<String>,
    /// How many rounds had which outcome.
    pub(super) outcomes: BTreeMap<String, u32>,
    /// When the donor's server was started last.
    last_start: Cell<Instant>,
    /// How long the program works on a backup: with the default settings, and with [`SLOW`].
    pub(super) quick_run: Duration,
    pub(super) slow_run: Duration,
}

impl Stage {
    pub(super) fn start(program: &Path, promises: &mut Promises) -> Result<Self> {
        let path = program.to_str().context("the program's path is not UTF-8")?;
        let cluster =
            Cluster::start(3, &with_program(ClusterOptions::new().mysqld("thread_cache_size=0"), path));
        create_replicated_zoo(&cluster);
        fill_bulk(cluster.n(WRITTEN), "orders", BULK);
        let mut stage = Self {
            program: Program::of(&cluster),
            administrator: Administrator::new(&cluster, program),
            writer: Writer::start(cluster.n(WRITTEN), 50),
            cnf: fs::read_to_string(cluster.n(DONOR).cnf())?,
            killed: Vec::new(),
            outcomes: BTreeMap::new(),
            last_start: Cell::new(Instant::now()),
            quick_run: Duration::ZERO,
            slow_run: Duration::ZERO,
            cluster,
        };
        stage.quick_run = stage.without_a_fault("", promises)?;
        stage.slow_run = stage.without_a_fault(SLOW, promises)?;
        Ok(stage)
    }

    /// A backup with these settings; how long the program was at work.
    fn without_a_fault(&mut self, settings: &str, promises: &mut Promises) -> Result<Duration> {
        self.configure(settings)?;
        let asking = self.ask();
        let worked = DonorProgram::wait(&self.cluster).wait_gone(PATIENCE);
        let told = asking.finish();
        self.judge(&format!("without a fault, {worked:.1?} of work"), &told, promises)?;
        ensure!(told.text("outcome") == "complete", "no backup without a fault: {told}");
        Ok(worked)
    }

    pub(super) fn donor(&self) -> &Node {
        self.cluster.n(DONOR)
    }

    pub(super) fn repository(&self) -> &Path {
        self.program.repository()
    }

    /// Gives the donor these settings, and no others.
    pub(super) fn configure(&self, settings: &str) -> Result<()> {
        Ok(fs::write(self.donor().cnf(), format!("{}{settings}", self.cnf))?)
    }

    /// Starts the donor's server again.
    pub(super) fn bring_back(&self) {
        self.last_start.set(Instant::now());
        let (join, restarts) = self.donor().come_back();
        if restarts > 0 {
            say(&format!("      Galera wanted {restarts} more restarts, then {join:?}"));
        }
    }

    /// `backup` for a backup of the donor, run on the donor.
    pub(super) fn ask(&self) -> Asking {
        self.administrator.on(&self.cluster, DONOR, &["--donor=n2"])
    }

    /// The same, until the program has been at work for a random part of this time; its state then.
    #[allow(clippy::panic, reason = "without a donor there is nothing to disturb")]
    pub(super) fn ask_and_wait(&self, most: Duration) -> (Asking, DonorProgram, String) {
        let mut asking = self.ask();
        let found = DonorProgram::wait_while(&self.cluster, || !asking.has_ended());
        let program = found.unwrap_or_else(|| panic!("no donor has started the program: {}", asking.said()));
        std::thread::sleep(random_part(most));
        let state = program.status(self.repository()).map_or_else(
            || "before its first word".into(),
            |status| status["state"].as_str().unwrap_or("?").to_owned(),
        );
        (asking, program, state)
    }

    /// Everything that must be true after a round. An error when it makes no sense to go on.
    pub(super) fn judge(&mut self, round: &str, told: &Told, promises: &mut Promises) -> Result<()> {
        let begun = Instant::now();
        let synced = wait_until(PATIENCE, || {
            self.cluster.nodes().all(|node| {
                node.state() == "Synced"
                    && node.status("wsrep_ready") == "ON"
                    && node.status("wsrep_cluster_size") == "3"
            }) && donors_running(&self.cluster).is_empty()
        });
        promises.check(RELEASED, synced, || {
            let states: Vec<String> = self.cluster.nodes().map(Node::state).collect();
            format!("{round}: {states:?}, {:?}", donors_running(&self.cluster))
        });
        ensure!(
            synced,
            "the cluster does not come back: nothing more can be seen\n{}",
            self.donor().log_tail()
        );
        promises.note(TOLD, self.compare(told).map_err(|why| format!("{round}: {why}\n{told}")));
        let stats = self.writer.take_stats();
        promises.check(WRITES, stats.commits > 0, || format!("{round}: {stats:?}"));
        *self.outcomes.entry(told.text("outcome").to_owned()).or_default() += 1;
        let error: String = told.text("error").chars().take(110).collect();
        say(&format!(
            "{round}: {} after {:.1} s, Synced {:.1} s later{}{error}",
            told.text("outcome"),
            told.took.as_secs_f64(),
            begun.elapsed().as_secs_f64(),
            if error.is_empty() { "" } else { ": " }
        ));
        Ok(())
    }

    /// What was told, and what is there.
    fn compare(&self, told: &Told) -> Result<(), String> {
        let request = told.text("request");
        let of_request = |manifest: &&Value| manifest["request"] == request;
        let manifests = self.program.manifests();
        let found = manifests.iter().find(of_request);
        let last = told.err.lines().last().unwrap_or_default();
        match (told.status, told.text("outcome"), found) {
            (Some(0), "complete", Some(manifest)) => {
                let verified = self.program.run(&["verify", manifest["id"].as_str().unwrap_or_default()]);
                if verified.status != Some(0) {
                    return Err(format!("it does not verify: {}{}", verified.out, verified.err));
                }
                // "Not known" is the truth where the server was restarted meanwhile.
                match told.json["donor_synced"].as_bool() {
                    Some(true) => Ok(()),
                    None if self.last_start.get().elapsed() < told.took => Ok(()),
                    _ => Err("the donor is not Synced".into()),
                }
            }
            (Some(1), "failed", None) if !told.text("error").is_empty() && last.starts_with("error: ") => {
                Ok(())
            }
            (_, _, found) => Err(format!(
                "it has told otherwise than the repository, with {} manifest",
                found.map_or("no", |_| "a")
            )),
        }
    }

    /// A folder that a killed program leaves as it is.
    pub(super) fn note_killed(&mut self, told: &Told) {
        let id = told.text("id");
        if !id.is_empty() {
            self.killed.push(id.to_owned());
        }
    }

    /// Folders that garbd or `backup` have left.
    pub(super) fn left_by_administrator(&self) -> Vec<String> {
        self.administrator.leftovers()
    }

    /// Every file of the repository.
    pub(super) fn hidden_files(&self) -> Vec<PathBuf> {
        let files = self.program.files().into_iter().map(PathBuf::from);
        let is_hidden =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        files.filter(is_hidden).collect()
    }
}

/// A random number below `end`.
pub(super) fn random(end: u64) -> u64 {
    // Its keys are the system's random numbers.
    RandomState::new().build_hasher().finish() % end.max(1)
}

/// A random part of a time.
pub(super) fn random_part(most: Duration) -> Duration {
    Duration::from_millis(random(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
}
