//! A donor must not hold up its cluster.
//!
//! With `gcs.sync_donor=yes` a donor takes part in flow control: as soon as some write sets wait on it, and under the freeze
//! all of them do, every node of the cluster stops writing (seen: from 700 writes a second to none, until the end of the freeze). Where
//! the provider's options say so, there is no freeze. Set at run time they do not say it (seen on Galera 26.4.23);
//! then the donor's own status does: `wsrep_flow_control_requested`, which answers under the freeze too. A backup that
//! sees it is given up.
//!
//! The same look shows a mysqld that is shut down while it stands still: it leaves its cluster at once, and never ends
//! (seen on 10.11.19: `wsrep_provider::disconnect` waits for an applier that waits for a provider which is paused, and which nobody
//! lets run again, because a server that is disconnecting is no donor any more; to write `continue` 4 ms behind "Normal shutdown" was too
//! late). New sessions get no answer then; one that is open does, and is told that the node is not Primary, which a frozen node that
//! is merely cut off is not told (seen). All that can be done about it is to say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::DonateError;
use crate::capture::{Abort, Facts, Login, Watch};
use crate::job::Job;
use crate::model::syncs_donor;

/// How often a frozen server is asked.
const POLL: Duration = Duration::from_millis(250);
/// Longest wait for its answer.
const LIMIT: Duration = Duration::from_secs(2);
/// What is in the log and the manifest of a backup that was taken all the same.
const ALLOWED: &str = "gcs.sync_donor is on: while this node was frozen, nobody in the cluster could write";

/// The same for a server that is shut down.
const SHUT_DOWN: &str =
    "mysqld was shut down while it stood still for this backup: it does not end by itself";

/// What to do about that.
const WAY_OUT: &str = "MariaDB does not come to the end of such a shutdown, whatever this program does. Kill its process (kill -9) and start \
                       it again: nothing that was committed is lost, and this backup is complete only if it is before that. Next time run \
                       'release-donor' before the stop";

fn is_allowed(job: &Job) -> bool {
    job.settings.allow_sync_donor || job.is_forced()
}

/// Refuses a freeze that would stop the cluster, unless the settings or the request allow it.
pub(super) fn check(job: &Job, facts: &mut Facts) -> Result<(), DonateError> {
    if !facts.get("wsrep_provider_options").is_some_and(syncs_donor) {
        return Ok(());
    }
    if !is_allowed(job) {
        return Err(DonateError::SyncDonor);
    }
    log::warn!("{ALLOWED}");
    facts.warnings.push(ALLOWED.into());
    Ok(())
}

/// Looks, until it is dropped, whether the frozen server asks its cluster to wait, or has begun to shut down.
#[derive(Debug)]
pub(super) struct FlowControl {
    stop: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
    is_leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    session: u32,
}

impl FlowControl {
    /// Logs in before the freeze, because a frozen server may take no new session. None where no session can be had.
    pub(super) fn watch(job: &Job, login: &Login, watch: &Watch) -> Option<Self> {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut session = match login.connect_within(LIMIT) {
            Ok(session) => session,
            Err(why) => {
                log::info!("whether this donor holds up its cluster cannot be seen: {why}");
                return None;
            }
        };
        let id = session.id();
        let give_up = (!is_allowed(job)).then(|| watch.give_up());
        let is_leaving = Arc::new(AtomicBool::new(false));
        let (over, found, leaves) = (Arc::clone(&stop), Arc::clone(&seen), Arc::clone(&is_leaving));
        let look = move || {
            let mut before = false;
            let mut was_out = false;
            while !over.load(Ordering::Relaxed) {
                let Ok(status) = session.status("wsrep_cluster_status") else { return };
                let is_out = status.values().any(|value| !value.eq_ignore_ascii_case("primary"));
                if is_out && was_out && !leaves.swap(true, Ordering::Relaxed) {
                    log::error!("{SHUT_DOWN}. {WAY_OUT}");
                }
                was_out = is_out;
                let Ok(status) = session.status("wsrep_flow_control_requested") else { return };
                let requested = status.values().any(|value| value.eq_ignore_ascii_case("true"));
                // Twice: what was asked for just before this node became a donor is over by then.
                if requested
                    && before
                    && !found.swap(true, Ordering::Relaxed)
                    && let Some(give_up) = &give_up
                {
                    return give_up(Abort::FlowControl);
                }
                before = requested;
                std::thread::sleep(POLL);
            }
        };
        let thread = std::thread::Builder::new().name("flow control".into()).spawn(look);
        Some(Self { stop, seen, is_leaving, thread: thread.ok(), session: id })
    }

    /// The server's number of its session.
    pub(super) fn session(&self) -> u32 {
        self.session
    }

    /// The freeze is over; what is to be told of it.
    pub(super) fn end(mut self) -> Vec<String> {
        self.join();
        let mut warnings = Vec::new();
        if self.seen.load(Ordering::Relaxed) {
            warnings.push(ALLOWED.into());
        }
        if self.is_leaving.load(Ordering::Relaxed) {
            warnings.push(SHUT_DOWN.into());
        }
        warnings
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for FlowControl {
    fn drop(&mut self) {
        self.join();
    }
}
