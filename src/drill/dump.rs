//! A dump, loaded into a server that was just made.

use std::sync::Arc;
use std::time::Instant;

use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::home::{AccountUse, ServerHome};
use super::run::DrillRun;
use super::server::DrillServer;
use super::{fresh, owner};
use crate::cluster::Access;
use crate::config::Settings;
use crate::restore::into::{Begin, DumpSource, LoadRequest, load};

/// How many bytes the tables take for each byte of the statements, at most: indices and free room in pages come on top of the rows, which the
/// statements have as text.
const LOADED: u64 = 2;

/// Makes a server, and loads the dump into it. Users and grants, where the dump has them, are made as well.
pub(super) fn serve<'a>(
    run: &DrillRun<'a>,
    begin: Begin<'_>,
    findings: &mut DrillFindings,
) -> Result<DrillServer<'a>, DrillError> {
    let DrillRun { source, request, scratch, control, .. } = *run;
    let manifest = source.manifest();
    scratch.refuse_without_room(manifest.data_bytes.saturating_mul(LOADED))?;
    let users = manifest.dump.as_ref().is_some_and(|dump| dump.users.is_some());
    let began = Instant::now();
    let owner = owner::of_servers(&request.local.user)?;
    let home = Arc::new(ServerHome::make(scratch, "home", scratch.join("data"), owner)?);
    let server = fresh::serve(run, &home, AccountUse::Known)?;
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
    findings.measured.restore_ms = millis(began);
    findings.notes.extend(loaded.notes);
    Ok(server)
}
