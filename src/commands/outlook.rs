//! Before a node is restored: will it join by IST, or take a full SST over what was restored?

use serde_json::{Value, json};

use crate::config::{OptionFiles, ServerOptions, Settings};
use crate::members::{Access, Coordinates, IstOutlook, Survey};
use crate::model::{HostPort, WsrepGtid};
use crate::ui::grouped;

/// Asks the members: those of the setting `members`, else the hosts of the server's own `wsrep_cluster_address` at
/// the usual port. Nothing where nobody is known who could be asked.
pub(super) fn ist_outlook(settings: &Settings, files: &OptionFiles, gtid: &WsrepGtid) -> Option<IstOutlook> {
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
        IstOutlook::TooOld { .. } | IstOutlook::OtherHistory { .. } => {
            json!({ "possible": false, "text": text })
        }
        IstOutlook::Unknown { .. } => json!({ "possible": null, "text": text }),
    }
}
