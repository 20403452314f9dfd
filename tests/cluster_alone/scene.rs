//! A master with clients, servers that are made of its backups, and the repository.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::support::cli::{Answer, Cli, cli, open_folder};
use super::support::program::text;
use super::support::replica::create_account;
use super::support::sql;
use super::support::{PATIENCE, Replica, Scratch, Server, template, wait_until};

/// The setting of a dump.
pub(super) const DUMP: &[(&str, &str)] = &[("METHOD", "logical")];

pub(super) struct Scene {
    pub(super) master: Replica,
    pub(super) scratch: Scratch,
    /// The seqno of the master's binary log before the first client.
    pub(super) before: u64,
    repository: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let master = server(&scratch, "m");
        template::fill(&master.datadir(), scratch.user(), None);
        master.start();
        create_account(&master);
        master.sql_all(&[
            "CREATE DATABASE e",
            "CREATE TABLE e.small (id INT PRIMARY KEY) ENGINE=InnoDB",
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE log (id BIGINT PRIMARY KEY, n BIGINT) ENGINE=InnoDB",
            "CREATE TABLE acc (id INT PRIMARY KEY, n BIGINT) ENGINE=InnoDB",
            "INSERT INTO acc VALUES (1,0),(2,0),(3,0)",
            "CREATE TABLE bulk (id INT PRIMARY KEY, pad VARBINARY(400)) ENGINE=InnoDB",
            "INSERT INTO bulk SELECT seq, REPEAT('x', 300) FROM seq_1_to_10000",
        ]);
        let position = master.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
        let before = position.rsplit_once('-').unwrap().1.parse().unwrap();
        Self { master, scratch, before, repository: open_folder() }
    }

    pub(super) fn cli(&self, line: &str) -> Cli {
        cli(line).on(self.repository.path())
    }

    /// `run` on a server, into the usual repository.
    pub(super) fn run_on(&self, server: &Server, settings: &[(&str, &str)]) -> Cli {
        settled(command("run", server).on(self.repository.path()), settings)
    }

    /// `check` with one more line in the server's own option file.
    pub(super) fn check(&self, server: &Server, line: &str) -> Answer {
        let before = fs::read_to_string(server.cnf()).unwrap();
        fs::write(server.cnf(), format!("{before}{line}\n")).unwrap();
        let answer = command("check --sample 0", server).on(self.repository.path()).run();
        fs::write(server.cnf(), before).unwrap();
        answer
    }

    /// A backup that a server has taken of itself.
    pub(super) fn backed_up(&self, server: &Server, settings: &[(&str, &str)]) -> Value {
        let ran = self.run_on(server, settings).run();
        assert_eq!(ran.status, Some(0), "{ran:?}");
        self.newest()
    }

    pub(super) fn newest(&self) -> Value {
        let mut folders: Vec<PathBuf> = fs::read_dir(self.repository.path().join("alone"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("manifest.json"))
            .filter(|manifest| manifest.is_file())
            .collect();
        folders.sort_by_key(|manifest| fs::metadata(manifest).unwrap().modified().unwrap());
        serde_json::from_slice(&fs::read(folders.pop().unwrap()).unwrap()).unwrap()
    }

    pub(super) fn folder(&self, manifest: &Value) -> PathBuf {
        self.repository.path().join("alone").join(text(manifest, "/id"))
    }

    /// A server restored from a physical backup, which has replicated up to this position of the master and not further.
    pub(super) fn replayed(&self, physical: &Value, until: &str) -> Replica {
        let replica = server(&self.scratch, "r");
        let restored =
            self.cli("restore --as standalone").arg(text(physical, "/id")).to(&replica.datadir()).run();
        assert_eq!(restored.status, Some(0), "{restored:?}");
        replica.start();
        let from = sql::literal(text(physical, "/mariadb_gtid/binlog_pos"));
        replica.exec(&format!("SET GLOBAL gtid_slave_pos = {from}"));
        replica.exec(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='repl', MASTER_PASSWORD='repl', \
             MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
            self.master.scalar("SELECT @@port")
        ));
        replica.exec(&format!("START SLAVE UNTIL master_gtid_pos = {}", sql::literal(until)));
        replica.wait_for("the dump's position", PATIENCE, || {
            replica.assert_no_error();
            !applies(&replica)
        });
        assert_eq!(replica.scalar("SELECT @@GLOBAL.gtid_slave_pos"), until);
        replica
    }

    /// A new server with nothing but a dump.
    pub(super) fn loaded(&self, dump: &Value) -> Replica {
        let loaded = server(&self.scratch, "l");
        template::fill(&loaded.datadir(), self.scratch.user(), None);
        loaded.start();
        let socket = loaded.socket().display().to_string();
        let load = command("restore", &loaded).on(self.repository.path()).arg(text(dump, "/id"));
        load.arg("--into").arg(socket).run().done();
        loaded
    }
}

/// Words of a command line by a server's own option file.
pub(super) fn command(line: &str, server: &Server) -> Cli {
    cli(line).own_defaults().arg("--defaults-file").arg(server.cnf())
}

pub(super) fn settled(cli: Cli, settings: &[(&str, &str)]) -> Cli {
    settings.iter().fold(cli, |cli, (name, value)| cli.env(&format!("WSREP_SST_BACKUP_{name}"), *value))
}

fn server(scratch: &Scratch, name: &str) -> Replica {
    let own = "[wsrep_sst_backup]\nuser=root\nsocket={dir}/s\ncluster=alone";
    Replica::prepare(scratch, name, &["log_bin=binlog", "log_slave_updates=ON", own])
}

/// Whether the SQL thread of the default connection runs.
pub(super) fn applies(replica: &Server) -> bool {
    replica.sql("SHOW ALL SLAVES STATUS").iter().any(|row| row[0].is_empty() && row[13] == "Yes")
}

/// Clients that each add a row and count it, in one transaction, and change another.
pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    pub(super) fn start(server: &Server) -> Self {
        let (stop, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |number: u64| {
            let (stop, commits) = (Arc::clone(&stop), Arc::clone(&commits));
            let mut session = server.session();
            std::thread::spawn(move || {
                for next in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = number * 1_000_000 + next;
                    let statements = [
                        "BEGIN".to_owned(),
                        format!("INSERT INTO d.log VALUES ({id}, {id})"),
                        format!("UPDATE d.acc SET n = n + 1 WHERE id = {number}"),
                        format!(
                            "UPDATE d.bulk SET pad = REPEAT('{number}', 200 + {next} % 99) WHERE id = {number} + {next} * 7 % 9000"
                        ),
                        "COMMIT".to_owned(),
                    ];
                    let run = |statement: &String| sql::query(&mut session, statement).map(drop);
                    // So many that a lock is waited for, and few enough to be replayed in a moment.
                    std::thread::sleep(Duration::from_millis(1));
                    if statements.iter().try_for_each(run).is_ok() {
                        commits.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let _ = sql::query(&mut session, "ROLLBACK");
                    }
                }
            })
        };
        let threads = (1..=3).map(client).collect();
        Self { stop, commits, threads }
    }

    /// Until so many more have committed.
    pub(super) fn wait_for(&self, more: u64) {
        let wanted = self.commits.load(Ordering::Relaxed) + more;
        assert!(wait_until(PATIENCE, || self.commits.load(Ordering::Relaxed) >= wanted), "nobody writes");
    }

    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.commits.load(Ordering::Relaxed)
    }
}
