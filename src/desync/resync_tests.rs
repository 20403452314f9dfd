//! The way back, against a server that says what a test wants.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;

use super::*;
use crate::cluster::Access;
use crate::config::Settings;
use crate::desync::note::FoundNote;
use crate::sql::testing::{Wire, server};

/// When the server of the note was started.
const STARTED: i64 = 1_000;

/// A server that was started at `started`, and whether it is desynced. Its queue does not drain.
struct Scripted {
    folder: tempfile::TempDir,
    started: Arc<AtomicI64>,
    is_desynced: Arc<AtomicBool>,
}

impl Scripted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (started, is_desynced) = (Arc::new(AtomicI64::new(STARTED)), Arc::new(AtomicBool::new(true)));
        let (of, desynced) = (Arc::clone(&started), Arc::clone(&is_desynced));
        server(folder.path(), move |wire, statement| answer(wire, statement, &of, &desynced));
        Self { folder, started, is_desynced }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn note(&self) -> Note {
        let record = DesyncRecord {
            node: "n1".into(),
            server_started: STARTED,
            since: Timestamp::UNIX_EPOCH,
            pid: 1,
            command: "true".into(),
            stopped: Vec::new(),
            lease: None,
        };
        Note::write(&self.socket(), record).unwrap()
    }

    fn resync(&self, note: Note, patience: &mut ResyncPatience<'_>) -> Result<Resynced, DesyncError> {
        let access = Access::to_members(&Settings::default(), Some("u".into()));
        resync(&mut LocalNode::new(access, self.socket()), note, patience)
    }

    fn has_note(&self) -> bool {
        Path::new(&format!("{}.desync.lock", self.socket().display())).exists()
    }
}

fn answer(wire: &mut Wire, statement: &str, started: &AtomicI64, is_desynced: &AtomicBool) -> io::Result<()> {
    match statement {
        _ if statement.contains("UNIX_TIMESTAMP()") => {
            // One answer of another server is a glitch, a second one is another server.
            let now = started.load(Ordering::Relaxed);
            if now < 0 {
                started.store(STARTED, Ordering::Relaxed);
            }
            wire.texts(1, &[vec![&now.abs().to_string()]])
        }
        "SELECT @@GLOBAL.wsrep_desync" => {
            wire.texts(1, &[vec![if is_desynced.load(Ordering::Relaxed) { "1" } else { "0" }]])
        }
        "SET GLOBAL wsrep_desync=OFF" => {
            is_desynced.store(false, Ordering::Relaxed);
            wire.ok()
        }
        _ => wire.pairs(&[("wsrep_local_recv_queue", "100"), ("wsrep_local_state", "4")]),
    }
}

#[test]
fn one_odd_answer_about_the_start_of_a_server_does_not_leave_a_node_desynced() {
    let scripted = Scripted::new();
    let note = scripted.note();
    scripted.started.store(-(STARTED + 2), Ordering::Relaxed);
    let resynced = ResyncPatience::none(|patience| scripted.resync(note, patience)).unwrap();
    assert!(matches!(resynced, Resynced::Done { .. }), "{resynced:?}");
    assert!(!scripted.is_desynced.load(Ordering::Relaxed) && !scripted.has_note());
}

#[test]
fn the_desync_of_another_server_is_left_alone_and_the_note_stays_until_it_is_over() {
    let scripted = Scripted::new();
    let note = scripted.note();
    scripted.started.store(STARTED + 60, Ordering::Relaxed);
    let error = ResyncPatience::none(|patience| scripted.resync(note, patience)).unwrap_err();
    assert!(error.to_string().contains("is desynced (wsrep_desync), by its option files"), "{error}");
    assert!(scripted.is_desynced.load(Ordering::Relaxed) && scripted.has_note());
    scripted.is_desynced.store(false, Ordering::Relaxed);
    let FoundNote::Left(note) = Note::find(&scripted.socket()).unwrap() else { panic!("not left") };
    let resynced = ResyncPatience::none(|patience| scripted.resync(note, patience)).unwrap();
    assert_eq!(resynced, Resynced::Restarted);
    assert!(!scripted.has_note());
}

#[test]
fn a_queue_is_not_waited_for_when_the_watch_speaks_against_it() {
    let scripted = Scripted::new();
    let note = scripted.note();
    let begun = Instant::now();
    let mut looks = 0;
    let mut patience = ResyncPatience {
        drain: Duration::from_secs(60),
        insist: INSIST,
        at_once: &|| false,
        watch: &mut |load| {
            looks += 1;
            if looks < 3 { Ok(()) } else { Err(format!("no room, with {} write sets", load.queue)) }
        },
        tell: &mut |_| (),
    };
    let resynced = scripted.resync(note, &mut patience).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "it was waited for");
    assert!(matches!(resynced, Resynced::Done { drained: Drained { last: 100, .. }, .. }), "{resynced:?}");
    assert_eq!(looks, 3);
    assert!(!scripted.is_desynced.load(Ordering::Relaxed));
}
