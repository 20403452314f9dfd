//! Which member gives the write sets, and whether it may.

use crate::cluster::{NodeReport, Standby, Survey};
use crate::model::WsrepGtid;
use crate::tool::ReleaseSeries;

/// The most of its gcache that Galera takes off as no longer safe for IST, write sets.
const MOST_GAP: i64 = 1 << 20;
/// The first series whose own script of the method `backup` carries out `--bypass`: that of 10.5.23 names a variable
/// there that it has not set, and would end over that (by its text: it was not run).
const BYPASSES: ReleaseSeries = ReleaseSeries::new(10, 6);

/// The member that is wanted, else the one whose gcache reaches back furthest: among members that can give IST Galera takes the one whose gcache is the
/// tightest (`group_find_ist_donor_by_state` in `gcs/src/gcs_group.cpp`), unless it is told another one.
pub(super) fn choose<'a>(survey: &'a Survey, wanted: Option<&str>) -> Result<&'a NodeReport, String> {
    let told = |report: &&NodeReport| report.cached_downto().is_some_and(|downto| downto > 0);
    let Some(name) = wanted else {
        let furthest = survey.reports.iter().filter(told).min_by_key(|report| report.cached_downto());
        return furthest.ok_or_else(|| "no member tells wsrep_local_cached_downto".into());
    };
    survey.report(name).ok_or_else(|| {
        let names: Vec<&str> = survey.reports.iter().map(NodeReport::name).collect();
        format!("no member '{name}' has answered (--donor), but {}", names.join(", "))
    })
}

/// Why that member must not be the donor, whatever it has in its gcache.
pub(super) fn refuse(survey: &Survey, donor: &NodeReport) -> Result<(), String> {
    let name = donor.name();
    if name.contains(',') {
        return Err(format!("the name of its donor would be '{name}', in which a comma divides names"));
    }
    let series = donor.variable("version").and_then(ReleaseSeries::read);
    if let Some(series) = series.filter(|series| *series < BYPASSES) {
        return Err(format!(
            "'{name}' would be the donor, and is MariaDB {series}, whose own script 'wsrep_sst_backup' gives no IST: it must be {BYPASSES} or later"
        ));
    }
    match survey.standby(name) {
        // Another one must be there for the clients that are sent away from donors.
        Standby::Synced(_) => Ok(()),
        Standby::Alone | Standby::Nobody(_) | Standby::Unknown(_) => {
            Err(format!("'{name}' would be the donor, and no other member is known to be Synced meanwhile"))
        }
    }
}

/// Galera gives no IST from the oldest 1/128 of what the group has (`group_find_ist_donor`, there), and takes any member for a full state transfer
/// then. Of that it must be sure beforehand.
pub(super) fn refuse_narrow(survey: &Survey, donor: &NodeReport, gtid: &WsrepGtid) -> Result<(), String> {
    let last = survey.reports.iter().filter_map(NodeReport::last_committed).max().unwrap_or(gtid.seqno);
    let downto = donor.cached_downto().filter(|downto| *downto > 0).unwrap_or(i64::MAX);
    let gap = (last.saturating_sub(downto).max(0) / 128).min(MOST_GAP);
    if gtid.seqno >= downto.saturating_add(gap) {
        return Ok(());
    }
    Err(format!(
        "IST is possible by a hair only: the backup is at seqno {}, the oldest write set of '{}' is {downto}, and Galera gives none of the oldest {} \
         by IST; take a newer backup, if there is one",
        gtid.seqno,
        donor.name(),
        gap + 1
    ))
}
