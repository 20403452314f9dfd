//! A mysqld that follows a script: it starts the program as a donor and answers as it is told to.
//!
//! What it passes and how it reacts follows `sst_donate_other()` and `sst_donor_thread()` of MariaDB's
//! `sql/wsrep_sst.cc`: a shell line with values in single quotes, the data directory as working directory, umask
//! 0006, spare copies of stdout and of `grastate.dat` left open, `tables_flushed` written aside and renamed.
//! No server is needed, so every fault can be played at the moment that hurts.
//!
//! ```ignore
//! let server = ScriptedMysqld::new();
//! let outcome = server.asks().reply(Reply::twice("…:6 0")).run();
//! assert_eq!(outcome.stdout, "flush tables\ncontinue\ndone …:6 0\n");
//! ```

mod ask;
mod backup;
mod ear;
mod run;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use ask::{Ask, Stdin};
pub use backup::{Backup, shell};
pub use ear::{Heard, Reply};
pub use run::{Outcome, Run};

use super::noise;

/// The history that the scripted cluster lives in.
pub const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
/// What `--gtid` says unless a test says otherwise; the files stand one further.
pub const ASKED: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:5";
/// What `tables_flushed` says unless a test says otherwise.
pub const PAUSED: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0";

/// Files of a small server; no valid InnoDB, which a copy does not need. All-zero pages are unused ones.
const FILES: [(&str, usize); 14] = [
    ("ibdata1", 128 << 10),
    ("ib_logfile0", 64 << 10),
    ("undo001", 64 << 10),
    ("aria_log_control", 52),
    ("aria_log.00000001", 16 << 10),
    ("ib_buffer_pool", 300),
    ("mysql_upgrade_info", 0),
    ("mysql/db.opt", 65),
    ("mysql/general_log.CSV", 700),
    ("mysql/user.frm", 900),
    ("mysql/global_priv.MAD", 8 << 10),
    ("mysql/global_priv.MAI", 8 << 10),
    ("db/t.frm", 1000),
    ("db/t.ibd", 96 << 10),
];

/// A server's files and the option file that it was started with, in a folder of its own.
#[derive(Debug)]
pub struct ScriptedMysqld {
    folder: TempDir,
}

impl Default for ScriptedMysqld {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedMysqld {
    /// A server of the cluster `scripted`, named `donor1`.
    pub fn new() -> Self {
        Self::below("/tmp")
    }

    /// The same with its folder in this one.
    pub fn below(place: impl AsRef<Path>) -> Self {
        let folder = tempfile::Builder::new().prefix("wsm-").tempdir_in(place).expect("cannot make a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("cannot chmod");
        let server = Self { folder };
        fs::create_dir(server.datadir()).expect("cannot make the data directory");
        for (name, bytes) in FILES {
            let content: Vec<u8> = match name.rsplit('.').next() {
                Some("ibd" | "ibdata1" | "undo001") => vec![0; bytes],
                _ => (0..bytes).map(|at| b'a' + u8::try_from(at % 23).unwrap_or(0)).collect(),
            };
            server.write(name, content);
        }
        server.write("mysql_upgrade_info", "10.11.19-MariaDB");
        server.write(
            "grastate.dat",
            format!("# GALERA saved state\nversion: 2.1\nuuid:    {UUID}\nseqno:   -1\n"),
        );
        fs::create_dir(server.datadir().join("emptydb")).expect("cannot make a database");
        server.configure("mysqld", "wsrep_cluster_name=scripted\nwsrep_node_name=donor1");
        let repository = format!("repository={}\nthreads=1", server.repository().display());
        server.configure("wsrep_sst_backup", &repository);
        server
    }

    /// The same server as another node of the cluster.
    pub fn named(self, node: &str) -> Self {
        self.configure("mysqld", &format!("wsrep_node_name={node}"));
        self
    }

    /// A place beside the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    pub fn datadir(&self) -> PathBuf {
        self.path("data")
    }

    /// The repository that the option file names.
    pub fn repository(&self) -> PathBuf {
        self.path("repo")
    }

    /// The option file.
    pub fn cnf(&self) -> PathBuf {
        self.path("my.cnf")
    }

    /// The socket that mysqld names; nobody listens unless a test does.
    pub fn socket(&self) -> PathBuf {
        self.path("s")
    }

    /// The error log, where stderr is that ([`Ask::error_log`]).
    pub fn error_log(&self) -> PathBuf {
        self.path("error.log")
    }

    /// What `strace` writes ([`Ask::strace`]).
    pub fn trace(&self) -> PathBuf {
        self.path("trace")
    }

    /// mysqld writes to its error log.
    pub fn log(&self, lines: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.error_log());
        let written = file.and_then(|mut file| writeln!(file, "{lines}"));
        written.expect("cannot write the error log");
    }

    /// Appends lines to a group of the option file; a later one wins.
    pub fn configure(&self, group: &str, lines: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.cnf());
        let written = file.and_then(|mut file| write!(file, "[{group}]\n{lines}\n"));
        written.expect("cannot write my.cnf");
    }

    /// Writes a file of the data directory, with the directories above it.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        write_at(&self.datadir().join(name), content)
    }

    /// Writes a file beside the data directory, with the directories above it.
    pub fn write_outside(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write_at(&self.path(name), content)
    }

    /// Data that takes the program about a second for 10 MiB, so that it can be met while it copies: bytes that do
    /// not compress, for one thread of bzip2.
    pub fn make_slow(&self, mebibytes: usize) {
        self.write("db/noise.MYD", noise(mebibytes << 20, 1));
        self.configure("wsrep_sst_backup", "compression=bzip2");
    }

    /// The start of a state transfer, to be told apart from the usual one before it runs.
    pub fn asks(&self) -> Ask<'_> {
        Ask::new(self)
    }

    /// The folders of backups and attempts in the repository, sorted.
    pub fn attempts(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        let mut found: Vec<PathBuf> = list(&self.repository()).iter().flat_map(|path| list(path)).collect();
        found.sort();
        found
    }

    /// `status.json` of the newest run; null while there is none.
    pub fn status(&self) -> serde_json::Value {
        let file = self.attempts().pop().map(|folder| folder.join("status.json"));
        let text = file.and_then(|file| fs::read(file).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// The one backup of the repository.
    pub fn backup(&self) -> Backup {
        let attempts = self.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        Backup::open(&attempts[0])
    }
}

fn write_at(path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let parent = path.parent().expect("a file has a parent");
    fs::create_dir_all(parent).unwrap_or_else(|e| panic!("cannot make '{}': {e}", parent.display()));
    fs::write(path, content).unwrap_or_else(|e| panic!("cannot write '{}': {e}", path.display()));
    path.to_owned()
}

/// Names in a folder, hidden ones too, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
