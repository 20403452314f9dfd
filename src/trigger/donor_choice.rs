//! The choice of the donor, and the reasons not to ask for a backup at all.
//!
//! A donor is frozen while it is read: it should be a node that clients do not write to, and there must be another
//! Synced node for them. Galera itself takes only Synced donors, whatever is asked.

use std::fmt;
use std::time::Duration;

use super::backlog::Desync;
use super::traffic::Traffic;
use super::visitor::VISITOR;
use crate::cluster::{NodeReport, NodeState, Standby, Survey, taken_for};
use crate::model::syncs_donor;

/// Members in the order in which Galera is to try them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DonorChoice {
    /// Names; empty for "any".
    pub donors: Vec<String>,
    /// Why the first one.
    pub reason: String,
    /// What is not known, or was overridden.
    pub warnings: Vec<String>,
}

/// Why a backup is not asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No member has that name.
    UnknownDonor {
        /// Those that are asked for.
        wanted: Vec<String>,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The donor that is asked for is not Synced.
    NotSynced(Vec<String>),
    /// A member is desynced: by another backup or transfer, or by what can be seen there.
    Desynced {
        /// The members and their states.
        states: Vec<String>,
        /// The causes that can be seen.
        causes: Vec<(String, Desync)>,
    },
    /// The donor's applier waits for a lock: a request would wait behind it.
    Blocked {
        /// The donor.
        donor: String,
        /// What is in its way.
        why: String,
    },
    /// No member that has answered is in the Primary component.
    NotPrimary(Vec<String>),
    /// No other Synced node is left for clients.
    LastSynced(String),
    /// Galera may take another member for the donor.
    Ambiguous {
        /// The donor.
        donor: String,
        /// The other one.
        other: String,
    },
    /// Frozen, these would stop the writes of the whole cluster.
    SyncDonor(Vec<String>),
    /// Its tables cannot be locked.
    Locked {
        /// The donor.
        donor: String,
        /// Who holds a lock.
        who: String,
        /// How long that was waited for.
        waited: Duration,
    },
    /// The group has another name.
    OtherGroup {
        /// The name that was given.
        wanted: String,
        /// The members' own.
        found: String,
    },
}

impl Refusal {
    /// Whether `--force` overrides it.
    pub fn can_be_forced(&self) -> bool {
        matches!(
            self,
            Self::Desynced { .. }
                | Self::Blocked { .. }
                | Self::NotPrimary(_)
                | Self::LastSynced(_)
                | Self::Ambiguous { .. }
                | Self::SyncDonor(_)
        )
    }

    /// Whether a member was desynced by hand: no backup explains it.
    pub fn is_by_hand(&self) -> bool {
        matches!(self, Self::Desynced { causes, .. } if causes.iter().any(|(_, cause)| *cause == Desync::ByHand))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDonor { wanted, known } => write!(
                f,
                "unknown donor '{}': the members of the cluster are {}",
                wanted.join(","),
                known.join(", ")
            ),
            Self::NotSynced(states) => {
                write!(f, "no donor that is asked for can give a backup now: {}", states.join(", "))
            }
            Self::Desynced { states, causes } => {
                let seen: Vec<String> =
                    causes.iter().map(|(name, cause)| format!("'{name}': {}", cause.words())).collect();
                let seen = match seen[..] {
                    [] => "another backup or state transfer goes on (or a session that nobody can see from here holds FLUSH \
                           TABLES WITH READ LOCK or a BACKUP STAGE)"
                        .to_owned(),
                    _ => seen.join("; "),
                };
                write!(f, "{}: {seen}; a second desynced member is for --force only", states.join(", "))
            }
            Self::Blocked { donor, why } => write!(
                f,
                "'{donor}' does not apply what the others write: {why}. A request would wait behind that, and the node would \
                 count as desynced as long; --force asks all the same"
            ),
            Self::NotPrimary(states) => write!(
                f,
                "the cluster is not Primary ({}): mend it first; --force asks all the same",
                states.join(", ")
            ),
            Self::LastSynced(name) => write!(
                f,
                "'{name}' is the only Synced node: frozen as a donor it would leave none for the clients; --force takes \
                 the backup all the same"
            ),
            Self::Ambiguous { donor, other } => write!(
                f,
                "Galera may take '{other}' where '{donor}' is asked for: it compares no more letters than the name has that is wanted; ask for \
                 another donor, or give one of them another wsrep_node_name; --force asks all the same"
            ),
            Self::SyncDonor(names) => write!(
                f,
                "gcs.sync_donor is on on {}: frozen as a donor it would stop the writes of the whole cluster; set it to 'no' in \
                 wsrep_provider_options; allow-sync-donor or --force takes the backup all the same",
                names.join(", ")
            ),
            Self::Locked { donor, who, waited } => write!(
                f,
                "the tables of '{donor}' could not be locked for {} s (flush-timeout): {who}; end what holds them (KILL its thread \
                 there), or back up at another hour; nobody was asked",
                waited.as_secs()
            ),
            Self::OtherGroup { wanted, found } => write!(
                f,
                "the cluster is called '{found}' by its members, not '{wanted}' (--cluster or the setting 'cluster')"
            ),
        }
    }
}

/// What the administrator wants.
#[derive(Debug, Clone, Default)]
pub struct DonorWish {
    /// Donors in order of preference; empty: whoever is best.
    pub donors: Vec<String>,
    /// Against all that speaks against it.
    pub force: bool,
    /// Why members are desynced, as far as it can be seen.
    pub causes: Vec<(String, Desync)>,
    /// Also a donor that stops the writes of its cluster (`allow-sync-donor`).
    pub allow_sync_donor: bool,
}

/// Decides.
pub fn plan(survey: &Survey, traffic: &Traffic, wish: &DonorWish) -> Result<DonorChoice, Refusal> {
    let mut warnings = Vec::new();
    let mut object = |refusal: Refusal| {
        if wish.force && refusal.can_be_forced() {
            warnings.push(format!("forced: {refusal}"));
            return Ok(());
        }
        Err(refusal)
    };
    let states = |reports: Vec<&NodeReport>| -> Vec<String> {
        reports.iter().map(|report| format!("'{}' is {}", report.name(), state(report))).collect()
    };
    if !survey.reports.is_empty() && !survey.reports.iter().any(NodeReport::is_primary) {
        object(Refusal::NotPrimary(states(survey.reports.iter().collect())))?;
    }
    let is_desynced = |report: &&NodeReport| report.state() == NodeState::Donor || report.desync_count() > 0;
    let desynced: Vec<&NodeReport> =
        survey.reports.iter().filter(|report| report.is_primary()).filter(is_desynced).collect();
    if !desynced.is_empty() {
        object(Refusal::Desynced { states: states(desynced), causes: wish.causes.clone() })?;
    }
    let mut donors = if wish.donors.is_empty() { best(survey, traffic) } else { wanted(survey, wish)? };
    let passed_over = match pass_over_ambiguous(survey, wish, &mut donors) {
        Ok(refusal) => refusal,
        Err(refusal) => object(refusal).map(|()| None)?,
    };
    if let Some(donor) = donors.first()
        && is_last_synced(survey, donor)
    {
        object(Refusal::LastSynced(donor.clone()))?;
    }
    let syncing: Vec<String> = donors
        .iter()
        .filter_map(|name| survey.report(name))
        .filter(|report| report.variable("wsrep_provider_options").is_some_and(syncs_donor))
        .map(|report| format!("'{}'", report.name()))
        .collect();
    if !syncing.is_empty() && !wish.allow_sync_donor {
        object(Refusal::SyncDonor(syncing))?;
    }
    let reason = reason(survey, traffic, wish, &donors);
    warnings.extend(passed_over.map(|refusal| format!("not asked: {refusal}")));
    warnings.extend(strangers(survey, wish));
    let silent: Vec<&str> =
        survey.silent.iter().map(|silent| silent.name.as_str()).filter(|name| !name.is_empty()).collect();
    if !silent.is_empty() {
        warnings.push(format!(
            "{} not answer SQL, so whether {} Synced is not known: {}",
            one_or_more(&silent, "does", "do"),
            if silent.len() == 1 { "it is" } else { "they are" },
            survey.silent.iter().find(|s| !s.name.is_empty()).map_or("", |s| s.why.as_str())
        ));
    }
    if survey.reports.is_empty() {
        warnings.push(
            "no member answers SQL: which nodes are Synced, and which one clients write to, is not known"
                .into(),
        );
    }
    Ok(DonorChoice { donors, reason, warnings })
}

fn one_or_more(names: &[&str], one: &str, many: &str) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("{} {}", list.join(", "), if names.len() == 1 { one } else { many })
}

/// A member's state in a few words.
fn state(report: &NodeReport) -> String {
    if report.is_primary() {
        report.state().to_string()
    } else if report.state() == NodeState::Other {
        "not in the Primary component".into()
    } else {
        format!("{} and not in the Primary component", report.state())
    }
}

/// Leaves out whom nobody can ask for by name, and says why; an error where nobody else is left, or where one was wanted.
fn pass_over_ambiguous(
    survey: &Survey,
    wish: &DonorWish,
    donors: &mut Vec<String>,
) -> Result<Option<Refusal>, Refusal> {
    let other = |donor: &String| taken_for(survey, donor, VISITOR).map(str::to_owned);
    let Some((donor, taken)) = donors.iter().find_map(|donor| Some((donor.clone(), other(donor)?))) else {
        return Ok(None);
    };
    let refusal = Refusal::Ambiguous { donor, other: taken };
    let clear: Vec<String> = donors.iter().filter(|donor| other(donor).is_none()).cloned().collect();
    if clear.is_empty() || !wish.donors.is_empty() {
        return Err(refusal);
    }
    *donors = clear;
    Ok(Some(refusal))
}

/// Whether no other member is Synced. One that does not answer may be.
fn is_last_synced(survey: &Survey, donor: &str) -> bool {
    matches!(survey.standby(donor), Standby::Alone | Standby::Nobody(_))
}

/// The donors that are asked for, checked as far as the members have answered.
fn wanted(survey: &Survey, wish: &DonorWish) -> Result<Vec<String>, Refusal> {
    let silent =
        |name: &String| survey.silent.iter().any(|silent| silent.name == *name || silent.name.is_empty());
    let is_known = |name: &String| survey.report(name).is_some() || silent(name);
    if !survey.reports.is_empty() && !wish.donors.iter().any(is_known) {
        let named = survey.silent.iter().map(|silent| silent.name.clone());
        let mut known: Vec<String> =
            survey.reports.iter().map(|report| report.name().to_owned()).chain(named).collect();
        known.sort();
        return Err(Refusal::UnknownDonor { wanted: wish.donors.clone(), known });
    }
    let asked: Vec<&NodeReport> = wish.donors.iter().filter_map(|name| survey.report(name)).collect();
    let hopeless = asked.iter().all(|report| !report.is_synced()) && !wish.donors.iter().any(silent);
    if !asked.is_empty() && hopeless {
        let states = asked.iter().map(|report| format!("'{}' is {}", report.name(), state(report))).collect();
        return Err(Refusal::NotSynced(states));
    }
    Ok(wish.donors.clone())
}

/// Names among those asked for that no member has. Galera passes them over.
fn strangers(survey: &Survey, wish: &DonorWish) -> Option<String> {
    let is_stranger = |name: &&String| {
        survey.report(name).is_none() && !survey.silent.iter().any(|s| s.name == **name || s.name.is_empty())
    };
    let names: Vec<&str> = wish.donors.iter().filter(is_stranger).map(String::as_str).collect();
    let list = names.join("', '");
    (!survey.reports.is_empty() && !names.is_empty()).then(|| format!("no member is called '{list}'"))
}

/// Synced nodes that no client writes to, then those that do not answer, then the others by how much they write.
fn best(survey: &Survey, traffic: &Traffic) -> Vec<String> {
    let synced = survey.reports.iter().filter(|report| report.is_synced());
    let mut ranked: Vec<(u8, u64, u64, String)> = synced
        .map(|report| {
            let rate = traffic.writes(report.name());
            let ever = u64::try_from(report.number("wsrep_replicated").unwrap_or(0)).unwrap_or(0);
            (if rate == 0 { 0 } else { 2 }, rate, ever, report.name().to_owned())
        })
        .collect();
    let silent = survey.silent.iter().filter(|silent| !silent.name.is_empty());
    ranked.extend(silent.map(|silent| (1, 0, 0, silent.name.clone())));
    ranked.sort();
    ranked.into_iter().map(|(.., name)| name).collect()
}

fn reason(survey: &Survey, traffic: &Traffic, wish: &DonorWish, donors: &[String]) -> String {
    let Some(first) = donors.first() else {
        return "Galera chooses among the Synced members".into();
    };
    if !wish.donors.is_empty() {
        return "asked for".into();
    }
    match (survey.report(first), traffic.writes(first)) {
        (Some(_), 0) => "Synced, and clients do not write to it".into(),
        (Some(_), rate) => {
            format!("Synced; clients write to every member, least to this one ({rate} write sets/s)")
        }
        (None, _) => "the other members serve clients".into(),
    }
}

#[cfg(test)]
#[path = "donor_choice_tests.rs"]
mod tests;
