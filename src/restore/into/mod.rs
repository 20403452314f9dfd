//! A dump into a running server, through the `mariadb` client.
//!
//! All of it is read before anything is sent: whether it is whole (its digests where it is ours, its last line in any case), what
//! it holds, its longest statement. Then the server is asked what speaks against it. Only then are statements sent, and the first one that
//! is refused ends it: what was carried out before stays, and is told.

mod accounts;
mod client;
mod error;
mod filter;
mod operator_files;
mod request;
mod sections;
mod send;
mod server;
mod source;
mod survey;
#[cfg(test)]
mod testing;
mod units;

use std::collections::BTreeSet;

use accounts::Accounts;
pub use error::LoadError;
use filter::{LoadPass, WantedUnits};
pub use operator_files::{OperatorFile, is_named_as_dump, newest_at, newest_of};
pub use request::{LoadRequest, Loaded};
use sections::SYSTEM;
use send::LoadRun;
use server::{TargetServer, some_of};
pub use source::{DumpFile, DumpSource};
use survey::DumpSurvey;
use units::Splitter;

use super::request::Control;
use crate::sql::Endpoint;

/// How the caller shows what is going on: a step with its name and its size begins.
pub type Begin<'a> = &'a mut dyn FnMut(&'static str, u64);

/// Loads a dump. `users` is where users and grants come from, where that is another object.
pub fn load(
    source: &DumpSource<'_>,
    users: Option<&DumpSource<'_>>,
    request: &LoadRequest,
    control: &Control<'_>,
    begin: Begin<'_>,
) -> Result<Loaded, LoadError> {
    let program = client::find().map_err(LoadError::Refused)?;
    let connected = request.access.connect(&request.endpoint);
    let mut session = connected.map_err(|why| LoadError::Refused(with_tls_hint(why, request)))?;
    let server = TargetServer::look(&request.endpoint, &mut session).map_err(|why| {
        LoadError::Refused(format!("the server at '{}' cannot be asked: {why}", request.endpoint))
    })?;
    server.refuse_as_it_is(&request.endpoint)?;
    begin("checking", source.bytes());
    let survey = survey(source, control)?;
    let users_survey = users.map(|users| self::survey(users, control)).transpose()?;
    let wanted = wanted(request, &survey, server.nodes.is_some());
    check_request(request, source, &survey, users_survey.as_ref())?;
    server.refuse(request, &survey, &wanted)?;
    // The session's own time limits are short, and it has no more to say.
    drop(session);
    let mut loaded = told(request, &server, &survey, &wanted);
    let sending =
        |source, survey, control| LoadRun { program: program.clone(), request, source, survey, control };
    if !loaded.databases.is_empty() {
        begin("loading", source.bytes());
        loaded.bytes = sending(source, &survey, control).send(wanted, Accounts::default())?.bytes;
    }
    if request.users {
        let (from, survey) = match (users, &users_survey) {
            (Some(users), Some(survey)) => (users, survey),
            _ => (source, &survey),
        };
        begin("users", from.bytes());
        let accounts = Accounts {
            existing: server.accounts.iter().cloned().collect(),
            own: server.own.clone(),
            replace: request.overwrite,
            ..Accounts::default()
        };
        let wanted = WantedUnits {
            part: LoadPass::Accounts,
            databases: BTreeSet::new(),
            system_tables: false,
            locks: false,
        };
        let sent = sending(from, survey, control).send(wanted, accounts)?;
        loaded.accounts = sent.accounts.made.iter().map(accounts::shown).collect();
        loaded.accounts_kept = sent.accounts.kept.iter().map(accounts::shown).collect();
    }
    Ok(loaded)
}

/// A server that insists on TLS says no more than that it denies access.
fn with_tls_hint(why: String, request: &LoadRequest) -> String {
    let is_denied = ["error 1045", "error 3159"].iter().any(|code| why.contains(code));
    match &request.endpoint {
        Endpoint::Tcp(_) if is_denied && !request.access.has_tls() => format!(
            "{why}; where the server (require_secure_transport) or the account (REQUIRE SSL) wants TLS, set ssl-ca"
        ),
        _ => why,
    }
}

/// Reads it as a whole.
fn survey(source: &DumpSource<'_>, control: &Control<'_>) -> Result<DumpSurvey, LoadError> {
    let mut splitter = Splitter::new(DumpSurvey::default());
    let failed = |error: std::io::Error| LoadError::Refused(error.to_string());
    source.read(control, &mut |piece, done| {
        (control.progress)(done);
        splitter.feed(piece).map_err(failed)
    })?;
    let survey = splitter.finish().map_err(failed)?;
    if survey.is_complete {
        return Ok(survey);
    }
    let what = match &survey.program {
        Some(_) => "it was cut off, or mariadb-dump had failed",
        None => {
            "it was cut off, or is no dump of mariadb-dump, or was made without comments (--skip-comments, --compact)"
        }
    };
    Err(LoadError::Damaged(format!(
        "{} is not whole: its last line is not '-- Dump completed' (the last statement or comment begins at line {}): {what}; \
         take another one",
        source.name(),
        survey.last_line
    )))
}

fn wanted(request: &LoadRequest, survey: &DumpSurvey, is_galera: bool) -> WantedUnits {
    let databases =
        if survey.names_databases() { request.databases.iter().cloned().collect() } else { BTreeSet::new() };
    WantedUnits { part: LoadPass::Data, databases, system_tables: request.system_tables, locks: !is_galera }
}

/// What is asked of the dump must be in it.
fn check_request(
    request: &LoadRequest,
    source: &DumpSource<'_>,
    survey: &DumpSurvey,
    users: Option<&DumpSurvey>,
) -> Result<(), LoadError> {
    let usage = |text: String| Err(LoadError::Usage(text));
    let held: Vec<String> = survey.held.iter().filter_map(|held| held.name.clone()).collect();
    if !survey.names_databases() {
        let has_data = !survey.held.is_empty();
        match request.databases.len() {
            0 if has_data => {
                return usage(format!(
                    "{} names no database, as mariadb-dump writes it for one database without --databases: say with --database into \
                     which one it is loaded",
                    source.name()
                ));
            }
            0 | 1 => {}
            _ => {
                return usage(format!("{} names no database: it can be loaded into one only", source.name()));
            }
        }
    } else if let Some(missing) = request.databases.iter().find(|name| !held.contains(name)) {
        return usage(format!(
            "{} holds no database '{missing}': it holds {}",
            source.name(),
            some_of(&held)
        ));
    }
    if request.databases.iter().any(|name| name == SYSTEM) {
        return usage(format!(
            "--database {SYSTEM}: what is in it belongs to its server. --users makes users and grants by statements; --system-tables loads \
             its tables with everything else"
        ));
    }
    if request.users && !users.unwrap_or(survey).has_accounts {
        return usage(format!(
            "--users: {} holds no users and grants as statements; mariadb-dump writes them with --system=users",
            source.name()
        ));
    }
    if survey.held.is_empty() && !request.users {
        return usage(format!(
            "{} holds no tables{}",
            source.name(),
            if survey.has_accounts { ", but users and grants: --users loads them" } else { "" }
        ));
    }
    Ok(())
}

/// What is known of the outcome before anything is sent.
fn told(request: &LoadRequest, server: &TargetServer, survey: &DumpSurvey, wanted: &WantedUnits) -> Loaded {
    let held = || survey.held.iter().filter(|held| wanted.has(held.name.as_deref()));
    let named =
        |name: &Option<String>| name.clone().or_else(|| request.default_database(survey).map(str::to_owned));
    let mut loaded = Loaded {
        version: server.version.clone(),
        nodes: server.nodes,
        databases: held().filter_map(|held| named(&held.name)).collect(),
        tables: held().map(|held| held.tables).sum(),
        ..Loaded::default()
    };
    let mut note = |text: String| loaded.notes.push(text);
    let has_system = survey.held.iter().any(|held| held.name.as_deref() == Some(SYSTEM));
    if has_system && !wanted.system_tables && request.databases.is_empty() {
        let galera = if server.nodes.is_some() {
            " (on a Galera cluster DROP TABLE reaches every node, and their rows only one)"
        } else {
            ""
        };
        note(format!("the tables of the database {SYSTEM} were left out{galera}"));
        if survey.system_rows.contains("global_priv") && !request.users {
            note("users and grants are not loaded: in the dump they are rows of mysql.global_priv".into());
        }
        if survey.system_rows.contains("proc") {
            note("routines and events are loaded where the dump has them as statements (--routines, --events), not as rows of mysql.proc and mysql.event".into());
        }
    }
    if survey.has_accounts && !request.users {
        note("the users and grants of the dump were left out: --users loads them".into());
    }
    if survey.has_replication {
        note("what the dump says of replication (CHANGE MASTER, gtid_slave_pos) was left out".into());
    }
    if survey.version.is_none() {
        note("the dump does not tell of which version its server was".into());
    }
    if server.nodes.is_some() {
        let tables = survey.not_innodb.iter().filter(|(database, ..)| wanted.has(database.as_deref()));
        loaded.not_replicated = tables
            .map(|(database, table, engine)| {
                format!("{}.{table} ({engine})", named(database).unwrap_or_default())
            })
            .collect();
    }
    loaded
}
