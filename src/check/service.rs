//! Whether systemd ends a backup before it stops the server.
//!
//! By itself systemd sends SIGTERM to all processes of a service in the same moment, and a mysqld that begins to leave its
//! cluster while it stands still for a backup may hang in its own shutdown, whatever the donor's program does. An
//! `ExecStop=` that runs `release-donor` makes an order of it. What holds is what systemd says, not what stands in
//! files that it may not have read yet.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::finding::Finding;
use super::probe::read_within;

const TOPIC: &str = "service";
/// The script, by whatever path.
const SCRIPT: &str = "release-donor";
/// Where the packages have it.
const PACKAGED: &str = "/usr/libexec/wsrep_sst_backup/release-donor";
/// systemd answers at once; one that does not is no fault of the backup's.
const LIMIT: Duration = Duration::from_secs(5);

/// What is to be told of the unit; nothing where there is no systemd that answers, or it does not know the unit.
pub(super) fn look(unit: &str) -> Option<Finding> {
    let text = shown("LoadState,ExecStop", &format!("{unit}.service"))?;
    text.lines().any(|line| line == "LoadState=loaded").then(|| judge(unit, &text))
}

/// Properties of a unit, a line each, where there is a systemd that answers.
pub(super) fn shown(properties: &str, unit: &str) -> Option<String> {
    let mut child = Command::new("systemctl")
        .args(["show", &format!("--property={properties}"), unit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    read_within(&mut child, LIMIT).ok()
}

/// `shown` are lines as `systemctl show` prints them, where an `ExecStop=` that is not set has none.
fn judge(unit: &str, shown: &str) -> Finding {
    let mut stops = shown.lines().filter(|line| line.starts_with("ExecStop="));
    if stops.any(|line| line.contains(SCRIPT)) {
        return Finding::ok(TOPIC, format!("'systemctl stop {unit}' ends a backup first ({SCRIPT})"));
    }
    let install = if Path::new(PACKAGED).exists() {
        String::new()
    } else {
        format!("install packaging/{SCRIPT} as {PACKAGED}; ")
    };
    Finding::warning(
        TOPIC,
        format!(
            "'systemctl stop {unit}' during the freeze of a backup may hang the server in its own shutdown"
        ),
        format!(
            "{install}'systemctl edit {unit}' with [Service] ExecStop=-{PACKAGED} (the packages bring it; it holds \
             from 'systemctl daemon-reload' on)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn only_a_stop_that_ends_the_backup_is_good() {
        let exec = |path: &str| {
            format!("ExecStop={{ path={path} ; argv[]={path} ; ignore_errors=yes ; pid=0 ; status=0/0 }}\n")
        };
        let loaded = "LoadState=loaded\n";
        for (shown, level) in [
            (loaded.to_owned(), Level::Warning),
            (format!("{loaded}ExecStop=\n"), Level::Warning),
            (format!("{}{loaded}", exec("/bin/true")), Level::Warning),
            (format!("{}{}{loaded}", exec("/bin/true"), exec(PACKAGED)), Level::Ok),
            (format!("{loaded}{}", exec("/usr/local/lib/wsrep_sst_backup/release-donor")), Level::Ok),
        ] {
            let finding = judge("mariadb@a", &shown);
            assert_eq!(finding.level, level, "{shown}");
            assert!(finding.text.contains("'systemctl stop mariadb@a'"), "{finding:?}");
            assert!(finding.cure.is_none_or(|cure| cure.contains("'systemctl edit mariadb@a'")));
        }
    }
}
