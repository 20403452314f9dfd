//! Before a node is restored: will it join by IST, or take a full SST over what was restored?

use serde_json::{Value, json};

use crate::catalog::{BackupReader, Catalog, later_but_lower};
use crate::cluster::{Access, Coordinates, IstOutlook, Survey, ist_sentence};
use crate::config::{OptionFiles, ServerOptions, Settings};
use crate::model::{HostPort, WsrepGtid};
use crate::storage::Storage;

/// How the members are asked: those of the setting `members`, else the hosts of the server's own `wsrep_cluster_address` at
/// the usual port; and the server of this machine.
pub(super) fn access(settings: &Settings, server: &ServerOptions) -> Access {
    let user = crate::users::user_name(nix::unistd::geteuid().as_raw());
    let mut access = Access::new(settings, server, user);
    if access.members.is_empty() {
        let address = Coordinates::from_options(server).cluster_address().unwrap_or_default();
        let hosts = address.members.into_iter().map(|member| HostPort { port: None, ..member });
        access.members = hosts.collect();
        access.members.dedup();
    }
    access
}

/// Asks the members. Nothing where none is known that could be asked.
fn ist_outlook(settings: &Settings, files: &OptionFiles, gtid: &WsrepGtid) -> Option<IstOutlook> {
    let access = access(settings, &ServerOptions::from(files, &[], None));
    let survey = Survey::take(&access);
    // The server of this machine is the one that is restored: that it does not run is no news.
    let is_anybody = !survey.reports.is_empty() || !access.members.is_empty();
    is_anybody.then(|| IstOutlook::new(&survey, gtid))
}

/// A later backup of the same history at a lower position, and that position. Where the repository cannot be read that is told.
pub(super) fn later(storage: &dyn Storage, source: &BackupReader) -> Option<(String, i64)> {
    let manifest = source.manifest();
    match Catalog::read_folder(storage, source.cluster()) {
        Ok(catalog) => later_but_lower(catalog.records.iter(), manifest)
            .map(|later| (later.id.to_string(), later.lineage().seqno)),
        Err(error) => {
            log::warn!(
                "whether the cluster has gone back to an older backup since {} is not known: {error}",
                manifest.id
            );
            None
        }
    }
}

/// What the members say, and the repository, which may have a later backup at a lower position. That is told also where no member
/// answers.
pub(super) fn node_outlook(
    settings: &Settings,
    files: &OptionFiles,
    storage: &dyn Storage,
    source: &BackupReader,
) -> Option<IstOutlook> {
    let gtid = source.manifest().gtid.as_ref();
    let outlook = gtid.and_then(|gtid| ist_outlook(settings, files, gtid));
    IstOutlook::with_later(outlook, later(storage, source))
}

/// The same for programs: `possible` is null where it is not known.
pub(super) fn as_json(outlook: &IstOutlook, gtid: &WsrepGtid) -> Value {
    let (_, text) = ist_sentence(outlook, gtid);
    match outlook {
        IstOutlook::Possible { donor, writesets, spare } => {
            json!({ "possible": true, "donor": donor, "writesets": writesets, "spare": spare, "text": text })
        }
        IstOutlook::Abandoned { later, .. } => json!({ "possible": false, "later": later, "text": text }),
        IstOutlook::TooOld { .. } | IstOutlook::Ahead { .. } | IstOutlook::OtherHistory { .. } => {
            json!({ "possible": false, "text": text })
        }
        IstOutlook::Unknown { .. } => json!({ "possible": null, "text": text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_went_back_is_no_ist() {
        let gtid = WsrepGtid { uuid: "u".into(), seqno: 91, domain_id: None };
        let ahead = IstOutlook::Ahead { last: 11, member: "n2".into() };
        let abandoned = IstOutlook::Abandoned { later: "l".into(), seqno: 11 };
        for outlook in [ahead, abandoned] {
            assert_eq!(as_json(&outlook, &gtid)["possible"], false);
        }
    }
}
