use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::sql::testing::{Wire, server, session};

const TAKE: &str = "FLUSH TABLES WITH READ LOCK";
const UUID: &str = "6b3f5a6e-0000-11ee-8000-000000000001";

/// What a scripted server does with a statement.
enum Told {
    Error(u16),
    /// It closes the connection.
    Close,
    /// It answers when it is told to.
    Hang,
    /// As a server would that has nothing special.
    Usual,
}

/// A server and what it was told.
struct Scene {
    folder: tempfile::TempDir,
    sent: Arc<Mutex<Vec<String>>>,
    /// Ends what hangs.
    over: Arc<AtomicBool>,
    lock: SqlLock,
}

/// `script` is told a statement and how often it came before.
fn scene(script: impl Fn(&str, usize) -> Told + Send + Sync + 'static) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let (sent, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (heard, ended) = (Arc::clone(&sent), Arc::clone(&over));
    let (endpoint, _) = server(folder.path(), move |wire, statement| {
        let before = {
            let mut heard = heard.lock().unwrap();
            heard.push(statement.to_owned());
            heard.iter().filter(|earlier| *earlier == statement).count() - 1
        };
        if statement.starts_with("KILL") {
            ended.store(true, Ordering::Relaxed);
        }
        match script(statement, before) {
            Told::Error(code) => wire.error(code),
            Told::Close => Err(io::ErrorKind::ConnectionReset.into()),
            Told::Hang => {
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(POLL);
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Told::Usual => usual(wire, statement, (before, 7)),
        }
    });
    let connect = move |limit| Ok(session(&endpoint, limit));
    let lock = SqlLock::with(Arc::new(connect), Duration::from_secs(1), true);
    Scene { folder, sent, over, lock }
}

/// The redo log is on the disk at the third look.
fn usual(wire: &mut Wire, statement: &str, (before, seqno): (usize, i64)) -> io::Result<()> {
    let flushed = if before < 2 { "900" } else { "1000" };
    let seqno = seqno.to_string();
    match statement {
        "SHOW GRANTS" => wire.texts(1, &[vec!["GRANT ALL PRIVILEGES ON *.* TO `u`@`localhost`"]]),
        _ if statement.starts_with("SHOW GLOBAL STATUS LIKE 'wsrep") => wire.pairs(&[
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_local_state_uuid", UUID),
            ("wsrep_last_committed", &seqno),
        ]),
        _ if statement.starts_with("SHOW GLOBAL STATUS LIKE 'Innodb") => {
            wire.pairs(&[("Innodb_lsn_current", "1000"), ("Innodb_lsn_flushed", flushed)])
        }
        _ if statement.starts_with("SHOW GLOBAL VARIABLES") => wire.pairs(&[("wsrep_gtid_domain_id", "3")]),
        _ if statement.starts_with("SELECT @@GLOBAL.gtid") => wire.texts(3, &[vec!["0-1-9", "0-1-9", ""]]),
        _ if ["SET ", "FLUSH ", "UNLOCK ", "KILL ", "DO "]
            .iter()
            .any(|start| statement.starts_with(start)) =>
        {
            wire.ok()
        }
        _ => wire.error(1142),
    }
}

fn limits(wanted: &dyn Fn() -> Wanted, seconds: u64) -> Limits<'_> {
    Limits { timeout: Duration::from_secs(seconds), wanted }
}

fn quiesce(lock: SqlLock, seconds: u64) -> Result<Box<dyn Quiet>, QuiesceError> {
    Box::new(lock).quiesce(&limits(&|| Wanted::Yes, seconds))
}

fn refusal(lock: SqlLock, seconds: u64) -> String {
    quiesce(lock, seconds).err().expect("it is refused").to_string()
}

fn count(sent: &Mutex<Vec<String>>, statement: &str) -> usize {
    sent.lock().unwrap().iter().filter(|told| *told == statement).count()
}

#[test]
fn the_lock_is_taken_in_slices_that_end_in_the_server_and_held_until_the_log_is_on_the_disk() {
    let Scene { folder: _folder, sent, lock, .. } = scene(|statement, before| match statement {
        TAKE if before < 2 => Told::Error(1205),
        _ => Told::Usual,
    });
    let begun = Instant::now();
    let quiet = quiesce(lock, 60).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "two pauses of half a slice");
    assert_eq!(quiet.position().map(ToString::to_string), Some(format!("{UUID}:7 3")));
    assert_eq!(quiet.files(), Files::Crashed);
    let told = sent.lock().unwrap().clone();
    let slice = told.iter().position(|statement| statement == TAKE).unwrap();
    assert!(
        told[slice - 1].starts_with("SET SESSION lock_wait_timeout=1, SESSION max_statement_time="),
        "{told:?}"
    );
    assert_eq!((count(&sent, TAKE), count(&sent, "UNLOCK TABLES")), (3, 0));
    assert_eq!(told.iter().filter(|statement| statement.contains("Innodb")).count(), 3, "{told:?}");
    let resumed = quiet.resume().map_err(drop).unwrap();
    assert_eq!(resumed.redo_end, Some(1000));
    resumed.complete().unwrap();
    let told = sent.lock().unwrap().clone();
    let [.., asked, unlocked] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (asked.as_str(), unlocked.as_str()),
        ("SHOW GLOBAL STATUS LIKE 'Innodb\\_lsn\\_%'", "UNLOCK TABLES")
    );
}

#[test]
fn a_lock_that_is_not_to_be_had_is_given_up_with_its_time_and_no_lock_is_left() {
    let Scene { folder: _folder, sent, lock, .. } = scene(|statement, _| match statement {
        TAKE => Told::Error(1205),
        _ => Told::Usual,
    });
    let text = refusal(lock, 1);
    assert!(text.contains("for 1 s (flush-timeout), tried for 1 s at a time (lock-timeout)"), "{text}");
    assert!(count(&sent, TAKE) >= 2);
}

#[test]
fn a_refused_lock_is_told_with_its_error() {
    let Scene { folder: _folder, lock, .. } = scene(|statement, _| match statement {
        TAKE => Told::Error(1227),
        _ => Told::Usual,
    });
    assert_eq!(refusal(lock, 9), "FLUSH TABLES WITH READ LOCK: refused (error 1227)");
}

#[test]
fn a_position_that_moves_under_the_lock_is_none() {
    // Domain, GTID and seqno are asked for twice; the second time one of them differs.
    let moved = |start: &'static str| {
        scene(move |statement, before| match before {
            1 if statement.starts_with(start) => Told::Error(1142),
            _ => Told::Usual,
        })
    };
    for start in ["SHOW GLOBAL STATUS LIKE 'wsrep", "SELECT @@GLOBAL.gtid"] {
        let Scene { folder: _folder, sent, lock, .. } = moved(start);
        let text = refusal(lock, 9);
        assert!(text.starts_with("under its lock the server does not tell its position"), "{text}");
        assert_eq!(sent.lock().unwrap().last().map(String::as_str), Some("UNLOCK TABLES"));
    }
}

#[test]
fn another_thread_gives_the_lock_back_and_what_was_read_counts_for_nothing() {
    let Scene { folder: _folder, sent, lock, .. } = scene(|_, _| Told::Usual);
    let release = lock.release();
    let quiet = quiesce(lock, 9).unwrap();
    assert!(std::thread::spawn(move || release.release() && !release.release()).join().unwrap());
    assert_eq!(count(&sent, "UNLOCK TABLES"), 1);
    let quiet = quiet.resume().expect_err("the lock was given back before");
    drop(quiet);
    assert_eq!(count(&sent, "UNLOCK TABLES"), 1);
    // Dropped, it is given back as well.
    let Scene { folder: _folder, sent, lock, .. } = scene(|_, _| Told::Usual);
    drop(quiesce(lock, 9).unwrap());
    assert_eq!(count(&sent, "UNLOCK TABLES"), 1);
}

#[test]
fn a_connection_that_is_lost_under_the_lock_is_seen_at_its_end() {
    let Scene { folder: _folder, lock, over, .. } = scene(|statement, before| match before {
        2 if statement.starts_with("SHOW GLOBAL STATUS LIKE 'wsrep") => Told::Close,
        _ => Told::Usual,
    });
    let quiet = quiesce(lock, 9).unwrap();
    assert!(quiet.resume().is_err());
    assert!(over.load(Ordering::Relaxed), "whatever is left of that session is ended");
}

#[test]
fn a_wait_that_is_given_up_from_outside_ends_in_the_server_too() {
    let Scene { folder: _folder, sent, lock, .. } = scene(|statement, _| match statement {
        TAKE => Told::Hang,
        _ => Told::Usual,
    });
    let release = lock.release();
    let seen = Arc::clone(&sent);
    let other = std::thread::spawn(move || {
        while count(&seen, TAKE) == 0 {
            std::thread::sleep(POLL);
        }
        release.release()
    });
    let error = quiesce(lock, 9).err().expect("it was given up");
    assert!(matches!(error, QuiesceError::GivenUp), "{error}");
    assert!(other.join().unwrap());
    assert_eq!(count(&sent, "KILL CONNECTION 1"), 1);
}

/// A process that is stopped says nothing, and the server ends its session then, and the lock with it.
#[test]
fn while_the_lock_is_held_the_server_hears_that_its_holder_is_there() {
    let scene = scene(|_, _| Told::Usual);
    let held = quiesce(scene.lock, 10).unwrap();
    let said = |word: &str| scene.sent.lock().unwrap().iter().any(|statement| statement.contains(word));
    assert!(said("SESSION wait_timeout=20"));
    let begun = Instant::now();
    while !said("DO 1") {
        assert!(begun.elapsed() < Duration::from_secs(20), "it says nothing");
        std::thread::sleep(POLL);
    }
    assert!(held.resume().is_ok());
}
