//! A node's own backup by clones, under one combination of a server's settings and of what happens beside it; what comes of it recovers exactly.
//!
//! Beside every backup tables of InnoDB, Aria and MyISAM are written to on the node that is backed up and on another one, and tables come, change and go
//! on the other. Then the node is rebuilt from the backup: `mariadbd --wsrep-recover` must find the position of the manifest, and the server that
//! is started on it joins by IST, complains of nothing, and has the rows of the other node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::NamedTempFile;

use super::encryption::ServerKeys;
use super::fixtures::{create_replicated_zoo, fill_bulk};
use super::program::{
    Ran, gtid, number, recovered_position, rejoin_by_ist, text, under_strace, with_program,
};
use super::{
    Cluster, ClusterOptions, Definer, Node, PATIENCE, Program, Writer, assert_same_rows, sql, wait_until,
};

/// One combination.
#[derive(Debug, Clone, Copy)]
pub struct CrashRow {
    /// Its name.
    pub name: &'static str,
    /// Lines of `[mysqld]`.
    pub settings: &'static [&'static str],
    /// What there is of a binary log.
    pub binlog: RowBinlog,
    /// Whether checkpoints are forced all the time.
    pub checkpoints: bool,
    /// Whether tables come and go on the node itself as well.
    pub definer_here: bool,
}

/// The binary log of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowBinlog {
    /// None.
    Off,
    /// One.
    On,
    /// One that is rotated all the time.
    Rotated,
}

const PLAIN: CrashRow =
    CrashRow { name: "", settings: &[], binlog: RowBinlog::On, checkpoints: false, definer_here: false };

/// Two that have most of it, for a run that has little time.
pub const CRASH_CORE: [CrashRow; 2] = [
    CrashRow {
        name: "trx_commit 0, sync_binlog 0, rotated, checkpoints, DDL on both",
        settings: &["innodb_flush_log_at_trx_commit=0", "sync_binlog=0", "aria_checkpoint_interval=1"],
        binlog: RowBinlog::Rotated,
        checkpoints: true,
        definer_here: true,
    },
    CrashRow {
        name: "encrypted, no binary log, trx_commit 2, checkpoints",
        settings: &["innodb_flush_log_at_trx_commit=2", ENCRYPTED],
        binlog: RowBinlog::Off,
        checkpoints: true,
        ..PLAIN
    },
];

/// All of them, beside [`CRASH_CORE`].
pub const CRASH_ROWS: [CrashRow; 9] = [
    CrashRow { name: "trx_commit 0", settings: &["innodb_flush_log_at_trx_commit=0"], ..PLAIN },
    CrashRow {
        name: "trx_commit 1",
        settings: &["innodb_flush_log_at_trx_commit=1", "sync_binlog=1"],
        ..PLAIN
    },
    CrashRow { name: "trx_commit 2", settings: &["innodb_flush_log_at_trx_commit=2"], ..PLAIN },
    CrashRow {
        name: "trx_commit 1, sync_binlog 0",
        settings: &["innodb_flush_log_at_trx_commit=1", "sync_binlog=0"],
        ..PLAIN
    },
    CrashRow { name: "no binary log", binlog: RowBinlog::Off, ..PLAIN },
    CrashRow { name: "binary log just rotated", binlog: RowBinlog::Rotated, ..PLAIN },
    CrashRow { name: "checkpoints between clones", checkpoints: true, ..PLAIN },
    CrashRow { name: "encrypted redo log and tables", settings: &[ENCRYPTED], ..PLAIN },
    CrashRow { name: "DDL on both nodes", definer_here: true, ..PLAIN },
];

/// Stands for the lines of an encrypted server.
const ENCRYPTED: &str = "ENCRYPTED";

/// Both checkpoint blocks are written in one call, at their place in the log.
const PUT_BACK: &str = ", 8192, 4096) = 8192";

/// What was seen of a row.
#[derive(Debug, Default)]
pub struct CrashSeen {
    /// Backups that were exact.
    pub backups: u32,
    /// Of those: a checkpoint was made between the clones, and taken out again.
    pub taken_out: u32,
    /// For how long the server was locked beyond the wait for its lock, in ms.
    pub locked_ms: Vec<i64>,
}

/// Takes so many backups of node 2 under this row, and rebuilds it from each.
pub fn try_crash_row(program: &str, row: &CrashRow, backups: u32) -> CrashSeen {
    let keys = ServerKeys::new();
    let cluster = Cluster::start(2, &options(program, row, &keys));
    let (n1, n2) = (cluster.n(1), cluster.n(2));
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    fill_bulk(n1, "t", 8);
    for table in ["aria", "myisam"] {
        n1.exec(&format!(
            "CREATE TABLE bulk.w_{table} (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), KEY (v)) ENGINE={table}"
        ));
    }
    wait_until(PATIENCE, || n1.position() == n2.position());
    let mut seen = CrashSeen::default();
    // A checkpoint that comes by chance comes in one of a few.
    let enough = |seen: &CrashSeen| seen.backups >= backups && (!row.checkpoints || seen.taken_out > 0);
    for round in 0..backups + 3 {
        if enough(&seen) {
            break;
        }
        let beside = Beside::start(&cluster, row, round);
        let (manifest, taken_out) = backup(&program, n2, row.checkpoints);
        beside.stop();
        wait_until(PATIENCE, || n1.position() == n2.position());
        assert_same_rows([&**n1, &**n2]);
        seen.taken_out += u32::from(taken_out);
        seen.locked_ms.push(number(&manifest, "/frozen_ms") - number(&manifest, "/flush_ms"));
        program.ok(&["verify", text(&manifest, "/id")]);
        rebuild(&program, n2, &manifest);
        assert_same_rows([&**n1, &**n2]);
        seen.backups += 1;
    }
    assert!(enough(&seen), "no checkpoint was made while files were cloned: {seen:?}");
    seen
}

fn options(program: &str, row: &CrashRow, keys: &ServerKeys) -> ClusterOptions {
    let mut options = with_program(ClusterOptions::new().on_xfs(), program);
    if row.binlog == RowBinlog::Off {
        options = options.without_binlog();
    }
    for line in row.settings {
        let lines = if *line == ENCRYPTED { keys.lines().to_vec() } else { vec![(*line).to_owned()] };
        options = lines.iter().fold(options, |options, line| options.mysqld(line));
    }
    options
}

/// `slowly` it takes half a second to clone, in which a checkpoint comes: else it is a matter of a few milliseconds. Then it is told as well whether
/// one came, and was taken out of the clone of the redo log.
fn backup(program: &Program, node: &Node, slowly: bool) -> (Value, bool) {
    let mark = node.log_mark();
    let mut command = program.on(node, &["run", "--json"]);
    let trace = NamedTempFile::new().expect("a file for strace");
    if slowly {
        let options = "-e trace=ioctl,pwrite64 -e inject=ioctl:delay_enter=10ms";
        command = under_strace(&command, options, trace.path());
    }
    let ran = Ran::finish(command.spawn().unwrap());
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let manifest = program.newest();
    assert_eq!((text(&manifest, "/method"), text(&manifest, "/files_state")), ("snapshot", "crashed"));
    assert_eq!(number(&manifest, "/damaged_pages"), 0);
    assert_eq!(node.frozen_since(mark), Some(gtid(&manifest)), "{}", node.log_since(mark));
    let trace = std::fs::read_to_string(trace.path()).unwrap_or_default();
    (manifest, trace.lines().any(|line| line.contains(PUT_BACK)))
}

/// What a server must not say that starts on what comes of such a backup.
const COMPLAINTS: [&str; 6] =
    ["[ERROR]", "marked as crashed", "corrupt", "Missing FILE_", "in the future", "recovery failed"];

fn rebuild(program: &Program, node: &Node, manifest: &Value) {
    node.stop();
    node.wipe_datadir();
    program.restore(manifest, &node.datadir(), &[]);
    node.own_datadir();
    let (found, log) = recovered_position(&node.cnf(), &node.datadir());
    assert_eq!(found, Some(gtid(manifest)), "{log}");
    node.own_datadir();
    let mark = node.log_mark();
    rejoin_by_ist(node, manifest);
    // A statement that failed where it was said fails where it is applied.
    let is_own = |line: &&str| !line.contains("Slave SQL: Error");
    let since = node.log_since(mark);
    let said: Vec<&str> = log.lines().chain(since.lines()).filter(is_own).collect();
    let said = said.join("\n");
    let complaint = COMPLAINTS.iter().find(|complaint| said.contains(**complaint));
    assert!(complaint.is_none(), "{complaint:?} in:\n{said}");
}

/// What goes on beside a backup.
struct Beside {
    writers: Vec<Writer>,
    definers: Vec<Definer>,
    others: Vec<Session>,
}

impl Beside {
    fn start(cluster: &Cluster, row: &CrashRow, round: u32) -> Self {
        let (n1, n2) = (cluster.n(1), cluster.n(2));
        let mut others: Vec<Session> = ["aria", "myisam"]
            .map(|table| {
                Session::repeat(n2, 20, format!("INSERT INTO bulk.w_{table} (v) VALUES (REPEAT('row ', 20))"))
            })
            .into();
        if row.binlog == RowBinlog::Rotated {
            others.push(Session::repeat(n2, 5, "FLUSH BINARY LOGS".into()));
        }
        if row.checkpoints {
            others.push(Session::repeat(n2, 150, "SET GLOBAL innodb_log_checkpoint_now=ON".into()));
        }
        let mut definers = vec![Definer::start_in(n1, &format!("ddl_{round}"))];
        if row.definer_here {
            definers.push(Definer::start_in(n2, &format!("ddl_here_{round}")));
        }
        let beside = Self { writers: vec![Writer::start(n1, 60), Writer::start(n2, 100)], definers, others };
        let begun = wait_until(PATIENCE, || {
            beside.writers.iter().all(|writer| writer.take_stats().commits > 0)
                && beside.definers.iter().all(|definer| definer.rounds() > 2)
                && beside.others.iter().all(|other| other.done.load(Ordering::Relaxed) > 2)
        });
        assert!(begun, "nothing goes on beside the backup");
        beside
    }

    fn stop(self) {
        drop(self.definers);
        for other in self.others {
            other.stop();
        }
        for writer in self.writers {
            let stats = writer.stop();
            assert!(stats.commits > 0, "{stats:?}");
        }
    }
}

/// A statement, said again and again.
struct Session {
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Session {
    fn repeat(node: &Node, pause_ms: u64, statement: String) -> Self {
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, count, mut session) = (Arc::clone(&over), Arc::clone(&done), node.session());
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                // Two nodes that write to one table may be in each other's way.
                let said = sql::query(&mut session, &statement);
                count.fetch_add(u64::from(said.is_ok()), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(pause_ms));
            }
        });
        Self { over, done, thread }
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("a session does not panic");
    }
}
