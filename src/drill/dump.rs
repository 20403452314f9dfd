//! A dump, loaded into a server that was just made.

use std::sync::Arc;
use std::time::Instant;

use nix::unistd::geteuid;

use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::fresh;
use super::home::{AccountUse, ServerHome};
use super::request::DrillRequest;
use super::scratch::ScratchFolder;
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::catalog::BackupReader;
use crate::cluster::Access;
use crate::config::Settings;
use crate::restore::into::{Begin, DumpSource, LoadRequest, load};
use crate::restore::{Control, needed_anywhere};
use crate::users::{primary_group, user_id};

/// How many bytes the tables take for each byte of the statements, at most: indices and free room in pages come on top of the rows, which the
/// statements have as text.
const LOADED: u64 = 2;

/// Makes a server, and loads the dump into it. Users and grants, where the dump has them, are made as well.
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
    scratch.refuse_without_room(manifest.data_bytes.saturating_mul(LOADED))?;
    let users = manifest.dump.as_ref().is_some_and(|dump| dump.users.is_some());
    let began = Instant::now();
    let home = ServerHome::make(scratch, "home", scratch.join("data"), owner(&request.local.user)?)?;
    let home = Arc::new(home);
    home.write_options(&needed_anywhere(&manifest.server), &request.local, AccountUse::Known)?;
    fresh::install(&home, &request.server.program, watch)?;
    let server = DrillServer::start(&home, &request.server.program, &[], watch)?;
    server.wait_answering().map_err(DrillError::Undone)?;
    // It has no account but this one, and no other server is asked.
    let settings = Settings { user: Some("root".into()), ..Settings::default() };
    let wanted = LoadRequest {
        endpoint: home.endpoint(),
        access: Access::to_members(&settings, None),
        databases: Vec::new(),
        users,
        overwrite: false,
        system_tables: false,
        any_server: false,
    };
    let accounts = if users { Some(DumpSource::users(source)?) } else { None };
    let statements =
        DumpSource::Backup { reader: source, index: Box::new(source.index()?), threads: request.threads };
    let loaded = load(&statements, accounts.as_ref(), &wanted, control, begin)?;
    findings.restore_ms = millis(began);
    findings.notes.extend(loaded.notes);
    Ok(server)
}

/// The user of the servers of this machine, where this process is root.
fn owner(user: &str) -> Result<Option<(u32, u32)>, DrillError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = user_id(user).filter(|uid| *uid != 0).and_then(|uid| Some((uid, primary_group(uid)?)));
    found.map(Some).ok_or_else(|| {
        DrillError::Undone(format!(
            "there is no user '{user}' here that a server could run as: install the server"
        ))
    })
}
