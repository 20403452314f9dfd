//! The folder of a run in the repository.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Job, JobError, writer_options};
use crate::capture::Watch;
use crate::catalog::TooDeep;
use crate::config::{RepositoryUrl, Settings};
use crate::model::BackupId;
use crate::output::{Destination, Label};
use crate::storage::{self, Limited, Storage, Watched};
use crate::throttle::Throttle;

/// Between two attempts to take a folder.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is tried: for ten seconds, in which several donors of one name may each have taken one.
const ATTEMPTS: u32 = 50;

/// The run that wants a folder.
pub struct Claim {
    /// The cluster's folder.
    pub folder: String,
    /// Cluster, node, request and time of the run.
    pub label: Label,
}

/// A folder for this run in the repository of its settings.
pub fn claim_folder(claim: Claim, settings: Settings, watch: &Watch) -> Result<Job, JobError> {
    let Claim { folder, label } = claim;
    let repository = storage::open(&settings)?;
    let watched = Watched::new(Arc::clone(&repository));
    watch.limit_stall(watched.activity(), settings.stall_timeout);
    let throttle = Throttle::new(settings.limit_rate, &watch.given_up());
    // The limit stands outside: a wait of ours is no operation that hangs.
    let storage: Arc<dyn Storage> =
        Arc::new(Limited::new(Arc::new(watched), Arc::clone(&throttle.repository)));
    // A backup that few will find is more than none.
    if let RepositoryUrl::Directory(_) = settings.repository
        && let Some(found) = TooDeep::find(storage.as_ref())
    {
        log::warn!(
            "{} in the setting 'repository': 'list' of that one does not show this backup",
            found.words()
        );
    }
    let take = |id: &BackupId| {
        let is_ours = storage.claim(&format!("{folder}/{id}"))?;
        watch.aborted().filter(|_| !is_ours).map_or(Ok(is_ours), |abort| Err(abort.into()))
    };
    let id = try_names(&take, &label.node, PAUSE)?;
    let (options, recipients) = (writer_options(&settings), settings.encrypt_to.clone());
    let destination = Destination { storage, folder, id, label, options, recipients };
    Ok(Job { settings, destination, repository, throttle })
}

/// Takes a folder of our own. Two backups of a node in one second get different seconds.
fn try_names(
    take: &dyn Fn(&BackupId) -> Result<bool, JobError>,
    node: &str,
    pause: Duration,
) -> Result<BackupId, JobError> {
    let mut attempts = 0;
    loop {
        let id = BackupId::new(Timestamp::now(), node);
        if take(&id)? {
            return Ok(id);
        }
        attempts += 1;
        if attempts == ATTEMPTS {
            let why = format!(
                "each name that was tried is taken, the last one is '{id}': does the clock stand still, or does the \
                 repository say so of every name?"
            );
            let cause = io::Error::new(io::ErrorKind::AlreadyExists, why);
            return Err(JobError::Claim(cause));
        }
        std::thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_repository_in_which_every_name_is_taken_is_given_up() {
        let asked = Cell::new(0);
        let take_at = |number| {
            asked.set(0);
            let take = |_: &BackupId| {
                asked.set(asked.get() + 1);
                Ok(asked.get() == number)
            };
            try_names(&take, "n1", Duration::ZERO)
        };
        assert!(take_at(3).unwrap().as_str().ends_with("_n1"));
        assert_eq!(asked.get(), 3);
        let why = take_at(0).unwrap_err().to_string();
        assert!(why.contains("each name that was tried is taken") && asked.get() == ATTEMPTS, "{why}");
    }
}
