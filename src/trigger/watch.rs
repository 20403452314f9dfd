//! From a selected donor to the outcome of its backup.
//!
//! Three things end it: the manifest, a status that says `failed`, and a donor that is none any more while its program
//! says nothing (it was killed, or another program answered). A node is a donor until its program ends, so "not a donor,
//! and silent" is certain; where the donor cannot be asked, only a long silence is left, longer than every limit of the
//! program itself (`stall-timeout`) may hold it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::flushes::Flushes;
use super::follow::{Follower, Place, Sight};
use super::outcome::{Outcome, SyncedAgain};
use super::{AskError, Event};
use crate::catalog::{CatalogError, Source};
use crate::members::{Access, MemberReport, NodeState, Survey};
use crate::model::{Manifest, State, Status};
use crate::sql::{Endpoint, SqlSession};
use crate::storage::Storage;

/// How often the repository is looked at.
const POLL: Duration = Duration::from_millis(400);
/// How long a program that is gone has certainly been silent: it writes every two seconds, or says that it does not.
const SILENT: Duration = Duration::from_secs(6);
/// How long a program may be silent where nothing else is known.
const VERY_SILENT: Duration = Duration::from_secs(400);
/// How long a selected donor may take until its program has written anything.
const FIRST_SIGN: Duration = Duration::from_secs(15);
/// The same where the donor cannot be asked.
const FIRST_SIGN_BLIND: Duration = Duration::from_secs(60);
/// How long a donor is waited for until it is Synced.
const SYNCED: Duration = Duration::from_secs(120);
/// How long the repository may be out of reach.
const UNREADABLE: Duration = Duration::from_secs(60);

/// What is watched, and how long.
pub struct Watching<'a> {
    /// The repository.
    pub storage: &'a std::sync::Arc<dyn Storage>,
    /// How to ask the donor.
    pub access: &'a Access,
    /// The donor, where it is known.
    pub donor: Option<String>,
    /// The members, as they have answered.
    pub survey: &'a Survey,
    /// How often their tables had been flushed before the request.
    pub flushes: Flushes,
    /// Ctrl-C.
    pub interrupted: &'a AtomicBool,
    /// `--timeout`.
    pub deadline: Option<Instant>,
}

/// Watches a request to its end.
pub fn watch(
    watching: &Watching<'_>,
    follower: &mut Follower<'_>,
    tell: &mut dyn FnMut(&Event<'_>),
) -> Result<Outcome, AskError> {
    let started = Instant::now();
    let mut donor = Donor::new(watching);
    let mut freeze = Freeze::default();
    let mut unreadable: Option<Instant> = None;
    loop {
        if let Some(why) = watching.is_over() {
            return Ok(Outcome::LeftAlone(why));
        }
        match follower.look() {
            Ok(Sight::Complete(place, manifest)) => {
                tell(&Event::Complete);
                return complete(watching, follower, &mut donor, place, manifest);
            }
            Ok(Sight::Status(place, status)) => {
                unreadable = None;
                donor.learn(&status.node, watching.survey);
                tell(&Event::Progress { status: &status, frozen: freeze.seen(&status) });
                if status.state == State::Failed {
                    let error = status.error.unwrap_or_else(|| "its status says no more".into());
                    let synced = donor.wait_until_synced(watching);
                    return Ok(Outcome::Failed { place: Some(place), error, synced });
                }
                if let Some(error) = donor.has_died(follower.silence().unwrap_or_default(), &status) {
                    // Nobody works on it any more: what is there now is final.
                    let error = match follower.look() {
                        Ok(Sight::Complete(place, manifest)) => {
                            return complete(watching, follower, &mut donor, place, manifest);
                        }
                        Ok(Sight::Status(_, last)) if last.state == State::Failed => {
                            last.error.unwrap_or(error)
                        }
                        _ => error,
                    };
                    let synced = donor.wait_until_synced(watching);
                    return Ok(Outcome::Failed { place: Some(place), error, synced });
                }
            }
            Ok(Sight::Nothing) => {
                unreadable = None;
                if donor.name.is_none() && started.elapsed() >= FIRST_SIGN {
                    return Err(AskError::NoSuchRequest(watching.storage.location()));
                }
                if let Some(error) =
                    donor.has_not_begun(started.elapsed(), watching.storage.as_ref(), &watching.flushes)
                {
                    let synced = donor.wait_until_synced(watching);
                    return Ok(Outcome::Failed { place: None, error, synced });
                }
            }
            Err(error @ CatalogError::Storage(_)) => {
                if unreadable.get_or_insert_with(Instant::now).elapsed() >= UNREADABLE {
                    return Err(AskError::Failed(format!("the repository cannot be read any more: {error}")));
                }
            }
            Err(error) => return Err(AskError::Failed(error.to_string())),
        }
        std::thread::sleep(POLL);
    }
}

impl Watching<'_> {
    fn is_over(&self) -> Option<&'static str> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some("interrupted");
        }
        self.deadline.filter(|deadline| Instant::now() >= *deadline).map(|_| "--timeout is over")
    }
}

/// Checks what the manifest names, and waits for the end of the program and of the donor's role.
fn complete(
    watching: &Watching<'_>,
    follower: &mut Follower<'_>,
    donor: &mut Donor<'_>,
    place: Place,
    manifest: Box<Manifest>,
) -> Result<Outcome, AskError> {
    let source =
        Source::new(std::sync::Arc::clone(watching.storage), place.cluster.clone(), (*manifest).clone());
    let damage = source.check_sizes().map_err(|error| AskError::Failed(error.to_string()))?;
    if let Some(damage) = damage.first() {
        let error =
            format!("its manifest is there, but '{}' is not what it says: {}", damage.object, damage.what);
        let synced = donor.wait_until_synced(watching);
        return Ok(Outcome::Failed { place: Some(place), error, synced });
    }
    donor.learn(&manifest.node, watching.survey);
    let mut untold = None;
    let begun = Instant::now();
    // The program ends after `done`, and may have to wait for the Primary component before.
    while let Some(status) = follower.status(&place) {
        match status.state {
            State::Done => {
                untold = status.error;
                break;
            }
            State::Failed => {
                untold = Some(status.error.unwrap_or_default());
                break;
            }
            _ => {}
        }
        let silence = follower.silence().unwrap_or_default().min(begun.elapsed());
        let is_mute = silence >= SILENT && (silence >= status.patience(SILENT) || donor.is_none_any_more());
        if watching.is_over().is_some() || is_mute {
            break;
        }
        std::thread::sleep(POLL / 4);
    }
    let synced = donor.wait_until_synced(watching);
    Ok(Outcome::Complete { place, manifest, synced, untold })
}

/// How long the server has been frozen: as its program says, and between two of its words by our own clock.
#[derive(Default)]
struct Freeze {
    told: Option<(u64, Instant)>,
}

impl Freeze {
    fn seen(&mut self, status: &Status) -> Option<Duration> {
        let told = status.frozen_ms?;
        let since = match self.told {
            Some((last, since)) if last == told => since,
            _ => self.told.insert((told, Instant::now())).1,
        };
        let more = if status.state == State::Copying { since.elapsed() } else { Duration::ZERO };
        Some(Duration::from_millis(told) + more)
    }
}

/// The donor, asked by SQL where it answers.
struct Donor<'a> {
    access: &'a Access,
    name: Option<String>,
    endpoint: Option<Endpoint>,
    session: Option<SqlSession>,
    asked: Option<Instant>,
    answer: Result<(NodeState, bool), String>,
}

impl<'a> Donor<'a> {
    fn new(watching: &Watching<'a>) -> Self {
        let answer = Err("it was not asked".into());
        let mut donor =
            Self { access: watching.access, name: None, endpoint: None, session: None, asked: None, answer };
        if let Some(name) = &watching.donor {
            donor.learn(name, watching.survey);
        }
        donor
    }

    /// Its name, from garbd or from the repository; and with it where it answers.
    fn learn(&mut self, name: &str, survey: &Survey) {
        if self.name.is_none() {
            self.name = Some(name.to_owned());
            self.endpoint = survey.report(name).map(|report| report.endpoint.clone());
        }
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("the donor")
    }

    /// Its state, and whether it is in the Primary component; asked at most twice a second.
    fn state(&mut self) -> Result<(NodeState, bool), String> {
        let Some(endpoint) = self.endpoint.clone() else {
            return Err(format!("no SQL address of {} is known that answers", self.name()));
        };
        if self.asked.is_some_and(|asked| asked.elapsed() < Duration::from_millis(500)) {
            return self.answer.clone();
        }
        let session = match self.session.take() {
            Some(session) => Ok(session),
            None => self.access.connect(&endpoint),
        };
        self.answer = session.and_then(|mut session| {
            let report = MemberReport::ask(endpoint, &mut session)?;
            self.session = Some(session);
            Ok((report.state(), report.is_primary()))
        });
        self.asked = Some(Instant::now());
        self.answer.clone()
    }

    /// It answers, and is no donor: its program has ended.
    fn is_none_any_more(&mut self) -> bool {
        matches!(self.state(), Ok((state, _)) if state != NodeState::Donor)
    }

    /// Why a program that is silent cannot be alive. One that writes its status rarely is not silent before it has missed
    /// its time; a node that is no donor has none, however often that writes.
    fn has_died(&mut self, silence: Duration, status: &Status) -> Option<String> {
        if silence < SILENT {
            return None;
        }
        let doing = super::describe(status.state);
        match self.state() {
            Ok((state, true)) if state != NodeState::Donor => Some(format!(
                "the program on {} has died (its last word: {doing}): the node is {state}, and nobody works on the backup any \
                 more; see the error log of its mysqld",
                self.name()
            )),
            Err(why) if self.endpoint.is_some() && silence >= status.patience(2 * SILENT) => Some(format!(
                "the program on {} has died (its last word: {doing}), and its mysqld does not answer: {why}",
                self.name()
            )),
            _ if silence >= status.patience(VERY_SILENT) => Some(format!(
                "the program on {} has been silent for {} s (its last word: {doing}): see the error log of its mysqld",
                self.name(),
                silence.as_secs()
            )),
            _ => None,
        }
    }

    /// Why nothing will come of a request that the repository does not know.
    fn has_not_begun(
        &mut self,
        elapsed: Duration,
        storage: &dyn Storage,
        flushes: &Flushes,
    ) -> Option<String> {
        if elapsed < FIRST_SIGN {
            return None;
        }
        let limit = match self.state() {
            Ok((NodeState::Donor, _)) => 2 * FIRST_SIGN_BLIND,
            Ok(_) => FIRST_SIGN,
            Err(_) => FIRST_SIGN_BLIND,
        };
        (elapsed >= limit).then(|| self.why_nothing(elapsed, storage, flushes))
    }

    /// What may have happened to a request that a donor has taken and the repository does not know.
    fn why_nothing(&self, elapsed: Duration, storage: &dyn Storage, flushes: &Flushes) -> String {
        let name = self.name();
        let endpoint = self.endpoint.as_ref();
        let who = match endpoint.and_then(|endpoint| flushes.have_grown(self.access, name, endpoint)) {
            Some(true) => format!(
                "The server was frozen and thawed, so a program did answer: the stock wsrep_sst_backup script, which copies \
                 nothing and which mysqld on {name} finds before ours, or ours with another repository"
            ),
            Some(false) => format!(
                "The server was never frozen: mysqld on {name} finds no wsrep_sst_backup, or it failed before it could write \
                 to the repository"
            ),
            None => "Either another program answered (the stock wsrep_sst_backup script copies nothing), or ours is not \
                     installed there, could not write there, or writes to another repository"
                .into(),
        };
        format!(
            "{name} took the request, and nothing of it is in the repository '{place}' after {seconds} s. {who}: look for \
             WSREP_SST in the error log of {name}, and run 'wsrep_sst_backup check' there",
            place = storage.location(),
            seconds = elapsed.as_secs()
        )
    }

    /// How long it takes the node to be Synced.
    fn wait_until_synced(&mut self, watching: &Watching<'_>) -> SyncedAgain {
        let started = Instant::now();
        let mut since = None;
        loop {
            self.asked = None;
            let state = self.state();
            match &state {
                Ok((NodeState::Synced, true)) => {
                    // A node is Synced for a moment before it becomes a donor, and never after so soon.
                    return SyncedAgain::After(started.elapsed());
                }
                Ok(_) => since = None,
                Err(why) if self.endpoint.is_none() => return SyncedAgain::Unknown(why.clone()),
                Err(why) => {
                    if since.get_or_insert_with(Instant::now).elapsed() >= 2 * SILENT {
                        return SyncedAgain::Unknown(why.clone());
                    }
                }
            }
            if started.elapsed() >= SYNCED || watching.is_over().is_some() {
                return match state {
                    Ok((state, true)) => SyncedAgain::NotYet(state.to_string()),
                    Ok((state, false)) => {
                        SyncedAgain::NotYet(format!("{state} and not in the Primary component"))
                    }
                    Err(why) => SyncedAgain::Unknown(why),
                };
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
