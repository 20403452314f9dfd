//! A server on the files of a physical backup.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::control::blame;
use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::home::{AccountUse, ServerHome, last_words};
use super::owner;
use super::places::{refuse_places_here, refuse_places_outside, refuse_tablespaces_outside};
use super::position::{self, RecoveryEnd};
use super::run::DrillRun;
use super::scratch::ScratchFolder;
use super::server::DrillServer;
use crate::archive::Index;
use crate::catalog::BackupReader;
use crate::model::{Content, DrillStep, Member, WsrepGtid};
use crate::restore::into::Begin;
use crate::restore::{DirectoryMap, PLUGIN_LOAD, Purpose, RestoreRequest, restore};

/// Where MyRocks has its tables, and what loads it.
const ROCKSDB: &str = "#rocksdb";
const ROCKSDB_LIBRARY: &str = "ha_rocksdb";

/// Restores the files, sees where they stand, and starts the server, which answers.
pub(super) fn serve<'a>(
    run: &DrillRun<'a>,
    begin: Begin<'_>,
    findings: &mut DrillFindings,
) -> Result<DrillServer<'a>, DrillError> {
    let DrillRun { source, request, scratch, control, watch } = *run;
    let manifest = source.manifest();
    let index = source.index()?;
    refuse_places_here(&index)?;
    scratch.refuse_without_room(size(source, &index))?;
    begin("restoring", manifest.data_bytes);
    let began = Instant::now();
    let wanted = RestoreRequest {
        target: scratch.join("data"),
        // A node's files have its position in the cluster beside them.
        purpose: if request.join.is_some() { Purpose::Node } else { Purpose::Standalone },
        wsrep_home: None,
        maps: maps(&index, scratch)?,
        external: Vec::new(),
        init_file: None,
        threads: request.threads,
        only: None,
    };
    let restored = restore(source, &wanted, control)?;
    findings.measured.restore_ms = millis(began);
    refuse_places_outside(&restored.needed, &scratch.join(""))?;
    refuse_tablespaces_outside(&index, &restored.datadir, &scratch.join(""))?;
    drop(index);
    let owner = owner::of_files(&restored.datadir)?;
    let mut needed = restored.needed;
    let plugins = needed.get(PLUGIN_LOAD).cloned().unwrap_or_default();
    if restored.datadir.join(ROCKSDB).is_dir() {
        // Where it is not installed its tables are told in a note.
        let all = needed.entry(PLUGIN_LOAD.into()).or_default();
        *all = [all.as_str(), ROCKSDB_LIBRARY]
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect::<Vec<_>>()
            .join(";");
    }
    let home = Arc::new(ServerHome::make(scratch, "home", restored.datadir, owner)?);
    home.write_options(&needed, &request.local, AccountUse::Ignored)?;
    let failed = |step, why| blame(run, owner, step, why);
    let began = Instant::now();
    if let Some(gtid) = &manifest.gtid {
        let found = match position::recover(&home, &request.server, watch)? {
            RecoveryEnd::Ended(found) => found,
            RecoveryEnd::Failed(why) => return Err(failed(DrillStep::Start, why)),
        };
        compare(gtid, found, findings)?;
    }
    let server = DrillServer::start(&home, &request.server.program, &[], watch)?;
    let answers = server.wait_answering();
    findings.measured.start_ms = millis(began);
    if let Err(why) = answers {
        drop(server);
        return Err(failed(DrillStep::Start, why));
    }
    refuse_without_plugins(&server, &plugins)?;
    if manifest.gtid.is_none() {
        let wrong = |why| DrillError::failed(DrillStep::Position, why);
        let found = server.session().and_then(|mut session| session.mariadb_gtid()).map_err(wrong)?;
        findings.measured.position = position::compare_alone(manifest, &found).map_err(wrong)?;
        if findings.measured.position.is_none() {
            findings
                .notes
                .push("the backup is of no node and tells no position that could be compared".into());
        }
    }
    Ok(server)
}

/// Refuses a server that has not loaded what it needs to read the files: it says nothing of them.
fn refuse_without_plugins(server: &DrillServer<'_>, plugins: &str) -> Result<(), DrillError> {
    if plugins.is_empty() {
        return Ok(());
    }
    let wrong = |why: String| DrillError::failed(DrillStep::Start, server.with_words(&why));
    let active = server.session().and_then(|mut session| session.active_plugins()).map_err(wrong)?;
    let is_missing = |plugin: &&str| !active.iter().any(|one| one.eq_ignore_ascii_case(plugin));
    match plugins.split(';').find(is_missing) {
        None => Ok(()),
        Some(missing) => Err(DrillError::Undone(format!(
            "the server here has not loaded the plugin '{missing}', without which it cannot read the files: install it, and see that the server's \
             option files have its options ({})",
            last_words(&server.log())
        ))),
    }
}

fn compare(gtid: &WsrepGtid, found: Option<String>, findings: &mut DrillFindings) -> Result<(), DrillError> {
    findings.measured.position = found;
    position::compare(gtid, findings.measured.position.as_deref())
        .map_err(|why| DrillError::failed(DrillStep::Position, why))
}

/// Bytes that its files take.
fn size(source: &BackupReader, index: &Index) -> u64 {
    match source.manifest().content {
        Content::Datadir => index.members.iter().map(Member::room).fold(0, u64::saturating_add),
        Content::Xbstream | Content::Sql => source.manifest().data_bytes,
    }
}

/// Directories outside of the data directory go into the scratch folder, each by its variable.
fn maps(index: &Index, scratch: &ScratchFolder) -> Result<Vec<DirectoryMap>, DrillError> {
    let variables = index.members.iter().filter_map(|member| Some(member.origin.as_ref()?.variable.as_str()));
    let variables: BTreeSet<&str> = variables.collect();
    let outside = scratch.make_folder("outside")?;
    let map =
        |variable: &str| DirectoryMap { variable: variable.to_owned(), directory: outside.join(variable) };
    Ok(variables.into_iter().map(map).collect())
}
