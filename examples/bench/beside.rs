//! What clients wait for beside a backup: on the node that is backed up, and on another one. Without a backup, by garbd and by `run`, taking turns.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::common::{Table, heading, say, show};
use crate::freeze::median;
use crate::support::fixtures::fill_bulk;
use crate::support::program::{Ran, with_program};
use crate::support::{Cluster, ClusterOptions, Garbd, Node, PATIENCE, Program, Writer, wait_until};

/// Transactions a second of each client.
const RATE: u32 = 50;
/// Data, MiB.
const BULK: u32 = 64;

/// Runs the part.
pub(crate) fn run(program: &Path, runs: u32) -> Result<()> {
    let program = program.to_str().context("the program's path is not UTF-8")?;
    heading("Three nodes, a client on the node that is backed up, and one on another");
    let options =
        with_program(ClusterOptions::new().on_xfs(), program).group("wsrep_sst_backup", "limit-rate=30M");
    let cluster = Cluster::start(3, &options);
    let program = Program::of(&cluster);
    // Three servers share few cores: one that is slow for that reason must not be taken for one that a backup slows down.
    for node in cluster.nodes() {
        node.set_provider_option("gcs.fc_limit", 1000);
    }
    fill_bulk(cluster.n(1), "t", BULK);
    let (other, own) = (cluster.n(1), cluster.n(2));
    let writers = [Writer::start(other, RATE), Writer::start(own, RATE)];
    let mut seen: [Vec<[i64; 3]>; 3] = Default::default();
    for _ in 0..runs {
        for (by, seen) in seen.iter_mut().enumerate() {
            let sent: u64 = cluster.nodes().map(Node::flow_control_sent).sum();
            for writer in &writers {
                writer.take_stats();
            }
            match by {
                0 => std::thread::sleep(Duration::from_secs(3)),
                1 => by_garbd(&cluster)?,
                _ => by_run(&program, own)?,
            }
            let longest = writers.each_ref().map(|writer| ms(writer.take_stats().longest_pause));
            let now: u64 = cluster.nodes().map(Node::flow_control_sent).sum();
            seen.push([longest[0], longest[1], i64::try_from(now - sent)?]);
        }
    }
    let mut table = Table::new(
        &["backup by", "longest wait on another node", "median", "on this node", "median", "flow control"],
        1,
    );
    for (by, seen) in ["none", "garbd", "run"].iter().zip(&seen) {
        let column = |place: usize| seen.iter().map(|one| one[place]).collect::<Vec<_>>();
        let words = |all: &[i64]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let [other, own, sent] = [0, 1, 2].map(column);
        let sent: i64 = sent.iter().sum();
        table.row(&[
            (*by).to_owned(),
            words(&other),
            median(other).to_string(),
            words(&own),
            median(own).to_string(),
            sent.to_string(),
        ]);
    }
    heading("Milliseconds");
    show(&table.to_string());
    let commits: Vec<String> = writers.map(|writer| format!("{:?}", writer.stop())).into();
    say(&format!("the clients: {}", commits.join("; ")));
    Ok(())
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Until garbd has left and the node is back.
fn by_garbd(cluster: &Cluster) -> Result<()> {
    let begun = Instant::now();
    let outcome = Garbd::run_backup(cluster, 2, None);
    cluster.n(2).wait_donor_done(outcome.donor_mark, PATIENCE);
    let left = wait_until(PATIENCE, || cluster.n(1).status("wsrep_cluster_size") == "3");
    ensure!(left && outcome.status == Some(0), "{:?} after {:?}", outcome.status, begun.elapsed());
    Ok(())
}

fn by_run(program: &Program, node: &Node) -> Result<()> {
    let ran = Ran::finish(program.on(node, &["run"]).spawn()?);
    ensure!(ran.status == Some(0), "{}{}", ran.out, ran.err);
    Ok(())
}
