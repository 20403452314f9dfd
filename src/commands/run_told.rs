//! What a person is told of a node that was desynced.

use crate::desync::{CaughtUp, DesyncLeft, Drained, NodeLoad, Restarted, ResyncStep, Resynced};
use crate::ui::{LiveLines, duration_ms, grouped, time};

/// A warning, on stderr.
#[expect(clippy::needless_pass_by_value, reason = "for iterators and closures")]
pub(super) fn warn(text: String) {
    log::warn!("{text}");
}

/// What is waited for, on stderr.
pub(super) fn tell_waiting(what: &str) {
    LiveLines::new().line(&format!("{what}: waiting for its end"));
}

/// A step of the way back, on stderr.
pub(super) fn tell_step(step: ResyncStep) {
    let line = match step {
        ResyncStep::Draining(queue) => format!("{} write sets wait to be applied", grouped(queue)),
        ResyncStep::CatchingUp => "the replica applies what it has received meanwhile".to_owned(),
    };
    LiveLines::new().line(&line);
}

/// How a replica went on.
pub(super) fn restarted_told(restarted: &Restarted) -> String {
    match restarted {
        Restarted::Server => {
            "the server has ended or was started anew; it starts its threads by its own settings".to_owned()
        }
        Restarted::Running(all) => {
            let each: Vec<String> = all.iter().map(caught_up).collect();
            format!("the replica's SQL threads run again: {}", each.join(", "))
        }
    }
}

fn caught_up(connection: &CaughtUp) -> String {
    let name = if connection.name.is_empty() {
        "the default connection".into()
    } else {
        format!("'{}'", connection.name)
    };
    let up_to = connection.delay.map_or_else(String::new, |seconds| {
        format!(", up to its delay of {} s (MASTER_DELAY)", grouped(seconds))
    });
    match &connection.outcome {
        Ok(after) => format!("{name} caught up after {}{up_to}", duration_ms(millis(*after))),
        Err(why) => format!("{name} did not catch up ({why})"),
    }
}

/// How a node came back.
pub(super) fn resynced_told(name: &str, resynced: &Resynced) -> String {
    match resynced {
        Resynced::Already => format!("node '{name}' is not desynced any more: somebody else has ended that"),
        Resynced::Restarted => {
            format!("the server of '{name}' has ended or was started anew, and is not desynced any more")
        }
        Resynced::Done { drained, synced, load } => {
            let queue = queue(*drained);
            let synced = match synced {
                Some(after) => format!("Synced after {}", duration_ms(millis(*after))),
                None => not_synced(*load),
            };
            format!("node '{name}' is let in again: {queue}; {synced}")
        }
    }
}

fn queue(drained: Drained) -> String {
    let waited = duration_ms(millis(drained.waited));
    match drained {
        Drained { first: 0, last: 0, .. } => "its receive queue was empty".to_owned(),
        Drained { first, last: 0, .. } => {
            format!("its receive queue of {} write sets drained in {waited}", grouped(first))
        }
        Drained { last, .. } => format!(
            "{} write sets still wait after {waited}, so the cluster may have to wait for this node (flow control)",
            grouped(last)
        ),
    }
}

fn not_synced(load: NodeLoad) -> String {
    match load.desyncs {
        0 => "it is not Synced yet (SHOW STATUS LIKE 'wsrep_local_state_comment')".to_owned(),
        count => format!(
            "it is not Synced, since somebody else has it desynced as well (wsrep_desync_count {count}: a lock, a transfer)"
        ),
    }
}

/// What another run has left, if anything.
pub(super) fn leftover_told(leftover: &DesyncLeft) -> Option<String> {
    match leftover {
        DesyncLeft::Nothing => None,
        DesyncLeft::Started(record, restarted) => Some(format!(
            "a run ('{}' since {}, pid {}) was killed and had left the replica's SQL threads stopped. {}",
            record.command,
            time(record.since),
            record.pid,
            sentence(&restarted_told(restarted))
        )),
        DesyncLeft::Running(record) => {
            let who = record.as_ref().map_or_else(String::new, |record| {
                format!(" ('{}' since {}, pid {})", record.command, time(record.since), record.pid)
            });
            Some(format!("another run is under way on this server{who}: nothing was done"))
        }
        DesyncLeft::Ended(record, resynced) => Some(format!(
            "a run ('{}' since {}, pid {}) was killed and had left the node desynced. {}",
            record.command,
            time(record.since),
            record.pid,
            sentence(&resynced_told(&record.node, resynced))
        )),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
