//! The decision, from what is known of the backups of one cluster: pure, so that a table of cases can test it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use super::verdict::{Lapse, Period, Reason, RetentionVerdict};
use crate::catalog::{BackupFacts, DataMoment, Doubt, doubts, newest, two_lines};
use crate::config::Retention;
use crate::model::{BackupClass, BackupId};

/// What is known of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionCandidate {
    /// Its name, when it was taken, and what its objects are like.
    pub known: BackupFacts,
    /// InnoDB pages that were damaged on the donor already.
    pub damaged_pages: u64,
    /// In which words it is held, where it is.
    pub held: Option<String>,
}

/// A backup's place in the order of time: which one, and when it was taken.
type Ranked = (usize, Timestamp);

/// What is thought of one backup.
#[derive(Debug, Clone, Default)]
struct Opinion {
    reasons: Vec<Reason>,
    lapses: Vec<Lapse>,
}

impl Opinion {
    fn verdict(self) -> RetentionVerdict {
        // Where there is no rule nothing has been said against it.
        if self.reasons.is_empty() && !self.lapses.is_empty() {
            RetentionVerdict::Remove(self.lapses)
        } else {
            RetentionVerdict::Keep(self.reasons)
        }
    }
}

/// Decides about the backups of one cluster, in the order in which they are given. `running` are runs that may go on.
/// An empty policy keeps everything. Each class of each history is judged as if it were alone: a backup of one is no backup of another.
pub fn decide(
    candidates: &[RetentionCandidate],
    running: &[BackupId],
    policy: &Retention,
    now: Timestamp,
) -> Vec<RetentionVerdict> {
    let doubts = doubts(&candidates.iter().map(|one| &one.known).collect::<Vec<_>>(), now);
    let mut opinions = vec![Opinion::default(); candidates.len()];
    for ((candidate, doubt), opinion) in candidates.iter().zip(&doubts).zip(&mut opinions) {
        opinion.reasons.extend(doubt.clone().map(Reason::Doubt));
        opinion.reasons.extend(candidate.held.clone().map(Reason::Held));
        opinion.reasons.extend(younger_than(&candidate.known, running).map(Reason::YoungerThan));
    }
    let current = current(candidates, &doubts);
    for ((_, uuid), places) in histories(candidates) {
        let history =
            HistoryBackups { candidates, doubts: &doubts, places, is_current: Some(uuid) == current };
        history.judge(uuid, policy, &mut opinions);
    }
    opinions.into_iter().map(Opinion::verdict).collect()
}

/// The history of the newest backup that can be relied on.
pub fn current_history(candidates: &[RetentionCandidate], now: Timestamp) -> Option<String> {
    let doubts = doubts(&candidates.iter().map(|one| &one.known).collect::<Vec<_>>(), now);
    current(candidates, &doubts).map(str::to_owned)
}

/// Lets every backup of a history go that is not held and that is not younger than a run.
pub fn forget(candidates: &[RetentionCandidate], verdicts: &mut [RetentionVerdict], uuid: &str) {
    for (candidate, verdict) in candidates.iter().zip(verdicts) {
        let is_of_it = candidate.known.taken.as_ref().is_ok_and(|taken| taken.gtid.uuid == uuid);
        let stays = |reason: &Reason| matches!(reason, Reason::Held(_) | Reason::YoungerThan(_));
        if is_of_it && !matches!(verdict, RetentionVerdict::Keep(reasons) if reasons.iter().any(stays)) {
            *verdict = RetentionVerdict::Remove(vec![Lapse::Forgotten]);
        }
    }
}

fn current<'a>(candidates: &'a [RetentionCandidate], doubts: &[Option<Doubt>]) -> Option<&'a str> {
    let sound = || (0..candidates.len()).filter(|place| doubts[*place].is_none());
    let is_physical = |place: &usize| candidates[*place].known.class == BackupClass::Physical;
    let physical: Vec<usize> = sound().filter(is_physical).collect();
    let sound = if physical.is_empty() { sound().collect() } else { physical };
    let (place, _) = newest(placed(candidates, &sound))?;
    candidates[place].known.taken.as_ref().ok().map(|taken| taken.gtid.uuid.as_str())
}

/// The places of the backups of each class in each history. One whose manifest cannot be used is of none.
fn histories(candidates: &[RetentionCandidate]) -> BTreeMap<(&BackupClass, &str), Vec<usize>> {
    let mut histories: BTreeMap<(&BackupClass, &str), Vec<usize>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        if let Ok(taken) = &candidate.known.taken {
            histories.entry((&candidate.known.class, taken.gtid.uuid.as_str())).or_default().push(place);
        }
    }
    histories
}

fn placed<'a>(
    candidates: &'a [RetentionCandidate],
    places: &'a [usize],
) -> impl Iterator<Item = (usize, &'a BackupId, &'a DataMoment)> + Clone {
    places.iter().filter_map(|place| {
        let BackupFacts { id, taken, .. } = &candidates[*place].known;
        Some((*place, id, taken.as_ref().ok()?))
    })
}

/// The backups of one history.
struct HistoryBackups<'a> {
    candidates: &'a [RetentionCandidate],
    doubts: &'a [Option<Doubt>],
    places: Vec<usize>,
    is_current: bool,
}

impl HistoryBackups<'_> {
    fn judge(&self, uuid: &str, policy: &Retention, of_all: &mut [Opinion]) {
        let sound: Vec<usize> =
            self.places.iter().copied().filter(|place| self.doubts[*place].is_none()).collect();
        let sound = placed(self.candidates, &sound);
        // Those that rules apply to, newest first.
        let mut ranked: Vec<(Timestamp, &BackupId, usize)> =
            sound.clone().map(|(place, id, taken)| (taken.at, id, place)).collect();
        ranked.sort_by(|a, b| b.cmp(a));
        let ranked: Vec<Ranked> = ranked.into_iter().map(|(at, _, place)| (place, at)).collect();

        let newest = newest(sound).map(|(place, _)| place);
        if let Some(place) = newest {
            let reason =
                if self.is_current { Reason::Newest } else { Reason::NewestOfHistory(uuid.to_owned()) };
            of_all[place].reasons.insert(0, reason);
            let mut healthy = ranked.iter().filter(|(place, _)| self.candidates[*place].damaged_pages == 0);
            if let Some((healthy, _)) = healthy.next().filter(|_| self.candidates[place].damaged_pages > 0) {
                of_all[*healthy].reasons.push(Reason::NewestSound);
            }
        }
        for place in self.furthest().into_iter().filter(|place| Some(*place) != newest) {
            of_all[place].reasons.push(Reason::Furthest);
        }
        for opinion in opinions(&ranked, policy) {
            for ((place, _), opinion) in ranked.iter().zip(opinion) {
                match opinion {
                    Ok(reason) => of_all[*place].reasons.push(reason),
                    Err(lapse) => of_all[*place].lapses.push(lapse),
                }
            }
        }
        let taken = |place: usize| Some((place, self.candidates[place].known.taken.as_ref().ok()?));
        let oldest_first: Vec<(usize, &DataMoment)> =
            ranked.iter().rev().filter_map(|(place, _)| taken(*place)).collect();
        for place in two_lines(&oldest_first) {
            of_all[place].reasons.push(Reason::TwoLines);
        }
        for place in self.places.iter().copied() {
            // What the policy would not keep in any case, a doubt does not keep. A hold, a run and the position do.
            if of_all[place].reasons.len() == 1
                && let Some(against) =
                    passed_over(&self.candidates[place], self.doubts[place].as_ref(), place, &ranked, policy)
            {
                of_all[place] = Opinion { reasons: Vec::new(), lapses: against };
            }
        }
    }

    /// Those with the furthest position, whatever their times say: where donor and repository have had one wrong clock,
    /// nothing else tells that they are the newest. What is known to be damaged is none; where it is not known whether the
    /// furthest one is whole, the furthest of the others counts too.
    fn furthest(&self) -> BTreeSet<usize> {
        let of = |may_count: fn(&RetentionCandidate) -> bool| {
            let those = placed(self.candidates, &self.places);
            let those = those.filter(|(place, ..)| may_count(&self.candidates[*place]));
            those.max_by_key(|(_, id, taken)| (taken.gtid.seqno, taken.at, *id)).map(|(place, ..)| place)
        };
        let whole = of(|one| one.known.flaw.is_none());
        let perhaps = of(|one| !one.known.flaw.as_ref().is_some_and(Doubt::is_damage));
        whole.into_iter().chain(perhaps).collect()
    }
}

/// For a damaged backup, for one that cannot be looked at, and for one that is dated later than the storage has had it, what the policy would have against
/// it if it counted; nothing where a rule would keep it, or where nothing newer can be relied on.
fn passed_over(
    candidate: &RetentionCandidate,
    doubt: Option<&Doubt>,
    place: usize,
    ranked: &[Ranked],
    policy: &Retention,
) -> Option<Vec<Lapse>> {
    let at = match doubt? {
        Doubt::Damaged(_) | Doubt::Unknown(_) => candidate.known.taken.as_ref().ok()?.at,
        Doubt::Ahead { written, .. } => *written,
        _ => return None,
    };
    let behind = ranked.iter().take_while(|(_, other)| *other > at).count();
    if behind == 0 {
        return None;
    }
    let mut with = ranked.to_vec();
    with.insert(behind, (place, at));
    let said = opinions(&with, policy).into_iter().filter_map(|opinion| opinion.into_iter().nth(behind));
    said.map(Result::err).collect::<Option<Vec<Lapse>>>().filter(|lapses| !lapses.is_empty())
}

/// A run that began before this backup was taken, or at the same time.
fn younger_than(one: &BackupFacts, running: &[BackupId]) -> Option<BackupId> {
    let younger = |run: &&BackupId| {
        let taken = one.taken.as_ref().ok().map(|taken: &DataMoment| taken.at);
        one.id >= **run || taken.zip(run.started()).is_some_and(|(taken, started)| taken >= started)
    };
    running.iter().find(younger).cloned()
}

/// For each rule of the policy, for each backup, newest first: whether it keeps it.
fn opinions(ranked: &[(usize, Timestamp)], policy: &Retention) -> Vec<Vec<Result<Reason, Lapse>>> {
    let mut opinions = Vec::new();
    if let (Some(within), Some((_, newest))) = (policy.within, ranked.first()) {
        // A span that no clock can show is never over.
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        // One clock that was ahead, or the first backup after a pause, does not make all others too old at once.
        let before = ranked.get(1).map(|(_, at)| *at).filter(|at| newest.duration_since(*at) > within);
        let from = before.unwrap_or(*newest);
        let opinion = |(_, at): &(usize, Timestamp)| {
            if from.duration_since(*at) > within { Err(Lapse::TooOld) } else { Ok(Reason::Within) }
        };
        opinions.push(ranked.iter().map(opinion).collect());
    }
    if let Some(last) = policy.last {
        let opinion = |number: usize| {
            if number <= last as usize { Ok(Reason::Last(number)) } else { Err(Lapse::NotLast(last)) }
        };
        opinions.push((1..=ranked.len()).map(opinion).collect());
    }
    let periods = [
        (Period::Day, policy.daily),
        (Period::Week, policy.weekly),
        (Period::Month, policy.monthly),
        (Period::Year, policy.yearly),
    ];
    for (period, count) in periods {
        opinions.extend(count.map(|count| by_period(ranked, period, count)));
    }
    opinions
}

/// The newest of each of the last `count` periods that have a backup.
fn by_period(ranked: &[(usize, Timestamp)], period: Period, count: u32) -> Vec<Result<Reason, Lapse>> {
    let mut seen = 0;
    let mut current = String::new();
    ranked
        .iter()
        .map(|(_, at)| {
            let name = period.of(*at);
            let is_newest = name != current;
            if is_newest {
                seen += 1;
                current.clone_from(&name);
            }
            if seen > count {
                Err(Lapse::Beyond(period, count))
            } else if is_newest {
                Ok(Reason::NewestOf(period, name))
            } else {
                Err(Lapse::NotNewestOf(period))
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
