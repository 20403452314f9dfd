//! A node of its own cluster in a root, started by hand as systemd starts it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::package::root::Root;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: &str = "[mysqld]
wsrep_on=ON
wsrep_provider=/usr/lib/galera/libgalera_smm.so
wsrep_cluster_name=deb
wsrep_cluster_address=gcomm://
wsrep_node_name=db1
wsrep_node_address=127.0.0.1
binlog_format=ROW
innodb_log_file_size=16M
log_error=/var/lib/mysql/error.log
";

/// A server that runs. Dropping it stops it.
pub(crate) struct Node<'a> {
    root: &'a Root,
    /// Where mysqld looks for programs; none for what systemd sets.
    path: Option<String>,
    server: Option<Child>,
}

impl<'a> Node<'a> {
    /// Starts it with the distribution's own option files, and the little that a node needs.
    #[track_caller]
    pub(crate) fn start(root: &'a Root, path: Option<&str>) -> Self {
        std::fs::write(root.path("/etc/mysql/mariadb.conf.d/70-node.cnf"), SETTINGS).expect("an option file");
        root.sh("install -d -o mysql -g mysql /run/mysqld");
        let mut command = root.command("mariadbd");
        command.envs(path.map(|path| ("PATH", path)));
        let server = command
            .args(["--user=mysql", "--wsrep-new-cluster"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start mariadbd");
        let mut node = Self { root, path: path.map(ToOwned::to_owned), server: Some(server) };
        assert!(wait_until(PATIENCE, || node.is_synced()), "the node is not Synced:\n{}", node.log());
        node
    }

    fn is_synced(&mut self) -> bool {
        let state = self.root.attempt("mariadb -NBe \"SHOW STATUS LIKE 'wsrep_local_state_comment'\"");
        let ended = self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)));
        assert!(!ended, "mariadbd has ended:\n{}", self.log());
        String::from_utf8_lossy(&state.stdout).contains("Synced")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.path("/var/lib/mysql/error.log")).unwrap_or_default()
    }

    /// The same server anew, after something has been done while it was down.
    #[track_caller]
    pub(crate) fn restart_after(mut self, work: impl FnOnce(&Root) -> String) -> Self {
        self.stop();
        work(self.root);
        Node::start(self.root, self.path.as_deref())
    }

    /// `garbd --sst backup:REQUEST`; the request of the backup that has come of it, if one has.
    #[track_caller]
    pub(crate) fn back_up(&self, request: &str) -> Option<String> {
        self.transfer("backup", request)
    }

    /// The same with another method.
    #[track_caller]
    pub(crate) fn transfer(&self, method: &str, request: &str) -> Option<String> {
        let before = self.log().matches("DONOR/DESYNCED -> JOINED").count();
        let garbd = format!(
            "cd /tmp && timeout 60 garbd --address gcomm://127.0.0.1:4567 --group deb --donor db1 --sst {method}:{request} \
             --options 'gmcast.listen_addr=tcp://127.0.0.1:4444;pc.weight=0'"
        );
        // garbd loses a request now and then; the donor's log tells.
        for _ in 0..3 {
            self.root.sh(&garbd);
            let end = Instant::now() + Duration::from_secs(20);
            let done = || self.log().matches("DONOR/DESYNCED -> JOINED").count() > before;
            if wait_until(end - Instant::now(), done) {
                return manifests(self.root)
                    .into_iter()
                    .filter_map(|manifest| manifest["request"].as_str().map(ToOwned::to_owned))
                    .find(|made| made == request);
            }
        }
        panic!("no donor for '{request}':\n{}", self.log());
    }

    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if let Ok(pid) = i32::try_from(server.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if !wait_until(PATIENCE, || !matches!(server.try_wait(), Ok(None))) {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Every manifest in the repository, as it lies there.
pub(crate) fn manifests(root: &Root) -> Vec<Value> {
    let folder = root.path("/var/backups/wsrep_sst_backup");
    let found = Command::new("find").arg(&folder).args(["-name", "manifest.json"]).output().expect("find");
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let read = |name: &str| serde_json::from_slice(&std::fs::read(Path::new(name)).ok()?).ok();
    text.lines().filter_map(read).collect()
}
