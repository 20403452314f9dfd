//! The facts of a check, whose topics are judged from them (`topics`, `asking_topics`).

use std::time::Instant;

use super::desync;
use super::local::Local;
use super::options::Options;
use super::probe::{self, ProbeAnswer};
use super::snapshot::{self, SnapshotSeen};
use crate::catalog::{Catalog, CatalogError, TooDeep};
use crate::cluster::{Access, Survey};
use crate::config::ServerOptions;
use crate::desync::{DesyncError, DesyncLeft};
use crate::lease;
use crate::model::Manifest;
use crate::storage::{self, StorageError};
use crate::users::user_name;

/// The machine, the cluster, the repository.
pub(super) struct CheckFacts<'a> {
    pub(super) options: &'a Options<'a>,
    server_options: ServerOptions,
    pub(super) access: Access,
    pub(super) survey: Survey,
    pub(super) local: Local,
    pub(super) answer: Result<ProbeAnswer, String>,
    pub(super) cluster: Option<String>,
    /// None where a file system may hang.
    pub(super) catalog: Option<Result<Catalog, CatalogError>>,
    pub(super) too_deep: Option<TooDeep>,
    /// Why the repository cannot be used as it is: its backups are not known then, which is not that there are none.
    pub(super) unusable: Option<String>,
    pub(super) begun: Instant,
    /// What a `run` that was killed has left.
    pub(super) left: Result<DesyncLeft, DesyncError>,
    /// The administrator's own snapshot, where it is to be used.
    pub(super) snapshot: Option<Result<SnapshotSeen, String>>,
}

impl<'a> CheckFacts<'a> {
    /// Asks the members, the machine and the child. The repository is read here only after the child has come back from it.
    pub(super) fn look(options: &'a Options<'a>) -> Self {
        let begun = Instant::now();
        let server_options = ServerOptions::from(options.files, &[], None);
        let user = user_name(nix::unistd::geteuid().as_raw());
        let access = Access::new(options.settings, &server_options, user);
        // Before the members are asked, who would call this node a donor.
        let left = desync::end_left(&access);
        let survey = Survey::take(&access);
        let mut local = Local::find(&survey, &access, &server_options);
        let answer = probe::ask(&local.request(options.settings));
        if let Ok(answer) = &answer {
            local.learn(answer);
        }
        let is_here = local.process.is_some() || local.report.is_some();
        let snapshot = is_here
            .then(|| snapshot::look(options.settings, &local.datadir, access.socket.as_deref()))
            .flatten();
        let configured = || server_options.get("wsrep-cluster-name").map(str::to_owned);
        let cluster = local.cluster(options.settings).or_else(configured);
        let (mut too_deep, mut unusable) = (None, None);
        let read = || {
            let storage = storage::open(options.settings)?;
            if let Err(error) = storage.probe()
                && !is_for_the_listing(&error, options)
            {
                unusable = Some(error.to_string());
                return Err(error.into());
            }
            if let Some(lease) = left.as_ref().ok().and_then(DesyncLeft::dead_lease) {
                lease::take_away_dead(&storage, lease);
            }
            too_deep = TooDeep::find(storage.as_ref());
            Catalog::read(storage.as_ref(), cluster.as_deref())
        };
        let catalog = answer.is_ok().then(read);
        Self {
            options,
            server_options,
            access,
            survey,
            local,
            answer,
            cluster,
            catalog,
            too_deep,
            unusable,
            begun,
            left,
            snapshot,
        }
    }

    /// The cluster, and what was found in the repository; a directory that is not there is none.
    pub(super) fn into_repository(self) -> (Option<String>, Option<Catalog>) {
        let repository = &self.options.settings.repository;
        (self.cluster, self.catalog.and_then(Result::ok).filter(|_| !repository.is_missing_here()))
    }

    pub(super) fn catalog(&self) -> Option<&Catalog> {
        self.catalog.as_ref()?.as_ref().ok()
    }

    /// The newest backup that can be relied on.
    pub(super) fn newest(&self) -> Option<&Manifest> {
        self.catalog()?.newest_in(self.survey.history(), self.options.now)
    }

    /// There is a server here, or there should be one.
    pub(super) fn is_node(&self) -> bool {
        self.local.process.is_some() || self.local.report.is_some() || self.is_configured()
    }

    pub(super) fn is_configured(&self) -> bool {
        self.server_options.get("wsrep-cluster-address").is_some()
    }
}

/// A directory that is not there may be one that the first backup makes, and whoever may not list the root may still list a
/// cluster's folder: what is read tells.
fn is_for_the_listing(error: &StorageError, options: &Options<'_>) -> bool {
    error.is_denied() || (error.is_not_found() && options.settings.repository.is_missing_here())
}
