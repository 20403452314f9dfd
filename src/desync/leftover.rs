//! What a process that has died has left: its desync is ended by whoever comes next.

use super::DesyncError;
use super::node::LocalNode;
use super::note::{DesyncRecord, FoundNote, Note};
use super::replica::{Restarted, restart};
use super::resync::{ResyncPatience, Resynced, resync};

/// What was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesyncLeft {
    /// Nothing.
    Nothing,
    /// A process that lives has the node desynced; who, where its note can be read.
    Running(Option<DesyncRecord>),
    /// One that has died had, and this was done about it.
    Ended(DesyncRecord, Resynced),
    /// One that has died had stopped the SQL threads of a replica, and this was done about it.
    Started(DesyncRecord, Restarted),
}

impl DesyncLeft {
    /// The lease that a process which has died still seems to hold: an object's name.
    pub fn dead_lease(&self) -> Option<&str> {
        match self {
            Self::Ended(record, _) | Self::Started(record, _) => record.lease.as_deref(),
            _ => None,
        }
    }
}

/// Ends it.
pub fn end_leftover(
    node: &mut LocalNode,
    patience: &mut ResyncPatience<'_>,
) -> Result<DesyncLeft, DesyncError> {
    match Note::find(node.socket())? {
        FoundNote::Nothing => Ok(DesyncLeft::Nothing),
        FoundNote::Held(record) => Ok(DesyncLeft::Running(record)),
        FoundNote::Left(note) => {
            let record = note.record.clone();
            if !record.stopped.is_empty() {
                return restart(node, note, patience).map(|restarted| DesyncLeft::Started(record, restarted));
            }
            resync(node, note, patience).map(|resynced| DesyncLeft::Ended(record, resynced))
        }
    }
}
