//! Two members that stand still at the same time stop a cluster of two, and only the donors can see it in time.
//!
//! The command `backup` looks at the members before it asks; between that look and the freeze others may ask, too. So the
//! donor itself looks, right before it freezes its server, in two ways:
//!
//! 1. **Another member must be Synced**, as far as the members answer this donor by SQL. A node is a donor before its program
//!    begins, so of two that look at each other at least one sees that the other is one.
//! 2. Where that is not known, **one freeze at a time for each cluster**, by a lease in the repository ([`crate::lease`]), which
//!    needs no rights. Each donor puts one before it looks at anything. A donor that sees another lease and no Synced member takes its own
//!    back, waits for a moment of random length, and begins anew; after [`FOR_LEASE`] it gives up. Donors with different
//!    repositories do not know of each other in this way.
//!
//! Where two wait for each other, the one whose name sorts last waits longer, so that one of them comes to its backup.
//!
//! The server runs on meanwhile: no client waits. A node that is alone, and one of whose members nothing is known,
//! is frozen all the same, and so is one whose repository does not answer: that is told.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::DonateError;
use crate::capture::{Login, Watch};
use crate::cluster::{Access, NodeState, Standby, Survey};
use crate::job::{Job, ThreadLimits, bounded};
use crate::lease::{Lease, LeaseKind, Others, holder, host, take_away};
use crate::sql::Endpoint;
use crate::storage::{Storage, StorageError};
use crate::users::user_name;

/// How long another donor's freeze is waited for.
const FOR_LEASE: Duration = Duration::from_secs(5);
/// How long a member is waited for that is not Synced: longer than a donor waits for a lease, with time to end.
const FOR_MEMBER: Duration = Duration::from_secs(15);
/// The same for the one of two donors that is to have its backup, where neither knows of the other's lease.
const FOR_MEMBER_LAST: Duration = Duration::from_secs(30);
/// One look at all members.
const LOOK: Duration = Duration::from_secs(12);
/// What was seen of the members is looked at again when it is older.
const FRESH: Duration = Duration::from_secs(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a wait looks whether the backup is given up.
const TICK: Duration = Duration::from_millis(50);
/// Between two signs of life of a lease, and how long one is alive without.
const BEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);
/// How long the repository may take to show a lease, and to forget it: the donor does not wait for one that hangs.
const ANSWER: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(3);

/// The right to freeze. It is to end behind the freeze, however that ends: declare it before.
pub(super) struct Turn<'a> {
    job: &'a Job,
    login: Login,
    lease: Option<Lease>,
    /// When the members were looked at; none where they do not answer.
    looked: Option<Instant>,
}

/// Another donor, as the repository tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    who: String,
    lease: String,
}

impl<'a> Turn<'a> {
    /// Waits for it, for seconds.
    pub(super) fn take(job: &'a Job, login: Login, watch: &Watch) -> Result<Self, DonateError> {
        let mut turn = Self { job, login, lease: None, looked: None };
        let other = turn.show_lease(Duration::ZERO, watch)?;
        let standby = turn.look_at_members(watch)?;
        let Some(nobody) = turn.settle(standby) else { return Ok(turn) };
        if let Some(other) = other {
            turn.wait_for_donor(&other, watch)?;
        }
        turn.wait_for_member(nobody, watch)?;
        Ok(turn)
    }

    /// The last look before the freeze, where the one before was some time ago.
    pub(super) fn is_still_ours(&mut self, watch: &Watch) -> Result<(), DonateError> {
        if self.looked.is_none_or(|looked| looked.elapsed() < FRESH) {
            return Ok(());
        }
        let standby = self.look_at_members(watch)?;
        self.settle(standby).map_or(Ok(()), |nobody| self.wait_for_member(nobody, watch))
    }

    fn wait_for_donor(&mut self, other: &Other, watch: &Watch) -> Result<(), DonateError> {
        let what = format!("another donor of this cluster stands still, or is about to ({})", other.who);
        if self.job.is_forced() {
            log::warn!("forced: {what}");
            return Ok(());
        }
        log::info!("{what}: waiting up to {} s", FOR_LEASE.as_secs());
        self.give_back();
        match self.show_lease(FOR_LEASE, watch)? {
            None => Ok(()),
            Some(Other { who, lease }) => Err(DonateError::OtherDonor { who, lease, waited: FOR_LEASE }),
        }
    }

    /// Puts a lease; another donor, if one is still there after `patience`.
    fn show_lease(&mut self, patience: Duration, watch: &Watch) -> Result<Option<Other>, DonateError> {
        let queue = Queue {
            storage: Arc::clone(&self.job.repository),
            cluster: self.job.destination.folder.clone(),
            owner: format!("node '{}' on {}", self.job.label().node, host()),
            patience,
        };
        let limits = ThreadLimits { time: patience + ANSWER, farewell: Duration::from_secs(1) };
        let shown = bounded("lease", limits, &|| watch.aborted().is_some(), move |stop| queue.wait(stop));
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        let Ok(Some((lease, other))) = shown else {
            log::warn!(
                "the repository has not answered within {} s: whether another donor of this cluster stands still is not known, and others \
                 cannot see that this one does",
                limits.time.as_secs()
            );
            return Ok(None);
        };
        self.lease = lease;
        Ok(other)
    }

    /// Logs which member is there for the clients. Where none is known the freeze goes on; members that are not Synced are returned.
    fn settle(&mut self, standby: Standby) -> Option<Vec<(String, NodeState)>> {
        self.looked = Some(Instant::now());
        match standby {
            Standby::Synced(name) => {
                log::info!("'{name}' is Synced and there for the clients while this node stands still");
                None
            }
            Standby::Alone => {
                log::warn!("this node is alone in its cluster: clients wait while it stands still");
                None
            }
            Standby::Unknown(why) => {
                log::info!(
                    "whether another member is Synced, and there for the clients while this node stands still, is not known: {why}"
                );
                self.looked = None;
                Some(Vec::new())
            }
            Standby::Nobody(others) => Some(others),
        }
    }

    /// Looks until another member is Synced; `others` are those that were not.
    fn wait_for_member(
        &mut self,
        mut others: Vec<(String, NodeState)>,
        watch: &Watch,
    ) -> Result<(), DonateError> {
        let begun = Instant::now();
        let own = &self.job.label().node;
        // Nothing is known where there are none.
        while !others.is_empty() {
            let states: Vec<String> =
                others.iter().map(|(name, state)| format!("'{name}' is {state}")).collect();
            let states = states.join(", ");
            if self.job.is_forced() {
                log::warn!("forced: no other member is Synced ({states})");
                return Ok(());
            }
            if begun.elapsed() >= patience(own, &others) {
                return Err(DonateError::LastSynced(states));
            }
            pause(PAUSE, watch)?;
            let standby = self.look_at_members(watch)?;
            others = self.settle(standby).unwrap_or_default();
        }
        Ok(())
    }

    /// In a thread of its own, because each silent member takes its time.
    fn look_at_members(&self, watch: &Watch) -> Result<Standby, DonateError> {
        let access = Access::to_members(&self.job.settings, user_name(nix::unistd::geteuid().as_raw()));
        let (login, name) = (self.login.clone(), self.job.label().node.clone());
        let look = move |_: &_| -> Result<Standby, String> {
            let mut session = login.connect()?;
            let survey = Survey::around(&access, Endpoint::Socket(login.socket()), &mut session)?;
            Ok(survey.standby(&name))
        };
        let limits = ThreadLimits { time: LOOK, farewell: Duration::ZERO };
        let seen = bounded("members", limits, &|| watch.aborted().is_some(), look);
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        Ok(match seen {
            Ok(Some(seen)) => seen.unwrap_or_else(Standby::Unknown),
            Ok(None) => Standby::Unknown(format!("the members did not answer within {} s", LOOK.as_secs())),
            Err(error) => Standby::Unknown(error.to_string()),
        })
    }

    /// In a thread: the repository may hang, and the server is not to wait for it.
    fn give_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let limits = ThreadLimits { time: FAREWELL, farewell: Duration::ZERO };
        let name = lease.name().to_owned();
        if !matches!(bounded("lease", limits, &|| false, move |_| drop(lease)), Ok(Some(()))) {
            log::warn!(
                "'{name}' may be left in the repository; it counts for nothing when it is a minute old"
            );
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// How long members that are not Synced are waited for.
fn patience(own: &str, others: &[(String, NodeState)]) -> Duration {
    let mut donors = others.iter().filter(|(_, state)| *state == NodeState::Donor).peekable();
    let is_last = donors.peek().is_some() && donors.all(|(name, _)| own > name.as_str());
    if is_last { FOR_MEMBER_LAST } else { FOR_MEMBER }
}

/// What a thread does that may hang in the repository.
struct Queue {
    storage: Arc<dyn Storage>,
    cluster: String,
    owner: String,
    patience: Duration,
}

impl Queue {
    /// Puts a lease and looks for others, until there is none or `patience` is at its end. A repository that does not let this
    /// donor do one or the other is no reason for a failure.
    fn wait(&self, stop: &AtomicBool) -> (Option<Lease>, Option<Other>) {
        let begun = Instant::now();
        let mut others = Others::default();
        loop {
            let lease = Lease::take(&self.storage, LeaseKind::Freezing, &self.cluster, &self.owner, BEAT)
                .inspect_err(|error| {
                    log::warn!(
                        "{error}; so other donors of this cluster cannot see that this one stands still"
                    );
                })
                .ok();
            let other = match self.look(&mut others, lease.as_ref()) {
                Ok(other) => other,
                Err(error) => {
                    log::warn!("{error}; so whether another donor of this cluster stands still is not known");
                    None
                }
            };
            if other.is_none() || begun.elapsed() >= self.patience || stop.load(Ordering::Relaxed) {
                return (lease, other);
            }
            drop(lease);
            let pause = Instant::now() + PAUSE.mul_f64(random_part());
            while Instant::now() < pause && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
            }
        }
    }

    /// Of one data directory one donor runs at a time: what else is this node's own was left by one that was killed.
    fn look(&self, others: &mut Others, own: Option<&Lease>) -> Result<Option<Other>, StorageError> {
        let storage = self.storage.as_ref();
        let seen = others.look(storage, LeaseKind::Freezing, &self.cluster, own.map(Lease::name), SILENCE)?;
        let known = seen.into_iter().map(|lease| Other { who: holder(storage, &lease), lease });
        let is_own = |other: &Other| other.who.starts_with(&format!("{} pid ", self.owner));
        let (dead, alive): (Vec<Other>, Vec<Other>) = known.partition(is_own);
        for other in &dead {
            take_away(storage, &other.lease);
        }
        Ok(alive.into_iter().next())
    }
}

fn pause(time: Duration, watch: &Watch) -> Result<(), DonateError> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// Between 0.1 and 1.1, another number each time.
fn random_part() -> f64 {
    let number = RandomState::new().build_hasher().finish();
    0.1 + f64::from(u32::try_from(number & 0xffff).unwrap_or_default()) / 65_536.0
}

#[cfg(test)]
#[path = "freeze_turn_tests.rs"]
mod tests;
