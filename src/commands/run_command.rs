//! The work of `run`, a command or a backup, whatever stands still or steps aside for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::run_backup::BackupRun;
use super::run_told::{millis, tell_step};
use super::{CommandError, Context};
use crate::cluster::{NodeReport, Survey};
use crate::config::Settings;
use crate::desync::{
    BACKUP, DesyncError, DesyncRecord, DesyncRefusal, INSIST, NodeLoad, ResyncPatience, judge,
};
use crate::guard::GuardedCommand;
use crate::self_backup::RunningBackup;
use crate::ui::{LiveLines, duration_ms};

/// Between two looks at the command.
const POLL: Duration = Duration::from_millis(100);

/// What is done while the server steps aside.
pub(super) enum Work<'a> {
    /// A command of the administrator's, and its arguments.
    Command(&'a [OsString]),
    /// A backup of the server.
    Backup(&'a mut BackupRun),
}

/// What has come of it when the server can come back.
pub(super) enum Worked {
    /// The command's exit status.
    Status(u8),
    /// All of the backup is read, and the rest of it is stored.
    Captured(RunningBackup),
}

/// What a run works with.
pub(super) struct Run<'a> {
    pub(super) work: Work<'a>,
    pub(super) force: bool,
    pub(super) settings: Settings,
    pub(super) socket: PathBuf,
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Run<'_> {
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The program's name: its arguments may have a password among them.
    pub(super) fn shown(&self) -> String {
        let Work::Command(words) = &self.work else { return BACKUP.into() };
        let program = words.first().map(Path::new).and_then(Path::file_name);
        program.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What a note says of this run.
    pub(super) fn record(&self, name: &str) -> DesyncRecord {
        DesyncRecord {
            node: name.to_owned(),
            server_started: 0,
            since: Timestamp::now(),
            pid: std::process::id(),
            command: self.shown(),
            stopped: Vec::new(),
            lease: None,
        }
    }

    /// The repository. A call to it that hangs ends when we are asked to end.
    pub(super) fn repository(&self) -> Result<Context, CommandError> {
        let mut context = Context::open(self.settings.clone())?;
        context.interruptible(&self.interrupted);
        Ok(context)
    }

    /// How long the way back may take: no time where we were asked to end, or the work was given up for the server's sake. `watch` speaks against waiting.
    pub(super) fn come_back<T>(
        &self,
        is_given_up: bool,
        watch: &mut dyn FnMut(NodeLoad) -> Result<(), String>,
        end: impl FnOnce(&mut ResyncPatience<'_>) -> T,
    ) -> T {
        end(&mut ResyncPatience {
            drain: self.settings.resync_timeout,
            insist: INSIST,
            at_once: &|| is_given_up || self.is_interrupted(),
            watch,
            tell: &mut tell_step,
        })
    }

    /// Whether a node may be desynced for it.
    pub(super) fn judge(&self, survey: &Survey) -> Result<Vec<String>, DesyncRefusal> {
        judge(survey, self.force, self.settings.allow_sync_donor)
    }

    /// What can be done while the server still works as always.
    pub(super) fn prepare(&mut self, own: &NodeReport) -> Result<(), CommandError> {
        match &mut self.work {
            Work::Command(_) => Ok(()),
            Work::Backup(backup) => backup.prepare(own, &self.settings, &self.socket, &self.interrupted),
        }
    }

    /// Does it. An error where it could not be done, or was given up: `look`, which is asked all the time, says why.
    pub(super) fn work(
        &mut self,
        own: &NodeReport,
        look: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<Worked, CommandError> {
        match &mut self.work {
            Work::Command(words) => {
                let words = *words;
                self.command(words, own, look).map(Worked::Status)
            }
            Work::Backup(backup) => backup.capture(look).map(Worked::Captured),
        }
    }

    /// The server is back after so long, or could not come back.
    pub(super) fn is_back(&mut self, after: Duration, outcome: &Result<(), CommandError>) {
        if let Work::Backup(backup) = &mut self.work {
            backup.came_back(after, outcome.as_ref().err().map(ToString::to_string));
        }
    }

    /// What is left to do then.
    pub(super) fn finish(&mut self, worked: Result<Worked, CommandError>) -> Result<(), CommandError> {
        match (worked?, &mut self.work) {
            (Worked::Captured(running), Work::Backup(backup)) => backup.store(&running),
            (Worked::Status(status), _) => ended(status),
            (Worked::Captured(_), Work::Command(_)) => Ok(()),
        }
    }

    fn command(
        &self,
        words: &[OsString],
        own: &NodeReport,
        look: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<u8, CommandError> {
        if self.is_interrupted() {
            return Err(CommandError::Failed("interrupted; the command was not run".into()));
        }
        let begun = Instant::now();
        let mut command = GuardedCommand::start(words, &self.environment(own))
            .map_err(|error| CommandError::Failed(format!("cannot start the command: {error}")))?;
        let mut given_up = None;
        let status = loop {
            let polled = command.poll();
            if let Some(status) = polled
                .map_err(|error| CommandError::Failed(format!("cannot wait for the command: {error}")))?
            {
                break status;
            }
            if !command.is_ending() {
                given_up = self.is_interrupted().then(|| "interrupted".to_owned()).or_else(|| look().err());
                if given_up.is_some() {
                    command.end();
                }
            }
            std::thread::sleep(POLL);
        };
        LiveLines::new().line(&format!("the command took {}", duration_ms(millis(begun.elapsed()))));
        match given_up {
            None => Ok(status),
            Some(why) => Err(CommandError::Failed(format!("{why}: the command was ended"))),
        }
    }

    /// What the command is told of the server.
    fn environment(&self, own: &NodeReport) -> Vec<(&'static str, OsString)> {
        vec![
            // What clients of MariaDB and MySQL read by themselves.
            ("MYSQL_UNIX_PORT", self.socket.clone().into()),
            ("WSREP_RUN_SOCKET", self.socket.clone().into()),
            ("WSREP_RUN_DATADIR", own.variable("datadir").unwrap_or_default().into()),
            ("WSREP_RUN_NODE", own.name().into()),
        ]
    }
}

/// How `run` ends when the command has ended and what stepped aside for it is back.
pub(super) fn ended(status: u8) -> Result<(), CommandError> {
    if status == 0 { Ok(()) } else { Err(CommandError::Status(status)) }
}

impl From<DesyncError> for CommandError {
    fn from(error: DesyncError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<DesyncRefusal> for CommandError {
    fn from(refusal: DesyncRefusal) -> Self {
        Self::Refused(format!("{refusal}; nothing was done"))
    }
}
