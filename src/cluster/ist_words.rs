//! Whether a restored node will join by IST, in words.

use super::ist::IstOutlook;
use crate::model::WsrepGtid;
use crate::ui::grouped;

/// A sentence or two for a person, and whether it is bad news.
pub fn ist_sentence(outlook: &IstOutlook, gtid: &WsrepGtid) -> (bool, String) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_went_back_is_bad_news() {
        let gtid = WsrepGtid { uuid: "u".into(), seqno: 91, domain_id: None };
        let ahead = IstOutlook::Ahead { last: 11, member: "n2".into() };
        let abandoned = IstOutlook::Abandoned { later: "l".into(), seqno: 11 };
        for (outlook, part) in [
            (ahead, "stands at seqno 11 ('n2'), behind the backup at seqno 91"),
            (abandoned, "a later backup, l, at seqno 11 of the same history"),
        ] {
            let (is_bad, text) = ist_sentence(&outlook, &gtid);
            assert!(is_bad && text.contains(part), "{text}");
        }
    }
}
