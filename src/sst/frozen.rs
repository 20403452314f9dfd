//! A server between `tables_flushed` and `continue`, and behind that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::pipe::Pipe;
use super::protocol;
use crate::model::WsrepGtid;
use crate::quiesce::{Files, Quiet, Resumed};

/// A frozen server. Dropping it, on whatever path, writes `continue`.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) pipe: Arc<Pipe>,
    pub(super) progress: bool,
    pub(super) gtid: WsrepGtid,
    pub(super) asked: Instant,
    pub(super) flushed: Duration,
    pub(super) at: Timestamp,
    pub(super) over: bool,
}

impl Quiet for Frozen {
    fn files(&self) -> Files {
        Files::Clean
    }

    fn position(&self) -> Option<&WsrepGtid> {
        Some(&self.gtid)
    }

    fn since(&self) -> Timestamp {
        self.at
    }

    fn asked(&self) -> Instant {
        self.asked
    }

    fn flush_time(&self) -> Duration {
        self.flushed
    }

    fn total(&self, bytes: u64) {
        if self.progress {
            self.pipe.say_while_frozen(&protocol::total(bytes));
        }
    }

    fn complete(&self, bytes: u64) {
        if self.progress {
            self.pipe.say_while_frozen(&protocol::complete(bytes));
        }
    }

    fn resume(mut self: Box<Self>) -> Result<Resumed, Box<dyn Quiet>> {
        if !self.pipe.thaw() {
            return Err(self);
        }
        self.over = true;
        let frozen = self.asked.elapsed();
        self.pipe.remove_reply();
        let (pipe, gtid) = (Arc::clone(&self.pipe), self.gtid.clone());
        Ok(Resumed::new(frozen, move || pipe.say(&protocol::done(&gtid))))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.over {
            if self.pipe.thaw() {
                log::info!("the server is released after {} ms", self.asked.elapsed().as_millis());
            }
            self.pipe.remove_reply();
        }
    }
}
