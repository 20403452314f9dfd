//! A server on the files of a physical backup.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Instant;

use nix::unistd::geteuid;

use super::control::blame;
use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::home::{AccountUse, ServerHome};
use super::position::{self, RecoveryEnd};
use super::request::DrillRequest;
use super::scratch::ScratchFolder;
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::archive::Index;
use crate::catalog::BackupReader;
use crate::model::{Content, DrillStep, WsrepGtid};
use crate::restore::into::Begin;
use crate::restore::{Control, DirectoryMap, Purpose, RestoreRequest, needed_places, restore};

/// Restores the files, sees where they stand, and starts the server, which answers.
pub(super) fn serve<'a>(
    source: &BackupReader,
    request: &DrillRequest,
    scratch: &ScratchFolder,
    control: &Control<'_>,
    watch: &'a DrillWatch,
    begin: Begin<'_>,
    findings: &mut DrillFindings,
) -> Result<DrillServer<'a>, DrillError> {
    let manifest = source.manifest();
    let index = source.index()?;
    refuse_places_here(&index)?;
    scratch.refuse_without_room(size(source, &index))?;
    begin("restoring", manifest.data_bytes);
    let began = Instant::now();
    let wanted = RestoreRequest {
        target: scratch.join("data"),
        purpose: Purpose::Standalone,
        wsrep_home: None,
        maps: maps(&index, scratch)?,
        external: Vec::new(),
        init_file: None,
        threads: request.threads,
        only: None,
    };
    drop(index);
    let restored = restore(source, &wanted, control)?;
    findings.restore_ms = millis(began);
    refuse_places_outside(&restored.needed, &scratch.join(""))?;
    let owner = owner(&restored.datadir)?;
    let home = Arc::new(ServerHome::make(scratch.join("home"), restored.datadir, owner)?);
    home.write_options(&restored.needed, &request.local, AccountUse::Ignored)?;
    let failed = |step, why| blame(step, why, manifest, request, scratch, owner, watch);
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
    findings.start_ms = millis(began);
    if let Err(why) = answers {
        drop(server);
        return Err(failed(DrillStep::Start, why));
    }
    if manifest.gtid.is_none() {
        let wrong = |why| DrillError::failed(DrillStep::Position, why);
        let found = server.session().and_then(|mut session| session.mariadb_gtid()).map_err(wrong)?;
        findings.position = position::compare_alone(manifest, &found).map_err(wrong)?;
        if findings.position.is_none() {
            findings
                .notes
                .push("the backup is of no node and tells no position that could be compared".into());
        }
    }
    Ok(server)
}

fn compare(gtid: &WsrepGtid, found: Option<String>, findings: &mut DrillFindings) -> Result<(), DrillError> {
    findings.position = found;
    position::compare(gtid, findings.position.as_deref())
        .map_err(|why| DrillError::failed(DrillStep::Position, why))
}

/// Refuses files from outside of the data directory whose directory is here: InnoDB's redo log names absolute paths, and a server that recovers
/// here would open those of the live one.
fn refuse_places_here(index: &Index) -> Result<(), DrillError> {
    let roots: BTreeSet<&Path> =
        index.members.iter().filter_map(|member| Some(member.origin.as_ref()?.root.as_path())).collect();
    match roots.into_iter().find(|root| fs::symlink_metadata(root).is_ok()) {
        None => Ok(()),
        Some(here) => Err(DrillError::Undone(format!(
            "the backup has files from '{}', which is here: drill it on another machine, where no server uses that place",
            here.display()
        ))),
    }
}

/// Refuses places that would lead the server out of the scratch folder: whoever can write to the repository can edit the manifest.
fn refuse_places_outside(needed: &BTreeMap<String, String>, scratch: &Path) -> Result<(), DrillError> {
    let leads_out = |place: &Path| {
        let turns_back = place.components().any(|part| part == Component::ParentDir);
        turns_back || (place.is_absolute() && !place.starts_with(scratch))
    };
    match needed_places(needed).find(|(_, place)| leads_out(place)) {
        None => Ok(()),
        Some((name, place)) => Err(DrillError::Undone(format!(
            "the manifest has {name} = '{}', which leads out of the scratch folder: no server is started with that",
            place.display()
        ))),
    }
}

/// Bytes that its files take.
fn size(source: &BackupReader, index: &Index) -> u64 {
    match source.manifest().content {
        Content::Datadir => index.members.iter().map(|member| member.stored).fold(0, u64::saturating_add),
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

/// The user that the server must run as, where this process is root.
fn owner(datadir: &Path) -> Result<Option<(u32, u32)>, DrillError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let data = fs::metadata(datadir).map_err(DrillError::system("look at", datadir))?;
    if data.uid() == 0 || data.gid() == 0 {
        return Err(DrillError::Undone(
            "the files of the backup belong to root or its group here, and a server is not run as root: drill it as the server's user \
             (runuser -u mysql -- wsrep_sst_backup drill …)"
                .into(),
        ));
    }
    Ok(Some((data.uid(), data.gid())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_leads_out_of_the_scratch_folder() {
        let tried = |name: &str, value: &str| {
            refuse_places_outside(&[(name.to_owned(), value.to_owned())].into(), Path::new("/s/"))
        };
        for (name, value) in [
            ("innodb_undo_directory", "../live"),
            ("innodb_log_group_home_dir", "/live"),
            ("log_bin", "/s/../live/bin"),
            ("innodb_data_file_path", "ibdata1:12M;/live/ibdata2:12M:autoextend"),
        ] {
            let why = tried(name, value).unwrap_err().to_string();
            assert!(why.contains(name) && why.contains("leads out of the scratch folder"), "{why}");
        }
        for (name, value) in [
            ("innodb_undo_directory", "./"),
            ("innodb_log_group_home_dir", "/s/outside/x"),
            ("innodb_data_home_dir", ""),
            ("innodb_data_file_path", "ibdata1:12M;/s/data/ibdata2:12M:autoextend"),
            ("file_key_management_encryption_algorithm", "/not/a/place"),
        ] {
            tried(name, value).unwrap();
        }
    }
}
