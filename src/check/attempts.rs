//! What became of runs that are no backups.

use std::time::Duration;

use jiff::Timestamp;

use super::ages::{age, shown};
use super::finding::Finding;
use crate::catalog::Attempt;
use crate::model::{BackupId, BackupState};

/// They stand among the backups.
pub(super) const TOPIC: &str = "backups";
/// A program that runs writes its status every two seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Of one that was heard of since, it is said that it runs.
const HEARD: Duration = Duration::from_secs(10);
/// Folders that are told of one by one.
const MOST_FOLDERS: usize = 5;

/// Runs that go on, have failed since the newest backup, or have been silent for too long.
pub(super) fn attempts(attempts: &[Attempt], newest: Option<&BackupId>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut left = Vec::new();
    let mut failed: Option<(&BackupId, String)> = None;
    for attempt in attempts {
        let heard = match &attempt.status {
            Some(status) if status.state == BackupState::Failed => {
                let why = status.error.clone().unwrap_or_else(|| "no reason is told".into());
                failed = Some((&attempt.id, why));
                continue;
            }
            // Its backup was removed on purpose, manifest first.
            Some(status) if status.state == BackupState::Done => {
                left.push(format!("{} is what a removed backup has left", attempt.id));
                continue;
            }
            Some(status) => status.updated,
            None => attempt.id.started().unwrap_or(Timestamp::UNIX_EPOCH),
        };
        let silence = attempt.status.as_ref().map_or(SILENCE, |status| status.patience(SILENCE));
        let silent = age(heard, now);
        if silent > silence {
            let told = format!("has been silent for {}", shown(silent));
            left.push(format!("{} {told}", attempt.id));
            if newest.is_none_or(|newest| *newest < attempt.id) {
                failed = Some((&attempt.id, format!("its program {told}, and has probably died")));
            }
        } else {
            let text = match &attempt.status {
                _ if silent <= HEARD => format!("{} runs", attempt.id),
                Some(_) => format!("{} was alive {} ago", attempt.id, shown(silent)),
                None => format!("{} began {} ago, and has told nothing since", attempt.id, shown(silent)),
            };
            findings.push(Finding::ok(TOPIC, text));
        }
    }
    if let Some((id, why)) = failed.filter(|(id, _)| newest.is_none_or(|newest| *newest < **id)) {
        let text = format!("the last attempt, {id}, has failed: {why}");
        findings.push(Finding::error(
            TOPIC,
            text,
            "remove the cause and take a backup; the donor's error log has the whole story",
        ));
    }
    findings.extend(left_over(&left));
    findings
}

/// Folders that are no backup. A program that was stopped, or whose clock is another, is silent as well and may go on: nothing
/// is to be removed by hand.
fn left_over(left: &[String]) -> Option<Finding> {
    let hidden = left.len().saturating_sub(MOST_FOLDERS);
    let last = left.get(hidden..).filter(|last| !last.is_empty())?.join("; ");
    let text = match (left.len(), hidden) {
        (1, _) => format!("a folder is no backup and takes up space: {last}"),
        (count, 0) => format!("{count} folders are no backups and take up space: {last}"),
        (count, _) => format!("{count} folders are no backups and take up space; the last ones: {last}"),
    };
    let cure = "wsrep_sst_backup prune removes it when it is a day old (prune needs a policy, keep-last for one); do not remove it by \
                hand: a program that was only stopped goes on";
    Some(Finding::warning(TOPIC, text, cure.to_owned()))
}
