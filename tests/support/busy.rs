//! A cluster at work: rows and tables come and go on its first node while its second one is a donor.

use serde_json::Value;

use super::fixtures::{create_replicated_zoo, fill_bulk};
use super::program::{donors_running, number, rejoin_by_ist, text};
use super::{
    Cluster, ClusterOptions, Definer, Node, PATIENCE, Program, Writer, assert_same_rows, wait_until,
};

/// Two nodes.
pub struct BusyCluster {
    pub cluster: Cluster,
    pub program: Program,
    writer: Option<Writer>,
    definer: Option<Definer>,
}

impl BusyCluster {
    /// 64 MiB of one table beside many kinds of small ones, and statements of all kinds.
    pub fn start(options: &ClusterOptions) -> Self {
        let cluster = Cluster::start(2, options);
        let program = Program::of(&cluster);
        create_replicated_zoo(&cluster);
        fill_bulk(cluster.n(1), "t", 64);
        let writer = Some(Writer::start(cluster.n(1), 200));
        let definer = Definer::start(cluster.n(1));
        assert!(wait_until(PATIENCE, || definer.rounds() > 3));
        Self { cluster, program, writer, definer: Some(definer) }
    }

    pub fn donor(&self) -> &Node {
        self.cluster.n(2)
    }

    /// The manifest of a backup at the position where the server says that it has paused, during which tables were made unless that has ended, with the milliseconds of its freeze beyond the flush.
    pub fn back_up(&self) -> (Value, i64) {
        let rounds = || self.definer.as_ref().map_or(0, Definer::rounds);
        let before = rounds();
        let manifest = self.program.back_up(&self.cluster, 2);
        assert_eq!(number(&manifest, "/damaged_pages"), 0);
        let is_changed = self.definer.is_none() || rounds() > before;
        assert!(is_changed, "no table was made meanwhile: nothing is proved");
        self.donor().wait_synced(PATIENCE);
        assert!(wait_until(PATIENCE, || donors_running(&self.cluster).is_empty()));
        let beyond = number(&manifest, "/frozen_ms") - number(&manifest, "/flush_ms");
        eprintln!("{beyond} ms beyond the flush");
        (manifest, beyond)
    }

    /// Rows stay as they are from here on; there were some.
    pub fn end_writing(&mut self) {
        let stats = self.writer.take().map(Writer::stop);
        assert!(stats.is_some_and(|stats| stats.commits > 0), "{stats:?}");
    }

    /// Tables stay as they are from here on.
    pub fn end_definitions(&mut self) {
        self.definer = None;
    }

    /// Each backup is a node that rejoins by IST and gets on: the second is unpacked by stock tools, and the script in it where there is one, the others by us.
    pub fn rejoin_from_each(&self, manifests: &[Value]) {
        let (program, donor) = (&self.program, self.donor());
        for (index, manifest) in manifests.iter().enumerate() {
            program.ok(&["verify", text(manifest, "/id")]);
            donor.stop();
            donor.wipe_datadir();
            if index == 1 {
                program.archive(manifest).unpack_with_stock_tools(&donor.datadir());
                donor.own_datadir();
            } else {
                program.restore(manifest, &donor.datadir(), &[]);
            }
            rejoin_by_ist(donor, manifest);
        }
    }

    /// The rows are the same on both nodes when nobody writes any more.
    pub fn end_with_same_rows(mut self) -> (Cluster, Program) {
        self.end_writing();
        assert_same_rows(self.cluster.nodes().map(|node| &**node));
        (self.cluster, self.program)
    }
}
