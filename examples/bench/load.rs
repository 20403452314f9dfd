//! Backups of a node while a client writes: by each method of ours, and by `mariadb-backup` itself, taking turns. The client is at the other of two nodes, and writes to a twentieth
//! of the pages of one large table, a row at a time, as fast as it is answered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::common::format::millis;
use crate::common::sysbench;
use crate::common::{Table, gib, heading, say, seconds, show};
use crate::freeze::median;
use crate::hot::{Hot, ROW};
use crate::report::{Group, Row, Run};
use crate::stage::Stage;
use crate::support::{ClusterOptions, Node, PATIENCE, sql};
use crate::{ours, peers};

/// The pause between two looks at the receive queue.
const PAUSE: Duration = Duration::from_millis(5);
/// Two servers, the client and the backup share few processors: a node that is slow for that reason must not hold up the other one.
const FC_LIMIT: u32 = 1000;
/// Our methods; by `snapshot` the files are cloned, since everything is on an XFS.
const METHODS: [(&str, &str); 5] = [
    ("wsrep_sst_backup, freeze", "freeze"),
    ("wsrep_sst_backup, snapshot", "snapshot"),
    ("wsrep_sst_backup, precopy", "precopy"),
    ("wsrep_sst_backup, mariadb-backup", "mariadb-backup"),
    ("wsrep_sst_backup, logical", "logical"),
];

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    heading(&format!("Two nodes with one table of {}, and a client", gib(bytes)));
    let stage = Stage::of_nodes(program, 2, ClusterOptions::new().on_xfs())?;
    let (node, other) = (stage.cluster.n(1), stage.cluster.n(2));
    let rows = bytes / ROW;
    for node in [node, other] {
        sysbench::add_tables(node, stage.dir(), 1, 1, rows)?;
        node.set_provider_option("gcs.fc_limit", FC_LIMIT);
    }
    let hot = Hot::start(other, rows)?;
    let ways = ways();
    let mut seen: Vec<Vec<Seen>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 1..=runs {
        heading(&format!("Round {round} of {runs}"));
        for (way, seen) in ways.iter().zip(&mut seen) {
            stage.prepare(way)?;
            let one = measure(&stage, way, &hot).with_context(|| format!("in the row '{}'", way.name))?;
            say(&format!("{:<45} {:>8} s", way.name, seconds(one.run.measured.wall)));
            seen.push(one);
        }
    }
    say(&format!("{} rows were written meanwhile", hot.stop()?));
    heading("While a client writes");
    show(&table(&ways, &seen)?.to_string());
    Ok(())
}

/// What is measured. The last one is what an administrator would use instead.
fn ways() -> Vec<Row> {
    let ours = METHODS.map(|(name, method)| {
        Row::new(name, Group::Backup, move |stage| ours::back_up(stage, "zstd", method))
    });
    let beside = peers::backups().into_iter().filter(|row| row.name == peers::COMPRESSED_STREAM);
    ours.into_iter().chain(beside).collect()
}

/// One backup, and what it did to the cluster.
struct Seen {
    run: Run,
    queue: Queue,
    /// The longest time for which the client had no answer.
    wait: Duration,
}

fn measure(stage: &Stage, way: &Row, hot: &Hot) -> Result<Seen> {
    let node = stage.cluster.n(1);
    hot.take_longest();
    let queue = QueueWatch::start(node);
    let run = (way.work)(stage)?;
    node.wait_synced(PATIENCE);
    let queue = queue.finish()?;
    Ok(Seen { run, queue, wait: hot.take_longest() })
}

/// The receive queue of a node.
#[derive(Debug, Clone, Copy)]
struct Queue {
    /// The most write sets in it at once.
    longest: u64,
    /// From that moment until it was empty.
    catch_up: Duration,
}

/// A thread that looks at the receive queue of a node, until it is told to end and the queue is empty.
struct QueueWatch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Queue>>,
}

impl QueueWatch {
    fn start(node: &Node) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (mut session, is_over) = (node.session(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut queue = Queue { longest: 0, catch_up: Duration::ZERO };
            let (mut peak, mut is_behind) = (Instant::now(), false);
            loop {
                let rows = sql::query(&mut session, "SHOW GLOBAL STATUS LIKE 'wsrep_local_recv_queue'")?;
                let length: u64 = rows.first().and_then(|row| row.get(1)).context("no queue")?.parse()?;
                if length > queue.longest {
                    (queue.longest, peak, is_behind) = (length, Instant::now(), true);
                } else if length == 0 && is_behind {
                    (queue.catch_up, is_behind) = (peak.elapsed(), false);
                }
                if length == 0 && is_over.load(Ordering::Relaxed) {
                    return Ok(queue);
                }
                thread::sleep(PAUSE);
            }
        });
        Self { over, thread }
    }

    fn finish(self) -> Result<Queue> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that looks at the queue has panicked"))?
    }
}

/// Medians of each column, least and most behind them.
fn table(ways: &[Row], seen: &[Vec<Seen>]) -> Result<Table> {
    let headings = [
        "backup by",
        "wall ms",
        "stands still beyond the flush, ms",
        "longest receive queue",
        "caught up after, ms",
        "longest wait of the client, ms",
    ];
    let mut table = Table::new(&headings, 1);
    for (way, seen) in ways.iter().zip(seen) {
        let column = |figure: &dyn Fn(&Seen) -> Option<u64>| -> Result<String> {
            let figures: Option<Vec<u64>> = seen.iter().map(figure).collect();
            figures.map_or(Ok(String::new()), |figures| spread(&figures))
        };
        table.row(&[
            way.name.to_owned(),
            column(&|one| Some(millis(one.run.measured.wall)))?,
            column(&|one| one.run.beyond.map(millis))?,
            column(&|one| Some(one.queue.longest))?,
            column(&|one| Some(millis(one.queue.catch_up)))?,
            column(&|one| Some(millis(one.wait)))?,
        ]);
    }
    Ok(table)
}

fn spread(figures: &[u64]) -> Result<String> {
    let figures = figures.iter().map(|figure| i64::try_from(*figure)).collect::<Result<Vec<_>, _>>()?;
    let (least, most) = (figures.iter().min().context("no run")?, figures.iter().max().context("no run")?);
    let range = if figures.len() > 1 { format!(" ({least}–{most})") } else { String::new() };
    Ok(format!("{}{range}", median(figures.clone())))
}
