//! What speaks against a backup, so that it is no proof that there is one, and no reason why another one goes.
//!
//! # Which time is true
//!
//! A donor writes its own time into id and manifest, and its clock may be wrong. Two things tell:
//!
//! - **the storage's time of the manifest**. A backup was there when its manifest was written, so one that is dated later
//!   comes from a clock that was ahead. One that is dated just before has its time confirmed. Where the manifest is much
//!   younger than it says, it was copied later, or the donor's clock was behind: nothing is confirmed.
//! - **the position**. Within one history (the UUID) it only grows, unless the cluster went back to an older backup. So
//!   where times and positions of two backups contradict each other, and the storage's times say that the later one was
//!   in truth taken after the other was there, a new epoch has begun, and nobody is in doubt. Else somebody is: the one
//!   whose time is not confirmed, or both.
//!
//! A storage may have a wrong clock itself. What it says against all backups alike, up to an hour, is held against none.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{Record, Verified};
use crate::model::{BackupClass, BackupId, Manifest, Verification, VerifyOutcome, WsrepGtid};

/// Clocks of different machines may differ by so much; more is a doubt.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// A manifest that was written so soon after the time that it says confirms that time.
const SOON: SignedDuration = SignedDuration::from_mins(15);
/// A storage may be behind all donors by so much.
const STORAGE_BEHIND: SignedDuration = SignedDuration::from_hours(1);

/// What speaks against one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Its manifest cannot be used.
    Unusable(String),
    /// It is not what was written: `verify` has found that, or its objects are not there in their sizes.
    Damaged(String),
    /// Whether it is whole cannot be told now.
    Unknown(String),
    /// Its time is to come.
    Future(Timestamp),
    /// Its time is later than that at which the storage had it.
    Ahead {
        /// What it says.
        at: Timestamp,
        /// The storage's time of its manifest.
        written: Timestamp,
    },
    /// It says that it was frozen before it began.
    ClockJumped,
    /// By its position it is older than that one, by its time it is younger, or the other way round.
    Contradicts(BackupId),
}

impl Doubt {
    /// Whether the time of the data is in doubt: then the newest backup cannot be told.
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Future(_) | Self::Ahead { .. } | Self::ClockJumped | Self::Contradicts(_))
    }

    /// Whether the backup is known to be damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = |at: &Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        match self {
            Self::Unusable(why) => write!(f, "UNUSABLE, so nothing is known of it: {why}"),
            Self::Damaged(what) => write!(f, "DAMAGED: {what}"),
            Self::Unknown(why) => write!(f, "WHETHER IT IS WHOLE IS NOT KNOWN: {why}"),
            Self::Future(at) => write!(f, "FROM THE FUTURE ({}): a clock is wrong", utc(at)),
            Self::Ahead { at, written } => write!(
                f,
                "WRONG CLOCK: it says {}, and the repository has had it since {}",
                utc(at),
                utc(written)
            ),
            Self::ClockJumped => f.write_str("WRONG CLOCK: it was frozen before it began, by its own times"),
            Self::Contradicts(id) => write!(
                f,
                "ITS TIME IS IN DOUBT: by time and by position it stands on different sides of {id}; \
                 a clock was wrong, or the cluster went back to an older backup"
            ),
        }
    }
}

/// When and where the data of a backup is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataMoment {
    /// `frozen_at`.
    pub at: Timestamp,
    /// `finished`: just before the manifest was written.
    pub finished: Timestamp,
    /// The position in its history ([`Manifest::lineage`](crate::model::Manifest::lineage)).
    pub gtid: WsrepGtid,
    /// When the manifest was written, by the clock of the storage.
    pub written: Option<Timestamp>,
}

/// What is known of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFacts {
    /// Its name.
    pub id: BackupId,
    /// Time and position, or why its manifest cannot be used.
    pub taken: Result<DataMoment, String>,
    /// What it can stand in for; physical where that is not known.
    pub class: BackupClass,
    /// What is known or not known of its objects: [`Doubt::Damaged`] or [`Doubt::Unknown`].
    pub flaw: Option<Doubt>,
}

impl BackupFacts {
    /// The same of a record.
    pub fn of(record: &Record) -> Self {
        let Record { id, manifest, evidence, .. } = record;
        let taken = match manifest {
            Ok(manifest) => Ok(DataMoment {
                at: manifest.frozen_at,
                finished: manifest.finished,
                gtid: manifest.lineage(),
                written: evidence.written,
            }),
            Err(error) => Err(error.of_itself()),
        };
        let unreadable = match &evidence.verified {
            Some(words @ Verified::Unreadable { .. }) => Some(words.words()),
            _ => None,
        };
        let by_verify = evidence.verified.as_ref().and_then(Verified::known);
        let by_verify = by_verify.filter(|found| found.outcome == VerifyOutcome::Damaged);
        let damage = evidence.damage.as_ref().map(|damage| format!("{}: {}", damage.object, damage.what));
        // A failed drill is none: that a server has refused here says nothing sure of the backup.
        let flaw = damage
            .or_else(|| by_verify.map(Verification::damage))
            .map(Doubt::Damaged)
            .or_else(|| evidence.unknown.clone().or(unreadable).map(Doubt::Unknown));
        let class = manifest.as_ref().map(Manifest::class).unwrap_or_default();
        Self { id: id.clone(), taken, class, flaw }
    }

    /// The latest time that it says of itself; none where it says none.
    fn latest(&self) -> Option<Timestamp> {
        let taken = self.taken.as_ref().ok()?;
        Some(taken.at.max(taken.finished).max(self.id.started()?))
    }

    /// How far it is ahead of the storage.
    fn ahead(&self) -> Option<SignedDuration> {
        Some(self.latest()?.duration_since(self.taken.as_ref().ok()?.written?))
    }
}

impl DataMoment {
    /// Whether the storage confirms its time.
    fn is_confirmed(&self) -> bool {
        self.written.is_some_and(|written| written.duration_since(self.finished) <= SOON)
    }

    /// Whether the later one was taken when the earlier one was there, by the storage's times.
    fn is_before(&self, later: &Self) -> bool {
        let was_there = self.written.is_some_and(|written| written.duration_since(later.at) <= TOLERANCE);
        later.is_confirmed() && (self.is_confirmed() || was_there)
    }
}

/// For each backup of one cluster what speaks against it.
pub fn doubts(all: &[&BackupFacts], now: Timestamp) -> Vec<Option<Doubt>> {
    let offsets: Vec<Option<SignedDuration>> = all.iter().map(|one| one.ahead()).collect();
    let mut doubts: Vec<Option<Doubt>> = all
        .iter()
        .enumerate()
        .map(|(place, one)| {
            let others = offsets.iter().enumerate().filter(|(other, _)| *other != place);
            let least = others.filter_map(|(_, offset)| *offset).min().unwrap_or_default();
            of_itself(one, least.clamp(SignedDuration::ZERO, STORAGE_BEHIND), now)
        })
        .collect();
    contradictions(all, &mut doubts);
    for (one, doubt) in all.iter().zip(&mut doubts) {
        if doubt.is_none() {
            doubt.clone_from(&one.flaw);
        }
    }
    doubts
}

/// What is wrong with a backup by itself. The storage's clock is behind those of all others by so much.
fn of_itself(one: &BackupFacts, behind: SignedDuration, now: Timestamp) -> Option<Doubt> {
    let taken = match &one.taken {
        Ok(taken) => taken,
        Err(why) => return Some(Doubt::Unusable(why.clone())),
    };
    let (Some(started), Some(latest)) = (one.id.started(), one.latest()) else {
        return Some(Doubt::Unusable("its name has no time".into()));
    };
    if latest.duration_since(now) > TOLERANCE {
        return Some(Doubt::Future(latest));
    }
    if started.duration_since(taken.at) > TOLERANCE {
        return Some(Doubt::ClockJumped);
    }
    let written = taken.written.filter(|written| latest.duration_since(*written) > TOLERANCE + behind)?;
    Some(Doubt::Ahead { at: latest, written })
}

/// Positions of one history only grow, unless the cluster went back. Where neither times nor the storage tell, nobody knows.
fn contradictions(all: &[&BackupFacts], doubts: &mut [Option<Doubt>]) {
    let mut sound: Vec<(usize, &DataMoment)> = all
        .iter()
        .enumerate()
        .filter(|(place, _)| doubts[*place].is_none())
        .filter_map(|(place, one)| Some((place, one.taken.as_ref().ok()?)))
        .collect();
    sound.sort_by_key(|(_, taken)| taken.at);
    for (nth, (early, before)) in sound.iter().enumerate() {
        for (late, after) in &sound[nth + 1..] {
            // What is said of a dump is held against no other backup.
            let is_same_history =
                before.gtid.uuid == after.gtid.uuid && all[*early].class == all[*late].class;
            let is_apart = after.at.duration_since(before.at) > TOLERANCE;
            let goes_back = is_same_history && is_apart && before.gtid.seqno > after.gtid.seqno;
            if !goes_back || before.is_before(after) {
                continue;
            }
            let confirmed = (before.is_confirmed(), after.is_confirmed());
            for (one, other, is_to_blame) in
                [(*early, *late, confirmed != (true, false)), (*late, *early, confirmed != (false, true))]
            {
                // One is enough to be told.
                if is_to_blame && doubts[one].is_none() {
                    doubts[one] = Some(Doubt::Contradicts(all[other].id.clone()));
                }
            }
        }
    }
}

/// The place of the newest of those that nothing speaks against: the last by its time. Of those of its history that are
/// minutes apart, as clocks of nodes are, it is the one that is furthest.
pub fn newest<'a>(
    sound: impl Iterator<Item = (usize, &'a BackupId, &'a DataMoment)> + Clone,
) -> Option<(usize, &'a DataMoment)> {
    let (_, _, last) = sound.clone().max_by_key(|(_, id, taken)| (taken.at, *id))?;
    let near = sound.filter(|(_, _, taken)| {
        taken.gtid.uuid == last.gtid.uuid && last.at.duration_since(taken.at) <= TOLERANCE
    });
    near.max_by_key(|(_, id, taken)| (taken.gtid.seqno, taken.at, *id))
        .map(|(place, _, taken)| (place, taken))
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
