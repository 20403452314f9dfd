//! Backups taken by a real donor while a client writes to another node, and nodes rebuilt from them.
//!
//! What is asserted comes from others than the program under test: the position from the server's own log, GTIDs from
//! its binary log, archives through `zstd`, `gzip`, `bzip2`, `tar` and `sha256sum`, rows from SQL on every node, and the
//! way a node came back from its log.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::fixtures::{OUTSIDE, create_zoo, fill_bulk};
use support::program::{self, Archive, gtid, index_gtid, rejoin_by_ist, text, with_program};
use support::{
    AsideWatch, Cluster, ClusterOptions, Garbd, Node, PATIENCE, Position, Program, Writer, assert_same_rows,
    wait_until,
};

/// How many backups are taken.
const BACKUPS: usize = 10;
/// Compressions of the last ones; those before have the default.
const OTHERS: [&str; 3] = ["gzip", "bzip2", "none"];
/// Settings of a backup whose freeze lasts for seconds, by whatever method the others are.
const LONG_FREEZE: &str = "method=freeze\ncompression-level=19\nthreads=1\n";

#[test]
#[ignore = "needs MariaDB and Galera"]
fn ten_backups_are_exact_and_nodes_rebuilt_from_them_join_by_ist() {
    let stage = Stage::start();
    let writer = Writer::start(stage.cluster.n(1), 200);
    let mut manifests: Vec<Value> = (0..BACKUPS).map(|number| stage.back_up(number, &writer, "")).collect();
    // About every second time the server pauses behind the position of the request; it must have been seen once.
    let lags = |m: &Value| text(m, "/donor_gtid") != gtid(m).to_string();
    while !manifests.iter().any(lags) {
        assert!(manifests.len() < 2 * BACKUPS, "--gtid is never behind the paused position");
        manifests.push(stage.back_up(manifests.len(), &writer, ""));
    }
    let lagging = manifests.iter().filter(|m| lags(m)).count();
    println!("--gtid was behind the paused position in {lagging} of {} backups", manifests.len());
    stage.no_flow_control_where_it_is_due(manifests.len(), &writer);
    let first_other = BACKUPS - OTHERS.len();
    stage.restore_on_n3(&manifests[first_other - 1], writer);
    for (number, manifest) in manifests.iter().enumerate().take(BACKUPS).skip(first_other - 1) {
        stage.unpack_on_n2(manifest, compression(number));
    }
}

/// The compression of the backup with this number.
fn compression(number: usize) -> &'static str {
    let other = number.checked_sub(BACKUPS - OTHERS.len()).and_then(|other| OTHERS.get(other));
    other.copied().unwrap_or("zstd")
}

/// Three nodes with the zoo: n1 is written to, n2 gives the backups, n3 is rebuilt.
struct Stage {
    cluster: Cluster,
    program: Program,
    /// n2's option file as it was.
    cnf: String,
}

impl Stage {
    fn start() -> Self {
        let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
        let cluster = Cluster::start(3, &options);
        // All nodes share a few cores: one that is slow for that reason must not be taken for one that a backup has
        // slowed down. The donor's limit is low enough to be passed by what piles up in a freeze.
        for (node, limit) in [(1, 1000), (2, 100), (3, 1000)] {
            cluster.n(node).set_provider_option("gcs.fc_limit", limit);
        }
        create_zoo(&cluster);
        fill_bulk(cluster.n(1), "t", 24);
        let program = Program::of(&cluster);
        let cnf = fs::read_to_string(cluster.n(2).cnf()).unwrap();
        Self { cluster, program, cnf }
    }

    /// One backup with these settings, and everything that must be true of it and of the cluster after it.
    fn back_up(&self, number: usize, writer: &Writer, settings: &str) -> Value {
        let donor = self.cluster.n(2);
        let cnf = format!("{}compression={}\n{settings}", self.cnf, compression(number));
        fs::write(donor.cnf(), cnf).unwrap();
        let request = format!("req-{number:02}/label.x");
        writer.take_stats();
        let watch = AsideWatch::start(donor);
        let outcome = Garbd::backup_and_wait(&self.cluster, 2, Some(&request), PATIENCE);
        let stats = writer.take_stats();
        let log = donor.log_since(outcome.donor_mark);
        let Some(paused) = donor.frozen_since(outcome.donor_mark) else {
            panic!("the server did not pause:\n{log}");
        };

        let manifests = self.program.manifests();
        assert_eq!(manifests.len(), number + 1, "{log}");
        let manifest = manifests.into_iter().next_back().unwrap();
        self.assert_exact(&manifest, &paused);
        self.assert_redo(&manifest, &log);
        assert_eq!(text(&manifest, "/request"), request);
        assert_eq!(text(&manifest, "/archive/compression"), compression(number));
        self.assert_binlog_agrees(&manifest);
        let intact = self.program.ok(&["verify", text(&manifest, "/id")]);
        assert!(intact.contains("is intact"), "{intact}");

        assert_eq!(watch.flow_control_aside(), 0, "somebody had to wait");
        assert_eq!((donor.state().as_str(), stats.errors), ("Synced", 0));
        assert!(stats.commits > 0, "{stats:?}");
        self.assert_clean(number + 1);
        println!(
            "{request}: paused at {}, --gtid {}, frozen {} ms (flush {} ms), {} MiB of data, client: {} commits, \
             longest pause {} ms",
            paused.seqno,
            text(&manifest, "/donor_gtid"),
            manifest["frozen_ms"],
            manifest["flush_ms"],
            manifest["data_bytes"].as_u64().unwrap() >> 20,
            stats.commits,
            stats.longest_pause.as_millis()
        );
        manifest
    }

    /// More write sets wait on the donor during a freeze than a Synced node puts up with, and still no flow control is sent: that none was
    /// seen in the other backups is no accident. A freeze lasts as long as the machine needs, so it may take several; `number` is the first one's.
    fn no_flow_control_where_it_is_due(&self, number: usize, writer: &Writer) {
        // gcs.fc_limit times the root of the number of members, of which garbd is one.
        const ALLOWED: u64 = 100 * 2;
        let waited = || {
            self.cluster.n(2).status("wsrep_local_recv_queue_max").parse::<u64>().expect("the donor answers")
        };
        let mut next = number;
        while waited() <= ALLOWED {
            assert!(
                next < number + 5,
                "no more than {} write sets ever waited: {ALLOWED} are allowed",
                waited()
            );
            self.back_up(next, writer, LONG_FREEZE);
            next += 1;
        }
        println!("up to {} write sets waited, a Synced node allows {ALLOWED}", waited());
    }

    /// The position is the same wherever the backup names it, and it is the server's.
    fn assert_exact(&self, manifest: &Value, paused: &Position) {
        assert_eq!(gtid(manifest), *paused, "the manifest");
        let archive = self.program.archive(manifest);
        assert_eq!(index_gtid(&archive), *paused, "the index");
        let members = archive.members();
        assert_eq!(members.first().map(String::as_str), Some("wsrep_sst_backup.json"));
        assert_eq!(members[members.len() - 2..], ["grastate.dat", "SHA256SUMS"]);
        let identity: Value = serde_json::from_str(&archive.member("wsrep_sst_backup.json")).unwrap();
        assert_eq!(gtid(&identity), *paused, "wsrep_sst_backup.json");
        let state = archive.member("grastate.dat");
        let expected = format!("uuid:    {}\nseqno:   {}\nsafe_to_bootstrap: 0\n", paused.uuid, paused.seqno);
        assert!(state.ends_with(&expected), "{state}");
        let asked = Position::parse(text(manifest, "/donor_gtid")).unwrap();
        assert_eq!(asked.uuid, paused.uuid);
        assert!(asked.seqno <= paused.seqno, "asked at {asked}, paused at {paused}");
    }

    /// The freeze rotates the binary log, and the first event of a log lists the last GTID of every domain before it:
    /// the server's own word on where its history stood.
    fn assert_binlog_agrees(&self, manifest: &Value) {
        let members = self.program.archive(manifest).members();
        let logs: Vec<&String> =
            members.iter().filter(|m| m.starts_with("binlog.0") && !m.ends_with("idx")).collect();
        let [newest] = logs[..] else { panic!("not one binary log but {logs:?}") };
        let donor = self.cluster.n(2);
        let events = donor.sql(&format!("SHOW BINLOG EVENTS IN '{newest}' LIMIT 3"));
        let list = events.iter().find(|e| e[2] == "Gtid_list").expect("a binary log has a Gtid_list");
        let listed = gtids(list[5].trim_matches(['[', ']']));
        assert_eq!(gtids(text(manifest, "/mariadb_gtid/binlog_pos")), listed);
        // Its own transactions only, as this node replicates from no master.
        let own = format!("-{}-", donor.variable("server_id"));
        let own: Vec<String> = listed.into_iter().filter(|gtid| gtid.contains(&own)).collect();
        assert_eq!(gtids(text(manifest, "/mariadb_gtid/current_pos")), own);
        assert_eq!(text(manifest, "/mariadb_gtid/slave_pos"), donor.variable("gtid_slave_pos"));
    }

    /// The redo log is there with its whole size, of which a few blocks are data; where the program does not know the format, all of it
    /// is, and the donor says why.
    fn assert_redo(&self, manifest: &Value, said: &str) {
        let donor = self.cluster.n(2);
        let archive = self.program.archive(manifest);
        let index = archive.index();
        let log =
            index.iter().map(|line| &line["member"]).find(|line| line["path"] == "ib_logfile0").unwrap();
        let size = fs::metadata(donor.datadir().join("ib_logfile0")).unwrap().len();
        assert_eq!(log["size"].as_u64(), Some(size), "{log}");
        if !donor.has_followable_redo() {
            let why =
                "'ib_logfile0' is stored as a whole: its format 0x50485953 is that of MariaDB 10.5 to 10.7";
            assert!(said.contains(why), "{said}");
            assert_eq!((log["stored"].as_u64(), log["sparse"].as_bool()), (Some(size), None), "{log}");
            assert_eq!(manifest["live_redo"], Value::Null);
            return;
        }
        assert_eq!(log["sparse"].as_bool(), Some(true), "{log}");
        assert!(log["stored"].as_u64().unwrap() <= 128 << 10, "{log}");
        assert_eq!(log["live_redo"], manifest["live_redo"]);
        let lsn = |name: &str| manifest["live_redo"][name].as_u64().unwrap();
        assert!(lsn("end_lsn") > lsn("checkpoint_lsn"), "{manifest}");
    }

    /// Nothing is left of the work: no process, no temporary file, no message to mysqld.
    fn assert_clean(&self, backups: usize) {
        let ended = wait_until(Duration::from_secs(10), || program::donors_running(&self.cluster).is_empty());
        assert!(ended, "still running: {:?}", program::donors_running(&self.cluster));
        let files = self.program.files();
        assert_eq!(files.len(), 5 * backups, "{files:?}");
        for name in ["/manifest.json", "/index.json.zst", "/backup.tar", "/status.json", "/verify.json"] {
            assert_eq!(files.iter().filter(|f| f.contains(name)).count(), backups, "{files:?}");
        }
        for name in ["tables_flushed", "sst_error", "sst_in_progress", "wsrep_sst.pid"] {
            assert!(!self.cluster.n(2).datadir().join(name).exists(), "{name} is left");
        }
    }

    /// n3 loses everything and is restored by the program, its external files to places of its own.
    fn restore_on_n3(&self, manifest: &Value, writer: Writer) {
        let lost = self.cluster.n(3);
        lost.stop();
        lost.wipe_datadir();
        let maps = [
            format!("data_directory={}", lost.dir().join(OUTSIDE).display()),
            format!("symlink={}", lost.dir().join("links").display()),
        ];
        let begun = Instant::now();
        let datadir = lost.datadir();
        let more = ["--map", maps[0].as_str(), "--map", maps[1].as_str()];
        let said = self.program.restore(manifest, &datadir, &more);
        println!("restored in {} ms", begun.elapsed().as_millis());
        assert!(said.contains("systemctl start mariadb"), "{said}");
        let archive = self.program.archive(manifest);
        assert!(!archive.members().iter().any(|m| m.contains("gvwstate") || m.contains("galera.cache")));
        rejoin_by_ist(lost, manifest);
        self.assert_same(writer);
        for file in ["zoo/punched.ibd", "zoo/plain.ibd"] {
            let there = program::blocks_and_length(&self.cluster.n(2).datadir().join(file));
            let here = program::blocks_and_length(&datadir.join(file));
            assert_eq!(here.1, there.1, "{file}");
            assert!(here.0 <= there.0 + (64 << 10), "{file}: {here:?}, on the donor {there:?}");
        }
        let (blocks, length) = program::blocks_and_length(&datadir.join("zoo/punched.ibd"));
        assert!(blocks < length / 2, "the holes of a page-compressed table are gone: {blocks} of {length}");
        // Nothing of n3 lies at the donor's places.
        let text = fs::read_to_string(datadir.join("elsewhere/innodb.isl")).unwrap();
        assert_eq!(text.trim(), lost.dir().join(OUTSIDE).join("elsewhere/innodb.ibd").to_str().unwrap());
    }

    /// The donor itself is rebuilt with tools that any administrator has.
    fn unpack_on_n2(&self, manifest: &Value, compression: &str) {
        let writer = Writer::start(self.cluster.n(1), 200);
        let node = self.cluster.n(2);
        node.stop();
        node.wipe_datadir();
        let begun = Instant::now();
        let archive = self.program.archive(manifest);
        archive.unpack_with_stock_tools(&node.datadir());
        println!("{compression}: unpacked and summed in {} ms", begun.elapsed().as_millis());
        put_back_external(&archive, node);
        rejoin_by_ist(node, manifest);
        self.assert_same(writer);
    }

    /// Every row of every table is the same on all nodes.
    fn assert_same(&self, writer: Writer) {
        let stats = writer.stop();
        assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
        let sums = assert_same_rows(self.cluster.nodes().map(|n| &**n));
        assert!(sums.len() > 50 && sums[&("elsewhere".to_owned(), "innodb".to_owned())].rows == 150);
    }
}

/// The single GTIDs of a position, sorted.
fn gtids(position: &str) -> Vec<String> {
    let mut list: Vec<String> =
        position.split(',').map(|g| g.trim().to_owned()).filter(|g| !g.is_empty()).collect();
    list.sort();
    list
}

/// Moves the files of the unpacked `.wsrep_sst_backup` to where the index says that they came from.
fn put_back_external(archive: &Archive, node: &Node) {
    let outside = node.outside_dir(OUTSIDE);
    let roots: Vec<Value> = archive.index().iter().map(|l| l["member"]["origin"]["root"].clone()).collect();
    assert!(roots.iter().any(|root| root.as_str().is_some_and(|root| Path::new(root) == outside)));
    for variable in ["data_directory", "symlink"] {
        let from =
            format!("{}/.wsrep_sst_backup/{variable}{}/.", node.datadir().display(), outside.display());
        let copied = Command::new("cp").arg("-a").arg(from).arg(&outside).status();
        assert!(copied.unwrap().success());
    }
}
