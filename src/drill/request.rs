//! What a drill is asked to do.

use std::path::PathBuf;

use super::join::JoinRequest;
use super::local::LocalOptions;
use super::question::Question;
use super::tables::TableChoice;
use crate::model::Manifest;
use crate::restore::{Installed, SeriesUpgrade};

/// What a drill is asked to do.
#[derive(Debug, Clone)]
pub struct DrillRequest {
    /// Where the scratch folder is made.
    pub scratch: PathBuf,
    /// The server that is started.
    pub server: Installed,
    /// What the option files of this machine give to it.
    pub local: LocalOptions,
    /// Which tables are checked.
    pub tables: TableChoice,
    /// What is asked then.
    pub questions: Vec<Question>,
    /// How the server joins the cluster of the backup, where it is to join.
    pub join: Option<JoinRequest>,
    /// Decompressing threads.
    pub threads: usize,
}

impl DrillRequest {
    /// Whether the server is of a newer series than the one that was backed up.
    pub(super) fn is_newer_than(&self, manifest: &Manifest) -> bool {
        SeriesUpgrade::needed(manifest.server.version.as_deref(), &self.server).is_some()
    }
}
