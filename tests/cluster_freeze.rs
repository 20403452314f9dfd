//! A freeze that would harm is not asked for: whoever holds a lock, and settings of the server that reach beyond it.
//!
//! What is asserted comes from the server: its error log, its state, and whether others can write.

mod support;

use std::fs;

use mysql::Conn;
use serde_json::Value;
use support::cli::cli;
use support::fixtures::fill_bulk;
use support::program::with_program;
use support::sql::query;
use support::{
    Administrator, Cluster, ClusterOptions, DonorProgram, Garbd, Node, PATIENCE, Program, Writer, wait_until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// A freeze of half a minute.
const SLOW: &str = "method=freeze\nlimit-rate=2M\n";

struct Stage {
    cluster: Cluster,
    program: Program,
    administrator: Administrator,
    cnf: String,
}

impl Stage {
    fn start() -> Self {
        let options =
            with_program(ClusterOptions::new(), BINARY).group("wsrep_sst_backup", "flush-timeout=3s");
        let cluster = Cluster::start(2, &options);
        fill_bulk(cluster.n(1), "orders", 16);
        cluster.n(1).sql_all(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT)",
            "CREATE TABLE d.u LIKE d.t",
            "CREATE USER plain@localhost",
        ]);
        let administrator = Administrator::new(&cluster, BINARY);
        let cnf = fs::read_to_string(cluster.n(2).cnf()).unwrap();
        // Where nothing is in the way a busy machine has time.
        let other = cluster.n(1).cnf();
        fs::write(&other, fs::read_to_string(&other).unwrap() + "flush-timeout=60s\n").unwrap();
        let stage = Self { program: Program::of(&cluster), administrator, cnf, cluster };
        // What is locked there is there.
        assert!(wait_until(PATIENCE, || stage.donor().try_sql("SELECT a FROM d.u").is_ok()));
        stage
    }

    fn donor(&self) -> &Node {
        self.cluster.n(2)
    }

    fn configure(&self, settings: &str) {
        fs::write(self.donor().cnf(), format!("{}{settings}", self.cnf)).unwrap();
    }

    /// A session that holds the lock for which the freeze waits, and its words in a message.
    fn lock(&self) -> (Conn, String) {
        let mut session = self.donor().session();
        query(&mut session, "LOCK TABLES d.t WRITE").unwrap();
        let thread = format!("thread {} (root@localhost, idle for", session.connection_id());
        (session, thread)
    }

    /// Others write on the donor, and their writes are not held up.
    #[track_caller]
    fn assert_writable(&self) {
        self.donor().sql_all(&["SET SESSION lock_wait_timeout=10", "INSERT INTO d.u VALUES (NULL)"]);
    }

    /// `topic: text` of what `check` finds on the donor that is no better than this.
    fn findings(&self, level: &str) -> Vec<String> {
        let file = format!("--defaults-file={}", self.donor().cnf().display());
        let answer = cli("check --json --sample 0").own_defaults().arg(file).run();
        let all: Value = serde_json::from_str(&answer.stdout).expect("JSON");
        let findings = all["findings"].as_array().unwrap();
        let chosen = findings.iter().filter(|finding| finding["level"] == level);
        chosen.map(|f| format!("{}: {}", f["topic"].as_str().unwrap(), f["text"].as_str().unwrap())).collect()
    }
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_freeze_that_would_harm_is_not_asked_for() {
    let stage = Stage::start();
    a_table_that_somebody_has_locked(&stage);
    a_server_that_somebody_else_has_stopped(&stage);
    a_lock_that_nobody_could_look_for(&stage);
    sessions_that_would_wait_for_the_cluster(&stage);
    a_donor_that_holds_up_its_cluster(&stage);
}

#[track_caller]
fn assert_says(log: &str, texts: &[&str]) {
    for text in texts {
        assert!(log.contains(text), "no '{text}' in:\n{log}");
    }
}

fn a_table_that_somebody_has_locked(stage: &Stage) {
    let donor = stage.donor();
    let (holder, thread) = stage.lock();
    let outcome = Garbd::run_backup(&stage.cluster, 2, Some("req-locked"));
    donor.wait_donor_done(outcome.donor_mark, PATIENCE);
    let log = donor.log_since(outcome.donor_mark);
    assert_says(
        &log,
        &[
            "the server was not frozen, because FLUSH TABLES WITH READ LOCK was not to be had for 3 s (flush-timeout)",
            "d.t is locked (LOCK TABLES … WRITE)",
            &thread,
            "no backup was made",
        ],
    );
    assert!(
        !log.contains("did not flush its tables") && donor.paused_since(outcome.donor_mark).is_empty(),
        "{log}"
    );
    stage.assert_writable();

    let visits = || donor.status("wsrep_cluster_conf_id");
    let before = visits();
    let told = stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]).finish();
    told.ended("refused", "the tables of 'n2' could not be locked for 3 s (flush-timeout)");
    assert!(told.text("error").contains(&thread), "{told}");
    assert_eq!(visits(), before, "garbd was there");
    stage.assert_writable();
    // Where nobody is named, there is another.
    let told = stage.administrator.on(&stage.cluster, 2, &[]).finish();
    told.complete();
    assert!(told.text("donor") == "n1" && told.err.contains("'n2' is passed over"), "{told}");

    drop(holder);
    stage.configure("flush-timeout=60s\n");
    stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]).finish().complete();
    stage.configure("");
}

/// As a dump does that begins when the donor is chosen already.
fn a_server_that_somebody_else_has_stopped(stage: &Stage) {
    let donor = stage.donor();
    stage.configure("flush-timeout=60s\n");
    let (asking, held) = (0..5)
        .find_map(|_| {
            let asking = stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]);
            let held = DonorProgram::hold_at(&stage.cluster, stage.program.repository(), "starting");
            held.map(|held| (asking, held))
        })
        .expect("the program is seen before it looks for the lock");
    let mark = donor.log_mark();
    let mut dump = donor.session();
    query(&mut dump, "FLUSH TABLES WITH READ LOCK").unwrap();
    let by_dump = donor.paused_since(mark).len();
    held.go_on();
    let words = format!(
        "the server is stopped already (FLUSH TABLES WITH READ LOCK or BACKUP STAGE, as a dump, a snapshot or \
         mariadb-backup takes it): by one of the idle sessions: thread {} (root@localhost, idle",
        dump.connection_id()
    );
    donor.wait_log(mark, &words, PATIENCE);
    assert_eq!(donor.paused_since(mark).len(), by_dump, "mysqld was asked");
    query(&mut dump, "UNLOCK TABLES").unwrap();
    asking.finish().complete();
    stage.configure("");
}

/// Without the right RELOAD. That is the state, too, in which a lock is taken between the look and the freeze.
fn a_lock_that_nobody_could_look_for(stage: &Stage) {
    let donor = stage.donor();
    let (holder, _) = stage.lock();
    // Which tables are in use is not told to that account, so that not every method works.
    stage.configure("user=plain\nmethod=auto\n");
    let missing = stage.findings("warning");
    assert!(
        missing.iter().any(|line| line.contains("seeing who holds up the freeze (no right RELOAD, PROCESS)")),
        "{missing:#?}"
    );
    let long = missing.iter().find(|line| line.starts_with("lock: ")).expect("of lock_wait_timeout");
    assert!(long.contains("mysqld waits up to 86400 s"), "{long}");
    let outcome = Garbd::run_backup(&stage.cluster, 2, None);
    let log = donor.wait_log(outcome.donor_mark, "did not flush its tables within 3 s", PATIENCE);
    assert_says(
        &log,
        &["it goes on waiting for its lock, and every write on this node with it", "KILL that thread"],
    );
    assert!(donor.log_since(outcome.donor_mark).contains("was not looked for: Access denied"));
    // It is the truth.
    let mut other = donor.session();
    query(&mut other, "SET SESSION lock_wait_timeout=1").unwrap();
    let held_up = query(&mut other, "INSERT INTO d.u VALUES (NULL)").unwrap_err().to_string();
    assert!(held_up.contains("1205"), "{held_up}");
    assert_ne!(donor.state(), "Synced");
    donor.exec(&format!("KILL {}", holder.connection_id()));
    donor.wait_donor_done(outcome.donor_mark, PATIENCE);
    stage.assert_writable();
    stage.configure("");
}

fn sessions_that_would_wait_for_the_cluster(stage: &Stage) {
    // A busy machine may need more than three seconds for a flush.
    stage.configure("flush-timeout=60s\n");
    let before = stage.program.back_up(&stage.cluster, 2);
    let set = |value: u8| {
        stage.cluster.nodes().for_each(|n| n.exec(&format!("SET GLOBAL wsrep_sync_wait={value}")));
    };
    // Where nobody writes meanwhile there is nothing to wait for.
    let writer = Writer::start(stage.cluster.n(1), 1000);
    set(15);
    let manifest = stage.program.back_up(&stage.cluster, 2);
    set(0);
    assert!(writer.stop().commits > 0);
    let position = manifest["mariadb_gtid"]["binlog_pos"].as_str();
    assert!(position.is_some_and(|position| !position.is_empty()), "{manifest:#}");
    let frozen = |manifest: &Value| manifest["frozen_ms"].as_i64().unwrap();
    assert!(
        frozen(&manifest) < frozen(&before) + 4000,
        "{} ms, {} before",
        frozen(&manifest),
        frozen(&before)
    );
}

fn a_donor_that_holds_up_its_cluster(stage: &Stage) {
    let donor = stage.donor();
    let writer = Writer::start(stage.cluster.n(1), 1000);
    donor.set_provider_option("gcs.sync_donor", "ON");
    stage.configure(&format!("{SLOW}flush-timeout=60s\n"));
    let told = stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]).finish();
    told.ended("failed", "this donor holds up the writes of its whole cluster");
    donor.wait_synced(PATIENCE);
    writer.take_stats();
    assert!(wait_until(PATIENCE, || writer.take_stats().commits > 0), "the cluster does not write");
    donor.set_provider_option("gcs.sync_donor", "OFF");
    writer.stop();

    donor.stop();
    let cnf = stage.cnf.replace("wsrep_provider_options=\"", "wsrep_provider_options=\"gcs.sync_donor=yes;");
    fs::write(donor.cnf(), &cnf).unwrap();
    donor.rejoin();
    let errors = stage.findings("error");
    assert!(errors.iter().any(|line| line.starts_with("flow control: gcs.sync_donor is on")), "{errors:#?}");
    let told = stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]).finish();
    told.ended("refused", "gcs.sync_donor is on on 'n2'");
    let outcome = Garbd::run_backup(&stage.cluster, 2, None);
    donor.wait_donor_done(outcome.donor_mark, PATIENCE);
    assert!(donor.paused_since(outcome.donor_mark).is_empty());
    assert_says(
        &donor.log_since(outcome.donor_mark),
        &["a freeze of this node would stop the writes of the whole cluster"],
    );
    let told = stage.administrator.on(&stage.cluster, 2, &["--donor=n2", "--force"]).finish();
    told.complete();
    let warnings = told.json["manifest"]["warnings"].to_string();
    assert!(warnings.contains("gcs.sync_donor is on"), "{warnings}");
    fs::write(donor.cnf(), format!("{cnf}allow-sync-donor\n")).unwrap();
    stage.administrator.on(&stage.cluster, 2, &["--donor=n2"]).finish().complete();
}
