//! A server without Galera, whose redo log is looked at.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;
use wsrep_sst_backup::innodb::redo::{LiveLog, StoredLog};

/// Options of a server that encrypts its log.
pub(super) const ENCRYPTED: [&str; 3] = [
    "--plugin-load-add=file_key_management",
    "--file-key-management-filename=KEYS",
    "--innodb-encrypt-log=ON",
];

/// A server without Galera, with a small buffer pool and a redo log of so many MiB.
pub(super) struct Server {
    pub(super) root: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl Server {
    pub(super) fn install(log_mib: u32, options: &[&str]) -> Self {
        let root = tempfile::Builder::new().prefix("redo-log-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        fs::write(root.path().join("keys"), "1;770A8A65DA156D24EE2A093277530142\n").unwrap();
        let mut all = vec![
            "--user=mysql".to_owned(),
            "--innodb-buffer-pool-size=24M".to_owned(),
            format!("--innodb-log-file-size={log_mib}M"),
            format!("--tmpdir={}", root.path().join("tmp").display()),
        ];
        let keys = root.path().join("keys").display().to_string();
        all.extend(options.iter().map(|option| option.replace("KEYS", &keys)));
        let server = Self { root, options: all, process: None };
        for name in ["", "tmp", "keys"] {
            Self::give(&server.root.path().join(name));
        }
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(&server.options)
            .arg(format!("--datadir={}", server.datadir().display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server
    }

    pub(super) fn give(path: &Path) {
        let mysql = User::from_name("mysql").unwrap().expect("user mysql");
        chown(path, Some(mysql.uid.as_raw()), Some(mysql.gid.as_raw())).unwrap();
    }

    pub(super) fn datadir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.datadir().join("ib_logfile0")
    }

    pub(super) fn error_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.root.path().join("log")).unwrap()).into_owned()
    }

    pub(super) fn start(&mut self) {
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--skip-networking", "--skip-log-bin"])
            .args(&self.options)
            .arg(format!("--datadir={}", self.datadir().display()))
            .arg(format!("--socket={}", self.root.path().join("s").display()))
            .stdout(Stdio::null())
            .stderr(File::create(self.root.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let started = Instant::now();
        while self.try_sql("SELECT 1").is_err() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < Duration::from_secs(60), "{}", self.error_log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub(super) fn try_sql(&self, statement: &str) -> Result<String, String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-u", "root", "-N", "-B", "-e", statement, "--socket"])
            .arg(self.root.path().join("s"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(super) fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A status variable of InnoDB.
    pub(super) fn number(&self, name: &str) -> u64 {
        let line = self.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        line.trim().rsplit('\t').next().unwrap().parse().unwrap()
    }

    pub(super) fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().unwrap();
        kill(Pid::from_raw(process.id().cast_signed()), signal).unwrap();
        process.wait().unwrap();
    }

    /// Rows of a table of so many.
    pub(super) fn fill(&self, rows: u32) {
        self.sql(&format!(
            "CREATE DATABASE IF NOT EXISTS d; USE d; CREATE OR REPLACE TABLE t (a INT PRIMARY KEY, b VARCHAR(300), KEY (b)); \
             INSERT INTO t SELECT seq, REPEAT(MD5(seq), 6) FROM seq_1_to_{rows}; DELETE FROM t WHERE a % 3 = 0; \
             UPDATE t SET b = MD5(b) WHERE a % 5 = 0"
        ));
    }

    /// What can be told of the tables, when purge has ended: CHECK TABLE warns of index records whose rows it takes away meanwhile.
    pub(super) fn rows(&self) -> String {
        let begun = Instant::now();
        while self.number("Innodb_history_list_length") > 0 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sql("CHECKSUM TABLE d.t; CHECK TABLE d.t EXTENDED")
    }

    /// A copy of the whole server as it lies on the disk.
    pub(super) fn copy(&self) -> Self {
        let root = tempfile::Builder::new().prefix("redo-log-").tempdir_in("/tmp").unwrap();
        let output = Command::new("cp")
            .args(["-a", "--sparse=auto"])
            .arg(format!("{}/.", self.root.path().display()))
            .arg(root.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (old, new) = (self.root.path().display().to_string(), root.path().display().to_string());
        let options = self.options.iter().map(|option| option.replace(&old, &new)).collect();
        Self { root, options, process: None }
    }

    /// Puts in the log's place what a restore would make of it, and says how many bytes are stored.
    pub(super) fn trim(&self) -> u64 {
        let file = File::open(self.log()).unwrap();
        let size = file.metadata().unwrap().len();
        let live = LiveLog::read(&file).unwrap();
        fs::remove_file(self.log()).unwrap();
        let trimmed = File::create_new(self.log()).unwrap();
        trimmed.set_len(size).unwrap();
        let pieces = live.pieces();
        for (range, bytes) in &pieces {
            trimmed.write_all_at(bytes, range.start).unwrap();
        }
        Self::give(&self.log());
        let mut check = StoredLog::new(size, live.checkpoint().lsn, live.end_lsn());
        if size < 64 << 20 {
            check.update(&fs::read(self.log()).unwrap());
            assert_eq!(check.finish(), Ok(()));
        }
        assert!(trimmed.metadata().unwrap().blocks() * 512 < 1 << 20);
        pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
