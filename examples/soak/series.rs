//! Many backups in a row of a cluster of three that is written to, and a node rebuilt from the last.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::common::{Helper, Measured, Table, heading, say, show};
use crate::leftovers::{self, Around, Files, Process};
use crate::promises::Promises;
use crate::support::fixtures::{create_replicated_zoo, fill_bulk};
use crate::support::program::{gtid, number, text, with_program};
use crate::support::{
    Cluster, ClusterOptions, Join, Node, PATIENCE, Program, Writer, all_checksums, wait_until,
};

/// Bytes that one backup may take in the repository; for the look at the free space.
pub(crate) const STORED_BY_EACH: u64 = 120 << 20;

const TAKEN: &str = "each request gives one backup";
const EXACT: &str = "its GTID is where the server paused";
const INTACT: &str = "verify ends with 0";
const TOLD: &str = "backup says so, and that the donor is Synced";
const SYNCED: &str = "the donor is Synced again by itself";
const FLOW: &str = "no node sends flow control";
const WRITES: &str = "the client's writes go on";
const FILES: &str = "no file is left but the backup's four";
const PROCESSES: &str = "no process is left";
const MYSQLD: &str = "no descriptor, thread or lock is left";
const IST: &str = "a restored node joins by IST";
const ROWS: &str = "all rows are the same on all nodes";

/// What is looked at here.
pub(crate) const PROMISES: [&str; 12] =
    [TOLD, TAKEN, EXACT, INTACT, SYNCED, FLOW, WRITES, FILES, PROCESSES, MYSQLD, IST, ROWS];

/// Who is written to, who gives the backups, who is rebuilt.
const WRITTEN: usize = 1;
const DONOR: usize = 2;
const LOST: usize = 3;

/// Bulk data beside one table of every kind, in MiB.
const BULK: u32 = 64;

/// A donor may take this long.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the part.
pub(crate) fn run(program: &Path, backups: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{backups} backups in a row of three nodes that are written to"));
    let mut series = Series::start(program)?;
    let writer = Writer::start(series.cluster.n(WRITTEN), 200);
    let mut first = None;
    for turn in 1..=backups {
        series.back_up(turn, &writer, promises)?;
        if first.is_none() {
            // Not before the first: it makes mysqld open what it then keeps open.
            first = Some(Process::of(series.donor()));
        }
    }
    let first = first.context("no backup was asked for")?;
    let growth = first.growth(series.donor());
    promises.check(MYSQLD, growth.is_empty(), || growth.join("; "));
    let last = Process::of(series.donor());
    promises.figures(MYSQLD, format!("{}; after the first {}", last.told(), first.told()));
    say(&format!("the donor's server has {}; after the first backup {}", last.told(), first.told()));
    series.tell_times(promises)?;
    series.rebuild(writer, promises)
}

struct Series {
    cluster: Cluster,
    program: Program,
    helper: Helper,
    /// The donor's folder before the first backup.
    files: Files,
    /// The cluster's processes before the first backup.
    around: Around,
    manifests: Vec<Value>,
    /// The client's longest wait from one commit to the next, in ms, around each backup.
    waits: Vec<i64>,
}

impl Series {
    fn start(program: &Path) -> Result<Self> {
        let program = program.to_str().context("the program's path is not UTF-8")?;
        let cluster = Cluster::start(3, &with_program(ClusterOptions::new(), program));
        // Three servers share few cores: one that is slow for that reason must not be taken for one that a backup slows
        // down. The donor's limit stays near the default of a cluster of three.
        for (node, limit) in [(WRITTEN, 1000), (DONOR, 100), (LOST, 1000)] {
            cluster.n(node).set_provider_option("gcs.fc_limit", limit);
        }
        create_replicated_zoo(&cluster);
        fill_bulk(cluster.n(WRITTEN), "t", BULK);
        let (program, helper) = (Program::of(&cluster), Helper::install(cluster.scratch())?);
        // Makes its table, so that it is no news later.
        Writer::start(cluster.n(WRITTEN), 200).stop();
        let donor = cluster.n(DONOR);
        donor.wait_for("the client's table", PATIENCE, || donor.try_sql("SELECT 1 FROM writer.log").is_ok());
        let files = Files::of(donor);
        say(&format!(
            "MariaDB {}; n{WRITTEN} is written to, 200 transactions a second at most; n{DONOR} gives the backups; \
             {} files in its folder",
            donor.variable("version"),
            files.count()
        ));
        let around = Around::of(cluster.dir());
        Ok(Self { program, helper, files, around, manifests: Vec::new(), waits: Vec::new(), cluster })
    }

    fn donor(&self) -> &Node {
        self.cluster.n(DONOR)
    }

    /// One backup and everything that must be true after it. An error when it makes no sense to go on.
    fn back_up(&mut self, turn: u32, writer: &Writer, promises: &mut Promises) -> Result<()> {
        let donor = self.cluster.n(DONOR);
        let sent = self.flow_control();
        writer.take_stats();
        let mark = donor.log_mark();
        let file = format!("--defaults-file={}", self.cluster.n(WRITTEN).cnf().display());
        let asked = self.program.run(&["backup", &file, "--donor", donor.name(), "--json"]);
        let told: Value = serde_json::from_str(&asked.out).unwrap_or_default();
        let agreed = asked.status == Some(0) && told["outcome"] == "complete" && told["donor_synced"] == true;
        promises
            .check(TOLD, agreed, || format!("backup {turn}: {:?}: {}{}", asked.status, asked.out, asked.err));
        let done = "WSREP: Shifting DONOR/DESYNCED -> JOINED";
        let back = wait_until(LIMIT, || donor.log_since(mark).contains(done))
            && wait_until(PATIENCE, || donor.state() == "Synced" && donor.status("wsrep_ready") == "ON");
        promises.check(SYNCED, back, || format!("backup {turn}: it is '{}'", donor.state()));
        ensure!(back, "the donor did not come back: nothing more can be seen\n{}", donor.log_tail());
        let stats = writer.take_stats();
        let now = self.flow_control();
        promises.check(FLOW, sent == now, || format!("backup {turn}: {sent:?} before, {now:?} after it"));
        let writes = stats.errors == 0 && stats.commits > 0;
        promises.check(WRITES, writes, || format!("backup {turn}: {stats:?}"));

        let manifest = self.newest(turn, promises, &donor.log_since(mark))?;
        let paused = donor.frozen_since(mark);
        let exact = paused == Some(gtid(&manifest));
        promises.check(EXACT, exact, || format!("{} is not {paused:?}", gtid(&manifest)));
        let verify = self.command(&["verify", text(&manifest, "/id")])?;
        let intact = verify.0.status == Some(0);
        promises.check(INTACT, intact, || format!("backup {turn}: {:?}: {}", verify.0.status, verify.1));
        self.look_for_leftovers(promises);
        say(&format!(
            "{turn:>4}  {} visits  seqno {:>7}  flush {:>5} ms  frozen {:>5} ms  verify {:>5} ms  client: {} commits, longest pause {} ms",
            told["attempts"],
            gtid(&manifest).seqno,
            number(&manifest, "/flush_ms"),
            number(&manifest, "/frozen_ms"),
            verify.0.wall.as_millis(),
            stats.commits,
            stats.longest_pause.as_millis()
        ));
        self.manifests.push(manifest);
        self.waits.push(i64::try_from(stats.longest_pause.as_millis())?);
        Ok(())
    }

    /// The new backup: one more than before.
    fn newest(&self, turn: u32, promises: &mut Promises, log: &str) -> Result<Value> {
        let mut found = self.program.manifests();
        let one_more = found.len() == self.manifests.len() + 1;
        promises.check(TAKEN, one_more, || format!("request {turn}: {} backups", found.len()));
        match found.pop() {
            Some(newest) if one_more => Ok(newest),
            _ => bail!("request {turn} gave no backup:\n{log}"),
        }
    }

    fn look_for_leftovers(&self, promises: &mut Promises) {
        let mut left = leftovers::children(self.donor());
        left.extend(self.around.growth(self.cluster.dir()));
        promises.check(PROCESSES, left.is_empty(), || left.join("; "));
        let mut grown = self.files.growth(self.donor());
        let known = ["/manifest.json", "/backup.tar.zst", "/index.json.zst", "/status.json", "/verify.json"];
        let stored = self.program.files();
        let more = stored.iter().filter(|file| !known.iter().any(|name| file.ends_with(name)));
        grown.extend(more.map(|file| format!("in the repository: {file}")));
        let expected = known.len() * (self.manifests.len() + 1);
        if stored.len() != expected {
            grown.push(format!("the repository has {} files, not {expected}", stored.len()));
        }
        promises.check(FILES, grown.is_empty(), || grown.join("; "));
    }

    fn flow_control(&self) -> Vec<u64> {
        self.cluster.nodes().map(Node::flow_control_sent).collect()
    }

    fn command(&self, words: &[&str]) -> Result<(Measured, String)> {
        let repository = self.program.repository().to_str().context("the path is not UTF-8")?;
        self.helper.program(&self.cluster.program(), &[words, &["--repository", repository]].concat())
    }

    /// How long the server stood still.
    fn tell_times(&self, promises: &mut Promises) -> Result<()> {
        let mut table = Table::new(&["", "min", "median", "max"], 1);
        let of = |field: &str| -> Vec<i64> { self.manifests.iter().map(|m| number(m, field)).collect() };
        let rows = [
            ("flush_ms", TAKEN, of("/flush_ms")),
            ("frozen_ms", EXACT, of("/frozen_ms")),
            ("longest wait of the client, ms", WRITES, self.waits.clone()),
        ];
        for (name, promise, values) in rows {
            let [min, median, max] = spread(values)?;
            table.row(&[name, &min.to_string(), &median.to_string(), &max.to_string()]);
            promises.figures(promise, format!("{name} {min}, {median}, {max} (min, median, max)"));
        }
        show(&table.to_string());
        Ok(())
    }

    /// A node loses everything and comes back from the last backup, while the client goes on.
    fn rebuild(&self, writer: Writer, promises: &mut Promises) -> Result<()> {
        heading("A node is rebuilt from the last backup");
        let lost = self.cluster.n(LOST);
        lost.stop();
        lost.wipe_datadir();
        let datadir = lost.datadir();
        let target = datadir.to_str().context("the path is not UTF-8")?;
        let (restored, said) = self.command(&["restore", "latest", "--to", target])?;
        ensure!(restored.status == Some(0), "restore failed:\n{said}");
        lost.own_datadir();
        let last = self.manifests.last().map(gtid).context("there is no backup")?;
        match lost.rejoin() {
            Join::Ist { local, first, evidence, .. } if local == last && first == last.seqno + 1 => {
                promises.note(IST, Ok(()));
                promises.figures(IST, format!("from {last} on"));
                show(&evidence);
            }
            other => promises.note(IST, Err(format!("{other:?}"))),
        }
        let stats = writer.stop();
        promises.check(WRITES, stats.errors == 0, || format!("during the rebuild: {stats:?}"));
        let expected = all_checksums(self.cluster.n(WRITTEN));
        for number in [DONOR, LOST] {
            let found = all_checksums(self.cluster.n(number));
            let differ = || {
                let names = expected.keys().filter(|name| found.get(*name) != expected.get(*name));
                format!(
                    "n{number}: {} tables instead of {}; {:?}",
                    found.len(),
                    expected.len(),
                    names.collect::<Vec<_>>()
                )
            };
            promises.check(ROWS, found == expected, differ);
        }
        let rows: u64 = expected.values().map(|sum| sum.rows).sum();
        promises.figures(ROWS, format!("{} tables, {rows} rows", expected.len()));
        Ok(())
    }
}

/// Least, median and greatest.
fn spread(mut values: Vec<i64>) -> Result<[i64; 3]> {
    values.sort_unstable();
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(min), Some(median), Some(max)) => Ok([*min, *median, *max]),
        _ => bail!("there is no backup"),
    }
}
