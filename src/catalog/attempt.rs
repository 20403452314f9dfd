//! Folders without a manifest: what has become of the runs that made them.

use jiff::{SignedDuration, Timestamp};

use crate::model::{BackupId, BackupState, Status};

/// A program that runs writes its status every two seconds; one that has been silent for so long has probably died. One that
/// writes less often says so ([`Status::patience`]).
pub const SILENCE: SignedDuration = SignedDuration::from_secs(60);

/// A run that goes on, or that has not made a backup.
#[derive(Debug)]
pub struct Attempt {
    /// Folder of the cluster.
    pub cluster: String,
    /// Folder of the backup.
    pub id: BackupId,
    /// Its status, where it can be read.
    pub status: Option<Status>,
}

/// What has become of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// It goes on.
    Running(BackupState),
    /// It has failed; why, where that is known.
    Failed(Option<String>),
    /// Nothing was heard of it since that moment; never, where none is known.
    Dead(Option<Timestamp>),
    /// Its backup was removed on purpose, manifest first.
    Removed,
}

impl Attempt {
    /// The state of the run, as far as its status tells it now.
    pub fn standing(&self, now: Timestamp) -> AttemptState {
        let Some(status) = &self.status else {
            // It claims its folder, and then it writes its first status.
            let begun = self.id.started().filter(|begun| now.duration_since(*begun) <= SILENCE);
            return begun.map_or(AttemptState::Dead(None), |_| AttemptState::Running(BackupState::Starting));
        };
        match status.state {
            BackupState::Failed => AttemptState::Failed(status.error.clone()),
            BackupState::Done => AttemptState::Removed,
            _ if now.duration_since(status.updated) > silence(status) => {
                AttemptState::Dead(Some(status.updated))
            }
            state => AttemptState::Running(state),
        }
    }
}

/// How long it may have been silent, and be alive.
fn silence(status: &Status) -> SignedDuration {
    SignedDuration::try_from(status.patience(SILENCE.unsigned_abs())).unwrap_or(SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(status: Option<(BackupState, Option<&str>)>) -> Attempt {
        let id: BackupId = "20261120T113452Z_n1".parse().unwrap();
        let at = id.started().unwrap();
        let status = status.map(|(state, error)| Status {
            id: id.clone(),
            cluster: "c".into(),
            node: "n1".into(),
            request: None,
            state,
            started: at,
            updated: at,
            pid: 1,
            bytes_done: 0,
            bytes_total: None,
            frozen_ms: None,
            gtid: None,
            error: error.map(str::to_owned),
            beat_s: None,
        });
        Attempt { cluster: "c".into(), id, status }
    }

    #[test]
    fn who_is_silent_for_a_minute_is_taken_for_dead() {
        let begun = attempt(None).id.started().unwrap();
        let later = |seconds| begun + SignedDuration::from_secs(seconds);
        let copying = attempt(Some((BackupState::Copying, None)));
        assert_eq!(copying.standing(later(60)), AttemptState::Running(BackupState::Copying));
        assert_eq!(copying.standing(later(61)), AttemptState::Dead(Some(begun)));
        // A clock that is behind is no silence.
        assert_eq!(copying.standing(later(-3600)), AttemptState::Running(BackupState::Copying));
        assert_eq!(attempt(None).standing(later(60)), AttemptState::Running(BackupState::Starting));
        assert_eq!(attempt(None).standing(later(61)), AttemptState::Dead(None));
        let mut rare = attempt(Some((BackupState::Copying, None)));
        rare.status.as_mut().unwrap().beat_s = Some(300);
        assert_eq!(rare.standing(later(750)), AttemptState::Running(BackupState::Copying));
        assert_eq!(rare.standing(later(751)), AttemptState::Dead(Some(begun)));
        // A status that names its own beat cannot keep a dead run alive for ever.
        rare.status.as_mut().unwrap().beat_s = Some(u64::MAX);
        assert_eq!(rare.standing(later(9001)), AttemptState::Dead(Some(begun)));
        let failed = attempt(Some((BackupState::Failed, Some("why"))));
        assert_eq!(failed.standing(later(9999)), AttemptState::Failed(Some("why".into())));
        assert_eq!(attempt(Some((BackupState::Done, None))).standing(later(0)), AttemptState::Removed);
    }
}
