//! Which history may be forgotten: none that may be the one that goes on.

use crate::catalog::History;

/// Why a history is not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivingHistory {
    /// The newest backup is one of it: the newest of all by its time, whatever speaks against it, or the newest that can be relied on.
    OfNewest,
    /// No backup can be relied on, so that nobody knows which history goes on.
    Unknown,
}

/// The history of this name among those of one cluster, the one with the last backup first; spelled as the backups spell it. `current` is
/// that of the newest backup that can be relied on. Nothing where there is none of that name.
pub fn forgettable<'a>(
    histories: &'a [History],
    current: Option<&str>,
    named: &str,
) -> Result<Option<&'a str>, LivingHistory> {
    let is_same = |history: &&History| history.uuid.eq_ignore_ascii_case(named);
    let exact = histories.iter().find(|history| history.uuid == named);
    let mut alike = histories.iter().filter(is_same);
    // Data directories may differ in nothing but capital letters.
    let only = alike.next().filter(|_| alike.next().is_none());
    let Some(History { uuid, .. }) = exact.or(only) else { return Ok(None) };
    if current == Some(uuid.as_str()) || histories.first().is_some_and(|newest| newest.uuid == *uuid) {
        return Err(LivingHistory::OfNewest);
    }
    current.map(|_| Some(uuid.as_str())).ok_or(LivingHistory::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WsrepGtid;

    /// Histories of these names, the last one the newest.
    fn histories(uuids: &[&str]) -> Vec<History> {
        let gtids: Vec<WsrepGtid> = uuids
            .iter()
            .map(|uuid| WsrepGtid { uuid: (*uuid).to_owned(), seqno: 1, domain_id: None })
            .collect();
        let ids: Vec<crate::model::BackupId> =
            (1..=uuids.len()).map(|day| format!("202611{day:02}T000000Z_n1").parse().unwrap()).collect();
        let at = |id: &crate::model::BackupId| id.started().unwrap();
        History::of(ids.iter().zip(&gtids).map(|(id, gtid)| (id, at(id), gtid)))
    }

    #[test]
    fn neither_the_newest_by_time_nor_the_newest_to_rely_on_is_forgotten() {
        let all = histories(&["lost", "living"]);
        assert_eq!(forgettable(&all, Some("living"), "lost"), Ok(Some("lost")));
        // What is newer cannot be relied on, or is a dump beside old files.
        for named in ["lost", "living"] {
            assert_eq!(forgettable(&all, Some("lost"), named), Err(LivingHistory::OfNewest), "{named}");
        }
        assert_eq!(forgettable(&all, None, "lost"), Err(LivingHistory::Unknown));
        assert_eq!(forgettable(&all, None, "living"), Err(LivingHistory::OfNewest));
        assert_eq!(forgettable(&all, Some("living"), "other"), Ok(None));
    }

    #[test]
    fn a_history_is_found_whatever_its_capitals_where_that_is_enough() {
        let all = histories(&["server DB1 at /srv/MySQL", "server db2 at /d", "server DB2 at /d", "living"]);
        let found = |named: &str| forgettable(&all, Some("living"), named);
        for named in ["server DB1 at /srv/MySQL", "server db1 at /srv/mysql"] {
            assert_eq!(found(named), Ok(Some("server DB1 at /srv/MySQL")));
        }
        assert_eq!(found("server DB2 at /d"), Ok(Some("server DB2 at /d")));
        assert_eq!(found("SERVER db2 at /d"), Ok(None));
    }
}
