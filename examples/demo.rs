//! The whole story on one machine: three nodes, a backup by a donor, a node rebuilt from it that rejoins by IST.
//!
//! `scripts/demo` builds the program and runs this with its path. Every step is checked; the first that does not
//! hold ends the demo with a message and a status other than 0.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::{
    Cluster, ClusterOptions, PATIENCE, Position, Writer, WriterStats, assert_joined_by_ist, assert_same_rows,
};

/// Bulk data beside the zoo, in MiB.
const BULK: u32 = 96;

/// The three parts: who writes, who gives the backup, who is lost.
const WRITTEN: usize = 1;
const DONOR: usize = 2;
const LOST: usize = 3;

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{}: {error:#}", styled("1;31", "The demo failed"));
            ExitCode::FAILURE
        }
    }
}

/// The acts in their order.
fn play() -> Result<()> {
    let program = std::env::args_os().nth(1).context("usage: demo PATH-OF-wsrep_sst_backup")?;
    let program = PathBuf::from(program);
    ensure!(program.is_file(), "no program '{}': run scripts/demo", program.display());
    let begun = Instant::now();

    let demo = Demo::start(&program)?;
    demo.make_data();
    heading("A client writes to n1, from now on without a break");
    let writer = Writer::start(demo.cluster.n(WRITTEN), 200);
    std::thread::sleep(Duration::from_secs(1));
    say("200 transactions per second at most: inserts, updates, deletes");
    let position = demo.back_up(&writer)?;
    demo.look_at_it()?;
    demo.lose_and_restore()?;
    demo.rejoin(&position)?;
    heading("Are the rows the same everywhere?");
    let stats = writer.stop();
    say(&format!("the client is stopped; since the backup: {}", told(&stats)));
    ensure!(stats.commits > 0, "the client could not write");
    demo.compare();
    println!("\n{} in {:.0} s", bold("Done"), begun.elapsed().as_secs_f64());
    Ok(())
}

/// The stage.
struct Demo {
    cluster: Cluster,
    repository: PathBuf,
}

impl Demo {
    fn start(program: &Path) -> Result<Self> {
        heading("Three nodes of a Galera cluster, on this machine");
        let options =
            ClusterOptions::new().binary(program).group("wsrep_sst_backup", "repository={base}/repository");
        let begun = Instant::now();
        let cluster = Cluster::start(3, &options);
        let repository = cluster.make_dir("repository");
        say(&format!("{} in {:.0} s", cluster.n(1).variable("version"), begun.elapsed().as_secs_f64()));
        for node in cluster.nodes() {
            say(&format!(
                "{}  {}  at {}  group address {}",
                bold(node.name()),
                node.state(),
                node.position(),
                node.group_address()
            ));
        }
        // As in a default installation, where the server's account may log in over the socket.
        let account = format!("{}@localhost", cluster.scratch().user().name);
        cluster.n(1).exec(&format!("CREATE USER {account} IDENTIFIED VIA unix_socket"));
        cluster.n(1).exec(&format!("GRANT ALL PRIVILEGES ON *.* TO {account}"));
        ensure!(cluster.n(1).status("wsrep_cluster_size") == "3", "the cluster has not three nodes");
        let text = std::fs::read_to_string(cluster.n(DONOR).cnf())?;
        say("and in the my.cnf of each:");
        let own: Vec<&str> = text.lines().skip_while(|l| *l != "[wsrep_sst_backup]").collect();
        show(&own.join("\n"));
        Ok(Self { cluster, repository })
    }

    fn make_data(&self) {
        heading("Tables of every kind");
        create_replicated_zoo(&self.cluster);
        fill_bulk(self.cluster.n(1), "orders", BULK);
        let kinds = self.cluster.n(1).sql(
            "SELECT IFNULL(engine, table_type), COUNT(*) FROM information_schema.tables WHERE table_schema NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema') GROUP BY 1 ORDER BY 2 DESC",
        );
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("{} {}", kind[1], kind[0])).collect();
        say(&format!("{}; {BULK} MiB of rows in bulk.orders", kinds.join(", ")));
        say("partitioned, page-compressed, full-text, spatial, generated columns, foreign keys, triggers,");
        say("and names such as 'täble €', 'x/y', '表'");
    }

    /// garbd asks, the donor freezes, copies, thaws, and the request is followed; gives the position of the files.
    fn back_up(&self, writer: &Writer) -> Result<Position> {
        heading("A backup, asked for on n1: garbd joins the cluster and asks n2");
        let donor = self.cluster.n(DONOR);
        let flow_control = donor.flow_control_sent();
        let mark = donor.log_mark();
        writer.take_stats();
        let file = format!("--defaults-file={}", self.cluster.n(1).cnf().display());
        self.run(&["backup", &file, "--donor", donor.name()])?;
        let meanwhile = writer.take_stats();
        say("what the donor's error log says of it:");
        let log = donor.log_since(mark);
        let wanted =
            ["WSREP_SST: ", "WSREP: Provider paused at ", "WSREP: Provider resumed", "WSREP: SST sent: "];
        let lines: Vec<&str> = log.lines().filter(|l| wanted.iter().any(|t| l.contains(t))).collect();
        show(&lines.join("\n"));
        let paused = donor.frozen_since(mark).context("the server was not paused")?;
        ensure!(log.contains("WSREP: SST sent: "), "the donor did not finish: see its log above");

        let manifest = self.manifest()?;
        let field = |pointer: &str| {
            manifest.pointer(pointer).with_context(|| format!("no {pointer} in the manifest"))
        };
        let seqno = field("/gtid/seqno")?.as_i64().context("/gtid/seqno is not a number")?;
        let uuid = field("/gtid/uuid")?.as_str().context("/gtid/uuid is not a text")?.to_owned();
        let found = Position { uuid, seqno };
        ensure!(found == paused, "the manifest says {found}, the server paused at {paused}");
        say(&format!("the server was frozen for {}", bold(&format!("{} ms", field("/frozen_ms")?))));
        say(&format!("the manifest's GTID is where the server paused: {}", bold(&found.to_string())));
        let sent = donor.flow_control_sent() - flow_control;
        ensure!(sent == 0, "the donor sent flow control {sent} times");
        say(&format!("the donor is {} again without help; flow control sent: {sent}", donor.state()));
        say(&format!("the client on n1 meanwhile: {}", told(&meanwhile)));
        Ok(found)
    }

    fn look_at_it(&self) -> Result<()> {
        heading("The backup");
        say("in the repository:");
        let found = Command::new("find")
            .args([".", "-type", "f", "-printf", "%10s bytes  %P\n"])
            .current_dir(&self.repository)
            .output()?;
        show(&String::from_utf8_lossy(&found.stdout));
        for words in [&["list"][..], &["show", "latest"], &["verify", "latest"]] {
            self.run(words)?;
        }
        Ok(())
    }

    fn lose_and_restore(&self) -> Result<()> {
        heading("n3 is lost, and rebuilt from the backup");
        let lost = self.cluster.n(LOST);
        lost.stop();
        lost.wipe_datadir();
        let datadir = lost.datadir();
        let left = std::fs::read_dir(&datadir)?.count();
        ensure!(left == 0, "'{}' is not empty", datadir.display());
        say(&format!("n3 is stopped, and '{}' is empty now", datadir.display()));
        let place = datadir.to_str().context("the path is not UTF-8")?;
        self.run(&["restore", "latest", "--to", place, "--as", "node"])?;
        command(&format!("chown -R {}: {place}", self.cluster.scratch().user().name));
        lost.own_datadir();
        show(&std::fs::read_to_string(datadir.join("grastate.dat")).context("no grastate.dat was restored")?);
        Ok(())
    }

    fn rejoin(&self, position: &Position) -> Result<()> {
        heading("n3 is started");
        let lost = self.cluster.n(LOST);
        let mark = lost.log_mark();
        let begun = Instant::now();
        lost.start(false);
        lost.wait_synced(PATIENCE);
        let evidence = assert_joined_by_ist(lost, mark);
        say(&format!(
            "{} after {:.1} s, joined by {}:",
            lost.state(),
            begun.elapsed().as_secs_f64(),
            bold("IST")
        ));
        let log = lost.log_since(mark);
        let found = log.lines().find(|l| l.contains("Local state: ")).unwrap_or_default();
        ensure!(found.contains(&position.to_string()), "n3 did not start at {position}: {found}");
        show(&format!("{}\n{evidence}", found.trim()));
        Ok(())
    }

    fn compare(&self) {
        let sums = assert_same_rows(self.cluster.nodes().map(|n| &**n));
        let rows: u64 = sums.values().map(|s| s.rows).sum();
        for (database, table) in [("bulk", "orders"), ("writer", "log"), ("zoo", "aria"), ("zoo", "punched")]
        {
            if let Some(sum) = sums.get(&(database.to_owned(), table.to_owned())) {
                say(&format!(
                    "{:<14} {:>7} rows  sum {:>24}",
                    format!("{database}.{table}"),
                    sum.rows,
                    sum.sum
                ));
            }
        }
        say(&format!(
            "… {} tables and {rows} rows: the same on n1, n2 and n3",
            bold(&sums.len().to_string())
        ));
    }

    fn manifest(&self) -> Result<serde_json::Value> {
        let output =
            self.program(&["show", "latest", "--json"]).output().context("cannot run the program")?;
        ensure!(output.status.success(), "show failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("show --json did not print JSON")
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut program = Command::new(self.cluster.program());
        program.args(words).arg("--repository").arg(&self.repository);
        program
    }

    /// Runs a command of the program and shows what it says.
    fn run(&self, words: &[&str]) -> Result<()> {
        command(&format!("wsrep_sst_backup {} --repository {}", words.join(" "), self.repository.display()));
        let output = self.program(words).output().context("cannot run the program")?;
        // What happens comes on stderr, the outcome on stdout.
        show(&String::from_utf8_lossy(&output.stderr));
        show(&String::from_utf8_lossy(&output.stdout));
        ensure!(output.status.success(), "'{}' ended with {}", words.join(" "), output.status);
        Ok(())
    }
}

fn told(stats: &WriterStats) -> String {
    format!(
        "{} transactions, {} errors, longest wait for a commit {} ms",
        stats.commits,
        stats.errors,
        stats.longest_pause.as_millis()
    )
}

/// Text that stands out on a terminal.
fn bold(text: &str) -> String {
    styled("1", text)
}

fn styled(code: &str, text: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

fn heading(text: &str) {
    println!("\n{}", styled("1;36", &format!("── {text}")));
    let _ = std::io::stdout().flush();
}

fn say(text: &str) {
    println!("   {text}");
}

fn command(line: &str) {
    println!("   {}", bold(&format!("$ {line}")));
}

/// What a program or a log said.
fn show(text: &str) {
    for line in text.lines() {
        println!("   {} {line}", styled("2", "│"));
    }
}
