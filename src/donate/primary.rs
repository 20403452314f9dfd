//! Nothing is ended while the node is cut off from its cluster.
//!
//! If `done`, or the end of this program, reaches mysqld while the node is not in the Primary component,
//! the node stays Donor/Desynced with `wsrep_ready` OFF until it is restarted (seen on MariaDB 10.11 with
//! Galera 26.4: the "donor stuck" fault). A node that was only thrown out for a moment comes back by
//! itself, so we wait for it. While the server is frozen `wsrep_cluster_status` still says Primary:
//! the question makes sense after `continue`.
//!
//! Without SQL nothing can be known, and the program ends as the stock scripts do.

use std::time::{Duration, Instant};

use crate::capture::{Login, SqlSession, Watch};

/// How often the server is asked.
const POLL: Duration = Duration::from_millis(200);
/// How long the node must say Primary before it is believed: after `continue` a cut-off node notices its
/// state only when the provider works again.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a server that has answered before may be silent until nothing is expected of it any more.
const NO_ANSWER: Duration = Duration::from_secs(2);

/// Waits until the node is Primary, as long as `limit`, a signal, or the death of mysqld allow.
/// `answered` says whether SQL has worked in this run: where it has not, one refusal is enough.
pub(super) fn wait_until_primary(login: &Login, answered: bool, watch: &Watch, limit: Duration) {
    let patience = if answered { NO_ANSWER } else { Duration::ZERO };
    let started = Instant::now();
    let mut session: Option<SqlSession> = None;
    let mut primary_since: Option<Instant> = None;
    let mut silent_since: Option<Instant> = None;
    let mut told = false;
    while watch.aborted().is_none() {
        match ask(&mut session, login) {
            Ok(status) if status == "Primary" => {
                silent_since = None;
                if primary_since.get_or_insert_with(Instant::now).elapsed() >= SETTLE {
                    if told {
                        log::info!("the node is Primary again after {} s", started.elapsed().as_secs());
                    }
                    return;
                }
            }
            Ok(status) => {
                (primary_since, silent_since) = (None, None);
                if !std::mem::replace(&mut told, true) {
                    log::warn!(
                        "the node is cut off from its cluster ({status}): waiting up to {} s until it is Primary \
                         again, because a state transfer that ends now would leave it a donor for ever",
                        limit.as_secs()
                    );
                }
            }
            Err(why) => {
                session = None;
                primary_since = None;
                if !told && silent_since.get_or_insert_with(Instant::now).elapsed() >= patience {
                    log::info!("whether the node is Primary is not known ({why})");
                    return;
                }
            }
        }
        if started.elapsed() >= limit {
            log::error!(
                "the node was not Primary for {} s (primary-timeout); it may stay Donor/Desynced: when the network is \
                 mended, restart it if wsrep_local_state_comment does not say Synced",
                limit.as_secs()
            );
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// The status by the open session, or by a new one.
fn ask(session: &mut Option<SqlSession>, login: &Login) -> Result<String, String> {
    match session {
        Some(session) => session.cluster_status(),
        None => session.insert(login.connect()?).cluster_status(),
    }
}
