//! Why a donor has not come to a request yet, and why a member is desynced.
//!
//! The group selects the donor, and counts it as desynced from then on (`wsrep_desync_count` is 1). The request itself is an
//! event in the donor's queue: it is reached when everything before it is applied. Until then the node's own state is still
//! Synced. Seen on 10.11.19 with Galera 26.4.23, with `LOCK TABLES t READ` on the donor and an UPDATE of `t` elsewhere: state
//! Synced, count 1, three in the queue, the applier in `Waiting for table metadata lock`; the request was reached when the
//! lock was given back. A member that was desynced by hand, by FLUSH TABLES WITH READ LOCK, by BACKUP STAGE or by DDL with
//! `wsrep_OSU_method = RSU` is Donor/Desynced at once; `wsrep_desync` is ON in the first case only.

use crate::cluster::{Access, NodeReport, NodeState, Survey};
use crate::sql::{MetadataLock, SqlSession, Thread};

/// How long an applier has waited for a lock that is certainly in its way.
const LONG: u64 = 3;

/// The cause of a desync that can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desync {
    /// `SET GLOBAL wsrep_desync = ON`: it lasts until it is set to OFF by hand.
    ByHand,
    /// A session's doing, which ends with it.
    Session(String),
}

impl Desync {
    /// Words that follow the name and the state of a member.
    pub fn words(&self) -> String {
        match self {
            Self::ByHand => {
                "wsrep_desync is ON there: somebody has set it, and SET GLOBAL wsrep_desync = OFF \
                             ends it"
                    .into()
            }
            Self::Session(what) => what.clone(),
        }
    }

    /// Looks at a member; nothing where no cause can be seen: a transfer shows none.
    pub fn of(session: &mut SqlSession) -> Option<Self> {
        let variables = session.variables(&["wsrep_desync", "wsrep_OSU_method"]).ok()?;
        if variables.get("wsrep_desync").is_some_and(|value| value.eq_ignore_ascii_case("ON") || value == "1")
        {
            return Some(Self::ByHand);
        }
        let is_rsu = variables.get("wsrep_osu_method").is_some_and(|method| method == "RSU");
        let threads = session.threads().unwrap_or_default();
        let locks = session.metadata_locks().unwrap_or_default();
        held(&threads, &locks).or_else(|| doing(&threads, is_rsu)).map(Self::Session)
    }
}

/// The holder of a lock of the whole server.
fn held(threads: &[Thread], locks: &[MetadataLock]) -> Option<String> {
    let lock = locks.iter().find(|lock| lock.mode.starts_with("MDL_BACKUP_"))?;
    let what = if lock.mode.contains("FTWRL") { "FLUSH TABLES WITH READ LOCK" } else { "a BACKUP STAGE" };
    Some(format!("{} holds {what}", holder(threads, lock.thread)))
}

fn holder(threads: &[Thread], id: u64) -> String {
    let known = threads.iter().find(|thread| thread.id == id);
    known.map_or_else(|| format!("thread {id}"), ToString::to_string)
}

/// A statement that desyncs its node while it runs.
fn doing(threads: &[Thread], is_rsu: bool) -> Option<String> {
    let begins = |thread: &Thread, words: &[&str]| {
        let statement = thread.statement.to_ascii_uppercase();
        thread.user != "system user" && words.iter().any(|word| statement.starts_with(word))
    };
    let lock = threads.iter().find(|thread| begins(thread, &["FLUSH TABLES WITH READ LOCK", "BACKUP STAGE"]));
    if let Some(thread) = lock {
        return Some(format!("{thread} goes on"));
    }
    let ddl = ["ALTER", "CREATE", "DROP", "OPTIMIZE", "TRUNCATE", "RENAME", "REPAIR"];
    let thread = threads.iter().find(|thread| begins(thread, &ddl))?;
    let how = if is_rsu {
        "wsrep_OSU_method is RSU there, and"
    } else {
        "DDL in a session with wsrep_OSU_method = RSU:"
    };
    Some(format!("{how} {thread} goes on"))
}

/// What stands between a donor and a request that it was selected for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backlog {
    waiting: i64,
    applier: Option<Thread>,
    blocker: Option<String>,
}

impl Backlog {
    /// Looks at a donor whose program has given no sign. Nothing where the request is not in its queue any more.
    pub(super) fn of(report: &NodeReport, session: &mut SqlSession) -> Option<Self> {
        let is_before = matches!(report.state(), NodeState::Synced | NodeState::Joined);
        (is_before && report.desync_count() > 0).then(|| Self::look(report, session))
    }

    fn look(report: &NodeReport, session: &mut SqlSession) -> Self {
        let threads = session.threads().unwrap_or_default();
        // The longest first; one that waits for a lock holds up the others.
        let mut busy: Vec<&Thread> = threads.iter().filter(|thread| thread.is_busy_applier()).collect();
        busy.sort_by_key(|thread| (!thread.waits_for_lock(), std::cmp::Reverse(thread.seconds)));
        let applier = busy.first().map(|thread| (*thread).clone());
        let blocker = applier.as_ref().filter(|thread| thread.waits_for_lock()).map(|applier| match session
            .metadata_locks()
        {
            Ok(locks) => blockers(&threads, &locks, applier),
            Err(_) => {
                "who holds the lock is not visible there (the plugin metadata_lock_info would show it)".into()
            }
        });
        Self { waiting: report.number("wsrep_local_recv_queue").unwrap_or(0), applier, blocker }
    }

    /// Words that follow the name of the member.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{} write sets and requests wait in its queue", self.waiting);
        if let Some(applier) = &self.applier {
            words.push_str(&format!(
                ", behind one that is in the state '{}' for {} s",
                applier.state, applier.seconds
            ));
            if !applier.statement.is_empty() {
                words.push_str(&format!(" ({})", applier.statement));
            }
        }
        if let Some(blocker) = &self.blocker {
            words.push_str(&format!("; {blocker}"));
        }
        words
    }

    /// What to compare, so that the same is not told again and again.
    pub(super) fn kind(&self) -> Option<&str> {
        self.applier.as_ref().map(|thread| thread.state.as_str())
    }
}

/// The clients that hold locks which an applier may wait for.
fn blockers(threads: &[Thread], locks: &[MetadataLock], applier: &Thread) -> String {
    let is_client = |lock: &&MetadataLock| {
        lock.thread != applier.id
            && !threads.iter().any(|thread| thread.id == lock.thread && thread.user == "system user")
    };
    let list: Vec<String> = locks
        .iter()
        .filter(is_client)
        .take(3)
        .map(|lock| format!("{} on '{}' is held by {}", lock.mode, lock.table, holder(threads, lock.thread)))
        .collect();
    if list.is_empty() { "nobody is seen to hold the lock".into() } else { list.join("; ") }
}

/// Why each desynced member is so, by its name, as far as it can be seen.
pub fn desyncs(access: &Access, survey: &Survey) -> Vec<(String, Desync)> {
    let is_desynced = |report: &&NodeReport| report.state() == NodeState::Donor || report.desync_count() > 0;
    let cause = |report: &NodeReport| {
        let mut session = access.connect(&report.endpoint).ok()?;
        Some((report.name().to_owned(), Desync::of(&mut session)?))
    };
    survey.reports.iter().filter(is_desynced).filter_map(cause).collect()
}

/// Why a Synced member would not come to a request: its applier waits for the lock of another session.
pub fn blocked(access: &Access, survey: &Survey, name: &str) -> Option<String> {
    let report = survey.report(name)?;
    let backlog = Backlog::look(report, &mut access.connect(&report.endpoint).ok()?);
    let waits = |thread: &&Thread| thread.waits_for_lock() && thread.seconds >= LONG;
    backlog.applier.as_ref().filter(waits).map(|_| backlog.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: u64, user: &str, state: &str, statement: &str) -> Thread {
        Thread { id, user: user.into(), seconds: 35, state: state.into(), statement: statement.into() }
    }

    fn lock(thread: u64, mode: &str, table: &str) -> MetadataLock {
        MetadataLock { thread, mode: mode.into(), table: table.into() }
    }

    #[test]
    fn what_desyncs_a_node_is_named_where_it_can_be_seen() {
        let threads = [
            thread(1, "system user", "wsrep applier committed", ""),
            thread(9, "root", "User sleep", "select sleep(60)"),
        ];
        let backup = held(&threads, &[lock(9, "MDL_BACKUP_WAIT_COMMIT", "")]);
        assert_eq!(backup.as_deref(), Some("thread 9 ('root', 35 s): select sleep(60) holds a BACKUP STAGE"));
        let flush = held(&threads, &[lock(7, "MDL_BACKUP_FTWRL2", "")]);
        assert_eq!(flush.as_deref(), Some("thread 7 holds FLUSH TABLES WITH READ LOCK"));
        assert_eq!(held(&threads, &[lock(9, "MDL_SHARED_READ", "a.t")]), None);
        assert_eq!(doing(&threads, true), None);
        let ddl = [thread(9, "root", "copy to tmp table", "alter table t force")];
        assert!(doing(&ddl, false).is_some_and(|text| text.contains("wsrep_OSU_method = RSU: thread 9")));
    }

    #[test]
    fn a_backlog_names_the_applier_and_who_is_in_its_way() {
        let applier = thread(1, "system user", "Waiting for table metadata lock", "update t set v=1");
        let threads = [applier.clone(), thread(9, "root", "User sleep", "")];
        let blocker = blockers(
            &threads,
            &[lock(9, "MDL_SHARED_READ_ONLY", "shop.t"), lock(1, "X", "shop.t")],
            &applier,
        );
        let backlog = Backlog { waiting: 3, applier: Some(applier), blocker: Some(blocker) };
        assert_eq!(
            backlog.words(),
            "3 write sets and requests wait in its queue, behind one that is in the state 'Waiting for table metadata \
             lock' for 35 s (update t set v=1); MDL_SHARED_READ_ONLY on 'shop.t' is held by thread 9 ('root', 35 s)"
        );
    }
}
