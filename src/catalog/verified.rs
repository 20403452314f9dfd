//! What the last verification of a backup has found.

use serde::Serialize;

use super::CatalogError;
use super::beside::{put_beside, read_beside};
use crate::model::{BackupId, Verification, VerifyOutcome};
use crate::storage::Storage;

/// The outcome of the last `verify`.
pub const VERIFY: &str = "verify.json";

/// What is known of the last verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Verified {
    /// When, by whom, and what was found.
    By(Verification),
    /// `verify.json` is there and cannot be understood.
    Unreadable {
        /// Why.
        error: String,
    },
}

impl Verified {
    /// The record, where it can be read.
    pub fn known(&self) -> Option<&Verification> {
        match self {
            Self::By(verification) => Some(verification),
            Self::Unreadable { .. } => None,
        }
    }

    /// In words that follow the name of the backup.
    pub fn words(&self) -> String {
        match self {
            Self::By(Verification { outcome: VerifyOutcome::Intact, verified, .. }) => {
                format!("verified {}", verified.strftime("%Y-%m-%d"))
            }
            Self::By(found @ Verification { outcome: VerifyOutcome::Damaged, .. }) => {
                format!("DAMAGED: {}", found.damage())
            }
            Self::Unreadable { error } => format!("its {VERIFY} cannot be read: {error}"),
        }
    }
}

/// The last verification of a backup; nothing where there was none.
pub fn read_verified(storage: &dyn Storage, cluster: &str, id: &BackupId) -> Option<Verified> {
    let read = read_beside(storage, cluster, id, VERIFY)?;
    Some(read.map_or_else(|error| Verified::Unreadable { error }, Verified::By))
}

/// Leaves the outcome of a verification beside the backup; an older one is replaced. Of a backup that `prune` removes
/// at this moment nothing is left behind.
pub fn record_verified(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    verification: &Verification,
) -> Result<(), CatalogError> {
    put_beside(storage, cluster, id, VERIFY, verification)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{MANIFEST, object_name};
    use crate::model::ToolIdentity;
    use crate::storage::LocalStorage;

    fn verification(outcome: VerifyOutcome, findings: u64) -> Verification {
        Verification {
            verified: "2026-11-20T11:34:52Z".parse().unwrap(),
            by: "root@db1".into(),
            command: "verify".into(),
            outcome,
            findings,
            first_finding: None,
            files: 1,
            bytes: 2,
            pages_checked: 3,
            pages_skipped: 4,
            took_ms: 5,
            tool: ToolIdentity { version: "0.1.0".into() },
        }
    }

    #[test]
    fn of_a_backup_that_is_removed_at_this_moment_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path());
        let id: BackupId = "20261120T113452Z_n1".parse().unwrap();
        storage.claim(&format!("c/{id}")).unwrap();
        let wanted = verification(VerifyOutcome::Intact, 0);
        let outcome = record_verified(&storage, "c", &id, &wanted);
        assert!(matches!(outcome, Err(CatalogError::NotFound(_))), "{outcome:?}");
        assert_eq!(storage.objects(&format!("c/{id}")).unwrap(), []);
        storage.put(&object_name("c", &id, MANIFEST), b"garbage").unwrap();
        record_verified(&storage, "c", &id, &wanted).unwrap();
        assert_eq!(read_verified(&storage, "c", &id), Some(Verified::By(wanted)));
    }

    #[test]
    fn words_name_the_day_and_what_is_wrong() {
        let words = |verification| Verified::By(verification).words();
        assert_eq!(words(verification(VerifyOutcome::Intact, 0)), "verified 2026-11-20");
        assert_eq!(
            words(verification(VerifyOutcome::Damaged, 1)),
            "DAMAGED: 1 finding of 'verify' on 2026-11-20"
        );
        assert_eq!(
            words(verification(VerifyOutcome::Damaged, 2)),
            "DAMAGED: 2 findings of 'verify' on 2026-11-20"
        );
    }
}
