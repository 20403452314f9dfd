//! SQL as the donor program will have it, and as this command has it.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::cluster::{Access, NodeReport, Survey};
use crate::config::Settings;
use crate::sql::{Account, Endpoint, SqlSession};
use crate::users::user_name;

const TOPIC: &str = "SQL";

/// An attempt to log in as the donor program does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoginTrial {
    /// The user of the operating system.
    pub(super) system_user: String,
    /// That of the server.
    pub(super) user: String,
    pub(super) socket: String,
    /// The account is set in the option files.
    pub(super) configured: bool,
    /// Why there is no connection.
    pub(super) failure: Option<String>,
    /// What is refused: what it is for, and the server's words.
    pub(super) refused: Vec<(String, String)>,
    /// Who holds up a freeze now, where that is certain.
    pub(super) holders: String,
    /// Whether `run` could desync the node; none where that is not told.
    pub(super) may_desync: Option<bool>,
    /// Names of the plugins that encrypt; none where they are not told.
    pub(super) encryption: Option<Vec<String>>,
    /// Names of the engines; none where they are not told.
    pub(super) engines: Option<Vec<String>>,
    /// The server's variables and status, where it answered.
    pub(super) variables: HashMap<String, String>,
    pub(super) status: HashMap<String, String>,
}

/// Logs in as this process's user would, and asks everything that the donor role asks.
pub(super) fn try_donor(settings: &Settings, socket: &Path) -> LoginTrial {
    let system_user = user_name(nix::unistd::geteuid().as_raw());
    let user = settings.user.clone().or_else(|| system_user.clone());
    let socket = settings.socket.as_deref().unwrap_or(socket).to_path_buf();
    let mut login = LoginTrial {
        system_user: system_user.unwrap_or_default(),
        user: user.clone().unwrap_or_default(),
        socket: socket.display().to_string(),
        configured: settings.user.is_some(),
        ..LoginTrial::default()
    };
    let account = Account { user, password: settings.password.clone(), tls: None };
    let endpoint = Endpoint::Socket(socket);
    let mut session = match SqlSession::connect(&endpoint, &account) {
        Ok(session) => session,
        Err(why) => {
            login.failure = Some(why);
            return login;
        }
    };
    let mut ask = |what: &str, answer: Result<(), String>| {
        if let Err(why) = answer {
            login.refused.push((what.to_owned(), why));
        }
    };
    ask("the positions that a replica needs", session.mariadb_gtid().map(drop));
    ask("waiting for the Primary component", session.cluster_status().map(drop));
    ask("seeing who holds up the freeze", session.may_lock());
    login.holders = session.lock_holders();
    login.may_desync = session.may_desync().ok();
    match session.encryption_plugins() {
        Ok(plugins) => login.encryption = Some(plugins),
        Err(why) => login.refused.push(("warnings about encryption".into(), why)),
    }
    match session.engines() {
        Ok(engines) => login.engines = Some(engines),
        Err(why) => login.refused.push(("warnings about engines".into(), why)),
    }
    if let Err(why) = session.tablespace_files() {
        login.refused.push(("comparing the files with the tablespaces that the server names".into(), why));
    }
    match NodeReport::ask(endpoint, &mut session) {
        Ok(report) => (login.variables, login.status) = report.into_parts(),
        Err(why) => login.refused.push(("the server's directories".into(), why)),
    }
    login
}

/// What is lost without SQL to the donor's own server.
const LOST: &str = "somebody's lock is not seen before mysqld waits for it, backups lack the binlog position that a replica needs, directories are guessed from the option \
                    files, and a node that is cut off at the wrong moment stays Donor/Desynced";

/// What is to be told of the donor's login. `passes_account`: mysqld gives the program an account of its own.
pub(super) fn judge_donor(login: &LoginTrial, passes_account: bool) -> Finding {
    let LoginTrial { system_user, user, socket, .. } = login;
    let who = format!("the donor, system user '{system_user}', logs in as '{user}' over {socket}");
    match &login.failure {
        None if login.refused.is_empty() => Finding::ok(TOPIC, who),
        None => {
            let refused: Vec<String> =
                login.refused.iter().map(|(what, why)| format!("{what} ({why})")).collect();
            let text = format!("{who}, and is refused: {}", refused.join("; "));
            let cure = format!(
                "GRANT what is missing to '{user}'@localhost (GRANT RELOAD, PROCESS ON *.* TO '{user}'@localhost)",
                user = login.user
            );
            Finding::warning(TOPIC, text, cure)
        }
        Some(_) if passes_account && !login.configured => {
            let text = "mysqld gives the donor an account for each backup; it cannot be tried from here";
            Finding::ok(TOPIC, text)
        }
        Some(why) => {
            let cure = if login.configured {
                "correct 'user' and 'password' in the group [wsrep_sst_backup]".to_owned()
            } else {
                format!(
                    "CREATE USER '{user}'@localhost IDENTIFIED VIA unix_socket; GRANT RELOAD, PROCESS ON *.* TO '{user}'@localhost",
                    user = login.user
                )
            };
            Finding::warning(TOPIC, format!("the donor has no SQL: {why}. Without it {LOST}"), cure)
        }
    }
}

/// What is to be told of the logins of `check` itself, which are those of the other commands. `members_refused` says
/// why it cannot read `mysql.wsrep_cluster_members`.
pub(super) fn judge_own(
    survey: &Survey,
    access: &Access,
    members_refused: Option<&str>,
    donor: Option<&str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let user = access.user();
    if let Some(local) = survey.local().filter(|_| donor != Some(user)) {
        let other = if donor.is_some() { ", another account than the donor's" } else { "" };
        findings.push(Finding::ok(
            TOPIC,
            format!("this command asks as '{user}' over {}{other}", local.endpoint),
        ));
    }
    if let Some(why) = members_refused {
        let text = format!("'{user}' cannot learn who the other members are: {why}");
        let cure = format!("GRANT SELECT ON mysql.wsrep_cluster_members TO '{user}'@localhost");
        findings.push(Finding::warning(TOPIC, text, cure));
    }
    let local = access.local().map(|endpoint| endpoint.to_string());
    let others: Vec<String> = survey
        .silent
        .iter()
        .filter(|silent| Some(&silent.address) != local.as_ref())
        .map(|silent| {
            let name = if silent.name.is_empty() { &silent.address } else { &silent.name };
            format!("'{name}' ({})", silent.why)
        })
        .collect();
    if !others.is_empty() {
        let text = format!(
            "no answer from {}; what these members say of themselves is not known",
            others.join(", ")
        );
        let cure = "set 'user' and 'password' in [wsrep_sst_backup] to an account that all members know, or see why \
                    they cannot be reached";
        findings.push(Finding::warning(TOPIC, text, cure.to_owned()));
    }
    let asked = survey.reports.iter().filter(|report| matches!(report.endpoint, Endpoint::Tcp(_))).count();
    if asked > 0 {
        let plain = if access.has_tls() { "with TLS" } else { "without TLS (ssl-ca switches it on)" };
        let who = if asked == 1 {
            "one other member answers".into()
        } else {
            format!("{asked} other members answer")
        };
        findings.push(Finding::ok(TOPIC, format!("{who} over TCP, {plain}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn the_donors_login_has_four_outcomes() {
        let login = || LoginTrial { user: "mysql".into(), socket: "/s".into(), ..LoginTrial::default() };
        let failed = |configured| LoginTrial { failure: Some("WHY".into()), configured, ..login() };
        let refused = LoginTrial { refused: vec![("positions".into(), "WHY".into())], ..login() };
        for (login, passes, level, text, cure) in [
            (login(), false, Level::Ok, "logs in as 'mysql' over /s", ""),
            (refused, false, Level::Warning, "positions (WHY)", "GRANT"),
            (failed(false), false, Level::Warning, "WHY. Without it", "VIA unix_socket"),
            (failed(true), true, Level::Warning, "WHY", "'user' and 'password'"),
            (failed(false), true, Level::Ok, "gives the donor an account", ""),
        ] {
            let finding = judge_donor(&login, passes);
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(text), "{finding:?}");
            assert!(finding.cure.as_deref().unwrap_or_default().contains(cure), "{finding:?}");
        }
    }
}
