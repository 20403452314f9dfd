//! Backups that are asked for, read back and restored from a container, as the servers' user, whom the image does not know.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::container::Container;
use crate::server::{BUCKET, KEY_ID, Moto, SECRET};
use crate::support::fixtures::{create_replicated_zoo, fill_bulk};
use crate::support::program::{rejoin_by_ist, text, with_program};
use crate::support::scratch::ServerUser;
use crate::support::{Cluster, ClusterOptions, Writer, assert_same_rows};
use crate::{IMAGE, told_to_end};

/// A cluster with a repository: n1 is written to, n2 gives the backups, n3 is rebuilt from them.
struct Stage<'a> {
    cluster: &'a Cluster,
    repository: String,
    endpoint: &'a str,
}

impl<'a> Stage<'a> {
    /// Tells the donor where its backups go, with more lines for its settings.
    fn new(cluster: &'a Cluster, repository: &str, endpoint: &'a str) -> Self {
        let stage = Self { cluster, repository: repository.to_owned(), endpoint };
        let keys =
            format!("s3-endpoint={endpoint}\ns3-access-key-id={KEY_ID}\ns3-secret-access-key={SECRET}\n");
        stage.set(&format!("repository={repository}\n{keys}"));
        stage
    }

    fn set(&self, lines: &str) {
        let file = self.cluster.n(2).cnf();
        let before = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{before}[wsrep_sst_backup]\n{lines}\n")).unwrap();
    }

    /// A command on this repository.
    fn container(&self, line: &str) -> Container<'static> {
        let user = ServerUser::current();
        IMAGE
            .container(&format!("{line} --defaults-file=/dev/null --repository={}", self.repository))
            .user(user.uid, user.gid)
            .mount(self.cluster.dir())
            .env("WSREP_SST_BACKUP_S3_ENDPOINT", self.endpoint)
            .env("WSREP_SST_BACKUP_S3_ACCESS_KEY_ID", KEY_ID)
            .env("WSREP_SST_BACKUP_S3_SECRET_ACCESS_KEY", SECRET)
    }

    fn command(&self, line: &str) -> String {
        let answer = self.container(line).run();
        assert_eq!(answer.status, Some(0), "{line}: {}{}", answer.stdout, answer.stderr);
        answer.stdout
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.command(&format!("{line} --json"))).unwrap()
    }

    /// `backup` by garbd in the container.
    fn backup(&self) -> Container<'static> {
        self.container(&format!(
            "backup --cluster=wsb_test --donor=n2 --address=gcomm://{}",
            self.cluster.members()
        ))
    }

    fn complete(&self) -> usize {
        self.json("list")["backups"].as_array().unwrap().len()
    }
}

/// A backup and all that becomes of it; the position is the donor's own word.
fn a_backup_makes_a_node(stage: &Stage<'_>) {
    let (donor, node) = (stage.cluster.n(2), stage.cluster.n(3));
    let writer = Writer::start(stage.cluster.n(1), 100);
    let mark = donor.log_mark();
    let answer = stage.backup().run();
    assert_eq!(answer.status, Some(0), "{}{}", answer.stdout, answer.stderr);
    let manifest = stage.json("show latest");
    assert_eq!(donor.frozen_since(mark), Some(crate::support::program::gtid(&manifest)));
    assert_eq!(stage.complete(), 1);
    assert!(stage.command("verify latest").contains("is intact"));
    let checked = stage.container("check --json").run();
    assert!(checked.stdout.contains("garbd"), "{}{}", checked.stdout, checked.stderr);
    node.stop();
    node.wipe_datadir();
    stage.command(&format!("restore {} --to {}", text(&manifest, "/id"), node.datadir().display()));
    rejoin_by_ist(node, &manifest);
    assert!(writer.stop().commits > 0);
    assert_same_rows(stage.cluster.nodes().map(|node| &**node));
}

/// `backup` is told to end while the donor copies: it says so, and the cluster is as before.
fn a_pod_that_is_stopped_leaves_the_group(stage: &Stage<'_>) {
    let before = stage.complete();
    stage.set("limit-rate=512K\ncompression=none");
    let (status, said) = told_to_end(&stage.backup(), |running| running.wait_said("copying"));
    assert_eq!((status, said.contains("interrupted")), (Some(1), true), "{said}");
    assert_eq!(stage.complete(), before);
}

#[test]
#[ignore = "needs MariaDB and Galera, moto, root"]
fn a_backup_is_asked_for_read_back_and_restored_from_a_container_in_a_directory_and_in_a_bucket() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let cluster = Cluster::start(3, &options);
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 16);
    let folder = cluster.make_dir("repository");
    let moto = Moto::start(None);
    for repository in [place(&folder), format!("s3://{BUCKET}/galera")] {
        a_backup_makes_a_node(&Stage::new(&cluster, &repository, &moto.endpoint));
    }
    a_pod_that_is_stopped_leaves_the_group(&Stage::new(&cluster, &place(&folder), &moto.endpoint));
}

fn place(folder: &Path) -> String {
    folder.display().to_string()
}
