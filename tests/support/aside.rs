//! A node that steps aside, as somebody sees it who looks at it all the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::node::Node;
use super::sql::{self, STATEMENT_TIMEOUT};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// One answer, so that all of it is of one moment.
const LOOK: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
                    ('wsrep_local_state', 'wsrep_desync_count', 'wsrep_flow_control_sent', 'wsrep_local_recv_queue')";

/// What a node says of itself at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    state: u64,
    desyncs: u64,
    sent: u64,
    queue: u64,
}

impl Look {
    fn is_in(self) -> bool {
        self.state == 4 && self.desyncs == 0
    }
}

/// A thread that looks at a node until it is told to end. Only what differs from the look before is kept.
#[derive(Debug)]
pub struct AsideWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Look>>>,
}

impl AsideWatch {
    /// Begins to look at a node that is Synced.
    pub fn start(node: &Node) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, socket) = (Arc::clone(&stop), node.socket());
        let thread = Some(std::thread::spawn(move || looks(&socket, &ended)));
        Self { stop, thread }
    }

    /// How often the node has asked the others to wait for it (flow control) from the first look at which it was desynced up to the first one
    /// at which it was Synced again. What it sends later is that of a node that has work to do, and maybe no processor.
    #[track_caller]
    pub fn flow_control_aside(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let looks = self.thread.take().expect("it is stopped once").join().expect("it does not panic");
        let begin = looks.iter().position(|look| look.desyncs > 0).expect("it was never seen to step aside");
        let back = looks[begin..].iter().find(|look| look.is_in());
        let back = back.unwrap_or_else(|| panic!("it was never seen to be Synced again: {looks:?}"));
        let longest = looks[begin..].iter().map(|look| look.queue).max().unwrap_or_default();
        eprintln!(
            "aside: {begin} looks before, up to {longest} write sets waited, {} when it was Synced again",
            back.queue
        );
        back.sent - looks[begin].sent
    }
}

impl Drop for AsideWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn looks(socket: &Path, ended: &AtomicBool) -> Vec<Look> {
    let mut session = sql::connect(socket, STATEMENT_TIMEOUT).expect("it takes a session");
    let mut looks: Vec<Look> = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let rows = sql::query(&mut session, LOOK).expect("it answers");
        let number = |name: &str| {
            let row = rows.iter().find(|row| row[0] == name).expect("it is a node");
            row[1].parse().expect("a number")
        };
        let look = Look {
            state: number("wsrep_local_state"),
            desyncs: number("wsrep_desync_count"),
            sent: number("wsrep_flow_control_sent"),
            queue: number("wsrep_local_recv_queue"),
        };
        if looks.last() != Some(&look) {
            looks.push(look);
        }
        std::thread::sleep(PAUSE);
    }
    looks
}
