//! What every step of a drill is done with.

use super::request::DrillRequest;
use super::scratch::ScratchFolder;
use super::watch::DrillWatch;
use crate::catalog::BackupReader;
use crate::restore::Control;

/// What every step of a drill is done with.
#[derive(Clone, Copy)]
pub(super) struct DrillRun<'a> {
    pub(super) source: &'a BackupReader,
    pub(super) request: &'a DrillRequest,
    pub(super) scratch: &'a ScratchFolder,
    pub(super) control: &'a Control<'a>,
    pub(super) watch: &'a DrillWatch,
}
