//! Signs of life at the root of a repository ([`crate::lease`]) whose owners are gone.
//!
//! Who asks for a backup, and a donor that stands still, lets an object of its own grow every few seconds, or every few minutes where old
//! versions are kept. One that is killed leaves it; whoever looks for others takes it away, but where nobody looks, or
//! may not remove it, it stays. One that has not grown for a day belongs to nobody who lives.

use jiff::{SignedDuration, Timestamp};

use crate::lease;
use crate::model::safe_component;
use crate::storage::{ObjectInfo, Storage, StorageError};

/// What has not changed for so long, a sign or a folder, is no work in progress.
pub(super) const QUIET: SignedDuration = SignedDuration::from_hours(24);

/// A sign of somebody who is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// The object.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it last grew, by the clock of the storage.
    pub written: Timestamp,
}

impl Sign {
    /// Why it goes.
    pub fn reason(&self) -> String {
        format!(
            "its program has died, it was last written at {}",
            self.written.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    }
}

/// Those of one cluster, or of all.
pub(super) fn signs(
    storage: &dyn Storage,
    cluster: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Sign>, StorageError> {
    let cluster = cluster.map(safe_component);
    let is_meant = |object: &ObjectInfo| {
        lease::cluster_of(&object.name).is_some_and(|of| cluster.as_deref().is_none_or(|wanted| wanted == of))
    };
    let sign = |ObjectInfo { name, bytes, modified }| {
        let written = modified.filter(|written| now.duration_since(*written) > QUIET)?;
        Some(Sign { name, bytes, written })
    };
    Ok(storage.objects("")?.into_iter().filter(is_meant).filter_map(sign).collect())
}
