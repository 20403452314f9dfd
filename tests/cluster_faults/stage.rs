//! A cluster for faults, and the promises that are looked at after each.

use std::fs;

use serde_json::Value;

use crate::support::fixtures::fill_bulk;
use crate::support::program::{self, text, with_program};
use crate::support::{
    Administrator, Asking, Cluster, ClusterOptions, DonorProgram, LogMark, Node, PATIENCE, Program,
    wait_until,
};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// Settings with which a state lasts some seconds.
pub(crate) const SLOW: &str = "compression-level=19\nthreads=1\n";

/// Who is asked for backups.
pub(crate) const DONOR: usize = 2;

/// A cluster whose node n2 gives the backups, with some data.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) program: Program,
    pub(crate) administrator: Administrator,
    /// The donor's option file as it was.
    cnf: String,
}

impl Stage {
    pub(crate) fn start(nodes: usize) -> Self {
        Self::with(nodes, ClusterOptions::new())
    }

    pub(crate) fn with(nodes: usize, options: ClusterOptions) -> Self {
        let cluster = Cluster::start(nodes, &with_program(options, BINARY));
        fill_bulk(cluster.n(1), "orders", 16);
        let administrator = Administrator::new(&cluster, BINARY);
        let cnf = fs::read_to_string(cluster.n(DONOR).cnf()).unwrap();
        Self { program: Program::of(&cluster), administrator, cnf, cluster }
    }

    pub(crate) fn donor(&self) -> &Node {
        self.cluster.n(DONOR)
    }

    /// Gives the donor these settings, and no others; its program reads them each time.
    pub(crate) fn configure(&self, settings: &str) {
        fs::write(self.donor().cnf(), format!("{}{settings}", self.cnf)).unwrap();
    }

    /// `backup` on the donor itself, for a backup of the donor.
    pub(crate) fn ask(&self, more: &[&str]) -> Asking {
        self.administrator.on(&self.cluster, DONOR, &[&["--donor=n2"], more].concat())
    }

    /// A backup that must be complete, and that verifies; its id.
    #[track_caller]
    pub(crate) fn back_up(&self) -> String {
        let mut told = self.ask(&[]).finish();
        // Seen once in some forty of these: mysqld did not come out of FLUSH TABLES within a minute, and was Synced as soon
        // as it was given up. The program did its part; a second time would be something else.
        if told.text("error").contains("flush-timeout") {
            println!("{told}\n{}", self.donor().log_tail());
            told = self.ask(&[]).finish();
        }
        let id = told.complete().to_owned();
        self.assert_whole(&id);
        id
    }

    /// The manifest is there, and every byte is as it says.
    #[track_caller]
    pub(crate) fn assert_whole(&self, id: &str) {
        let known = self.program.manifests();
        assert!(known.iter().any(|manifest| text(manifest, "/id") == id), "no manifest of {id}");
        let said = self.program.ok(&["verify", id]);
        assert!(said.contains("is intact"), "{said}");
    }

    /// No manifest for this request, in the repository's files or by `list`.
    #[track_caller]
    pub(crate) fn assert_absent(&self, request: &str) {
        let of_request = |manifest: &&Value| manifest["request"] == request;
        assert_eq!(self.program.manifests().iter().find(of_request), None);
        let listed = self.program.json(&["list"]).to_string();
        assert!(!listed.contains(&format!("\"request\":\"{request}\",\"state\":\"done\"")), "{listed}");
    }

    /// Waits until the donor, one since the mark, is Synced, and its program has ended.
    #[track_caller]
    pub(crate) fn assert_released(&self, mark: LogMark) {
        self.donor().wait_donor_done(mark, PATIENCE);
        let ended = wait_until(PATIENCE, || program::donors_running(&self.cluster).is_empty());
        assert!(ended, "still running: {:?}", program::donors_running(&self.cluster));
    }

    /// Asks, and holds the program in this state; repeated when it was past it already.
    #[track_caller]
    pub(crate) fn ask_and_hold(&self, state: &str) -> (Asking, DonorProgram, LogMark) {
        for _ in 0..5 {
            let mark = self.donor().log_mark();
            let asking = self.ask(&[]);
            if let Some(program) = DonorProgram::hold_at(&self.cluster, self.program.repository(), state) {
                return (asking, program, mark);
            }
            asking.finish();
        }
        panic!("the program was never seen in the state '{state}'");
    }
}
