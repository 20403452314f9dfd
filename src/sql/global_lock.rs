//! Whether the lock that the freeze needs can be taken now.
//!
//! mysqld's `FLUSH TABLES WITH READ LOCK` in a state transfer cannot be taken back: who holds it up (`LOCK TABLES … WRITE`, a
//! long statement that writes) makes every write of the node wait, until `lock_wait_timeout` as it was when the
//! request came, a day by default, and no end of our program ends that. So the same lock is taken and given back by a session of our own, whose
//! patience is ours. Seen on 10.11.19: not one of an idle transaction, a SELECT, `LOCK TABLES … READ`, `BACKUP STAGE
//! START`, `BACKUP LOCK` stands in its way; where nothing does, it is had within 10 ms.
//!
//! A session with `wsrep_on=OFF` (the right SUPER) takes the lock alone: the node is neither desynced nor paused. `backup` looks at Synced nodes
//! in this way only. The donor's program, whose node is desynced already, looks without that right too: the provider is
//! then paused for these milliseconds.
//!
//! A try that waits holds up writes as mysqld's own would; hence few of them wait, each for `lock-timeout`, and between
//! them only those are made that come back at once.
//!
//! Where another session has stopped the server already (`FLUSH TABLES WITH READ LOCK`, `BACKUP STAGE` from `BLOCK_DDL` on), the
//! provider lets the second one wait without any limit (wsrep-lib, `server_state::pause`). A session outside of the
//! cluster would pass it, and so asks first for a lock on a table that nobody uses, which is not to be had then. One inside
//! sees no answer at all.
//!
//! A program that was itself stopped meanwhile (SIGSTOP) finds a try that took too long, and sessions that have begun to do something else:
//! that blames nobody, and it looks anew.

use std::time::{Duration, Instant};

use super::SqlSession;
use super::error_text;
use crate::presence::Heartbeat;

/// `ER_LOCK_WAIT_TIMEOUT`, `ER_STATEMENT_TIMEOUT`.
const LATE: [u16; 2] = [1205, 1969];
/// What a server has beyond its own limit until it counts as silent: it closes all its tables meanwhile.
const MARGIN: Duration = Duration::from_secs(5);
/// A look at who is in the way.
const LOOK: Duration = Duration::from_secs(3);
/// A table that every server has and nobody uses.
const UNUSED: &str = "mysql.time_zone_leap_second";
/// Between two tries that wait.
const PAUSE: Duration = Duration::from_secs(10);
/// Between two that do not.
const POLL: Duration = Duration::from_millis(250);

/// How long the lock is tried for.
pub struct LockPatience<'a> {
    /// One try (`lock-timeout`).
    pub one_try: Duration,
    /// All of them (`flush-timeout`); zero for one only.
    pub all: Duration,
    /// Sessions of this program, which do not hold the lock up.
    pub own: &'a [u32],
    /// Whether the caller has given up.
    pub is_over: &'a dyn Fn() -> bool,
}

/// Whether the lock can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It was taken, and given back.
    Free,
    /// Another session holds it; which, in words.
    Blocked(String),
    /// The server could not be asked; why.
    Unknown(String),
    /// The caller has given up before the answer.
    GivenUp,
}

/// One try.
enum Tried {
    Had,
    /// Another session holds it up.
    Late,
    /// Another session has stopped the server.
    Stopped,
    Silent,
    Refused(String),
}

/// Takes the lock and gives it back, as soon as it is to be had. `connect` makes a session with this limit for each answer; with
/// `outside_only` nothing is done that the cluster would notice. `tell` hears once who is in the way.
pub fn look_for_lock(
    connect: &dyn Fn(Duration) -> Result<SqlSession, String>,
    outside_only: bool,
    patience: &LockPatience<'_>,
    tell: &mut dyn FnMut(&str),
) -> Availability {
    match Heartbeat::start() {
        Ok(heartbeat) => look(&|| heartbeat.away(), connect, outside_only, patience, tell),
        Err(error) => Availability::Unknown(error.to_string()),
    }
}

/// The same; `away_now` says for how long this program was stopped.
fn look(
    away_now: &dyn Fn() -> Duration,
    connect: &dyn Fn(Duration) -> Result<SqlSession, String>,
    outside_only: bool,
    patience: &LockPatience<'_>,
    tell: &mut dyn FnMut(&str),
) -> Availability {
    let begun = Instant::now();
    let begin = || begin(connect, outside_only, patience.one_try + MARGIN);
    let (mut session, mut outside) = match begin() {
        Ok(begun) => begun,
        Err(why) => return Availability::Unknown(why),
    };
    let mut own = [patience.own, &[session.id()]].concat();
    let mut waited: Option<Instant> = None;
    let mut who = String::new();
    let mut away = away_now();
    loop {
        if (patience.is_over)() {
            return Availability::GivenUp;
        }
        if away_now() > away {
            // What came of a try meanwhile says nothing of the server, and that session may still hold what it was given.
            log::warn!("this program was stopped while it looked for the lock: it looks anew");
            (session, outside) = match begin() {
                Ok(begun) => begun,
                Err(why) => return Availability::Unknown(why),
            };
            own.push(session.id());
            (waited, who) = (None, String::new());
            away = away_now();
        }
        let mut tried = session.try_global_lock(Duration::ZERO, outside);
        let is_first = waited.is_none();
        if matches!(tried, Tried::Late | Tried::Stopped) && waited.is_none_or(|at| at.elapsed() >= PAUSE) {
            if matches!(tried, Tried::Late) {
                tried = session.try_global_lock(patience.one_try, outside);
            }
            waited = Some(Instant::now());
            match tried {
                Tried::Late => who = session.who_blocks(&own),
                Tried::Stopped => who = stopped(&session.who_stops(&own)),
                _ => {}
            }
            if is_first && away_now() == away && !who.is_empty() {
                tell(&who);
            }
        }
        match tried {
            Tried::Had => return Availability::Free,
            _ if away_now() > away => {}
            Tried::Late | Tried::Stopped if begun.elapsed().saturating_sub(away) >= patience.all => {
                return Availability::Blocked(who);
            }
            Tried::Late | Tried::Stopped => std::thread::sleep(POLL),
            Tried::Silent => {
                // That session waits on, and holds nothing but what is held anyway.
                let seen = connect(LOOK).map(|mut session| session.who_stops(&own));
                return Availability::Blocked(stopped(&seen.unwrap_or_else(|why| why)));
            }
            Tried::Refused(why) => return Availability::Unknown(why),
        }
    }
}

/// A session for the tries, and whether it is outside of the cluster.
fn begin(
    connect: &dyn Fn(Duration) -> Result<SqlSession, String>,
    outside_only: bool,
    limit: Duration,
) -> Result<(SqlSession, bool), String> {
    let mut session = connect(limit)?;
    match session.leave_cluster() {
        Ok(()) => Ok((session, true)),
        Err(why) if outside_only => Err(why),
        Err(_) => Ok((session, false)),
    }
}

fn stopped(who: &str) -> String {
    format!(
        "the server is stopped already (FLUSH TABLES WITH READ LOCK or BACKUP STAGE, as a dump, a snapshot or mariadb-backup takes it): \
         {who}"
    )
}

/// How long the server keeps the lock for a session from which nothing comes, seconds.
const IDLE_S: u32 = 5;

impl SqlSession {
    /// Takes this session out of the cluster: what it locks pauses no provider. Needs SUPER.
    fn leave_cluster(&mut self) -> Result<(), String> {
        self.run_one("SET SESSION wsrep_on=OFF").map_err(|error| self.plain(error))
    }

    fn try_global_lock(&mut self, wait: Duration, outside: bool) -> Tried {
        let seconds = if wait.is_zero() { 0 } else { wait.as_secs().max(1) };
        if outside {
            let unused = format!("LOCK TABLES {UNUSED} WRITE");
            match self.run(&["SET SESSION lock_wait_timeout=0", &unused, "UNLOCK TABLES"]) {
                Tried::Late => return Tried::Stopped,
                // Without the right to lock that table it is not known.
                Tried::Had | Tried::Refused(_) => {}
                other => return other,
            }
        }
        // Without these limits it is not asked at all. The last one counts where this machine or the line to it dies with the
        // lock in hand: the server then gives it back by itself.
        let limits = format!(
            "SET SESSION lock_wait_timeout={seconds}, SESSION max_statement_time={}, SESSION wait_timeout={IDLE_S}",
            seconds + 4
        );
        self.run(&[&limits, "FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES"])
    }

    fn run(&mut self, statements: &[&str]) -> Tried {
        let done = statements.iter().try_for_each(|statement| self.run_one(statement));
        match done {
            Ok(()) => Tried::Had,
            Err(mysql::Error::MySqlError(error)) if LATE.contains(&error.code) => Tried::Late,
            Err(error) if error_text::is_silence(&error) => Tried::Silent,
            Err(error) => Tried::Refused(self.plain(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sql::testing::{server, session};

    const OUTSIDE: &str = "SET SESSION wsrep_on=OFF";

    /// What is sent to a server that refuses statements that begin so, by these errors, in its first session.
    fn looked(refused: &'static [(&'static str, u16)]) -> (Availability, Vec<String>) {
        looked_with(&|| Duration::ZERO, refused, &mut |_| {})
    }

    fn looked_with(
        away_now: &dyn Fn() -> Duration,
        refused: &'static [(&'static str, u16)],
        tell: &mut dyn FnMut(&str),
    ) -> (Availability, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&sent);
        let (endpoint, _) = server(folder.path(), move |wire, statement| {
            let mut heard = heard.lock().unwrap();
            heard.push(statement.to_owned());
            let is_first = heard.iter().filter(|statement| *statement == OUTSIDE).count() < 2;
            match refused.iter().find(|(start, _)| is_first && statement.starts_with(start)) {
                Some((_, code)) => wire.error(*code),
                None => wire.ok(),
            }
        });
        let patience = LockPatience {
            one_try: Duration::from_secs(2),
            all: Duration::ZERO,
            own: &[],
            is_over: &|| false,
        };
        let connect = |limit| Ok(session(&endpoint, limit));
        let outcome = look(away_now, &connect, false, &patience, tell);
        let sent = sent.lock().unwrap().clone();
        (outcome, sent)
    }

    #[test]
    fn a_program_that_was_stopped_during_a_try_looks_anew_and_blames_nobody() {
        let looks = Cell::new(0);
        let away_now = || {
            looks.set(looks.get() + 1);
            // Twice before the first try.
            if looks.get() > 2 { Duration::from_secs(60) } else { Duration::ZERO }
        };
        let refused = &[(OUTSIDE, 1227), ("FLUSH", 1205), ("SELECT", 1142), ("SHOW", 1142)];
        let mut told = Vec::new();
        let (outcome, sent) = looked_with(&away_now, refused, &mut |who| told.push(who.to_owned()));
        assert_eq!(outcome, Availability::Free, "{sent:?}");
        assert_eq!(sent.iter().filter(|statement| *statement == OUTSIDE).count(), 2, "{sent:?}");
        assert!(told.is_empty(), "{told:?}");
    }

    /// A server whose client has vanished with the lock in hand gives it back after five seconds.
    #[test]
    fn each_try_is_limited_before_it_is_made_also_where_nobody_can_give_the_lock_back() {
        const LIMITS: &str =
            "SET SESSION lock_wait_timeout=0, SESSION max_statement_time=4, SESSION wait_timeout=5";
        const TAKE: &str = "FLUSH TABLES WITH READ LOCK";
        let aside = [
            "SET SESSION lock_wait_timeout=0",
            "LOCK TABLES mysql.time_zone_leap_second WRITE",
            "UNLOCK TABLES",
        ];
        let (outcome, sent) = looked(&[]);
        assert_eq!(outcome, Availability::Free);
        assert_eq!(sent, [&[OUTSIDE][..], &aside, &[LIMITS, TAKE, "UNLOCK TABLES"]].concat());
        // Inside of the cluster, and in somebody's way: the second try waits.
        let (outcome, sent) = looked(&[(OUTSIDE, 1227), (TAKE, 1205), ("S", 1142)]);
        assert!(matches!(outcome, Availability::Unknown(_)), "{outcome:?}");
        assert_eq!(sent, [OUTSIDE, LIMITS], "without the limits it is not asked");
        let (outcome, sent) = looked(&[(OUTSIDE, 1227), (TAKE, 1205), ("SELECT", 1142), ("SHOW", 1142)]);
        assert!(matches!(outcome, Availability::Blocked(_)), "{outcome:?}");
        let waiting =
            LIMITS.replace("lock_wait_timeout=0", "lock_wait_timeout=2").replace("time=4", "time=6");
        assert_eq!(sent[..5], [OUTSIDE, LIMITS, TAKE, &waiting, TAKE]);
    }
}
