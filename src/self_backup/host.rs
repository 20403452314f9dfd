//! The server as the method sees it: it runs on, and the method brings the position.

use std::time::{Duration, Instant};

use super::error::SelfBackupError;
use super::order::OwnPosition;
use crate::capture::{CaptureListener, Host, HostError, Watch};
use crate::job::{Job, Reporter};
use crate::model::WsrepGtid;
use crate::quiesce::{Quiet, Resumed};

/// Lends a method the server.
pub(super) struct RunningServer<'a> {
    pub(super) job: &'a Job,
    pub(super) watch: &'a Watch,
    pub(super) reporter: &'a Reporter,
    pub(super) own: &'a OwnPosition,
}

impl Host for RunningServer<'_> {
    fn quiesce(&mut self) -> Result<Box<dyn Quiet>, HostError> {
        Err(SelfBackupError::RunsOn.into())
    }

    fn listener(&self) -> &dyn CaptureListener {
        self.reporter
    }

    /// Room for page files is what whoever has the node desynced looks after.
    fn holds_up(&mut self, since: Instant) -> Result<(), HostError> {
        self.watch.limit_freeze(since, self.job.settings.freeze_timeout);
        Ok(())
    }

    fn pass(&mut self, gtid: Option<&WsrepGtid>) -> Result<Resumed, HostError> {
        self.own.admit(gtid)?;
        self.job.lower_priority();
        Ok(Resumed::new(Duration::ZERO, || Ok(())))
    }

    fn resume(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, HostError> {
        drop(quiet);
        Err(SelfBackupError::RunsOn.into())
    }
}

impl OwnPosition {
    /// Whether that can be a position of this server, behind where it stood.
    pub(super) fn admit(&self, found: Option<&WsrepGtid>) -> Result<(), SelfBackupError> {
        let Self::Node { history, at_least } = self else {
            return found.map_or(Ok(()), |found| {
                let own = "in no cluster".to_owned();
                Err(SelfBackupError::Position { own, found: found.position() })
            });
        };
        let is_own = |gtid: &WsrepGtid| gtid.uuid == *history && gtid.seqno >= (*at_least).max(0);
        if found.is_some_and(is_own) {
            return Ok(());
        }
        let found = found.map_or_else(|| "no position of a cluster".to_owned(), WsrepGtid::position);
        Err(SelfBackupError::Position { own: format!("{history}:{at_least}"), found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_position_of_the_same_history_is_one_of_this_server() {
        let uuid = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
        let own = OwnPosition::Node { history: uuid.into(), at_least: 417 };
        let at = |uuid: &str, seqno: i64| WsrepGtid { uuid: uuid.into(), seqno, domain_id: None };
        assert!(own.admit(Some(&at(uuid, 417))).is_ok() && own.admit(Some(&at(uuid, 500))).is_ok());
        let other = at("00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f", 500);
        for found in [Some(&at(uuid, 416)), Some(&other), None] {
            let why = own.admit(found).unwrap_err().to_string();
            assert!(why.contains(&format!("this server was at {uuid}:417")), "{why}");
        }
        let unknown = OwnPosition::Node { history: uuid.into(), at_least: -1 };
        assert!(unknown.admit(Some(&at(uuid, -1))).is_err());
        let alone = OwnPosition::Alone { is_replica: false };
        assert!(alone.admit(None).is_ok() && alone.admit(Some(&other)).is_err());
    }
}
