//! A server that was never used, on files as `mariadb-install-db` makes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::DrillError;
use super::home::{AccountUse, ServerHome, last_words, make_folder};
use super::run::DrillRun;
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::guard::GuardedCommand;
use crate::restore::needed_anywhere;
use crate::tool;
use crate::users::user_name;

/// The names of the program.
const NAMES: [&str; 2] = ["mariadb-install-db", "mysql_install_db"];
/// Folders beside that of the server, in which it lies.
const BESIDE: [&str; 3] = ["", "../bin", "../scripts"];
/// Between two looks at it.
const POLL: Duration = Duration::from_millis(50);

/// Makes the files, and starts the server, which answers.
pub(super) fn serve<'a>(
    run: &DrillRun<'a>,
    home: &Arc<ServerHome>,
    accounts: AccountUse,
) -> Result<DrillServer<'a>, DrillError> {
    let program = &run.request.server.program;
    home.write_options(&needed_anywhere(&run.source.manifest().server), &run.request.local, accounts)?;
    install(home, program, run.watch)?;
    let server = DrillServer::start(home, program, &[], run.watch)?;
    server.wait_answering().map_err(DrillError::Undone)?;
    Ok(server)
}

/// Makes them by the options of the server that will use them.
fn install(home: &ServerHome, server: &Path, watch: &DrillWatch) -> Result<(), DrillError> {
    let program = find(server).ok_or_else(|| {
        DrillError::Undone(
            "'mariadb-install-db', which makes the files of a new server, is not installed here: it comes with the server"
                .into(),
        )
    })?;
    make_folder(&home.datadir, home.owner)?;
    let mut words: Vec<OsString> = vec![
        program.into(),
        format!("--defaults-file={}", home.options().display()).into(),
        "--auth-root-authentication-method=normal".into(),
        "--skip-test-db".into(),
        "--skip-name-resolve".into(),
    ];
    if let Some((uid, _)) = home.owner {
        words.push(format!("--user={}", user_name(uid).unwrap_or_else(|| uid.to_string())).into());
    }
    let failed =
        |why: String| DrillError::Undone(format!("the files of a new server could not be made: {why}"));
    let mark = home.log_end();
    let mut command =
        GuardedCommand::start_logged(&words, home.open_log()?).map_err(|error| failed(error.to_string()))?;
    loop {
        if let Some(status) = command.poll().map_err(|error| failed(error.to_string()))? {
            let why = || format!("status {status}: {}", last_words(&home.log_since(mark)));
            return if status == 0 { Ok(()) } else { Err(failed(why())) };
        }
        if watch.given_up().is_some() {
            command.end();
        }
        std::thread::sleep(POLL);
    }
}

/// The one that came with the server, else the first that is found.
fn find(server: &Path) -> Option<PathBuf> {
    let folder = server.parent()?;
    let places = BESIDE.iter().flat_map(|place| NAMES.map(|name| folder.join(place).join(name)));
    places.into_iter().find(|program| program.is_file()).or_else(|| tool::find(&NAMES, None))
}
