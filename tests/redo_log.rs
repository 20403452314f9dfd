//! The redo log of real servers: what is stored of it, and servers that start on that.
//!
//! Run as root (the server runs as `mysql`): `cargo test --test redo_log -- --ignored`.

#![cfg(test)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;
use wsrep_sst_backup::innodb::redo::{LiveLog, LogHead, RedoError, StoredLog, pin_checkpoint};

/// A server without Galera, with a small buffer pool and a redo log of so many MiB.
struct Server {
    root: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl Server {
    fn install(log_mib: u32, options: &[&str]) -> Self {
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

    fn give(path: &Path) {
        let mysql = User::from_name("mysql").unwrap().expect("user mysql");
        chown(path, Some(mysql.uid.as_raw()), Some(mysql.gid.as_raw())).unwrap();
    }

    fn datadir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.datadir().join("ib_logfile0")
    }

    fn error_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.root.path().join("log")).unwrap()).into_owned()
    }

    fn start(&mut self) {
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

    fn try_sql(&self, statement: &str) -> Result<String, String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-u", "root", "-N", "-B", "-e", statement, "--socket"])
            .arg(self.root.path().join("s"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A status variable of InnoDB.
    fn number(&self, name: &str) -> u64 {
        let line = self.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        line.trim().rsplit('\t').next().unwrap().parse().unwrap()
    }

    fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().unwrap();
        kill(Pid::from_raw(process.id().cast_signed()), signal).unwrap();
        process.wait().unwrap();
    }

    /// Rows of a table of so many.
    fn fill(&self, rows: u32) {
        self.sql(&format!(
            "CREATE DATABASE IF NOT EXISTS d; USE d; CREATE OR REPLACE TABLE t (a INT PRIMARY KEY, b VARCHAR(300), KEY (b)); \
             INSERT INTO t SELECT seq, REPEAT(MD5(seq), 6) FROM seq_1_to_{rows}; DELETE FROM t WHERE a % 3 = 0; \
             UPDATE t SET b = MD5(b) WHERE a % 5 = 0"
        ));
    }

    /// What can be told of the tables, when purge has ended: CHECK TABLE warns of index records whose rows it takes away meanwhile.
    fn rows(&self) -> String {
        let begun = Instant::now();
        while self.number("Innodb_history_list_length") > 0 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sql("CHECKSUM TABLE d.t; CHECK TABLE d.t EXTENDED")
    }

    /// A copy of the whole server as it lies on the disk.
    fn copy(&self) -> Self {
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
    fn trim(&self) -> u64 {
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

/// Starts a server on a log of which only the live part is left, and looks at its rows and at its words.
fn assert_starts(server: &mut Server, rows: &str) {
    server.start();
    assert_eq!(server.rows(), rows);
    let log = server.error_log();
    for word in ["ERROR", "in the future", "crash recovery", "corrupt"] {
        assert!(!log.contains(word), "{log}");
    }
    server.fill(3000);
    server.end(Signal::SIGTERM);
}

const ENCRYPTED: [&str; 3] = [
    "--plugin-load-add=file_key_management",
    "--file-key-management-filename=KEYS",
    "--innodb-encrypt-log=ON",
];

#[test]
#[ignore = "needs a MariaDB server"]
fn a_server_starts_on_the_live_part_of_its_log_wherever_that_lies_in_the_ring() {
    for options in [&[][..], &ENCRYPTED] {
        let mut server = Server::install(8, options);
        server.start();
        for round in 0..3 {
            server.fill(9000 + 4000 * round);
            let lsn = server.number("Innodb_lsn_current");
            let rows = server.rows();
            server.end(Signal::SIGTERM);
            let live = LiveLog::read(&File::open(server.log()).unwrap()).unwrap();
            // Purge goes on behind the statements, for longer on a busy machine.
            assert!(live.end_lsn() >= lsn, "{} {lsn}", live.end_lsn());
            assert!(server.trim() < 64 << 10);
            assert_starts(&mut server, &rows);
            server.start();
        }
        assert!(server.number("Innodb_lsn_current") > 16 << 20, "it went round");
    }
}

#[test]
#[ignore = "needs a MariaDB server"]
fn an_idle_log_of_a_gibibyte_is_a_few_blocks_and_damage_makes_it_whole() {
    let mut server = Server::install(1024, &[]);
    server.start();
    server.fill(2000);
    let rows = server.rows();
    server.end(Signal::SIGTERM);
    let stored = server.trim();
    assert!(stored <= 20 << 10, "{stored} bytes");
    assert_eq!(fs::metadata(server.log()).unwrap().len(), 1 << 30);
    let checkpoint = LiveLog::read(&File::open(server.log()).unwrap()).unwrap().checkpoint();
    // The damaged places are those that a start would read, and the server refuses them as well.
    for place in [100, checkpoint.lsn + 3] {
        let file = File::options().read(true).write(true).open(server.log()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 16], place).unwrap();
        let error = LiveLog::read(&file).err().expect("the damage is seen");
        assert!(matches!(error, RedoError::Head(_) | RedoError::Short { .. }), "{error}");
        file.write_all_at(&byte, place).unwrap();
    }
    assert_starts(&mut server, &rows);
}

/// Copies made while the server writes pages and checkpoints, the log last: a server that starts on them recovers.
#[test]
#[ignore = "needs a MariaDB server"]
fn a_checkpoint_between_the_copies_is_taken_out_of_that_of_the_log() {
    let mut server =
        Server::install(16, &["--innodb-max-dirty-pages-pct=90", "--innodb-max-dirty-pages-pct-lwm=0"]);
    server.start();
    server.fill(12_000);
    let head = LogHead::read(&File::open(server.log()).unwrap()).unwrap();
    let (rows, lsn) = (server.rows(), server.number("Innodb_lsn_flushed"));
    // The data files as they are on the disk: most pages are in memory only.
    let mut copy = server.copy();
    server.sql("SET GLOBAL innodb_max_dirty_pages_pct=0, GLOBAL innodb_log_checkpoint_now=ON");
    let newer = LogHead::read(&File::open(server.log()).unwrap()).unwrap().newest();
    assert!(newer.lsn > head.newest().lsn, "there is a newer checkpoint");
    fs::copy(server.log(), copy.log()).unwrap();
    // As it is now, the server's checkpoint would hide what the copied files lack.
    let file = File::options().read(true).write(true).open(copy.log()).unwrap();
    assert_eq!(LogHead::read(&file).unwrap().newest(), newer);
    let pinned = pin_checkpoint(&head, &file, lsn).unwrap();
    assert_eq!((pinned.checkpoint, pinned.taken_out), (head.newest(), Some(newer)));
    assert!(pinned.end_lsn >= lsn);
    copy.start();
    assert_eq!(copy.rows(), rows);
    let log = copy.error_log();
    assert!(log.contains("crash recovery") && !log.contains("ERROR"), "{log}");
    // When the ring has gone round there is nothing left to recover from.
    for _ in 0..3 {
        server.fill(20_000);
    }
    fs::copy(server.log(), copy.root.path().join("late")).unwrap();
    let late = File::options().read(true).write(true).open(copy.root.path().join("late")).unwrap();
    let error = pin_checkpoint(&head, &late, lsn).unwrap_err().to_string();
    assert!(error.contains("has written over it"), "{error}");
}
