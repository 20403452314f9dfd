//! Our program as an administrator runs it: its commands on a cluster's repository, and what is in the archives,
//! read with the tools of the distribution.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::PATIENCE;
use super::archive::shell;
pub use super::archive::{Archive, check_sums};
use super::cluster::Cluster;
use super::cnf::{CLUSTER_NAME, ClusterOptions};
use super::garbd::Garbd;
use super::log::{Join, Position};
use super::node::Node;
use super::root::Root;
use super::server::Server;

/// The folder of the repository inside of a cluster's folder, as [`with_program`] sets it.
const REPOSITORY: &str = "repository";

/// Options of a cluster whose donors run the program under test; `root` is its account.
pub fn with_program(options: ClusterOptions, program: &str) -> ClusterOptions {
    options
        .provider("evs.join_retrans_period=PT0.2S")
        .provider("evs.inactive_check_period=PT0.1S")
        .provider("evs.keepalive_period=PT0.2S")
        .binary(program)
        .group("wsrep_sst_backup", &format!("repository={{base}}/{REPOSITORY}"))
        .group("wsrep_sst_backup", "user=root")
}

/// The program and the repository that a cluster's donors write to.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    repository: PathBuf,
    root: Root,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; none after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// The program of a cluster started with [`with_program`]; makes the repository.
    pub fn of(cluster: &Cluster) -> Self {
        Self { path: cluster.program(), repository: cluster.make_dir(REPOSITORY), root: Root::default() }
    }

    /// The same where commands run in another root directory, and find the server there.
    pub fn within(&self, root: &Root) -> Self {
        Self { path: self.path.clone(), repository: self.repository.clone(), root: root.clone() }
    }

    /// The repository.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    fn command(&self, words: &[&str]) -> Command {
        let path = self.path.to_str().expect("paths of tests are UTF-8");
        let mut command = self.root.command(path, []);
        command
            .args(words)
            .arg("--repository")
            .arg(&self.repository)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The words of a command line on a server's machine, by that server's option file.
    pub fn on(&self, server: &Server, words: &[&str]) -> Command {
        let mut command = self.command(&[words[0]]);
        command.arg("--defaults-file").arg(server.cnf()).args(&words[1..]).env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output();
        ran(&output.unwrap_or_else(|e| panic!("cannot run '{}': {e}", self.path.display())))
    }

    /// Starts a command and does not wait for it.
    pub fn spawn(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap_or_else(|e| panic!("cannot run '{}': {e}", self.path.display()))
    }

    /// Runs a command that must succeed; its standard output.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.status, Some(0), "{words:?} failed\n{}{}", ran.out, ran.err);
        ran.out
    }

    /// Runs a command that must succeed with `--json`; what it printed.
    pub fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?} printed no JSON: {e}\n{text}"))
    }

    /// The manifests, oldest first, read from the repository's files.
    pub fn manifests(&self) -> Vec<Value> {
        let folder = self.repository.join(CLUSTER_NAME);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .map(|listing| listing.map(|e| e.unwrap().path().join("manifest.json")).collect())
            .unwrap_or_default();
        files.retain(|file| file.is_file());
        files.sort();
        files
            .iter()
            .map(|file| serde_json::from_slice(&fs::read(file).unwrap()).expect("a manifest is JSON"))
            .collect()
    }

    /// The newest manifest.
    pub fn newest(&self) -> Value {
        self.manifests().pop().unwrap_or_else(|| panic!("no backup in '{}'", self.repository.display()))
    }

    /// Has a node take a backup, which must be a new one at the position where the server says it paused.
    pub fn back_up(&self, cluster: &Cluster, donor: usize) -> Value {
        let before = self.manifests().len();
        let outcome = Garbd::backup_and_wait(cluster, donor, None, PATIENCE);
        let donor = cluster.n(donor);
        let mut manifests = self.manifests();
        assert_eq!(manifests.len(), before + 1, "{}", donor.log_since(outcome.donor_mark));
        let manifest = manifests.pop().expect("just counted");
        assert_eq!(Some(gtid(&manifest)), donor.frozen_since(outcome.donor_mark));
        let flush = number(&manifest, "/flush_ms");
        eprintln!("{}: frozen {} ms, flush {flush} ms", text(&manifest, "/id"), manifest["frozen_ms"]);
        manifest
    }

    /// Restores a backup, which must succeed; what was outside of the data directory, but in the folder of the test, goes
    /// back there. What the program said.
    pub fn restore(&self, manifest: &Value, to: &Path, more: &[&str]) -> String {
        let to = to.to_str().expect("paths of tests are UTF-8");
        let scratch = self.repository.parent().and_then(Path::to_str).expect("the folder of the test");
        self.ok(&[&["restore", text(manifest, "/id"), "--to", to, "--external", scratch], more].concat())
    }

    /// The archive of a backup.
    pub fn archive(&self, manifest: &Value) -> Archive {
        let folder = self.repository.join(CLUSTER_NAME).join(text(manifest, "/id"));
        Archive { path: folder.join(text(manifest, "/archive/name")), index: folder.join("index.json.zst") }
    }

    /// Everything in the repository, as paths relative to it.
    pub fn files(&self) -> BTreeSet<String> {
        let found = shell("find . -type f -printf '%P\\n'", &[("", &self.repository)]);
        found.lines().map(str::to_owned).collect()
    }
}

fn ran(output: &Output) -> Ran {
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// What is left of a child.
    pub fn finish(child: Child) -> Self {
        ran(&child.wait_with_output().expect("cannot wait for the program"))
    }
}

/// A text in a JSON document.
pub fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text {pointer} in {document:#}"))
}

/// A number in a JSON document.
pub fn number(document: &Value, pointer: &str) -> i64 {
    let found = document.pointer(pointer).and_then(Value::as_i64);
    found.unwrap_or_else(|| panic!("no number {pointer} in {document:#}"))
}

/// The position `gtid` of a manifest, of an index header, or of `wsrep_sst_backup.json`.
pub fn gtid(document: &Value) -> Position {
    Position { uuid: text(document, "/gtid/uuid").to_owned(), seqno: number(document, "/gtid/seqno") }
}

/// The position that the index of an archive says, in its first line or in its last.
pub fn index_gtid(archive: &Archive) -> Position {
    let lines = archive.index();
    let header = &lines.first().expect("it has lines")["index"];
    gtid(if header["gtid"].is_object() { header } else { &lines.last().expect("it has lines")["end"] })
}

/// The warnings of a manifest in one text.
pub fn warnings(manifest: &Value) -> String {
    let list = manifest["warnings"].as_array().expect("a manifest has warnings, maybe none");
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// Starts a node that was rebuilt from a backup: it must begin at the backup's position and lack only write sets.
pub fn rejoin_by_ist(node: &Node, manifest: &Value) {
    let mark = node.log_mark();
    let Join::Ist { local, first, last, evidence } = node.rejoin() else {
        panic!("{} did not join by IST: {:?}\n{}", node.name(), node.join_since(mark), node.log_tail());
    };
    assert_eq!((&local, first), (&gtid(manifest), number(manifest, "/gtid/seqno") + 1), "{evidence}");
    eprintln!("{}: IST {first}-{last}", node.name());
}

/// Restores a backup of a server that crashed on a node: the first step that `restore` prints finds the position of the manifest; then the node
/// joins by IST.
pub fn recover_and_rejoin(program: &Program, node: &Node, manifest: &Value) {
    node.stop();
    node.wipe_datadir();
    let said = program.restore(manifest, &node.datadir(), &[]);
    let step = said.lines().find(|line| line.contains("--wsrep-recover")).unwrap_or_else(|| panic!("{said}"));
    assert!(step.trim_start().starts_with("1. "), "{said}");
    node.own_datadir();
    let (_, line) = step.split_once("  mariadbd ").expect("it is a command");
    let (line, _) = line.split_once("  - it must say").expect("and what it says");
    let line = format!("mariadbd --defaults-file={} {line}", node.cnf().display());
    let output = Command::new("sh").arg("-c").arg(line).output().expect("cannot run sh");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = found.lines().find_map(|line| Position::parse(line.split_once("Recovered position: ")?.1));
    assert_eq!(found, Some(gtid(manifest)), "{output:?}");
    node.own_datadir();
    rejoin_by_ist(node, manifest);
}

/// Bytes of a file that are really on disk, and its length.
pub fn blocks_and_length(path: &Path) -> (u64, u64) {
    let data = fs::metadata(path).unwrap_or_else(|e| panic!("'{}': {e}", path.display()));
    (data.blocks() * 512, data.len())
}

/// Processes that run the program from this folder, other than commands that the test itself has started.
pub fn donors_running(cluster: &Cluster) -> Vec<String> {
    let program = cluster.program();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == program))
        .map(|process| process.path().display().to_string())
        .collect()
}

/// The position that a server finds when it recovers these files, which belong to the servers' account, by this option file; and what it said.
pub fn recovered_position(cnf: &Path, datadir: &Path) -> (Option<Position>, String) {
    let log = datadir.join("recover.log");
    let output = Command::new("mariadbd")
        .arg(format!("--defaults-file={}", cnf.display()))
        .arg(format!("--datadir={}", datadir.display()))
        .args(["--wsrep-recover", "--skip-networking"])
        .args(["socket", "pid-file"].map(|name| format!("--{name}={}", datadir.join(name).display())))
        .arg(format!("--log-error={}", log.display()))
        .output()
        .expect("no mariadbd here: run scripts/install-deps");
    let said =
        fs::read_to_string(&log).unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into_owned());
    let _ = fs::remove_file(log);
    let found =
        said.lines().rev().find_map(|line| Position::parse(line.split_once("Recovered position: ")?.1));
    (found, said)
}

/// The same command line under `strace -f` with these options, which can make system calls fail or take their time; each thread counts its own.
/// It is the process that is started, and strace one beside it, which writes to `trace`.
pub fn under_strace(command: &Command, options: &str, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-D", "-f", "-qq", "-o"]).arg(trace).args(options.split(' '));
    strace.arg(command.get_program()).args(command.get_args()).env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.env("PATH", "/usr/bin:/bin").current_dir("/");
    strace.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    strace
}
