//! A real server without Galera in the folder of a scripted one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mysql::prelude::Queryable;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kinds::ServerKind;
use super::work::Work;
use crate::support::scripted_mysqld::shell;
use crate::support::{ScriptedMysqld, sql, wait_until};

pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The server.
#[derive(Debug)]
pub struct RealServer {
    datadir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

impl RealServer {
    /// One of this kind in place of the files of the scripted one, with tables in it, shut down.
    pub fn install(mysqld: &ScriptedMysqld, kind: &ServerKind) -> Self {
        let mut server = Self::of(mysqld, kind);
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(&server.options)
            .arg(format!("--datadir={}", server.datadir.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(server.datadir.join("grastate.dat"), "").unwrap();
        server.start();
        server.fill(kind);
        server.shut_down();
        server
    }

    /// The same with the files of another one of its kind.
    pub(super) fn copied(mysqld: &ScriptedMysqld, kind: &ServerKind, other: &ScriptedMysqld) -> Self {
        let server = Self::of(mysqld, kind);
        for name in ["data", "undo"] {
            let from = other.path(name);
            shell(&mysqld.path(""), &format!("mkdir -p {name} && cp -a '{}/.' {name}", from.display()));
        }
        server
    }

    /// Without any files.
    fn of(mysqld: &ScriptedMysqld, kind: &ServerKind) -> Self {
        let keys = mysqld.write_outside(
            "keys",
            "1;770A8A65DA156D24EE2A093277530142\n2;880A8A65DA156D24EE2A093277530142\n",
        );
        let undo = mysqld.path("undo");
        // Two that are installed at once would remove each other's temporary tables.
        let tmpdir = mysqld.path("tmp");
        for folder in [&undo, &tmpdir] {
            fs::create_dir_all(folder).unwrap();
        }
        let mut options = vec![
            "--user=root".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
            "--innodb-log-file-size=24M".to_owned(),
            format!("--tmpdir={}", tmpdir.display()),
        ];
        for option in kind.options {
            let option = option.replace("KEYS", &keys.display().to_string());
            options.push(option.replace("UNDO", &undo.display().to_string()));
        }
        let datadir = mysqld.datadir();
        fs::remove_dir_all(&datadir).unwrap();
        Self { datadir, socket: mysqld.socket(), log: mysqld.path("server.log"), options, process: None }
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

    pub fn start(&mut self) {
        let log = File::create(&self.log).unwrap();
        let process = self.mariadbd(&self.datadir).stderr(log).spawn().unwrap();
        self.process = Some(process);
        let answers = wait_until(PATIENCE, || sql::connect(&self.socket, PATIENCE).is_ok());
        assert!(answers, "{}", fs::read_to_string(&self.log).unwrap());
    }

    /// Tables of every kind.
    fn fill(&self, kind: &ServerKind) {
        let mut session = sql::connect(&self.socket, PATIENCE).unwrap();
        let mut say = |statement: &str| {
            session.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        };
        let large = "(a INT PRIMARY KEY, b VARCHAR(300), KEY (b))";
        for statement in [
            "CREATE DATABASE d".to_owned(),
            "USE d".to_owned(),
            format!("CREATE TABLE t {large}"),
            "CREATE TABLE s (seq INT PRIMARY KEY)".to_owned(),
            "CREATE TABLE u2 (seq INT PRIMARY KEY)".to_owned(),
            format!("CREATE TABLE u {large}"),
            format!("CREATE TABLE c (a INT PRIMARY KEY, b TEXT) {}", kind.row_format),
            format!("CREATE TABLE still (a INT PRIMARY KEY) {}", kind.smallest_pages),
            "CREATE TABLE p (a INT PRIMARY KEY, b TEXT) PAGE_COMPRESSED=1".to_owned(),
            "CREATE TABLE m (a INT PRIMARY KEY, b TEXT) ENGINE=MyISAM".to_owned(),
            format!("CREATE TABLE e {large}"),
            format!("CREATE TABLE i {large}"),
            format!("CREATE TABLE part {large}"),
            "CREATE TABLE parts (a INT PRIMARY KEY, b VARCHAR(300), KEY (b)) PARTITION BY HASH (a) PARTITIONS 3".to_owned(),
        ] {
            say(&statement);
        }
        for statement in [
            "INSERT INTO s SELECT seq FROM seq_1_to_500",
            "INSERT INTO u2 SELECT seq FROM seq_1_to_100",
            "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 6) FROM seq_1_to_40000",
            "INSERT INTO c SELECT a, b FROM t LIMIT 6000",
            "INSERT INTO p SELECT a, REPEAT(b, 5) FROM t LIMIT 3000",
            "INSERT INTO m SELECT a, b FROM t LIMIT 20000",
            "INSERT INTO e SELECT a, b FROM t LIMIT 3000",
            "INSERT INTO i SELECT a, b FROM t LIMIT 1000",
        ] {
            say(statement);
        }
    }

    /// Work for it, until it is told to end.
    pub(super) fn work(&self, seed: u64) -> Work {
        Work::begin(seed, &self.socket, &self.datadir.join("d"))
    }

    pub fn shut_down(&mut self) {
        let mut process = self.process.take().unwrap();
        kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = process.wait().unwrap();
        assert!(status.success(), "{}", fs::read_to_string(&self.log).unwrap());
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
