//! Dumps beside the physical backups: they count apart.

use super::ages::{age, shown};
use super::backups::{self, Terms};
use super::finding::Finding;
use crate::catalog::Catalog;
use crate::model::BackupClass;

/// What is to be told of all backups.
pub(super) fn judge(catalog: &Catalog, terms: &Terms<'_>) -> Vec<Finding> {
    backups::judge(catalog, terms).into_iter().chain(newest(catalog, terms)).collect()
}

/// The newest dump of everything; where that is the newest backup of all it was told already.
fn newest(catalog: &Catalog, terms: &Terms<'_>) -> Option<Finding> {
    let dump = catalog.newest_of(&BackupClass::Sql, terms.history, terms.now)?;
    let newest = catalog.newest_in(terms.history, terms.now);
    if newest.is_some_and(|newest| newest.id == dump.id) {
        return None;
    }
    let age = shown(age(dump.frozen_at, terms.now));
    Some(Finding::ok("backups", format!("the newest dump is {}, {age} old", dump.id)))
}
