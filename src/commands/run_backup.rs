//! The backup that `run` takes where it has no command, and what is told of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::backup_shown::{complete, recent};
use super::run_names::{RunNames, is_node, server_name};
use super::run_told::millis;
use super::{CommandError, print, print_json};
use crate::capture::Login;
use crate::cluster::NodeReport;
use crate::config::{DefaultsArgs, OptionFiles, Settings};
use crate::job::Metrics;
use crate::lock::SqlLock;
use crate::model::Manifest;
use crate::regular_file;
use crate::self_backup::{BackupOrder, OwnPosition, RunningBackup, SelfBackupError, SelfMade, Step};
use crate::server::Server;
use crate::sst::Credentials;
use crate::trigger::{BackupPlace, SyncedAgain};
use crate::ui::{LiveLines, bytes, duration_ms};

/// Between two looks at the server while it is read.
const POLL: Duration = Duration::from_millis(100);

/// What is wanted, how far it is, and what has come of it.
pub(super) struct BackupRun {
    json: bool,
    pub(super) unless_newer_than: Option<Duration>,
    /// The recent backup because of which nothing was done.
    pub(super) recent: Option<(BackupPlace, Box<Manifest>)>,
    /// Whether the server is a replica that is no node of a cluster.
    pub(super) is_replica: bool,
    /// Locks the server for a moment, where it may be locked.
    pub(super) lock: Option<SqlLock>,
    files: OptionFiles,
    defaults: DefaultsArgs,
    running: Option<RunningBackup>,
    made: Option<SelfMade>,
    node: Option<String>,
    synced: Option<SyncedAgain>,
    /// Those of a run by the names that are known so far.
    metrics: Arc<Metrics>,
}

impl BackupRun {
    pub(super) fn new(
        json: bool,
        unless_newer_than: Option<Duration>,
        files: OptionFiles,
        defaults: DefaultsArgs,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            json,
            unless_newer_than,
            recent: None,
            is_replica: false,
            lock: None,
            files,
            defaults,
            running: None,
            made: None,
            node: None,
            synced: None,
            metrics,
        }
    }

    /// The server has answered.
    pub(super) fn is_of(&mut self, own: &NodeReport, settings: &Settings) {
        self.metrics = RunNames::of(own, settings).metrics(settings);
    }

    /// Looks at the server and chooses the method, before the server steps aside.
    pub(super) fn prepare(
        &mut self,
        own: &NodeReport,
        settings: &Settings,
        socket: &Path,
        interrupted: &AtomicBool,
    ) -> Result<(), CommandError> {
        self.node = Some(server_name(own));
        let order = self.order(own, settings, socket)?;
        let datadir = &order.server.datadir;
        regular_file::read_as_owner_of(datadir).map_err(|cause| {
            CommandError::Failed(format!(
                "cannot read with the rights of the owner of '{}': {cause}; run this as that user",
                datadir.display()
            ))
        })?;
        let running = RunningBackup::start(order)?;
        loop {
            match running.next(POLL) {
                Some(Step::Ready(method)) => {
                    LiveLines::new().line(&format!("method {method}"));
                    self.running = Some(running);
                    return Ok(());
                }
                Some(Step::Ended(Err(error))) => return Err(CommandError::Refused(error.to_string())),
                _ if interrupted.load(Ordering::Relaxed) => {
                    return Err(CommandError::Failed("interrupted; no backup was made".into()));
                }
                _ => {}
            }
        }
    }

    fn order(
        &mut self,
        own: &NodeReport,
        settings: &Settings,
        socket: &Path,
    ) -> Result<BackupOrder, CommandError> {
        let variable = |name: &str| own.variable(name).map(str::to_owned);
        let unknown = |what: &str| CommandError::Failed(format!("the server does not tell its {what}"));
        let datadir = Path::new(own.variable("datadir").ok_or_else(|| unknown("datadir"))?).to_path_buf();
        let names = RunNames::of(own, settings);
        let position = if is_node(own) {
            let history = own.status("wsrep_local_state_uuid").ok_or_else(|| unknown("state UUID"))?;
            let at_least = own.number("wsrep_last_committed").unwrap_or(-1);
            OwnPosition::Node { history: history.to_owned(), at_least }
        } else {
            OwnPosition::Alone { is_replica: self.is_replica }
        };
        // It may have waited for its turn for hours.
        self.metrics = names.metrics(settings);
        Ok(BackupOrder {
            login: Login::new(&datadir, Some(socket), Some(settings), &Credentials::default()),
            server: Server {
                socket: Some(socket.to_path_buf()),
                defaults: self.defaults.clone(),
                datadir: datadir.clone(),
                ..Server::default()
            },
            files: self.files.clone(),
            folder: names.folder,
            settings: settings.clone(),
            cluster: names.cluster,
            node: names.node,
            pid_file: variable("pid_file").map(|file| datadir.join(file)),
            position,
            lock: self.lock.take(),
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Until all is read. `look`, which is asked all the time, says why it is to be given up.
    pub(super) fn capture(
        &mut self,
        look: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<RunningBackup, CommandError> {
        let running = self.running.take().ok_or(SelfBackupError::NotBegun)?;
        running.begin();
        let begun = Instant::now();
        let mut live = LiveLines::new();
        let mut is_given_up = false;
        loop {
            match running.next(POLL) {
                Some(Step::Captured) => {
                    live.clear();
                    let took = duration_ms(millis(begun.elapsed()));
                    live.line(&match running.bytes() {
                        // They are read when the server works as always.
                        0 => format!("the server's files were cloned, all in all in {took}"),
                        read => format!("{} were read in {took}", bytes(read)),
                    });
                    return Ok(running);
                }
                Some(Step::Ended(Err(error))) => return Err(error.into()),
                Some(Step::Ended(Ok(made))) => {
                    self.made = Some(made);
                    return Ok(running);
                }
                Some(Step::Ready(_)) => {}
                None if is_given_up => {}
                None => {
                    live.bar(running.bytes(), None, "reading");
                    if let Err(why) = look() {
                        running.give_up(why);
                        is_given_up = true;
                    }
                }
            }
        }
    }

    /// How the server came back, after so long.
    pub(super) fn came_back(&mut self, after: Duration, failure: Option<String>) {
        self.synced = Some(failure.map_or(SyncedAgain::After(after), SyncedAgain::NotYet));
    }

    /// Until what was read is stored, and the backup is there.
    pub(super) fn store(&mut self, running: &RunningBackup) -> Result<(), CommandError> {
        while self.made.is_none() {
            match running.next(POLL) {
                Some(Step::Ended(Ok(made))) => self.made = Some(made),
                Some(Step::Ended(Err(error))) => return Err(error.into()),
                Some(Step::Ready(_) | Step::Captured) | None => {}
            }
        }
        Ok(())
    }

    /// Tells the metrics of a run that has ended without the backup that was wanted, wherever that was. Of one that had a folder
    /// they have heard already; that there was no need for a backup is no failure.
    pub(super) fn tell_metrics(&self, outcome: &Result<(), CommandError>) {
        if let (Err(error), None) = (outcome, &self.made) {
            let is_of_repository = matches!(error, CommandError::Repository(_));
            self.metrics.record_failure(error.exit_status(), is_of_repository);
        }
    }

    /// The end: the text or the JSON, and the exit status.
    pub(super) fn print(self, outcome: Result<(), CommandError>) -> Result<(), CommandError> {
        if self.json {
            print_json(&self.as_json(&outcome))?;
        } else if let Some(SelfMade { manifest, .. }) = &self.made {
            print(&complete(manifest, None, None))?;
        } else if let Some((_, manifest)) = &self.recent {
            print(&recent(manifest))?;
        }
        self.with_backup(outcome)
    }

    /// A server that is not back does not undo a backup, and a backup does not bring it back: both are told.
    fn with_backup(&self, outcome: Result<(), CommandError>) -> Result<(), CommandError> {
        match (outcome, &self.made) {
            (Err(error), Some(made)) => {
                Err(CommandError::Failed(format!("backup {} is complete, but {error}", made.manifest.id)))
            }
            (outcome, _) => outcome,
        }
    }

    fn as_json(&self, outcome: &Result<(), CommandError>) -> Value {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let place = self
            .made
            .as_ref()
            .map(|made| (&made.manifest.id, &made.folder, &made.manifest))
            .or(self.recent.as_ref().map(|(place, manifest)| (&place.id, &place.cluster, manifest)));
        let name = match (outcome, &self.made, &self.recent) {
            (_, Some(_), _) => "complete",
            (Ok(()), None, Some(_)) => "recent",
            (Err(CommandError::Refused(_)), ..) => "refused",
            _ => "failed",
        };
        let (is_synced, after) = match &self.synced {
            Some(SyncedAgain::After(time)) => (Some(true), Some(millis(*time))),
            Some(SyncedAgain::NotYet(_)) => (Some(false), None),
            Some(SyncedAgain::Unknown(_)) | None => (None, None),
        };
        json!({
            "outcome": name, "donor": self.node, "error": error,
            "id": place.map(|(id, ..)| id), "cluster_folder": place.map(|(_, folder, _)| folder),
            "manifest": place.map(|(.., manifest)| manifest),
            "donor_synced": is_synced, "desynced_ms": after,
        })
    }
}

impl From<SelfBackupError> for CommandError {
    fn from(error: SelfBackupError) -> Self {
        let text = error.to_string();
        match error.unsettled() {
            Some(_) => Self::Failed(text),
            None if error.is_of_repository() => Self::Repository(format!("no backup was made: {text}")),
            None => Self::Failed(format!("no backup was made: {text}")),
        }
    }
}

#[cfg(test)]
#[path = "run_backup_tests.rs"]
mod tests;
