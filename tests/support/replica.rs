//! A server without wsrep: an asynchronous replica, or just something to start a restored data directory on.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable;

use super::cnf::server_lines;
use super::node::Node;
use super::ports::Ports;
use super::scratch::Scratch;
use super::server::Server;
use super::{PATIENCE, sql};

/// The account that replicas log in with.
const ACCOUNT: &str = "repl";

/// A standalone server; everything of [`Server`] can be called on it.
#[derive(Debug)]
pub struct Replica {
    server: Server,
    _ports: Ports,
}

impl Deref for Replica {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Replica {
    /// Makes the folder `name` in `scratch` with an empty data directory and a `my.cnf`; `{dir}` in `lines`, which
    /// go to `[mysqld]`, stands for the folder. Put the data into [`Server::datadir`], then call [`Replica::start`].
    pub fn prepare(scratch: &Scratch, name: &str, lines: &[&str]) -> Self {
        let dir = scratch.make_dir(name);
        scratch.make_dir(&format!("{name}/data"));
        scratch.make_dir(&format!("{name}/tmp"));
        let ports = Ports::reserve();
        // Above any node's number.
        let server_id = 1000 + usize::from(ports.port(0));
        let base = server_lines(name, &dir, ports.port(0), server_id, &scratch.user().name);
        let mut file = [&[base.as_str(), "wsrep_on=OFF", "skip_slave_start=ON"], lines].concat().join("\n");
        file.push('\n');
        fs::write(dir.join("my.cnf"), file.replace("{dir}", &dir.display().to_string()))
            .expect("cannot write my.cnf");
        let server = Server::new(name, &dir, "/usr/bin:/usr/sbin:/sbin:/bin", Vec::new());
        Self { server, _ports: ports }
    }

    /// Starts a server on the existing data directory `datadir`, which must belong to the servers' account.
    pub fn start_on(scratch: &Scratch, name: &str, datadir: &Path, lines: &[&str]) -> Self {
        let place = format!("datadir={}", datadir.display());
        let mut all = lines.to_vec();
        all.push(&place);
        let replica = Self::prepare(scratch, name, &all);
        replica.start();
        replica
    }

    /// Starts the server and waits for its answer.
    pub fn start(&self) {
        self.spawn(&[]);
        self.wait_answering(PATIENCE);
    }

    /// Makes the server a replica of `master` from the GTID position `gtid_slave_pos` on, and starts replication.
    pub fn follow(&self, master: &Node, gtid_slave_pos: &str) {
        self.exec(&format!("SET GLOBAL gtid_slave_pos = {}", sql::literal(gtid_slave_pos)));
        self.exec(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='{ACCOUNT}', \
             MASTER_PASSWORD='{ACCOUNT}', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
            master.port()
        ));
        self.exec("START SLAVE");
    }

    /// Waits until everything that is now in `master`'s binary log is applied; panics with the replica's own words
    /// when replication breaks.
    pub fn wait_caught_up(&self, master: &Node, timeout: Duration) {
        let target = master.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
        self.wait_for(&format!("position {target}"), timeout, || {
            self.assert_no_error();
            let wait = format!("SELECT MASTER_GTID_WAIT({}, 0.2)", sql::literal(&target));
            self.scalar(&wait) == "0"
        });
    }

    /// Panics when replication has stopped with an error.
    pub fn assert_no_error(&self) {
        let status: Option<mysql::Row> = self
            .session()
            .query_first("SHOW SLAVE STATUS")
            .unwrap_or_else(|e| panic!("{}: SHOW SLAVE STATUS: {e}", self.name()));
        let status = status.unwrap_or_else(|| panic!("{} is no replica", self.name()));
        let errors: Vec<String> = ["Last_SQL_Error", "Last_IO_Error"]
            .iter()
            .map(|column| status.get(*column).expect("a replica's status has this column"))
            .filter(|text: &String| !text.is_empty())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", self.name());
    }
}

/// Makes the account that [`Replica::follow`] uses; before a backup, or the replica will not know it.
pub fn create_account(node: &Server) {
    node.sql_all(&[
        &format!("CREATE USER IF NOT EXISTS {ACCOUNT}@'127.0.0.1' IDENTIFIED BY '{ACCOUNT}'"),
        &format!("GRANT REPLICATION SLAVE ON *.* TO {ACCOUNT}@'127.0.0.1'"),
    ]);
}
