//! A desync that a `run` which was killed has left: ended here.

use std::time::Duration;

use super::finding::Finding;
use crate::cluster::Access;
use crate::desync::{
    BACKUP, DesyncError, DesyncLeft, LocalNode, Restarted, ResyncPatience, Resynced, end_leftover,
};
use crate::ui::{grouped, time};

const TOPIC: &str = "desync";
/// For how long the server is asked: one that refuses does so again.
const INSIST: Duration = Duration::from_secs(5);
/// How long its queue may take: who checks waits for an answer.
const DRAIN: Duration = Duration::from_secs(30);

/// Looks beside the socket of the server of this machine, and ends what was left there.
pub(super) fn end_left(access: &Access) -> Result<DesyncLeft, DesyncError> {
    let Some(socket) = access.socket.clone() else { return Ok(DesyncLeft::Nothing) };
    let mut node = LocalNode::new(access.clone(), socket);
    let mut patience = ResyncPatience {
        drain: DRAIN,
        insist: INSIST,
        at_once: &|| false,
        watch: &mut |_| Ok(()),
        tell: &mut |_| (),
    };
    end_leftover(&mut node, &mut patience)
}

/// What is to be told of it.
pub(super) fn judge(found: &Result<DesyncLeft, DesyncError>) -> Option<Finding> {
    match found {
        Ok(DesyncLeft::Nothing) => None,
        Ok(DesyncLeft::Running(record)) => {
            let text = match record {
                Some(record) if record.command == BACKUP => format!(
                    "a backup by 'run' (since {}, pid {}) is under way, and the server steps aside until its files are read or cloned",
                    time(record.since),
                    record.pid
                ),
                Some(record) => format!(
                    "a run ('{}' since {}, pid {}) is under way, and the server steps aside for as long as its command takes",
                    record.command,
                    time(record.since),
                    record.pid
                ),
                None => "a run is under way, and the server steps aside for as long as it takes".into(),
            };
            Some(Finding::ok(TOPIC, text))
        }
        Ok(DesyncLeft::Ended(record, resynced)) => {
            let now = match resynced {
                Resynced::Done { drained, .. } if drained.last == 0 => "it is let in again".to_owned(),
                Resynced::Done { drained, .. } => format!(
                    "it is let in again, with {} write sets to apply: the cluster may have to wait for it",
                    grouped(drained.last)
                ),
                Resynced::Already | Resynced::Restarted => "it is not desynced any more".to_owned(),
            };
            let (command, since) = (&record.command, time(record.since));
            let text = format!(
                "a run ('{command}' since {since}, pid {}) was killed while it had the node desynced: {now}",
                record.pid
            );
            Some(Finding::warning(TOPIC, text, "see why it was killed (the journal, dmesg)".to_owned()))
        }
        Ok(DesyncLeft::Started(record, restarted)) => {
            let now = match restarted {
                Restarted::Running(all) if all.iter().all(|connection| connection.outcome.is_ok()) => {
                    "they run again, and have caught up"
                }
                Restarted::Running(_) => "they were started again, and have not caught up yet",
                Restarted::Server => "the server was started anew since",
            };
            let (command, since) = (&record.command, time(record.since));
            let text = format!(
                "a run ('{command}' since {since}, pid {}) was killed while it had the replica's SQL threads stopped: {now}",
                record.pid
            );
            Some(Finding::warning(
                TOPIC,
                text,
                "see why it was killed (the journal, dmesg); SHOW ALL SLAVES STATUS".to_owned(),
            ))
        }
        Err(error) => Some(Finding::error(
            TOPIC,
            error.to_string(),
            "run this check as root; or SET GLOBAL wsrep_desync=OFF, unless it was you who has set it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::check::Level;
    use crate::desync::{DesyncRecord, Drained, NodeLoad};

    #[test]
    fn what_was_left_is_told_with_what_became_of_it() {
        let record = || DesyncRecord {
            node: "n1".into(),
            server_started: 1,
            since: Timestamp::UNIX_EPOCH,
            pid: 7,
            command: "mydumper".into(),
            stopped: Vec::new(),
            lease: None,
        };
        let done = |last| Resynced::Done {
            drained: Drained { first: 9, last, waited: Duration::ZERO },
            synced: Some(Duration::ZERO),
            load: NodeLoad::default(),
        };
        assert_eq!(judge(&Ok(DesyncLeft::Nothing)), None);
        for (found, level, text) in [
            (Ok(DesyncLeft::Running(Some(record()))), Level::Ok, "for as long as its command takes"),
            (
                Ok(DesyncLeft::Running(Some(DesyncRecord { command: BACKUP.into(), ..record() }))),
                Level::Ok,
                "a backup by 'run' (since 1970-01-01 00:00:00 UTC, pid 7) is under way",
            ),
            (Ok(DesyncLeft::Running(None)), Level::Ok, "a run is under way"),
            (
                Ok(DesyncLeft::Ended(record(), done(0))),
                Level::Warning,
                "was killed while it had the node desynced: it is let in again",
            ),
            (Ok(DesyncLeft::Ended(record(), done(1234))), Level::Warning, "with 1,234 write sets to apply"),
            (Ok(DesyncLeft::Ended(record(), Resynced::Already)), Level::Warning, "is not desynced any more"),
            (Err(DesyncError::Sql("refused".into())), Level::Error, "refused"),
        ] {
            let finding = judge(&found).unwrap();
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
    }
}
