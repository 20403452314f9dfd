//! A server with something of everything, a cluster beside it, and the program between them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use mysql::prelude::Queryable;

use super::support::cli::{Answer, Cli, cli};
use super::support::program::with_program;
use super::support::{Cluster, ClusterOptions, PATIENCE, Replica, Server, template};

/// An account of the source, with the password `secret`.
pub(super) const ACCOUNT: &str = "app@127.0.0.1";

pub(super) struct Scene {
    pub(super) source: Replica,
    pub(super) cluster: Cluster,
}

impl Scene {
    pub(super) fn new() -> Self {
        let cluster =
            Cluster::start(3, &with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup")));
        let source = Replica::prepare(cluster.scratch(), "source", &["[wsrep_sst_backup]", "user=root"]);
        template::fill(&source.datadir(), cluster.scratch().user(), None);
        source.start();
        source.sql_all(&[
            "CREATE DATABASE app CHARACTER SET utf8mb4",
            "CREATE DATABASE `a``b`",
            "USE app",
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT, b BLOB, n INT, KEY (v(20))) ENGINE=InnoDB",
            "CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id)) ENGINE=InnoDB",
            "CREATE TABLE notes (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM",
            "INSERT INTO notes VALUES (1, 'of one node')",
            "CREATE TABLE `a``b`.`x;` (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB",
            "INSERT INTO `a``b`.`x;` VALUES (1, '\\n-- Current Database: `app`\\nUSE `app`;\\nDROP TABLE t;'), (2, '€')",
            "INSERT INTO t (v, b) SELECT CONCAT('row ', seq, ';''\"`\\\\'), RANDOM_BYTES(200) FROM seq_1_to_20000",
            "INSERT INTO child VALUES (1, 1), (2, 20000)",
            "CREATE VIEW seen AS SELECT id, v FROM t WHERE id > 7",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t WHERE id < 0",
            "CREATE PROCEDURE p() BEGIN\n-- USE `a``b`;\nSELECT 'it;s';\nEND",
            "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 5",
            "CREATE ROLE readers",
            "GRANT SELECT ON app.* TO readers",
            "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'",
            "GRANT SELECT ON app.t TO app@'127.0.0.1'",
            "GRANT readers TO app@'127.0.0.1'",
        ]);
        let scene = Self { source, cluster };
        scene.drop_names();
        scene
    }

    /// With skip_name_resolve mariadb-dump cannot show accounts of hosts by name.
    pub(super) fn drop_names(&self) {
        let own = "DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '127.0.0.1', '::1', '')";
        for server in self.cluster.nodes().map(|node| &**node).chain([&*self.source]) {
            server.sql_all(&[own, "FLUSH PRIVILEGES"]);
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.cluster.dir().join(name)
    }

    /// A dump of the source by mariadb-dump; its path.
    pub(super) fn dump(&self, name: &str, words: &[&str]) -> String {
        self.dump_of(&self.source, name, words)
    }

    pub(super) fn dump_of(&self, server: &Server, name: &str, words: &[&str]) -> String {
        let path = self.path(name);
        let status = Command::new("mariadb-dump")
            .args(["--no-defaults", "-uroot", "--single-transaction"])
            .arg(format!("--socket={}", server.socket().display()))
            .args(words)
            .stdout(File::create(&path).unwrap())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "mariadb-dump {words:?}");
        path.display().to_string()
    }

    /// `restore --into` a node.
    pub(super) fn load(&self, number: usize, words: &[&str]) -> Answer {
        let answer = self.load_into(&self.cluster.n(number).socket().display().to_string(), words);
        self.settle(number);
        answer
    }

    /// Waits until every node has what that one has.
    pub(super) fn settle(&self, number: usize) {
        let wanted = self.cluster.n(number).position();
        for node in self.cluster.nodes() {
            node.wait_for("the position of another node", PATIENCE, || node.position() == wanted);
        }
    }

    pub(super) fn load_into(&self, place: &str, words: &[&str]) -> Answer {
        self.command(place, words).run()
    }

    pub(super) fn command(&self, place: &str, words: &[&str]) -> Cli {
        let start = cli("restore --into").arg(place).arg("--defaults-file").arg(self.cluster.n(1).cnf());
        words.iter().fold(start.own_defaults(), Cli::arg)
    }

    pub(super) fn try_log_in(port: u16) -> mysql::Result<mysql::Conn> {
        let options = mysql::OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(port)
            .prefer_socket(false)
            .user(Some("app"))
            .pass(Some("secret"));
        mysql::Conn::new(options)
    }

    /// What the account of the source sees there.
    pub(super) fn logged_in(port: u16, statement: &str) -> String {
        let mut session =
            Self::try_log_in(port).unwrap_or_else(|error| panic!("{ACCOUNT} at {port}: {error}"));
        session.query_first::<i64, _>(statement).unwrap().expect("a row").to_string()
    }

    /// `mysql.global_priv` is whole on each node, and the same.
    pub(super) fn every_node_has_its_accounts(&self) {
        let accounts =
            |node: &Server| node.sql("SELECT User, Host, Priv FROM mysql.global_priv ORDER BY 1, 2");
        let first = accounts(self.cluster.n(1));
        assert!(first.iter().any(|row| row[0] == "root") && first.len() > 2, "{first:?}");
        for node in self.cluster.nodes() {
            assert_eq!(accounts(node), first, "{}", node.name());
        }
    }

    /// A script in the place of the client, in a folder of its own; the value of PATH.
    pub(super) fn client(&self, name: &str, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.cluster.make_dir(name);
        let file = folder.join("mariadb");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:/usr/bin:/bin", folder.display())
    }

    /// Whether the file is there and has something in it.
    pub(super) fn has(path: &Path) -> bool {
        path.metadata().is_ok_and(|file| file.len() > 0)
    }
}
