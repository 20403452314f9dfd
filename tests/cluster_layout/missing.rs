//! A server whose files are behind links, not mounted, gone, or written to under the freeze.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::SystemTime;

use serde_json::Value;

use super::options;
use super::support::fixtures::fill_bulk;
use super::support::program::warnings;
use super::support::{Cluster, DonorProgram, Garbd, Node, PATIENCE, Program, wait_until};

/// A single node, with its system tablespace on another disk.
struct Stage {
    cluster: Cluster,
    program: Program,
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn what_a_server_lacks_is_refused_before_the_freeze_and_what_moves_under_it_is_named() {
    let stage = Stage::start();
    let manifest = stage.a_whole_backup();
    stage.a_directory_that_is_not_mounted();
    stage.a_tablespace_that_is_gone();
    stage.a_tablespace_that_is_written_to();
    stage.restore(&manifest);
}

impl Stage {
    fn start() -> Self {
        let options = options().mysqld("innodb_undo_tablespaces=2");
        let cluster = Cluster::start(1, &options);
        let node = cluster.n(1);
        fill_bulk(node, "orders", 8);
        let far = node.outside_dir("far");
        node.exec("CREATE DATABASE d");
        for table in ["kept", "discarded", "dropped"] {
            node.exec(&format!(
                "CREATE TABLE d.{table} (i INT PRIMARY KEY) ENGINE=InnoDB DATA DIRECTORY='{}'",
                far.display()
            ));
            node.exec(&format!("INSERT INTO d.{table} VALUES (1), (2)"));
        }
        node.exec("CREATE TABLE d.lost (i INT PRIMARY KEY) ENGINE=InnoDB");
        // Neither is a reason to refuse a healthy server.
        node.exec("ALTER TABLE d.discarded DISCARD TABLESPACE");
        node.exec("DROP TABLE d.dropped");
        node.stop();
        let system = node.outside_dir("system").join("ibdata1");
        fs::rename(node.datadir().join("ibdata1"), &system).unwrap();
        symlink(&system, node.datadir().join("ibdata1")).unwrap();
        let stage = Self { program: Program::of(&cluster), cluster };
        stage.start_node();
        stage
    }

    fn node(&self) -> &Node {
        self.cluster.n(1)
    }

    fn start_node(&self) {
        self.node().start(true);
        self.node().wait_synced(PATIENCE);
    }

    /// `check` as root, with the node's own option file.
    fn check(&self) -> Vec<Value> {
        let file = format!("--defaults-file={}", self.node().cnf().display());
        let ran = self.program.run(&["check", "--json", "--sample", "0", &file]);
        let all: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        let findings = all["findings"].as_array().unwrap();
        findings.iter().filter(|finding| finding["topic"] == "files").cloned().collect()
    }

    #[track_caller]
    fn assert_checked(&self, level: &str, text: &str) {
        let found = self.check();
        let fits = |f: &&Value| f["level"] == level && f["text"].as_str().unwrap().contains(text);
        assert!(found.iter().any(|finding| fits(&finding)), "no {level} '{text}' in {found:#?}");
    }

    fn a_whole_backup(&self) -> Value {
        let manifest = self.program.back_up(&self.cluster, 1);
        assert_eq!(warnings(&manifest), "");
        assert!(self.program.ok(&["verify", "latest"]).contains("is intact"));
        // orders, kept, lost, two of undo, the system tablespace, and those of the schema `mysql`.
        self.assert_checked("ok", "tablespaces that the server names are among them");
        let log = self.node().log();
        let named = log.rsplit_once(" tablespaces that the server names").unwrap().0;
        let count: u32 = named.rsplit_once("all ").unwrap().1.parse().unwrap();
        // Before MariaDB 10.6 the table is that of the dictionary, which has the discarded one too.
        let told = self.node().scalar(
            "SELECT COUNT(*) FROM information_schema.INNODB_SYS_TABLESPACES \
             WHERE NAME NOT IN ('innodb_temporary', 'd/discarded')",
        );
        assert_eq!(count.to_string(), told);
        manifest
    }

    /// The node is asked for a backup, and refuses without having been frozen.
    #[track_caller]
    fn assert_refused(&self, message: &str) {
        let before = self.program.manifests().len();
        let outcome = Garbd::backup_and_wait(&self.cluster, 1, None, PATIENCE);
        let log = self.node().log_since(outcome.donor_mark);
        assert!(log.contains(message), "{log}");
        assert_eq!(self.node().paused_since(outcome.donor_mark), []);
        assert_eq!(self.program.manifests().len(), before);
        self.assert_checked("error", message);
    }

    fn a_directory_that_is_not_mounted(&self) {
        let (far, away) = (self.node().dir().join("far"), self.node().dir().join("away"));
        fs::rename(&far, &away).unwrap();
        let message = format!("d/kept.isl' names '{}", far.display());
        self.assert_refused(&message);
        // Also where the server was started without it.
        self.node().stop();
        self.start_node();
        self.assert_refused(&message);
        self.node().stop();
        fs::rename(&away, &far).unwrap();
        self.start_node();
    }

    fn a_tablespace_that_is_gone(&self) {
        // Opened, so that the server knows it.
        self.node().exec("INSERT INTO d.lost VALUES (1)");
        let (table, away) = (self.node().datadir().join("d/lost.ibd"), self.node().dir().join("lost.ibd"));
        fs::rename(&table, &away).unwrap();
        self.assert_refused(&format!("'{}', which the server names, is not there", table.display()));
        fs::rename(&away, &table).unwrap();
    }

    /// Its time is enough: nothing may write to it.
    fn a_tablespace_that_is_written_to(&self) {
        let node = self.node();
        let cnf = fs::read_to_string(node.cnf()).unwrap();
        fs::write(node.cnf(), format!("{cnf}\n[wsrep_sst_backup]\nmethod=freeze\nlimit-rate=8M\n")).unwrap();
        let garbd = std::thread::scope(|scope| {
            let asked = scope.spawn(|| Garbd::backup_and_wait(&self.cluster, 1, None, PATIENCE));
            let program = DonorProgram::wait(&self.cluster);
            // The system tablespace is read last, behind its link.
            let reading = wait_until(PATIENCE, || program.reads("ibdata1"));
            assert!(reading, "ibdata1 is not read\n{}", node.log_tail());
            let table = File::options().write(true).open(node.datadir().join("d/lost.ibd")).unwrap();
            table.set_modified(SystemTime::now()).unwrap();
            asked.join().unwrap()
        });
        fs::write(node.cnf(), cnf).unwrap();
        let log = node.log_since(garbd.donor_mark);
        assert!(log.contains("d/lost.ibd' was written to while the server was frozen"), "{log}");
        assert_eq!(self.program.manifests().len(), 1);
        assert_eq!(log.matches("the server is frozen at").count(), 1);
        node.exec("INSERT INTO d.lost VALUES (2)");
    }

    /// Into the same places, the link's too.
    fn restore(&self, manifest: &Value) {
        let node = self.node();
        node.stop();
        node.wipe_datadir();
        for folder in ["system", "far"] {
            fs::remove_dir_all(node.dir().join(folder)).unwrap();
        }
        self.program.restore(manifest, &node.datadir(), &["--as", "cluster"]);
        let system = node.dir().join("system/ibdata1");
        assert_eq!(fs::read_link(node.datadir().join("ibdata1")).unwrap(), system);
        assert!(system.is_file());
        self.start_node();
        assert_eq!(node.scalar("SELECT COUNT(*) FROM d.kept"), "2");
        assert_eq!(node.scalar("SELECT COUNT(*) FROM d.lost"), "0");
    }
}
