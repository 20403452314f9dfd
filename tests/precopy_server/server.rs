//! A real server without Galera in the folder of a scripted one, and work for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql::prelude::Queryable;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::{ScriptedMysqld, sql, wait_until};

const PATIENCE: Duration = Duration::from_secs(120);

/// The server.
pub(super) struct RealServer {
    datadir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

/// Statements that write rows; ROUND is a number.
const WRITES: [&str; 6] = [
    "UPDATE d.t SET b = MD5(CONCAT(b, ROUND)) WHERE a % 97 = ROUND % 97",
    "INSERT IGNORE INTO d.t SELECT 1000000 + ROUND * 1000 + seq, REPEAT(MD5(seq), 5) FROM d.s WHERE seq <= 200",
    "DELETE FROM d.t WHERE a > 1000000 AND a % 3 = ROUND % 3",
    "UPDATE d.c SET b = REPEAT(MD5(b), 3) WHERE a % 11 = ROUND % 11",
    "UPDATE d.p SET b = CONCAT(REPEAT('x', 2000), ROUND) WHERE a % 13 = ROUND % 13",
    "UPDATE d.m SET b = MD5(b) WHERE a % 401 = ROUND % 401",
];

/// DDL, of which each is a group that belongs together.
const DDL: [&[&str]; 13] = [
    &["CREATE TABLE d.nROUND (a INT PRIMARY KEY, b TEXT, FULLTEXT (b)) SELECT a, b FROM d.t LIMIT 500"],
    &["ALTER TABLE d.t ADD KEY kROUND (b, a)", "ALTER TABLE d.t DROP KEY kROUND"],
    &[
        "CREATE TABLE d.xROUND LIKE d.s",
        "INSERT INTO d.xROUND SELECT * FROM d.s",
        "RENAME TABLE d.xROUND TO d.yROUND",
    ],
    &["OPTIMIZE TABLE d.c"],
    &["TRUNCATE TABLE d.u", "INSERT INTO d.u SELECT a, b FROM d.t LIMIT 700"],
    &["RENAME TABLE d.s TO d.swap, d.u2 TO d.s, d.swap TO d.u2"],
    &["DROP TABLE IF EXISTS d.nOLD", "DROP TABLE IF EXISTS d.yOLD"],
    &["ALTER TABLE d.parts EXCHANGE PARTITION p0 WITH TABLE d.part"],
    &["ALTER TABLE d.t ENGINE=InnoDB"],
    &[
        "FLUSH TABLES d.e FOR EXPORT",
        "COPY e e_aside",
        "UNLOCK TABLES",
        "ALTER TABLE d.i DISCARD TABLESPACE",
        "COPY e_aside i",
        "ALTER TABLE d.i IMPORT TABLESPACE",
    ],
    &["SET GLOBAL innodb_undo_log_truncate=ON", "SET GLOBAL innodb_purge_rseg_truncate_frequency=1"],
    &["ALTER TABLE d.p ADD COLUMN cROUND INT", "UPDATE d.p SET cROUND = a"],
    &[
        "CREATE TABLE d.zROUND (a INT PRIMARY KEY, b VARCHAR(200)) ENGINE=MyISAM SELECT a, b FROM d.t LIMIT 100",
        "ALTER TABLE d.zROUND ENGINE=InnoDB",
        "DROP TABLE d.zROUND",
    ],
];

impl RealServer {
    /// In place of the files of the scripted one.
    pub(super) fn install(mysqld: &ScriptedMysqld, options: &[&str]) -> Self {
        let keys = mysqld.write_outside(
            "keys",
            "1;770A8A65DA156D24EE2A093277530142\n2;880A8A65DA156D24EE2A093277530142\n",
        );
        let options = options.iter().map(|option| option.replace("KEYS", &keys.display().to_string()));
        let mut all = vec![
            "--user=root".to_owned(),
            "--innodb-buffer-pool-size=24M".to_owned(),
            "--innodb-log-file-size=24M".to_owned(),
        ];
        // Two that are installed at once would remove each other's temporary tables.
        let tmpdir = mysqld.path("tmp");
        fs::create_dir_all(&tmpdir).unwrap();
        all.push(format!("--tmpdir={}", tmpdir.display()));
        all.extend(options);
        let datadir = mysqld.datadir();
        fs::remove_dir_all(&datadir).unwrap();
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(&all)
            .arg(format!("--datadir={}", datadir.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(datadir.join("grastate.dat"), "").unwrap();
        Self { datadir, socket: mysqld.socket(), log: mysqld.path("server.log"), options: all, process: None }
    }

    fn mariadbd(&self, datadir: &Path) -> Command {
        let mut command = Command::new("mariadbd");
        command
            .args(["--no-defaults", "--skip-networking", "--skip-log-bin"])
            .args(["--wsrep-cluster-name=scripted", "--wsrep-node-name=donor1"])
            .args(&self.options)
            .arg(format!("--datadir={}", datadir.display()))
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--pid-file={}", self.log.with_extension("pid").display()))
            .stdout(Stdio::null());
        command
    }

    /// What a server says that cannot start on this folder.
    pub(super) fn refusal(&self, datadir: &Path) -> String {
        let mut server = self.mariadbd(datadir).stderr(Stdio::piped()).spawn().unwrap();
        let ends = wait_until(PATIENCE, || server.try_wait().unwrap().is_some());
        if !ends {
            let _ = server.kill();
        }
        let output = server.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(ends && !output.status.success(), "it has started: {said}");
        said
    }

    pub(super) fn start(&mut self) {
        let log = File::create(&self.log).unwrap();
        let process = self.mariadbd(&self.datadir).stderr(log).spawn().unwrap();
        self.process = Some(process);
        let answers = wait_until(PATIENCE, || sql::connect(&self.socket, PATIENCE).is_ok());
        assert!(answers, "{}", fs::read_to_string(&self.log).unwrap());
    }

    fn sql(&self, statement: &str) {
        let mut session = sql::connect(&self.socket, PATIENCE).unwrap();
        session.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Tables of every kind.
    pub(super) fn fill(&self) {
        let large = "(a INT PRIMARY KEY, b VARCHAR(300), KEY (b))";
        for statement in [
            "CREATE DATABASE d".to_owned(),
            format!("CREATE TABLE d.t {large}"),
            "CREATE TABLE d.s (seq INT PRIMARY KEY)".to_owned(),
            "CREATE TABLE d.u2 (seq INT PRIMARY KEY)".to_owned(),
            format!("CREATE TABLE d.u {large}"),
            "CREATE TABLE d.c (a INT PRIMARY KEY, b TEXT) ROW_FORMAT=COMPRESSED".to_owned(),
            "CREATE TABLE d.p (a INT PRIMARY KEY, b TEXT) PAGE_COMPRESSED=1".to_owned(),
            "CREATE TABLE d.m (a INT PRIMARY KEY, b TEXT) ENGINE=MyISAM".to_owned(),
            format!("CREATE TABLE d.e {large}"),
            format!("CREATE TABLE d.i {large}"),
            format!("CREATE TABLE d.part {large}"),
            "CREATE TABLE d.parts (a INT PRIMARY KEY, b VARCHAR(300), KEY (b)) PARTITION BY HASH (a) PARTITIONS 3".to_owned(),
        ] {
            self.sql(&statement);
        }
        let mut session = sql::connect(&self.socket, PATIENCE).unwrap();
        for statement in [
            "USE d",
            "INSERT INTO s SELECT seq FROM seq_1_to_500",
            "INSERT INTO u2 SELECT seq FROM seq_1_to_100",
            "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 6) FROM seq_1_to_40000",
            "INSERT INTO c SELECT a, b FROM t LIMIT 6000",
            "INSERT INTO p SELECT a, REPEAT(b, 5) FROM t LIMIT 3000",
            "INSERT INTO m SELECT a, b FROM t LIMIT 20000",
            "INSERT INTO e SELECT a, b FROM t LIMIT 3000",
            "INSERT INTO i SELECT a, b FROM t LIMIT 1000",
        ] {
            session.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Works until it is told to end.
    pub(super) fn work(&self, seed: u64) -> Work {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut threads = Vec::new();
        for worker in 0..3_u64 {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            let (socket, database) = (self.socket.clone(), self.datadir.join("d"));
            threads.push(std::thread::spawn(move || {
                let mut word = seed.wrapping_mul(31).wrapping_add(worker);
                let mut session = None;
                let mut round = seed % 7 * 1000;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    word =
                        word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let number = usize::try_from(word >> 33).unwrap();
                    if session.is_none() {
                        session = sql::connect(&socket, PATIENCE).ok();
                    }
                    let Some(session) = &mut session else { continue };
                    if worker < 2 {
                        let _ = session.query_drop(worded(WRITES[number % WRITES.len()], round));
                    } else {
                        // Online, once in a while: then the log cannot be followed.
                        if seed % 3 == 2 && round % 9 == 3 {
                            let size = if round.is_multiple_of(2) { 24 } else { 32 };
                            let _ =
                                session.query_drop(format!("SET GLOBAL innodb_log_file_size={}", size << 20));
                        }
                        DDL[number % DDL.len()]
                            .iter()
                            .for_each(|statement| act(session, statement, round, &database));
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Work { stop, rounds, threads }
    }

    pub(super) fn shut_down(&mut self) {
        let mut process = self.process.take().unwrap();
        kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = process.wait().unwrap();
        assert!(status.success(), "{}", fs::read_to_string(&self.log).unwrap());
    }
}

fn worded(statement: &str, round: u64) -> String {
    statement.replace("ROUND", &round.to_string()).replace("OLD", &round.saturating_sub(3).to_string())
}

/// An error of one statement is that of the others' work.
fn act(session: &mut mysql::Conn, statement: &str, round: u64, database: &Path) {
    let words: Vec<&str> = statement.split(' ').collect();
    if words[0] == "COPY" {
        for ending in ["ibd", "cfg"] {
            let at = |name: &str| {
                let folder = if name.ends_with("_aside") {
                    database.parent().unwrap().parent().unwrap()
                } else {
                    database
                };
                folder.join(format!("{name}.{ending}"))
            };
            // A file that the server has is none to be written over.
            if words[2].ends_with("_aside") || !at(words[2]).exists() {
                let _ = fs::copy(at(words[1]), at(words[2]));
            }
        }
        return;
    }
    let _ = session.query_drop(worded(statement, round));
}

impl Drop for RealServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What goes on.
pub(super) struct Work {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    /// Ends it; how many statements or groups of them there were.
    pub(super) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.rounds.load(Ordering::Relaxed)
    }
}
