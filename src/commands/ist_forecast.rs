//! Before a node is restored: will it join by IST, or take a full SST over what was restored?

use serde_json::{Value, json};

use crate::catalog::{BackupReader, Catalog, later_but_lower};
use crate::cluster::{Access, Coordinates, IstOutlook, Survey};
use crate::config::{OptionFiles, ServerOptions, Settings};
use crate::model::{HostPort, WsrepGtid};
use crate::storage::Storage;
use crate::ui::grouped;

/// Asks the members: those of the setting `members`, else the hosts of the server's own `wsrep_cluster_address` at
/// the usual port. Nothing where no member is known that could be asked.
fn ist_outlook(settings: &Settings, files: &OptionFiles, gtid: &WsrepGtid) -> Option<IstOutlook> {
    let server = ServerOptions::from(files, &[], None);
    let user = crate::users::user_name(nix::unistd::geteuid().as_raw());
    let mut access = Access::new(settings, &server, user);
    if access.members.is_empty() {
        let address = Coordinates::from_options(&server).cluster_address().unwrap_or_default();
        let hosts = address.members.into_iter().map(|member| HostPort { port: None, ..member });
        access.members = hosts.collect();
        access.members.dedup();
    }
    let survey = Survey::take(&access);
    // The server of this machine is the one that is restored: that it does not run is no news.
    let is_anybody = !survey.reports.is_empty() || !access.members.is_empty();
    is_anybody.then(|| IstOutlook::new(&survey, gtid))
}

/// The same for a backup of a repository, which may have a later one at a lower position. That is told also where no member
/// answers.
pub(super) fn node_outlook(
    settings: &Settings,
    files: &OptionFiles,
    storage: &dyn Storage,
    source: &BackupReader,
) -> Option<IstOutlook> {
    let manifest = source.manifest();
    let later = match Catalog::read_folder(storage, source.cluster()) {
        Ok(catalog) => later_but_lower(catalog.records.iter(), manifest)
            .map(|later| (later.id.to_string(), later.lineage().seqno)),
        Err(error) => {
            log::warn!(
                "whether the cluster has gone back to an older backup since {} is not known: {error}",
                manifest.id
            );
            None
        }
    };
    let outlook = manifest.gtid.as_ref().and_then(|gtid| ist_outlook(settings, files, gtid));
    IstOutlook::with_later(outlook, later)
}

/// A sentence or two for a person, and whether it is bad news.
pub(super) fn sentence(outlook: &IstOutlook, gtid: &WsrepGtid) -> (bool, String) {
    match outlook {
        IstOutlook::Possible { donor, writesets, spare } => (
            false,
            format!(
                "IST is possible now: '{donor}' has the {} write sets since the backup, and {} older ones before its gcache \
                 ends",
                grouped(*writesets),
                grouped(*spare)
            ),
        ),
        IstOutlook::TooOld { oldest, member } => (
            true,
            format!(
                "IST is not possible any more: the backup is at seqno {}, and the oldest write set that a member has is {oldest} \
                 ('{member}'). A node restored from it takes a full SST when it starts; take a newer backup, if there is one",
                gtid.seqno
            ),
        ),
        IstOutlook::Ahead { last, member } => (
            true,
            format!(
                "IST is not possible: the cluster stands at seqno {last} ('{member}'), behind the backup at seqno {}. It has gone \
                 back to an older backup, and a node restored from this one would abort when it starts (\"Reversing history\"). \
                 Use a backup that was taken since, or start the node with an empty data directory: it takes a full SST",
                gtid.seqno
            ),
        ),
        IstOutlook::Abandoned { later, seqno } => (
            true,
            format!(
                "DO NOT JOIN A NODE FROM THIS BACKUP unless you know better: it is at seqno {}, and the repository has a later \
                 backup, {later}, at seqno {seqno} of the same history. So the cluster has gone back to an older backup (or a \
                 clock was wrong), and this one may be of what it has left behind: a node from it could join by IST with other \
                 rows than the cluster has, and nothing would tell. Use a later one",
                gtid.seqno
            ),
        ),
        IstOutlook::OtherHistory { uuid } => (
            true,
            format!(
                "IST is not possible: the cluster that answers has the history {uuid}, the backup is of {}. A node restored \
                 from it takes a full SST when it starts, unless the cluster itself is restored (--as cluster)",
                gtid.uuid
            ),
        ),
        IstOutlook::Unknown { why } => (
            false,
            format!(
                "whether IST will be possible is not known ({why}); --members HOST:PORT names members to ask"
            ),
        ),
    }
}

/// The same for programs: `possible` is null where it is not known.
pub(super) fn as_json(outlook: &IstOutlook, gtid: &WsrepGtid) -> Value {
    let (_, text) = sentence(outlook, gtid);
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
    fn a_cluster_that_went_back_is_bad_news_and_no_ist() {
        let gtid = WsrepGtid { uuid: "u".into(), seqno: 91, domain_id: None };
        let ahead = IstOutlook::Ahead { last: 11, member: "n2".into() };
        let abandoned = IstOutlook::Abandoned { later: "l".into(), seqno: 11 };
        for (outlook, part) in [
            (ahead, "stands at seqno 11 ('n2'), behind the backup at seqno 91"),
            (abandoned, "a later backup, l, at seqno 11 of the same history"),
        ] {
            let (is_bad, text) = sentence(&outlook, &gtid);
            assert!(is_bad && text.contains(part), "{text}");
            assert_eq!(as_json(&outlook, &gtid)["possible"], false);
        }
    }
}
