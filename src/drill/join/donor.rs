//! Which member gives the write sets, and whether it may.

use crate::cluster::{NodeReport, Standby, Survey, taken_for};
use crate::model::{DRILL_PREFIX, GaleraRelease, PROVIDER_OPTIONS, WsrepGtid, syncs_donor};
use crate::tool::ReleaseSeries;

/// The most of its gcache that Galera takes off as no longer safe for IST, write sets.
const MOST_GAP: i64 = 1 << 20;
/// The first series whose own script of the method `backup` carries out `--bypass`: that of 10.5.23 names a variable
/// there that it has not set, and would end over that (by its text: it was not run).
const BYPASSES: ReleaseSeries = ReleaseSeries::new(10, 6);

/// The member that is wanted, else the one whose gcache reaches back furthest: among members that can give IST Galera takes the one whose gcache is the
/// tightest (`group_find_ist_donor_by_state` in `gcs/src/gcs_group.cpp`), unless it is told another one: the first that has the letters of its name.
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
    if let Some(other) = taken_for(survey, name, DRILL_PREFIX) {
        return Err(format!(
            "'{name}' would be the donor, and Galera may take '{other}' for it: it compares no more letters than the wanted name has; name another one \
             with --donor"
        ));
    }
    if let Some(mended) =
        donor.provider_version().and_then(GaleraRelease::read).and_then(GaleraRelease::loses_in_ist)
    {
        return Err(format!(
            "'{name}' would be the donor, and its release of Galera is known to lose write sets in IST: it must be {mended} or later"
        ));
    }
    if donor.variable(PROVIDER_OPTIONS).is_some_and(syncs_donor) {
        return Err(format!(
            "'{name}' would be the donor, and has gcs.sync_donor on: it would hold up the writes of the whole cluster where it lags behind; set it to \
             'no' in wsrep_provider_options there, or name another one with --donor"
        ));
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

#[cfg(test)]
mod tests {
    use super::super::test_members::member;
    use super::*;
    use crate::sql::Endpoint;

    /// A donor of which that is known, among others of these names.
    fn refused(variable: (&str, &str), status: (&str, &str), others: &[&str]) -> Result<(), String> {
        let variables = [("wsrep_node_name", "a"), variable];
        let donor = NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &variables, &[status]);
        let others = others.iter().map(|name| member(name, ("x", "")));
        let reports = [donor.clone()].into_iter().chain(others).collect();
        refuse(&Survey { reports, ..Survey::default() }, &donor)
    }

    #[test]
    fn a_donor_whose_own_script_gives_no_ist_is_not_asked() {
        let of = |version: &str| refused(("version", version), ("x", ""), &["b"]);
        assert_eq!((of("10.6.0-MariaDB"), of("11.4.2-MariaDB")), (Ok(()), Ok(())));
        assert!(of("10.5.23-MariaDB-log").unwrap_err().contains("is MariaDB 10.5, whose own script"));
    }

    #[test]
    fn a_donor_that_loses_write_sets_is_not_asked() {
        let of = |release: &str| refused(("x", ""), ("wsrep_provider_version", release), &["b"]);
        assert_eq!((of("26.4.24(r1)"), of("4.27(rXXXX)")), (Ok(()), Ok(())));
        assert!(of("4.25(rXXXX)").unwrap_err().contains("lose write sets in IST: it must be 4.27 or later"));
    }

    #[test]
    fn a_donor_that_holds_the_cluster_up_is_not_asked() {
        let with = |options: &str| refused((PROVIDER_OPTIONS, options), ("x", ""), &["b"]);
        assert_eq!(with("gcs.sync_donor = no; "), Ok(()));
        assert!(
            with("gcs.max_throttle = 0.25; gcs.sync_donor = yes; ")
                .unwrap_err()
                .contains("gcs.sync_donor on")
        );
    }

    #[test]
    fn a_donor_for_which_another_member_could_be_taken_is_not_asked() {
        let why = refused(("x", ""), ("x", ""), &["b", "ab"]).unwrap_err();
        assert!(why.contains("Galera may take 'ab' for it"), "{why}");
        // Whoever asks, too.
        let backup =
            NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &[("wsrep_node_name", "backup")], &[]);
        let survey = Survey { reports: vec![backup.clone(), member("b", ("x", ""))], ..Survey::default() };
        assert!(refuse(&survey, &backup).unwrap_err().contains("may take 'backup-drill-' for it"));
    }
}
