//! A backup is proved by starting a server on it.
//!
//! | step | what is done | what is measured |
//! |---|---|---|
//! | restore | the files come into a scratch folder by the same code as `restore`; a dump is loaded into a server that was just made | `restore_ms` |
//! | position | the server recovers its files (`--wsrep-recover`) and says where they stand; that is held against the manifest | `start_ms` |
//! | start | it starts, reached by nothing but a socket in that folder | `start_ms` |
//! | tables | `CHECK TABLE`, and the rows are counted | `check_ms` |
//! | query | the administrator's own questions have the expected answers | `check_ms` |
//! | stop | it is shut down | |
//! | join | where that is wanted it joins its cluster by IST, and leaves it ([`join`]) | `join.ms` |
//! | | everything is removed | |
//!
//! # What the server of the machine notices
//!
//! Nothing. Of the option files only keys and places of programs are taken ([`LocalOptions`]): what they say of directories, logs and
//! sockets is the live server's. No path of the drilled server leads out of the scratch folder, it has no network, no event and no trigger of its own runs
//! in it, it follows no master and joins no cluster unless that is wanted, and no plugin is loaded but those that files cannot be read without: an engine that keeps its rows
//! elsewhere (Spider, CONNECT, FEDERATED, S3) is never opened. All of it runs at low priority, but for a server that joins its cluster ([`join`]).
//!
//! # What is left when a drill is killed
//!
//! Nothing that runs: the kernel ends the server with this program ([`crate::child`]), and what `mariadb-install-db` has started with its guard
//! ([`crate::guard`]). The scratch folder is locked while a drill lives; the next one sweeps it.
//!
//! # Whose fault it is
//!
//! A server that does not start may have another reason than its files. So, where one does not, another one is tried on files that were
//! just made ([`control`]): where that does not start either, nothing is said of the backup. Nor is it where a server was killed, had no memory, no room,
//! no key, or no way to recover the redo log of an older series ([`excuse`]), or has not loaded a plugin that the files need.

mod control;
mod dump;
mod error;
mod excuse;
mod findings;
mod fresh;
mod home;
mod join;
mod local;
mod owner;
mod physical;
mod places;
mod position;
mod question;
mod request;
mod run;
mod scratch;
mod server;
mod tables;
mod watch;

use std::sync::Arc;
use std::time::Instant;

pub use error::DrillError;
pub use findings::DrillFindings;
pub use join::{JoinRequest, held_back};
pub use local::LocalOptions;
pub use question::Question;
pub use request::DrillRequest;
pub use scratch::SCRATCH;
pub use tables::TableChoice;
pub use watch::DrillWatch;

use crate::catalog::BackupReader;
use crate::model::{Content, DrillStep};
use crate::restore::Control;
use crate::restore::into::Begin;
use excuse::ServerExcuse;
use findings::millis;
use question::QuestionFailure;
use run::DrillRun;
use scratch::ScratchFolder;
use server::DrillServer;

/// Drills a backup. What was found until then is in `findings`, also where an error ends it.
pub fn drill(
    source: &BackupReader,
    request: &DrillRequest,
    control: &Control<'_>,
    watch: &DrillWatch,
    begin: Begin<'_>,
    findings: &mut DrillFindings,
) -> Result<(), DrillError> {
    let scratch = ScratchFolder::take(&request.scratch)?;
    let run = DrillRun { source, request, scratch: &scratch, control, watch };
    let outcome = in_scratch(&run, begin, findings);
    let is_newer = request.is_newer_than(source.manifest());
    let outcome = outcome.map_err(|error| excused(error, watch.excuse(is_newer), &scratch));
    drop(scratch);
    match (outcome, watch.given_up()) {
        // What fails then fails because the server was ended.
        (Err(_), Some(why)) => Err(DrillError::Undone(why)),
        (outcome, _) => outcome,
    }
}

/// What a server was not to blame for is not held against the backup.
fn excused(error: DrillError, excuse: Option<ServerExcuse>, scratch: &ScratchFolder) -> DrillError {
    let DrillError::Failed { why, .. } = &error else { return error };
    let said = || ServerExcuse::in_text(why).filter(|excuse| *excuse != ServerExcuse::OlderRedo);
    let full = || scratch.is_full().then_some(ServerExcuse::NoRoom);
    match excuse.or_else(said).or_else(full) {
        Some(excuse) => DrillError::Undone(format!("{} ({why})", excuse.words())),
        None => error,
    }
}

fn in_scratch(run: &DrillRun<'_>, begin: Begin<'_>, findings: &mut DrillFindings) -> Result<(), DrillError> {
    let DrillRun { source, request, scratch, watch, .. } = *run;
    let joining = request.join.as_ref().zip(source.manifest().gtid.as_ref());
    if let Some((join, gtid)) = joining {
        join::look(join, gtid, &request.server)?;
    }
    let mut server = match source.manifest().content {
        Content::Sql => dump::serve(run, begin, findings)?,
        Content::Datadir | Content::Xbstream => physical::serve(run, begin, findings)?,
    };
    let began = Instant::now();
    let looked = look(&mut server, request, findings);
    findings.measured.check_ms = millis(began);
    // A table that cannot be decrypted is a corrupt one for `CHECK TABLE`; the server's log says why.
    looked.inspect_err(|_| watch.has_said(&server.log()))?;
    if joining.is_some() {
        join::prepare(&server)?;
    }
    server.stop().map_err(|why| DrillError::failed(DrillStep::Stop, why))?;
    let home = Arc::clone(server.home());
    drop(server);
    let Some((join, gtid)) = joining else { return Ok(()) };
    join::join(join, gtid, &request.server, scratch, &home, watch, findings)
}

/// The tables, and the questions.
fn look(
    server: &mut DrillServer<'_>,
    request: &DrillRequest,
    findings: &mut DrillFindings,
) -> Result<(), DrillError> {
    let mut session =
        server.session().map_err(|why| DrillError::failed(DrillStep::Start, server.with_words(&why)))?;
    tables::check(&mut session, request.tables, findings)
        .map_err(|why| DrillError::failed(DrillStep::Tables, server.with_words(&why)))?;
    for question in &request.questions {
        if request.join.is_some() {
            // Rows that a statement has changed would contradict the write sets of the cluster.
            session
                .only_read()
                .map_err(|why| DrillError::failed(DrillStep::Query, server.with_words(&why)))?;
        }
        question.ask(&mut session).map_err(|failure| match failure {
            QuestionFailure::Answer(why) => DrillError::failed(DrillStep::Query, server.with_words(&why)),
            QuestionFailure::Writes(why) => DrillError::Undone(format!(
                "a question must not write where the server joins its cluster: {why}"
            )),
        })?;
        findings.measured.queries += 1;
    }
    Ok(())
}
