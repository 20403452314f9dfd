//! The method `logical`: MariaDB's own `mariadb-dump` reads the server, at one exact position.
//!
//! ```text
//! freeze ─> definitions ─> mariadb-dump begins ─> its snapshot is open ─> users ─> thaw ─> the rest of the dump ─> definitions again
//! ```
//!
//! While the server stands still nobody can commit, so a consistent snapshot that is opened then is exactly at the server's position, and from then on
//! the server may run ([`opening`]). A snapshot covers rows and no definitions: what other nodes change of those meanwhile ruins a dump in silence, and so they
//! are compared ([`definitions`]). Three things make a backup of a dump: the program's exit status, its last line, and definitions that are what
//! they were.

mod definitions;
mod dumped;
mod opening;
mod program;
mod words;

use std::time::Instant;

use jiff::Timestamp;

use super::error::CaptureError;
use super::facts::Facts;
use super::identify::identify_at;
use super::login::Login;
use super::method::{Captured, Estimate, Host, Method, Prospect, Task};
use super::watch::Watch;
use crate::archive::{DumpContent, DumpScanner};
use crate::config::DumpSettings;
use crate::model::{Content, Dump, FilesState};
use crate::output::{BackupIdentity, Captive, StreamArchive};
use crate::quiesce::{Files, Resumed};
use crate::throttle::Limiter;
use crate::tool::{MariadbTool, ToolKind};
use definitions::Definitions;
use opening::Opening;
use program::{DumpOrder, Dumping};

/// What it costs beyond the server's own flush: a program is started twice, and says some words.
const USUAL: std::time::Duration = std::time::Duration::from_millis(300);

/// Statements that any server can carry out.
pub(super) struct Logical;

impl Method for Logical {
    fn name(&self) -> &'static str {
        "logical"
    }

    fn content(&self) -> Content {
        Content::Sql
    }

    fn accepts(&self, files: Files) -> bool {
        files != Files::Changing
    }

    /// A dump is no node: nobody gets one who has not asked for it.
    fn is_automatic(&self, _: Files) -> bool {
        false
    }

    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String> {
        let tool = MariadbTool::find(ToolKind::Dump)?;
        let objection = tool.objection(prospect.layout.version.as_deref());
        objection.map_or(Ok(Estimate::About(USUAL)), Err)
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task {
            layout,
            facts,
            output,
            watch,
            limiter,
            host,
            login,
            stall_timeout,
            expected_bytes,
            dump,
            is_node,
            ..
        } = task;
        let program = MariadbTool::find(ToolKind::Dump).map_err(CaptureError::Program)?;
        host.listener().total(expected_bytes);
        let mut archive = output.begin_stream()?;
        let settings = dump;
        let mut run =
            DumpRun { program, layout, facts, watch, limiter, host, login, stall_timeout, is_node, settings };
        let mut tries = 0;
        let taken = loop {
            match run.once(&mut archive)? {
                Ok(taken) => break taken,
                Err(ruined) if run.host.may_quiesce_again() && tries < dump.retries => {
                    tries += 1;
                    log::warn!(
                        "{ruined}; the dump is begun again ({tries} of {}, dump-retries)",
                        dump.retries
                    );
                    archive = archive.begin_again()?;
                }
                Err(ruined) => return Err(CaptureError::Program(run.given_up(&ruined, tries))),
            }
        };
        let Taken { identity, resumed, content, dump } = taken;
        archive.holds(content.tables);
        Ok(Captured {
            archive: Captive::Stream(archive),
            identity: BackupIdentity { files: FilesState::Clean, dump: Some(dump), ..identity },
            resumed,
            paused: None,
            vanished: 0,
            warnings: Vec::new(),
        })
    }
}

/// A dump that is whole.
struct Taken {
    identity: BackupIdentity,
    resumed: Resumed,
    content: DumpContent,
    dump: Dump,
}

/// What each try needs.
struct DumpRun<'t> {
    program: MariadbTool,
    layout: &'t super::layout::ServerLayout,
    facts: &'t mut Facts,
    watch: &'t Watch,
    limiter: &'t Limiter,
    host: &'t mut dyn Host,
    login: Login,
    stall_timeout: std::time::Duration,
    is_node: bool,
    settings: &'t DumpSettings,
}

impl DumpRun<'_> {
    /// One try; the inner error says that another one may go well.
    fn once(&mut self, archive: &mut StreamArchive<'_>) -> Result<Result<Taken, String>, CaptureError> {
        let failed = CaptureError::Program;
        let options = self.login.option_file("client")?;
        let mut sql = self.login.connect().map_err(failed)?;
        opening::admits(&mut sql).map_err(failed)?;

        let quiet = self.host.quiesce()?;
        let begun = Instant::now();
        let gtid = quiet.position().cloned();
        if gtid.is_none() && self.is_node {
            return Err(CaptureError::NoPosition);
        }
        let identity = identify_at(gtid, quiet.as_ref(), self.facts, self.layout);
        let (settings, datadir) = (self.settings, &self.layout.datadir);
        let databases = program::databases(&mut sql, settings).map_err(failed)?;
        let before = Definitions::read(datadir, &databases, &settings.ignore_tables, &mut sql)?;
        let order = DumpOrder { program: &self.program, options: &options, databases: &databases, settings };
        // Sessions are numbered in the order in which they come.
        let last_session = self.login.connect().map_err(failed)?.id();
        let mut dumping = Dumping::start(&order)?;
        let opening = Opening { watch: self.watch, last_session };
        if let Err(ruined) = opening.wait(&mut dumping, &mut sql)? {
            return Ok(Err(ruined));
        }
        let (users, unused) = program::users(&order, self.watch)?;
        drop(sql);
        let resumed = self.host.resume(quiet)?;
        log::info!("a consistent snapshot was open after {} ms", begun.elapsed().as_millis());

        let mut scanner = DumpScanner::default();
        let stored = dumping.store(&mut scanner, archive, self.watch, self.limiter, self.stall_timeout)?;
        if let Err(ruined) = stored {
            return Ok(Err(ruined));
        }
        let content = scanner
            .finish()
            .map_err(|error| failed(format!("what mariadb-dump has written is not whole: {error}")))?;
        let mut sql = self.login.connect().map_err(failed)?;
        let now = Definitions::read(datadir, &databases, &settings.ignore_tables, &mut sql)?;
        if let Some(what) = before.difference(&now) {
            return Ok(Err(words::changed(&what)));
        }
        let mut dump = dumped::tell(&mut sql, settings, &databases, archive.is_encrypted(), self.facts);
        dump.program.clone_from(&self.program.version);
        dump.longest_statement = content.longest_statement;
        self.facts.warnings.extend(unused);
        dump.users = Some(archive.put_users(&users)?);
        log::info!(
            "{} tables were dumped as they were at {}, by {}",
            content.tables,
            identity.frozen_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            Timestamp::now().strftime("%H:%M:%S")
        );
        Ok(Ok(Taken { identity, resumed, content, dump }))
    }

    fn given_up(&self, ruined: &str, tries: u32) -> String {
        match tries {
            0 if !self.host.may_quiesce_again() => format!(
                "{ruined}; in a state transfer a server can be frozen only once, so that there is no second try here: ask for the backup again"
            ),
            0 => format!("{ruined}; there is no second try (dump-retries=0)"),
            1 => format!("{ruined}; the second try was no better (dump-retries)"),
            tries => format!("{ruined}; {tries} more tries were no better (dump-retries)"),
        }
    }
}
