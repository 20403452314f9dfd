//! The server with the data, and folders for what is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::common::machine::{bytes_below, output, settle};
use crate::common::sysbench::{self, DATABASE};
use crate::common::{Helper, gib, say};
use crate::report::Row;
use crate::support::program::with_program;
use crate::support::{Cluster, ClusterOptions, PATIENCE, Program, Server};

/// Rows of a small table.
const FEW_ROWS: u64 = 20;

/// Where everything happens: one folder on one file system.
pub(crate) struct Stage {
    /// A cluster of one node, which garbd can ask for a backup.
    pub(crate) cluster: Cluster,
    /// Our program and its repository.
    pub(crate) program: Program,
    /// Measures commands.
    pub(crate) helper: Helper,
    /// The server's option file as it was.
    cnf: String,
    /// Archives of the others.
    pub(crate) archives: PathBuf,
    /// Where a restore goes, empty before each.
    pub(crate) target: PathBuf,
}

impl Stage {
    /// Starts the server, on the file system of `/tmp`.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let stage = Self::of_nodes(program, 1, ClusterOptions::new())?;
        say(&format!("{}, a cluster of one node and garbd", stage.version()));
        Ok(stage)
    }

    /// So many nodes, with the defaults of MariaDB for the redo log and a buffer pool that fills tables fast; what is measured happens on the first.
    pub(crate) fn of_nodes(program: &Path, count: usize, options: ClusterOptions) -> Result<Self> {
        let program = program.to_str().context("the program's path is not UTF-8")?;
        let options = with_program(options, program)
            .mysqld("innodb_log_file_size=96M")
            .mysqld("innodb_buffer_pool_size=256M");
        let cluster = Cluster::start(count, &options);
        let server = cluster.n(1);
        Ok(Self {
            program: Program::of(&cluster),
            helper: Helper::install(cluster.scratch())?,
            cnf: fs::read_to_string(server.cnf())?,
            archives: cluster.make_dir("archives"),
            target: cluster.make_dir("target"),
            cluster,
        })
    }

    /// The folder of it all.
    pub(crate) fn dir(&self) -> &Path {
        self.cluster.dir()
    }

    /// The data directory.
    pub(crate) fn datadir(&self) -> PathBuf {
        self.cluster.n(1).datadir()
    }

    /// The server's version.
    pub(crate) fn version(&self) -> String {
        format!("MariaDB {}", self.cluster.n(1).variable("version"))
    }

    /// Makes large tables; what there is then, in words.
    pub(crate) fn fill(&self, bytes: u64) -> Result<String> {
        self.filled(|server| sysbench::fill(server, self.dir(), bytes))
    }

    /// Makes so many tables of a few rows; what there is then, in words.
    pub(crate) fn fill_small(&self, tables: u32) -> Result<String> {
        self.filled(|server| {
            sysbench::add_tables(server, self.dir(), 1, tables, FEW_ROWS)?;
            Ok(tables)
        })
    }

    fn filled(&self, fill: impl FnOnce(&Server) -> Result<u32>) -> Result<String> {
        let begun = Instant::now();
        let count = fill(self.cluster.n(1))?;
        let made = format!("{} in {count} tables", gib(self.data_bytes()?));
        say(&format!("{made} as sysbench makes them, in {:.0} s", begun.elapsed().as_secs_f64()));
        self.calm();
        Ok(made)
    }

    /// A server that has nothing left to write: tar must not see files change. It is restarted after a slow shutdown, which
    /// leaves nothing to purge or to merge, and after its own start-up it writes a dirty page at once.
    fn calm(&self) {
        let server = self.cluster.n(1);
        server.exec("SET GLOBAL innodb_fast_shutdown = 0");
        server.stop();
        server.start(true);
        server.wait_synced(PATIENCE);
        server.exec("SET GLOBAL innodb_max_dirty_pages_pct = 0");
        let clean = || server.status("Innodb_buffer_pool_pages_dirty") == "0";
        server.wait_for("clean buffer pool", PATIENCE, clean);
    }

    /// Bytes of the tables.
    pub(crate) fn data_bytes(&self) -> Result<u64> {
        bytes_below(&self.datadir().join(DATABASE))
    }

    /// Reads the data, so that it is in the page cache; how much of it is there then.
    pub(crate) fn warm(&self) -> Result<String> {
        let read = "find \"$D\" -type f -print0 | xargs -0 cat >/dev/null";
        self.helper.script(read, &[("D", &self.datadir())])?;
        let resident = "find \"$D\" -type f -print0 | xargs -0 fincore --bytes --noheadings --output RES";
        let resident =
            Command::new("bash").args(["-c", resident]).env("D", self.datadir().join(DATABASE)).output();
        let resident = resident.ok().filter(|output| output.status.success()).map(|output| {
            let lines = String::from_utf8_lossy(&output.stdout).into_owned();
            lines.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum::<u64>()
        });
        Ok(match resident {
            Some(bytes) => format!("{} of {} are in the page cache", gib(bytes), gib(self.data_bytes()?)),
            None => {
                "the data was read before each run (no fincore here to say how much is in the page cache)"
                    .into()
            }
        })
    }

    /// The same start for every run: nothing dirty, data and archives in the page cache, no target.
    pub(crate) fn prepare(&self, row: &Row) -> Result<()> {
        for entry in fs::read_dir(&self.target)? {
            output(Command::new("rm").arg("-rf").arg(entry?.path()))?;
        }
        if row.group == crate::report::Group::Backup {
            self.warm()?;
        } else {
            let read = "find \"$A\" \"$R\" -type f -print0 | xargs -0 cat >/dev/null";
            self.helper.script(read, &[("A", &self.archives), ("R", self.program.repository())])?;
        }
        settle(self.dir())
    }

    /// Sets what our donor role reads at its next start.
    pub(crate) fn configure(&self, line: &str) -> Result<()> {
        let text = format!("{}\n[wsrep_sst_backup]\n{line}\n", self.cnf);
        fs::write(self.cluster.n(1).cnf(), text).context("cannot write the option file")
    }

    /// Runs a script with the paths that the peers need: `D` the data, `A` the archives, `T` the target, `CNF` and
    /// `SOCKET` of the server, `P` our program, `R` its repository.
    pub(crate) fn script(&self, script: &str) -> Result<crate::common::Measured> {
        let server = self.cluster.n(1);
        self.helper.script(
            script,
            &[
                ("D", &self.datadir()),
                ("A", &self.archives),
                ("T", &self.target),
                ("CNF", &server.cnf()),
                ("SOCKET", &server.socket()),
                ("P", &self.cluster.program()),
                ("R", self.program.repository()),
            ],
        )
    }
}
