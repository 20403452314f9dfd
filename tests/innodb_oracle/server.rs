//! One MariaDB server without Galera, on a data directory of its own, with tables of every kind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;
use wsrep_sst_backup::innodb::PageChecker;

const PLUGINS: &str = "/usr/lib/mysql/plugin";

/// A data directory under /tmp, with the options that every start of its server needs.
pub(crate) struct Datadir {
    pub(crate) root: TempDir,
    options: Vec<String>,
}

impl Datadir {
    pub(crate) fn install(algorithm: &str, page_size: usize) -> Self {
        let root = tempfile::Builder::new().prefix("innodb-oracle-").tempdir_in("/tmp").unwrap();
        let mysql = User::from_name("mysql").unwrap().expect("user mysql");
        let keys = root.path().join("keys");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&keys, "1;770A8A65DA156D24EE2A093277530142\n").unwrap();
        let tmpdir = root.path().join("tmp");
        fs::create_dir(&tmpdir).unwrap();
        for path in [root.path(), &keys, &tmpdir] {
            chown(path, Some(mysql.uid.as_raw()), Some(mysql.gid.as_raw())).unwrap();
        }
        let mut options = vec![
            format!("--innodb-checksum-algorithm={algorithm}"),
            format!("--innodb-page-size={page_size}"),
            format!("--datadir={}", root.path().join("data").display()),
            format!("--tmpdir={}", tmpdir.display()),
            format!("--innodb-data-file-path=ibdata1:{}M;ibdata2:7M:autoextend", first_file(page_size) >> 20),
        ];
        let fixed = "--user=mysql --innodb-buffer-pool-size=32M --innodb-log-file-size=8M \
                     --innodb-undo-tablespaces=2";
        options.extend(fixed.split_whitespace().map(String::from));
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(&options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for plugin in ["file_key_management", "provider_lz4"] {
            if Path::new(PLUGINS).join(plugin).with_extension("so").exists() {
                options.push(format!("--plugin-load-add={plugin}"));
            }
        }
        options.push(format!("--loose-file-key-management-filename={}", keys.display()));
        Self { root, options }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn has(&self, plugin: &str) -> bool {
        self.options.contains(&format!("--plugin-load-add={plugin}"))
    }

    pub(crate) fn start(&self) -> Server {
        let socket = self.root.path().join("s");
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--skip-networking", "--skip-log-bin"])
            .args(&self.options)
            .arg(format!("--socket={}", socket.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.root.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Server { process, socket };
        let started = Instant::now();
        while server.try_sql("SELECT 1").is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Every tablespace file, as (path, bytes).
    pub(crate) fn tablespaces(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.path()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if PageChecker::is_tablespace(path.to_str().unwrap()) {
                    let bytes = fs::read(&path).unwrap();
                    found.push((path, bytes));
                }
            }
        }
        found.sort();
        found
    }

    /// The pages that innochecksum complains about in `file`, a copy of `original`.
    pub(crate) fn innochecksum(&self, file: &Path, original: &Path) -> BTreeSet<u64> {
        let mut command = Command::new("innochecksum");
        if original.ends_with("ibdata2") {
            let first = fs::read(self.path().join("ibdata1")).unwrap();
            let flags = u32::from_be_bytes(*first[54..].first_chunk().unwrap());
            command.arg(format!("--tablespace-flags={flags}"));
        }
        let options = ["--skip-freed-pages", "--allow-mismatches=1000000"];
        let output = command.args(options).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let page = |line: &str| line.strip_prefix("Fail: page::")?.split(' ').next()?.parse().ok();
        let pages: BTreeSet<u64> = text.lines().filter_map(page).collect();
        assert!(output.status.success() || !pages.is_empty(), "{}: {text}", original.display());
        pages
    }
}

/// Bytes of `ibdata1`. It must hold the doublewrite buffer, which is larger for larger pages.
pub(crate) fn first_file(page_size: usize) -> usize {
    if page_size > 16384 { 12 << 20 } else { 5 << 20 }
}

/// A running server; dropping it shuts it down cleanly and waits for that.
pub(crate) struct Server {
    process: Child,
    socket: PathBuf,
}

impl Server {
    fn try_sql(&self, statement: &str) -> Result<String, String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-u", "root", "-N", "-B", "-e", statement, "--socket"])
            .arg(&self.socket)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tables of every kind that this server allows, with deleted rows and dropped indexes behind them.
pub(crate) fn fill(server: &Server, datadir: &Datadir, page_size: usize) {
    let mut kinds: Vec<(&str, String)> =
        [("plain", ""), ("redundant", "ROW_FORMAT=REDUNDANT"), ("zlib", "PAGE_COMPRESSED=1")]
            .map(|(name, options)| (name, options.to_string()))
            .into();
    for size in [1, 2, 4, 8, 16].into_iter().filter(|size| size << 10 <= page_size && page_size <= 16384) {
        kinds.push(("zip", format!("ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={size}")));
    }
    if datadir.has("file_key_management") {
        let encrypted = kinds.clone().into_iter().map(|(name, options)| (name, options + " ENCRYPTED=YES"));
        kinds.extend(encrypted.collect::<Vec<_>>());
    }
    let rows = |(number, (name, options)): (usize, &(&str, String))| {
        format!(
            "CREATE TABLE {name}{number} (a INT PRIMARY KEY, b CHAR(32), c TEXT, KEY k (b)) {options};
             INSERT INTO {name}{number} SELECT seq, MD5(seq), REPEAT(MD5(seq), 5) FROM seq_1_to_700;
             DELETE FROM {name}{number} WHERE a BETWEEN 100 AND 400; DROP INDEX k ON {name}{number};"
        )
    };
    let mut all = String::from("CREATE DATABASE d; USE d;");
    all.extend(kinds.iter().enumerate().map(rows));
    all += "CREATE TABLE blobs (a INT PRIMARY KEY, b LONGBLOB);
        INSERT INTO blobs SELECT seq, REPEAT(MD5(seq), 4000) FROM seq_1_to_12;
        CREATE TABLE words (a INT PRIMARY KEY, b TEXT, FULLTEXT (b));
        INSERT INTO words SELECT seq, CONCAT('word', seq, ' and ', MD5(seq)) FROM seq_1_to_500;
        CREATE TABLE parts (a INT PRIMARY KEY, b CHAR(99)) PARTITION BY HASH (a) PARTITIONS 3;
        INSERT INTO parts SELECT seq, seq FROM seq_1_to_900;
        CREATE TABLE points (a INT PRIMARY KEY, p POINT NOT NULL, SPATIAL INDEX (p));
        INSERT INTO points SELECT seq, POINT(seq, seq MOD 17) FROM seq_1_to_900;
        SET GLOBAL innodb_file_per_table=OFF; CREATE TABLE inside (a INT PRIMARY KEY, b TEXT);
        INSERT INTO inside SELECT seq, REPEAT(MD5(seq), 40) FROM seq_1_to_5000;
        SET GLOBAL innodb_file_per_table=ON;";
    if datadir.has("provider_lz4") {
        all += "SET GLOBAL innodb_compression_algorithm='lz4';
            CREATE TABLE lz4 PAGE_COMPRESSED=1 SELECT * FROM words;";
    }
    server.sql(&all);
}
