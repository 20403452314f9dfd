//! A cluster of real nodes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::cnf::{self, ClusterOptions, NodeFacts};
use super::node::Node;
use super::ports::Ports;
use super::scratch::Scratch;
use super::server::Server;
use super::template;
use super::{PATIENCE, copy_program};

/// Nodes `n1` to `nN` in one folder, stopped and removed when the value is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Before `scratch`: fields are dropped in this order, and the processes go before their folder.
    nodes: Vec<Node>,
    scratch: Scratch,
}

impl Cluster {
    /// Starts `n` nodes, the first as a new cluster; all are Synced. The others get their data by SST from it, or, where
    /// files lie outside of the data directory, as a copy: the distribution's rsync script loses `innodb_data_home_dir`.
    pub fn start(n: usize, options: &ClusterOptions) -> Self {
        let cluster = Self::prepare(n, options);
        let first = cluster.n(1);
        first.start(true);
        first.wait_synced(PATIENCE);
        if !options.dirs.is_empty() && n > 1 {
            first.stop();
            for node in cluster.nodes.iter().skip(1) {
                node.copy_data_of(first);
            }
            first.start(true);
            first.wait_synced(PATIENCE);
        }
        for node in cluster.nodes.iter().skip(1) {
            node.start(false);
            node.wait_synced(PATIENCE);
        }
        cluster
    }

    /// Makes the folders and files of `n` nodes, and the first node's data directory; starts nothing.
    pub fn prepare(n: usize, options: &ClusterOptions) -> Self {
        let scratch = match (options.on_btrfs, options.on_xfs, &options.root) {
            (true, ..) => Scratch::on_btrfs(),
            (_, true, _) => Scratch::on_xfs(),
            (.., Some(_)) => Scratch::of_root(),
            (.., None) => Scratch::new(),
        };
        let path = install_binary(&scratch, options.binary.as_deref());
        if options.root.is_some() {
            let_rsync_write_as_root(&scratch);
        }
        let ports: Vec<Ports> = (0..n).map(|_| Ports::reserve()).collect();
        let members: Vec<String> = ports.iter().map(|p| format!("127.0.0.1:{}", p.port(1))).collect();
        let members = members.join(",");
        let mut nodes = Vec::new();
        for (index, ports) in ports.into_iter().enumerate() {
            let name = format!("n{}", index + 1);
            let dir = scratch.make_dir(&name);
            for part in ["data", "tmp"].into_iter().chain(options.dirs.iter().map(String::as_str)) {
                scratch.make_dir(&format!("{name}/{part}"));
            }
            let file = cnf::node_file(
                options,
                &NodeFacts {
                    number: index + 1,
                    name: &name,
                    base: scratch.dir(),
                    dir: &dir,
                    ports: &ports,
                    user: &scratch.user().name,
                    members: &members,
                },
            );
            fs::write(dir.join("my.cnf"), file).expect("cannot write my.cnf");
            let server = Server::new(&name, &dir, &path, options.env.clone());
            server.move_to(&options.root.clone().unwrap_or_default());
            nodes.push(Node::new(server, ports, scratch.user().clone(), options.dirs.clone()));
        }
        let cluster = Self { nodes, scratch };
        cluster.install_first(options);
        cluster
    }

    fn install_first(&self, options: &ClusterOptions) {
        let first = self.n(1);
        if options.changes_layout() || options.root.is_some() {
            let file = format!("--defaults-file={}", first.cnf().display());
            let root = options.root.clone().unwrap_or_default();
            template::install(&root, &first.datadir(), self.scratch.user(), &[file], &[]);
        } else {
            template::fill(&first.datadir(), self.scratch.user(), options.page_size);
        }
    }

    /// Node n`number`, from 1.
    pub fn n(&self, number: usize) -> &Node {
        self.nodes.get(number - 1).unwrap_or_else(|| panic!("there is no n{number}"))
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The folder of the cluster: repositories and the like belong here.
    pub fn dir(&self) -> &Path {
        self.scratch.dir()
    }

    /// The folder with its owner and its guard, for servers beside the cluster.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Makes a folder of the cluster that the servers' account owns, for a repository.
    pub fn make_dir(&self, name: &str) -> PathBuf {
        self.scratch.make_dir(name)
    }

    /// Where the program that donors run as `wsrep_sst_backup` lies.
    pub fn program(&self) -> PathBuf {
        self.dir().join("bin/wsrep_sst_backup")
    }

    /// The group addresses of all nodes, as in `gcomm://…`.
    pub fn members(&self) -> String {
        self.nodes.iter().map(Node::group_address).collect::<Vec<_>>().join(",")
    }
}

/// The daemon of the distribution's rsync script would write as nobody where the server runs as root. mysqld's PATH begins with this folder.
fn let_rsync_write_as_root(scratch: &Scratch) {
    let script = "#!/bin/sh\ncase \" $* \" in\n*\" --daemon \"*) exec /usr/bin/rsync \"$@\" --dparam=uid=0 --dparam=gid=0 ;;\nesac\n\
                  exec /usr/bin/rsync \"$@\"\n";
    let path = scratch.make_dir("bin").join("rsync");
    fs::write(&path, script).expect("cannot write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("cannot chmod");
}

/// Puts the program where mysqld's account can run it, and gives mysqld's PATH. mysqld puts `<basedir>/bin` in
/// front of PATH unless that very text is in it already; without `basedir` in the settings it is `/usr//bin`.
fn install_binary(scratch: &Scratch, binary: Option<&Path>) -> String {
    let bin = scratch.make_dir("bin");
    if let Some(binary) = binary {
        let copy = bin.join("wsrep_sst_backup");
        copy_program(binary, &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("cannot chmod");
    }
    format!("{}:/usr//bin:/usr/sbin:/sbin:/bin", bin.display())
}
