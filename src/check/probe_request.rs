//! What the child of [`super::probe`] is asked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::DefaultsArgs;

/// The user that the child becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProbeUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

/// What the child is to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The process whose mount namespace it enters; none to stay.
    pub(super) enter: Option<i32>,
    /// Whom it becomes; none to stay who we are.
    pub(super) become_user: Option<ProbeUser>,
    /// The server's environment, as far as it matters here.
    pub(super) environment: Vec<(String, String)>,
    /// The server's own flags.
    pub(super) defaults_file: Option<PathBuf>,
    pub(super) defaults_extra_file: Option<PathBuf>,
    pub(super) group_suffix: Option<String>,
    /// Its other arguments.
    pub(super) arguments: Vec<String>,
    /// Folders that are searched for the program, in order.
    pub(super) path: Vec<PathBuf>,
    pub(super) datadir: Option<PathBuf>,
    pub(super) binlog_base: Option<PathBuf>,
    /// Where Galera's page files go.
    pub(super) gcache: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    /// The folder of the cluster, where it is not set.
    pub(super) cluster: Option<String>,
}

impl ProbeRequest {
    pub(super) fn defaults(&self) -> DefaultsArgs {
        DefaultsArgs {
            defaults_file: self.defaults_file.clone(),
            defaults_extra_file: self.defaults_extra_file.clone(),
            group_suffix: self.group_suffix.clone(),
            no_defaults: false,
        }
    }
}
