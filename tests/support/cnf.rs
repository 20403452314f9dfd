//! What a cluster is made of: the options a test sets, and the `my.cnf` that each node gets from them.

use std::path::{Path, PathBuf};

use super::ports::Ports;
use super::root::Root;

/// The group that the nodes and garbd meet in.
pub const CLUSTER_NAME: &str = "wsb_test";

/// What a test wants from its cluster. In every setting `{base}` stands for the cluster's folder, `{dir}` for the
/// node's own folder and `{node}` for its name.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) binary: Option<PathBuf>,
    pub(super) log_bin: bool,
    pub(super) page_size: Option<u32>,
    pub(super) mysqld: Vec<String>,
    pub(super) per_node: Vec<(usize, String)>,
    pub(super) provider: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) dirs: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) on_xfs: bool,
    pub(super) on_btrfs: bool,
    pub(super) root: Option<Root>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            binary: None,
            log_bin: true,
            page_size: None,
            mysqld: Vec::new(),
            per_node: Vec::new(),
            provider: Vec::new(),
            groups: Vec::new(),
            dirs: Vec::new(),
            env: Vec::new(),
            on_xfs: false,
            on_btrfs: false,
            root: None,
        }
    }
}

impl ClusterOptions {
    /// Three words of defaults: binary log on, 16 KiB pages, the distribution's own `wsrep_sst_backup`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The program that a donor runs as `wsrep_sst_backup`.
    #[must_use]
    pub fn binary(mut self, path: impl AsRef<Path>) -> Self {
        self.binary = Some(path.as_ref().to_owned());
        self
    }

    /// All of it on an XFS of its own, which clones files.
    #[must_use]
    pub fn on_xfs(mut self) -> Self {
        self.on_xfs = true;
        self
    }

    /// All of it on a btrfs of its own, in its topmost subvolume.
    #[must_use]
    pub fn on_btrfs(mut self) -> Self {
        self.on_btrfs = true;
        self
    }

    /// Servers of this root directory. All nodes run as root, since the number of `mysql` differs from one to another.
    #[must_use]
    pub fn server(mut self, root: &Root) -> Self {
        self.root = Some(root.clone());
        self
    }

    /// No binary log.
    #[must_use]
    pub fn without_binlog(mut self) -> Self {
        self.log_bin = false;
        self
    }

    /// `innodb_page_size`, in bytes.
    #[must_use]
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.page_size = Some(bytes);
        self
    }

    /// One more line in `[mysqld]` of every node.
    #[must_use]
    pub fn mysqld(mut self, line: &str) -> Self {
        self.mysqld.push(line.to_owned());
        self
    }

    /// One more line in `[mysqld]` of node n`number` (from 1).
    #[must_use]
    pub fn mysqld_of(mut self, number: usize, line: &str) -> Self {
        self.per_node.push((number, line.to_owned()));
        self
    }

    /// A setting that names a folder of the node's own, outside of the data directory: the folder `{dir}/NAME` is
    /// made before the server starts, and `wipe_datadir` empties it together with the data directory.
    #[must_use]
    pub fn outside(mut self, variable: &str, name: &str) -> Self {
        self.dirs.push(name.to_owned());
        self.mysqld(&format!("{variable}={{dir}}/{name}"))
    }

    /// One more setting of `wsrep_provider_options`, such as `gcs.sync_donor=yes`.
    #[must_use]
    pub fn provider(mut self, setting: &str) -> Self {
        self.provider.push(setting.to_owned());
        self
    }

    /// Nodes that a test cuts off from the group with `gmcast.isolate`: the plugin `wsrep_provider` (Debian's 11.8) has no variable for
    /// that option, and forbids to set it otherwise.
    #[must_use]
    pub fn can_be_cut_off(self) -> Self {
        self.mysqld("loose_plugin_wsrep_provider=OFF")
    }

    /// `wsrep_gtid_mode`: write sets carry the cluster's domain; each node's own domain is 100 + its number.
    #[must_use]
    pub fn gtid_mode(self, domain: u32) -> Self {
        self.mysqld("wsrep_gtid_mode=ON").mysqld(&format!("wsrep_gtid_domain_id={domain}"))
    }

    /// One more line in a group of its own, such as `[wsrep_sst_backup]`, of every node's file.
    #[must_use]
    pub fn group(mut self, group: &str, line: &str) -> Self {
        self.groups.extend([format!("[{group}]"), line.to_owned()]);
        self
    }

    /// One more variable in the environment of every mysqld.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Are there settings that decide where or how the data files are made, so that the prepared data directory
    /// does not fit?
    pub(super) fn changes_layout(&self) -> bool {
        let layout = |line: &str| {
            let line = line.replace('-', "_");
            line.starts_with("innodb_") || line.starts_with("aria_log") || line.starts_with("lower_case")
        };
        self.mysqld.iter().any(|l| layout(l)) || self.per_node.iter().any(|(_, l)| layout(l))
    }
}

/// Everything that differs between two nodes' files.
#[derive(Debug)]
pub(super) struct NodeFacts<'a> {
    pub number: usize,
    pub name: &'a str,
    pub base: &'a Path,
    pub dir: &'a Path,
    pub ports: &'a Ports,
    pub user: &'a str,
    pub members: &'a str,
}

/// Lines of `[mysqld]` that every server of the harness has, with or without wsrep.
pub(super) fn server_lines(name: &str, dir: &Path, port: u16, server_id: usize, user: &str) -> String {
    let dir = dir.display();
    format!(
        "[mysqld]\nuser={user}\ndatadir={dir}/data\nsocket={dir}/s\npid-file={dir}/pid\ntmpdir={dir}/tmp\n\
         log-error={dir}/error.log\nport={port}\nbind-address=127.0.0.1\nskip_name_resolve=ON\n\
         server_id={server_id}\nreport_host={name}\nbinlog_format=ROW\ncharacter_set_server=utf8mb4\n\
         innodb_log_file_size=8M\ninnodb_buffer_pool_size=32M\ninnodb_flush_log_at_trx_commit=0\n\
         innodb_autoinc_lock_mode=2\naria_pagecache_buffer_size=8M\nkey_buffer_size=8M\n\
         performance_schema=OFF"
    )
}

/// The `my.cnf` of one node.
pub(super) fn node_file(options: &ClusterOptions, node: &NodeFacts<'_>) -> String {
    let dir = node.dir.display().to_string();
    let (group, ist, sst) = (node.ports.port(1), node.ports.port(2), node.ports.port(3));
    let port = node.ports.port(0);
    let mut lines = vec![server_lines(node.name, node.dir, port, node.number, node.user)];
    if options.log_bin {
        lines.push("log_bin=binlog\nlog_slave_updates=ON".to_owned());
    }
    lines.extend(options.page_size.map(|bytes| format!("innodb_page_size={bytes}")));
    let provider = [&[String::new()], options.provider.as_slice()].concat().join(";");
    lines.push(format!(
        "gtid_domain_id={domain}\nwsrep_on=ON\nwsrep_provider=/usr/lib/galera/libgalera_smm.so\n\
         wsrep_cluster_name={CLUSTER_NAME}\nwsrep_cluster_address=gcomm://{members}\n\
         wsrep_node_name={name}\nwsrep_node_address=127.0.0.1:{group}\n\
         wsrep_node_incoming_address=127.0.0.1:{port}\nloose_wsrep_mode=REPLICATE_MYISAM,REPLICATE_ARIA\n\
         wsrep_sst_method=rsync\nwsrep_sst_receive_address=127.0.0.1:{sst}\n\
         wsrep_provider_options=\"base_port={group};gmcast.listen_addr=tcp://127.0.0.1:{group};\
         ist.recv_addr=127.0.0.1:{ist};gcache.size=128M{provider}\"",
        domain = 100 + node.number,
        members = node.members,
        name = node.name,
    ));
    lines.extend(options.mysqld.iter().cloned());
    let own = options.per_node.iter().filter(|(number, _)| *number == node.number);
    lines.extend(own.map(|(_, line)| line.clone()));
    // Before wsrep_mode; MariaDB reads the group with its own version.
    lines.push("[mariadb-10.5]\nwsrep_replicate_myisam=ON".to_owned());
    if let (Some(_), Some(method)) = (&options.binary, super::method()) {
        lines.push(format!("[wsrep_sst_backup]\nmethod={method}"));
    }
    lines.extend(options.groups.iter().cloned());
    lines.push(String::new());
    lines
        .join("\n")
        .replace("{dir}", &dir)
        .replace("{base}", &node.base.display().to_string())
        .replace("{node}", node.name)
}
