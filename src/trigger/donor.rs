//! The donor while it is watched: its state, its program, its queue.

use std::time::{Duration, Instant};

use super::Event;
use super::backlog::{Backlog, Desync};
use super::missing_status::{Signs, Trace};
use super::outcome::SyncedAgain;
use super::watching::{FIRST_SIGN, SILENT, Watching};
use crate::cluster::{Access, NodeReport, NodeState, Survey};
use crate::model::Status;
use crate::sql::{Endpoint, SqlSession};
use crate::storage::Storage;

/// How long a program may be silent where nothing else is known.
const VERY_SILENT: Duration = Duration::from_secs(400);
/// When it is first looked why a donor has given no sign.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// The same where the donor cannot be asked.
const FIRST_SIGN_BLIND: Duration = Duration::from_secs(60);
/// How long a request is waited for that is seen in the donor's queue.
const BEHIND: Duration = Duration::from_secs(3600);
/// How long a donor is waited for until it is Synced.
const SYNCED: Duration = Duration::from_secs(120);
/// After this time the person who waits is told why the donor is not Synced.
const UNUSUAL: Duration = Duration::from_secs(5);

/// How far the donor has come with a request of which the repository has no status.
pub(super) enum RequestStart {
    /// It may still begin.
    Perhaps,
    /// It waits in the donor's queue; what for. Told when it is new.
    Behind(String),
    /// It was taken, and nothing will come of it; why.
    Never(String),
    /// Neither the repository nor the donor tells; what is known.
    Unknown(String),
}

/// The donor, asked by SQL where it answers.
pub(super) struct DonorNode<'a> {
    access: &'a Access,
    name: Option<String>,
    endpoint: Option<Endpoint>,
    session: Option<SqlSession>,
    asked: Option<Instant>,
    answer: Result<(NodeState, bool), String>,
    /// Its name is a guess: a request waits there.
    guessed: bool,
    /// What was in the way of the request when it was last looked at, and when that was.
    backlog: Option<Backlog>,
    looked: Option<Instant>,
    /// When the request was first seen waiting, and last.
    behind: Option<(Instant, Instant)>,
    told: Option<String>,
}

impl<'a> DonorNode<'a> {
    pub(super) fn new(watching: &Watching<'a>) -> Self {
        let answer = Err("it was not asked".into());
        let mut donor = Self {
            access: watching.access,
            name: None,
            endpoint: None,
            session: None,
            asked: None,
            answer,
            guessed: false,
            backlog: None,
            looked: None,
            behind: None,
            told: None,
        };
        if let Some(name) = &watching.donor {
            donor.learn(name, watching.survey);
        }
        donor
    }

    /// Its name, from garbd or from the repository; and with it where it answers.
    pub(super) fn learn(&mut self, name: &str, survey: &Survey) {
        if self.name.is_none() || self.guessed {
            self.guessed = false;
            self.name = Some(name.to_owned());
            self.endpoint = survey.report(name).map(|report| report.endpoint.clone());
        }
    }

    pub(super) fn name(&self) -> &str {
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
            let report = NodeReport::ask(endpoint, &mut session)?;
            self.session = Some(session);
            Ok((report.state(), report.is_primary()))
        });
        self.asked = Some(Instant::now());
        self.answer.clone()
    }

    /// It answers, and is no donor: its program has ended.
    pub(super) fn is_none_any_more(&mut self) -> bool {
        matches!(self.state(), Ok((state, _)) if state != NodeState::Donor)
    }

    /// Why a program that is silent cannot be alive. One that writes its status rarely is not silent before it has missed
    /// its time; a node that is no donor has none, however often that writes.
    pub(super) fn has_died(&mut self, silence: Duration, status: &Status) -> Option<String> {
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

    pub(super) fn is_known(&self) -> bool {
        self.name.is_some()
    }

    pub(super) fn is_guessed(&self) -> bool {
        self.guessed
    }

    /// Where the donor's name is not known, takes the member in whose queue a request waits for it.
    pub(super) fn guess(&mut self, survey: &Survey) -> bool {
        let waits = |report: &&NodeReport| {
            let Ok(mut session) = self.access.connect(&report.endpoint) else { return false };
            let now = NodeReport::ask(report.endpoint.clone(), &mut session);
            now.is_ok_and(|now| Backlog::of(&now, &mut session).is_some())
        };
        let Some(found) = survey.reports.iter().find(waits).map(|report| report.name().to_owned()) else {
            return false;
        };
        self.learn(&found, survey);
        self.guessed = true;
        true
    }

    /// What is in the way of the request, looked at every two seconds.
    fn look_behind(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < Duration::from_secs(2)) {
            return;
        }
        self.looked = Some(Instant::now());
        self.backlog = self.endpoint.clone().and_then(|endpoint| {
            let session = self.session.take().map_or_else(|| self.access.connect(&endpoint), Ok);
            let mut session = session.ok()?;
            let report = NodeReport::ask(endpoint, &mut session).ok()?;
            let backlog = Backlog::of(&report, &mut session);
            self.session = Some(session);
            backlog
        });
        if self.backlog.is_some() {
            let now = Instant::now();
            self.behind = Some((self.behind.map_or(now, |(first, _)| first), now));
        }
    }

    /// Whether anything will come of a request that the repository does not know.
    pub(super) fn has_begun(
        &mut self,
        elapsed: Duration,
        storage: &dyn Storage,
        signs: &Signs<'_>,
    ) -> RequestStart {
        if elapsed < FIRST_LOOK || self.name.is_none() {
            return RequestStart::Perhaps;
        }
        self.look_behind();
        if let (Some(backlog), Some((first, _))) = (&self.backlog, self.behind) {
            let words = backlog.words();
            if first.elapsed() >= BEHIND {
                return RequestStart::Unknown(format!(
                    "{} has not come to the request within an hour ({words})",
                    self.name()
                ));
            }
            let kind = backlog.kind().unwrap_or_default().to_owned();
            if self.told.as_ref() == Some(&kind) {
                return RequestStart::Perhaps;
            }
            self.told = Some(kind);
            return RequestStart::Behind(words);
        }
        // It has only now come to it.
        let elapsed = self.behind.map_or(elapsed, |(_, last)| last.elapsed());
        if elapsed < FIRST_SIGN {
            return RequestStart::Perhaps;
        }
        let (limit, is_blind) = match self.state() {
            Ok((NodeState::Donor, _)) => (2 * FIRST_SIGN_BLIND, false),
            Ok(_) => (FIRST_SIGN, false),
            Err(_) => (FIRST_SIGN_BLIND, true),
        };
        match (elapsed >= limit, is_blind) {
            (false, _) => RequestStart::Perhaps,
            (true, false) => RequestStart::Never(self.why_nothing(elapsed, storage, signs)),
            // It does not answer SQL, so whether it has come to the request cannot be seen.
            (true, true) => RequestStart::Unknown(format!(
                "{}. Or the request waits in the queue of {} behind a lock or an ALTER, and the backup is still to come",
                self.why_nothing(elapsed, storage, signs),
                self.name()
            )),
        }
    }

    /// What may have happened to a request that a donor has taken and the repository does not know.
    fn why_nothing(&self, elapsed: Duration, storage: &dyn Storage, signs: &Signs<'_>) -> String {
        let name = self.name();
        let endpoint = self.endpoint.as_ref();
        let trace = Trace {
            flushed: endpoint.and_then(|endpoint| signs.flushes.have_grown(self.access, name, endpoint)),
            free: storage.free_bytes().ok().flatten(),
            folder: (signs.folder)(name),
        };
        format!(
            "{name} took the request, and nothing of it is in the repository '{place}' after {seconds} s. {who}: look for \
             WSREP_SST in the error log of {name}, and run 'wsrep_sst_backup check' there",
            place = storage.location(),
            seconds = elapsed.as_secs(),
            who = trace.who(name),
        )
    }

    /// How long it takes the node to be Synced. A desync that was set by hand is not waited for.
    pub(super) fn wait_until_synced(
        &mut self,
        watching: &Watching<'_>,
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> SyncedAgain {
        let started = Instant::now();
        let mut since = None;
        let mut told = false;
        loop {
            self.asked = None;
            let state = self.state();
            match &state {
                Ok((NodeState::Synced, true)) => {
                    // A node is Synced for a moment before it becomes a donor, and never after so soon.
                    return SyncedAgain::After(started.elapsed());
                }
                Ok((state, _)) => {
                    since = None;
                    let cause = if *state == NodeState::Donor { self.cause() } else { None };
                    let words = cause
                        .as_ref()
                        .map_or_else(|| state.to_string(), |c| format!("{state}: {}", c.words()));
                    if cause == Some(Desync::ByHand) {
                        return SyncedAgain::NotYet(words);
                    }
                    if !told && started.elapsed() >= UNUSUAL {
                        told = true;
                        tell(&Event::NotSynced(self.name(), &words));
                    }
                }
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

    /// What keeps it desynced, as far as it can be seen; asked in the session that has just answered.
    fn cause(&mut self) -> Option<Desync> {
        Desync::of(self.session.as_mut()?)
    }
}
