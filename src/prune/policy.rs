//! The decision, from what is known of the backups of one cluster: pure, so that a table of cases can test it.

use jiff::{SignedDuration, Timestamp};

pub use super::verdict::{Lapse, Period, Reason, Verdict};
use crate::config::Retention;
use crate::model::{BackupId, WsrepGtid};

/// Clocks of different nodes may differ by so much without anybody having a doubt.
pub(super) const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What is known of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: BackupId,
    /// Time and position, or why its manifest cannot be used.
    pub taken: Result<Taken, String>,
    /// In which words it is held, where it is.
    pub held: Option<String>,
}

/// When and where the data of a backup is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// `frozen_at`.
    pub at: Timestamp,
    /// The position.
    pub gtid: WsrepGtid,
}

/// Decides about the backups of one cluster, in the order in which they are given. `running` are runs that may go on.
/// An empty policy keeps everything.
pub fn decide(
    candidates: &[Candidate],
    running: &[BackupId],
    policy: &Retention,
    now: Timestamp,
) -> Vec<Verdict> {
    let doubts = doubts(candidates, now);
    // Those that rules apply to, newest first.
    let mut ranked: Vec<(usize, Timestamp)> = candidates
        .iter()
        .enumerate()
        .filter(|(place, _)| doubts[*place].is_empty())
        .filter_map(|(place, candidate)| Some((place, candidate.taken.as_ref().ok()?.at)))
        .collect();
    ranked.sort_by(|a, b| (b.1, &candidates[b.0].id).cmp(&(a.1, &candidates[a.0].id)));

    let mut reasons = doubts;
    let mut lapses: Vec<Vec<Lapse>> = vec![Vec::new(); candidates.len()];
    for (place, candidate) in candidates.iter().enumerate() {
        reasons[place].extend(candidate.held.clone().map(Reason::Held));
        reasons[place].extend(younger_than(candidate, running).map(Reason::YoungerThan));
    }
    if let Some((place, _)) = ranked.first() {
        reasons[*place].insert(0, Reason::Newest);
    }
    for opinion in opinions(&ranked, policy) {
        for ((place, _), opinion) in ranked.iter().zip(opinion) {
            match opinion {
                Ok(reason) => reasons[*place].push(reason),
                Err(lapse) => lapses[*place].push(lapse),
            }
        }
    }
    reasons
        .into_iter()
        .zip(lapses)
        .map(|(reasons, lapses)| {
            // Where there is no rule nothing has been said against it.
            if reasons.is_empty() && !lapses.is_empty() {
                Verdict::Remove(lapses)
            } else {
                Verdict::Keep(reasons)
            }
        })
        .collect()
}

/// A run that began before this backup was taken, or at the same time.
fn younger_than(candidate: &Candidate, running: &[BackupId]) -> Option<BackupId> {
    let younger = |run: &&BackupId| {
        let taken = candidate.taken.as_ref().ok().map(|taken| taken.at);
        candidate.id >= **run || taken.zip(run.started()).is_some_and(|(taken, started)| taken >= started)
    };
    running.iter().find(younger).cloned()
}

/// For each backup why it cannot be placed in time; nothing for one that can.
fn doubts(candidates: &[Candidate], now: Timestamp) -> Vec<Vec<Reason>> {
    let mut doubts: Vec<Vec<Reason>> =
        candidates.iter().map(|candidate| own_doubt(candidate, now).into_iter().collect()).collect();
    let mut sound: Vec<(usize, &Taken)> = candidates
        .iter()
        .enumerate()
        .filter(|(place, _)| doubts[*place].is_empty())
        .filter_map(|(place, candidate)| Some((place, candidate.taken.as_ref().ok()?)))
        .collect();
    sound.sort_by_key(|(_, taken)| taken.at);
    // Positions of one history only grow: where times say otherwise, one of the two is wrong, and nobody knows which.
    for (nth, (early, before)) in sound.iter().enumerate() {
        for (late, after) in &sound[nth + 1..] {
            let is_same_history = before.gtid.uuid == after.gtid.uuid;
            let is_apart = after.at.duration_since(before.at) > TOLERANCE;
            if is_same_history && is_apart && before.gtid.seqno > after.gtid.seqno {
                for (one, other) in [(*early, *late), (*late, *early)] {
                    // One is enough to be told.
                    if doubts[one].is_empty() {
                        doubts[one].push(Reason::Contradicts(candidates[other].id.clone()));
                    }
                }
            }
        }
    }
    doubts
}

/// What is wrong with a backup by itself.
fn own_doubt(candidate: &Candidate, now: Timestamp) -> Option<Reason> {
    let taken = match &candidate.taken {
        Ok(taken) => taken,
        Err(why) => return Some(Reason::Unusable(why.clone())),
    };
    let Some(started) = candidate.id.started() else {
        return Some(Reason::Unusable("its name has no time".into()));
    };
    let latest = taken.at.max(started);
    if latest.duration_since(now) > TOLERANCE {
        return Some(Reason::Future(latest));
    }
    (started.duration_since(taken.at) > TOLERANCE).then_some(Reason::ClockJumped)
}

/// For each rule of the policy, for each backup, newest first: whether it keeps it.
fn opinions(ranked: &[(usize, Timestamp)], policy: &Retention) -> Vec<Vec<Result<Reason, Lapse>>> {
    let mut opinions = Vec::new();
    if let (Some(within), Some((_, newest))) = (policy.within, ranked.first()) {
        // A span that no clock can show is never over.
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let opinion = |(_, at): &(usize, Timestamp)| {
            if newest.duration_since(*at) > within { Err(Lapse::TooOld) } else { Ok(Reason::Within) }
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
