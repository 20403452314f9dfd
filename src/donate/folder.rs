//! The folder of a run in the repository.

use std::sync::Arc;

use jiff::Timestamp;

use super::{DonateError, Run};
use crate::capture::{NodeNames, Watch};
use crate::config::Settings;
use crate::model::BackupId;
use crate::sst::DonorRequest;
use crate::storage::{self, Limited, Storage, Watched};
use crate::throttle::Throttle;

/// A folder for this run, and the repository that it is in, which nobody watches for stalls.
pub(super) fn claim_folder(
    request: DonorRequest,
    settings: Settings,
    names: NodeNames,
    folder: String,
    started: Timestamp,
    watch: &Watch,
) -> Result<(Run, Arc<dyn Storage>), DonateError> {
    let repository = storage::open(&settings)?;
    let watched = Watched::new(Arc::clone(&repository));
    watch.limit_stall(watched.activity(), settings.stall_timeout);
    let throttle = Throttle::new(settings.limit_rate, &watch.given_up());
    // The limit stands outside: a wait of ours is no operation that hangs.
    let storage: Arc<dyn Storage> =
        Arc::new(Limited::new(Arc::new(watched), Arc::clone(&throttle.repository)));
    let id = claim(storage.as_ref(), &folder, &names.node, watch)?;
    Ok((Run { request, settings, names, storage, throttle, id, folder, started }, repository))
}

/// Takes a folder of our own. Two backups of a node in one second get different seconds.
fn claim(storage: &dyn Storage, folder: &str, node: &str, watch: &Watch) -> Result<BackupId, DonateError> {
    loop {
        let id = BackupId::new(Timestamp::now(), node);
        if storage.claim(&format!("{folder}/{id}"))? {
            return Ok(id);
        }
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
