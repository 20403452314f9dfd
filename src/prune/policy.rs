//! The decision, from what is known of the backups of one cluster: pure, so that a table of cases can test it.

use jiff::{SignedDuration, Timestamp};

pub use super::verdict::{Lapse, Period, Reason, Verdict};
use crate::catalog::{Doubt, Known, Taken, doubts, newest};
use crate::config::Retention;
use crate::model::BackupId;

/// What is known of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, when it was taken, and what its objects are like.
    pub known: Known,
    /// InnoDB pages that were damaged on the donor already.
    pub damaged_pages: u64,
    /// In which words it is held, where it is.
    pub held: Option<String>,
}

/// A backup's place in the order of time: which one, and when it was taken.
type Ranked = (usize, Timestamp);

/// Decides about the backups of one cluster, in the order in which they are given. `running` are runs that may go on.
/// An empty policy keeps everything.
pub fn decide(
    candidates: &[Candidate],
    running: &[BackupId],
    policy: &Retention,
    now: Timestamp,
) -> Vec<Verdict> {
    let known: Vec<&Known> = candidates.iter().map(|candidate| &candidate.known).collect();
    let doubts = doubts(&known, now);
    let sound = known.iter().enumerate().filter(|(place, _)| doubts[*place].is_none());
    let sound = sound.filter_map(|(place, one)| Some((place, &one.id, one.taken.as_ref().ok()?)));
    // Those that rules apply to, newest first.
    let mut ranked: Vec<Ranked> = sound.clone().map(|(place, _, taken)| (place, taken.at)).collect();
    ranked.sort_by(|a, b| (b.1, &known[b.0].id).cmp(&(a.1, &known[a.0].id)));

    let mut reasons: Vec<Vec<Reason>> =
        doubts.iter().map(|doubt| doubt.clone().map(Reason::Doubt).into_iter().collect()).collect();
    let mut lapses: Vec<Vec<Lapse>> = vec![Vec::new(); candidates.len()];
    for (place, candidate) in candidates.iter().enumerate() {
        reasons[place].extend(candidate.held.clone().map(Reason::Held));
        reasons[place].extend(younger_than(&candidate.known, running).map(Reason::YoungerThan));
    }
    if let Some((place, _)) = newest(sound) {
        reasons[place].insert(0, Reason::Newest);
        let mut healthy = ranked.iter().filter(|(place, _)| candidates[*place].damaged_pages == 0);
        if let Some((healthy, _)) = healthy.next().filter(|_| candidates[place].damaged_pages > 0) {
            reasons[*healthy].push(Reason::NewestSound);
        }
    }
    for opinion in opinions(&ranked, policy) {
        for ((place, _), opinion) in ranked.iter().zip(opinion) {
            match opinion {
                Ok(reason) => reasons[*place].push(reason),
                Err(lapse) => lapses[*place].push(lapse),
            }
        }
    }
    for (place, candidate) in candidates.iter().enumerate() {
        // What the policy would not keep in any case, a doubt does not keep. A hold and a run do.
        if reasons[place].len() == 1
            && let Some(against) = passed_over(candidate, doubts[place].as_ref(), place, &ranked, policy)
        {
            reasons[place].clear();
            lapses[place] = against;
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

/// For a damaged backup, for one that cannot be looked at, and for one that is dated later than the storage has had it, what the policy would have against
/// it if it counted; nothing where a rule would keep it, or where nothing newer can be relied on.
fn passed_over(
    candidate: &Candidate,
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
fn younger_than(one: &Known, running: &[BackupId]) -> Option<BackupId> {
    let younger = |run: &&BackupId| {
        let taken = one.taken.as_ref().ok().map(|taken: &Taken| taken.at);
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
