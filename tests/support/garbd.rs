//! garbd, the arbitrator that can ask a node for a backup.
//!
//! It exits 0 whatever becomes of the backup, and waits for ever where its donor is busy or the group's name is
//! wrong; so it runs under a time limit, and the outcome is read from the donor's log.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::cluster::Cluster;
use super::cnf::CLUSTER_NAME;
use super::node::Node;
use super::ports::Ports;
use super::server::LogMark;
use super::wait_until;

/// What garbd did.
#[derive(Debug)]
pub struct GarbdOutcome {
    /// Its exit status; none when the time limit ended it.
    pub status: Option<i32>,
    /// Its log.
    pub log: String,
    /// The command line, for people.
    pub command: String,
    /// The end of the donor's log just before.
    pub donor_mark: LogMark,
    /// The name by which the cluster knew it.
    pub name: String,
}

impl GarbdOutcome {
    /// Whether the cluster has heard its request, by the donor's log. A garbd that joins while another one leaves may find itself without a Primary
    /// component: it ends, with status 0, before it has asked.
    pub fn was_heard_by(&self, donor: &Node) -> bool {
        donor.log_since(self.donor_mark).contains(&format!("({}) requested state transfer", self.name))
    }
}

/// Runs garbd.
#[derive(Debug)]
pub struct Garbd;

impl Garbd {
    /// garbd may take this long; it usually takes 3 s.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// So often it may come to a cluster that has no Primary component for it at that moment.
    const ATTEMPTS: usize = 3;

    /// Asks `donor` for a backup: `--sst backup`, or `--sst backup:TEXT` with an address. Returns when garbd has
    /// gone, which is before the donor is done.
    pub fn run_backup(cluster: &Cluster, donor: usize, address: Option<&str>) -> GarbdOutcome {
        Self::run_backup_within(cluster, donor, address, Self::TIMEOUT)
    }

    /// The same with a time limit of its own, for a donor that cannot answer.
    pub fn run_backup_within(
        cluster: &Cluster,
        donor: usize,
        address: Option<&str>,
        timeout: Duration,
    ) -> GarbdOutcome {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("garbd{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let ports = Ports::reserve();
        let log = cluster.dir().join(format!("{name}.log"));
        let donor = cluster.n(donor);
        let donor_mark = donor.log_mark();
        let sst = address.map_or("backup".to_owned(), |text| format!("backup:{text}"));
        let arguments = [
            format!("--address=gcomm://{}", cluster.members()),
            format!("--group={CLUSTER_NAME}"),
            format!("--name={name}"),
            format!("--donor={}", donor.name()),
            format!("--sst={sst}"),
            format!("--options=gmcast.listen_addr=tcp://127.0.0.1:{};pc.weight=0", ports.port(0)),
            format!("--log={}", log.display()),
        ];
        let mut command = Command::new("garbd");
        command
            .args(&arguments)
            .current_dir(cluster.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        cluster.scratch().user().run_as(&mut command);
        let mut garbd =
            command.spawn().unwrap_or_else(|e| panic!("cannot start garbd: {e}: run scripts/install-deps"));
        let mut status = None;
        wait_until(timeout, || {
            status = garbd.try_wait().expect("cannot wait for garbd");
            status.is_some()
        });
        if status.is_none() {
            let _ = garbd.kill();
            let _ = garbd.wait();
        }
        GarbdOutcome {
            status: status.and_then(|s| s.code()),
            log: fs::read_to_string(&log).unwrap_or_default(),
            command: format!("garbd {}", arguments.join(" ")),
            donor_mark,
            name,
        }
    }

    /// Asks for a backup and waits until the donor, whatever became of it, is Synced again.
    pub fn backup_and_wait(
        cluster: &Cluster,
        donor: usize,
        address: Option<&str>,
        timeout: Duration,
    ) -> GarbdOutcome {
        let ask = |_| {
            let outcome = Self::run_backup(cluster, donor, address);
            assert_eq!(outcome.status, Some(0), "garbd failed:\n{}", outcome.log);
            outcome.was_heard_by(cluster.n(donor)).then_some(outcome)
        };
        let outcome = (0..Self::ATTEMPTS).find_map(ask).expect("the cluster has heard none of its requests");
        cluster.n(donor).wait_donor_done(outcome.donor_mark, timeout);
        outcome
    }
}
