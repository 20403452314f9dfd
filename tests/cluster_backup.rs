//! A backup taken by a real donor.

mod support;

use support::fixtures::create_zoo;
use support::{Cluster, ClusterOptions, Garbd, Writer};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn quick() {
    let cluster = Cluster::start(
        3,
        &ClusterOptions::new()
            .binary(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
            .group("wsrep_sst_backup", "repository={base}/repo")
            .group("wsrep_sst_backup", "user=root"),
    );
    let dir = cluster.make_dir("repo");
    create_zoo(&cluster);
    let writer = Writer::start(cluster.n(1), 200);
    let mark = cluster.n(2).log_mark();
    let out = Garbd::run_backup(&cluster, 2, Some("req-1"));
    println!("{:?}", out.status);
    cluster.n(2).wait_synced(support::PATIENCE);
    writer.stop();
    for l in cluster.n(2).script_lines(mark) {
        println!("{l}");
    }
    println!("{}", cluster.n(2).log_since(mark));
    let _ = std::process::Command::new("find").arg(&dir).arg("-ls").status();
    let _ = std::process::Command::new("sh").arg("-c").arg(format!("cat {}/*/*/manifest.json; zstd -dc {}/*/*/index.json.zst | head -c 30000; rm -rf /tmp/lastrepo; cp -a {} /tmp/lastrepo", dir.display(), dir.display(), dir.display())).status();
}
