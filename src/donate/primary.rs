//! Nothing is ended while the node is cut off from its cluster.
//!
//! If `done`, or the end of this program, reaches mysqld while the node is not in the Primary component,
//! the node stays Donor/Desynced with `wsrep_ready` OFF until it is restarted (seen on MariaDB 10.11 with
//! Galera 26.4: the "donor stuck" fault). A node that was only thrown out for a moment comes back by
//! itself, so every way out waits for it here: success, failure, `--bypass`, and the last resort of a run
//! whose main thread hangs. While the server is frozen `wsrep_cluster_status` still says Primary: the
//! question makes sense after `continue`.
//!
//! | the node | the wait |
//! |---|---|
//! | SQL says Primary | ends |
//! | SQL says anything else | goes on up to `primary-timeout`, also after a signal |
//! | SQL does not answer: a frozen login, a wrong account | the error log says which ([`ErrorLog`]); it has not said anything: ends |
//! | the same, and there is no log to read | ends, as the stock scripts do |
//! | a second signal; mysqld is dead; its log says that it shuts down | ends |
//! | SQL has answered before, a signal has come, and SQL is silent for 2 s | ends: mysqld shuts down |

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::capture::{Login, Outlook};
use crate::config::PRIMARY_TIMEOUT;
use crate::sql::SqlSession;
use crate::sst::{ErrorLog, LoggedNodeState};

/// How often the server is asked.
const POLL: Duration = Duration::from_millis(200);
/// How long the node must say Primary before it is believed: after `continue` a cut-off node notices its
/// state only when the provider works again.
const SETTLE: Duration = Duration::from_millis(300);
/// The same for the log: a node that is back says so before the server has taken it in, and one that was cut off while it
/// was frozen says so only some half a second after `continue` (seen).
const LOG_SETTLE: Duration = Duration::from_secs(1);
/// How long a server that has answered before may be silent until nothing is expected of it any more;
/// also the longest wait for one answer.
const NO_ANSWER: Duration = Duration::from_secs(2);

/// How the node is asked, and for how long.
pub(super) struct PrimaryGate {
    login: Mutex<Login>,
    /// Whether SQL has worked in this run: where it has not, one refusal is enough.
    answered: AtomicBool,
    limit: Mutex<Duration>,
    log: Mutex<Option<ErrorLog>>,
}

/// What is known of the node at one moment.
enum Node {
    /// Believed when it has been so for this long.
    Primary(Duration),
    CutOff(String),
    /// Silent, and still waited for.
    Silent,
    Unknown(String),
    ShuttingDown,
}

impl PrimaryGate {
    /// With what is known at the very start.
    pub(super) fn new(login: Login, log: Option<ErrorLog>) -> Self {
        Self {
            login: Mutex::new(login),
            answered: AtomicBool::new(false),
            limit: Mutex::new(PRIMARY_TIMEOUT),
            log: Mutex::new(log),
        }
    }

    /// With what the settings say.
    pub(super) fn configure(&self, login: Login, limit: Duration) {
        *lock(&self.login) = login;
        *lock(&self.limit) = limit;
    }

    /// How to reach the server.
    pub(super) fn login(&self) -> Login {
        lock(&self.login).clone()
    }

    /// SQL has worked.
    pub(super) fn has_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Waits until the node is Primary, or until nothing can be gained by it any more.
    pub(super) fn wait(&self, outlook: &Outlook) {
        let (login, limit) = (self.login(), *lock(&self.limit));
        let mut asker = Asker { gate: self, login, session: None, silent_since: None, told: false };
        let started = Instant::now();
        let mut primary_since: Option<Instant> = None;
        while !outlook.is_over() && !outlook.mysqld_is_gone() {
            let node = asker.ask(outlook);
            if !matches!(node, Node::Primary(_)) {
                primary_since = None;
            }
            match node {
                Node::Primary(settle) => {
                    if primary_since.get_or_insert_with(Instant::now).elapsed() >= settle {
                        if asker.told {
                            log::info!("the node is Primary again after {} s", started.elapsed().as_secs());
                        }
                        return;
                    }
                }
                Node::CutOff(how) => asker.tell(&how, limit),
                Node::Silent => {}
                Node::Unknown(why) => return log::info!("whether the node is Primary is not known ({why})"),
                Node::ShuttingDown => return log::info!("mysqld is shutting down: nothing to wait for"),
            }
            if asker.told && outlook.signals() > 1 {
                return log::warn!(
                    "a second signal: ending although the node is not Primary; it may stay Donor/Desynced"
                );
            }
            if started.elapsed() >= limit {
                return log::error!(
                    "the node was not Primary for {} s (primary-timeout); it may stay Donor/Desynced: when the network \
                     is mended, restart it if wsrep_local_state_comment does not say Synced",
                    limit.as_secs()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    fn log_state(&self) -> Option<LoggedNodeState> {
        lock(&self.log).as_mut()?.state().ok()
    }
}

/// One wait.
struct Asker<'a> {
    gate: &'a PrimaryGate,
    login: Login,
    session: Option<SqlSession>,
    silent_since: Option<Instant>,
    /// Whether the node has been cut off in this wait.
    told: bool,
}

impl Asker<'_> {
    fn ask(&mut self, outlook: &Outlook) -> Node {
        let asked = Instant::now();
        match self.sql() {
            Ok(status) => {
                self.gate.has_answered();
                self.silent_since = None;
                if status == "Primary" { Node::Primary(SETTLE) } else { Node::CutOff(status) }
            }
            Err(why) => {
                self.session = None;
                let silent = self.silent_since.get_or_insert(asked).elapsed();
                self.without_sql(why, silent, outlook.signals() > 0)
            }
        }
    }

    /// The status by the open session, or by a new one.
    fn sql(&mut self) -> Result<String, String> {
        match &mut self.session {
            Some(session) => session.cluster_status(),
            None => self.session.insert(self.login.connect_within(NO_ANSWER)?).cluster_status(),
        }
    }

    fn without_sql(&self, why: String, silent: Duration, signalled: bool) -> Node {
        let log = self.gate.log_state();
        if log == Some(LoggedNodeState::ShuttingDown) {
            return Node::ShuttingDown;
        }
        if self.gate.answered.load(Ordering::Relaxed) {
            if silent < NO_ANSWER {
                return Node::Silent;
            }
            if signalled {
                return Node::ShuttingDown;
            }
        }
        match log {
            Some(LoggedNodeState::NonPrimary) => Node::CutOff("by its error log".into()),
            Some(_) => Node::Primary(LOG_SETTLE),
            // It was cut off when it last spoke, and its process lives.
            None if self.told => Node::Silent,
            None => Node::Unknown(why),
        }
    }

    fn tell(&mut self, how: &str, limit: Duration) {
        if !std::mem::replace(&mut self.told, true) {
            log::warn!(
                "the node is cut off from its cluster ({how}): waiting up to {} s until it is Primary \
                 again, because a state transfer that ends now would leave it a donor for ever",
                limit.as_secs()
            );
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
