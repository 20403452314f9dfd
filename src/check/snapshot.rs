//! The administrator's own snapshot: who would run its commands, and what an earlier backup has left, which is removed here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::config::Settings;
use crate::volume_snapshot::{Reach, SnapshotCommands, SnapshotLink};

const TOPIC: &str = "snapshot";
/// How long removing may take: who checks waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen.
pub(super) struct SnapshotSeen {
    command: String,
    /// The socket, where somebody answers there.
    socket: Option<PathBuf>,
    /// Where there could be one.
    no_socket: PathBuf,
    /// What is removed now.
    left: Option<String>,
}

/// Looks, where the settings name commands; the text says why they cannot be used.
pub(super) fn look(
    settings: &Settings,
    datadir: &Path,
    socket: Option<&Path>,
) -> Option<Result<SnapshotSeen, String>> {
    let commands = SnapshotCommands::of(settings)?;
    let datadir = fs::canonicalize(datadir).ok()?;
    let reach = Reach::of(&commands, &datadir, socket);
    let begun = Instant::now();
    let open = || {
        if let (Reach::Child(_), Some(why)) = (&reach, commands.objection()) {
            return Err(why);
        }
        let mut link =
            SnapshotLink::open(reach.clone(), &commands, &datadir, &mut || begun.elapsed() < PATIENCE)
                .map_err(|error| error.to_string())?;
        Ok(SnapshotSeen {
            command: commands.take.to_string(),
            socket: commands.has_socket().then(|| commands.socket.clone()),
            no_socket: commands.socket.clone(),
            left: link.left.take(),
        })
    };
    Some(open())
}

/// What is to be told of it. `user` takes backups as a donor.
pub(super) fn judge(seen: &Result<SnapshotSeen, String>, user: &str) -> Vec<Finding> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            let cure = "see doc/snapshot-command.md; systemctl status wsrep-sst-backup-snapshot.socket";
            return vec![Finding::error(TOPIC, format!("{why}: no snapshot could be taken"), cure)];
        }
    };
    let mut findings: Vec<Finding> = seen
        .left
        .iter()
        .map(|name| {
            let text = format!(
                "the snapshot '{name}' of a backup that was killed had been left, and is removed now"
            );
            Finding::warning(TOPIC, text, "see why it was killed (the journal, dmesg)".to_owned())
        })
        .collect();
    findings.push(match &seen.socket {
        Some(socket) => {
            Finding::ok(TOPIC, format!("'{}' is run by whoever is behind '{}'", seen.command, socket.display()))
        }
        None if user == "root" => Finding::ok(TOPIC, format!("'{}' is run by whoever takes the backup", seen.command)),
        None => Finding::warning(
            TOPIC,
            format!(
                "'{}' would be run by the donor itself, as user '{user}', who can neither make nor mount a volume: there is no socket '{}'",
                seen.command,
                seen.no_socket.display()
            ),
            "systemctl enable --now wsrep-sst-backup-snapshot.socket, unless the command needs no right of root's".to_owned(),
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn who_would_run_the_command_is_told_and_what_was_left() {
        let seen = |socket: Option<&str>, left: Option<&str>| {
            Ok(SnapshotSeen {
                command: "/x take".into(),
                socket: socket.map(PathBuf::from),
                no_socket: "/run/s".into(),
                left: left.map(str::to_owned),
            })
        };
        for (found, user, levels, text) in [
            (
                seen(Some("/run/s"), None),
                "mysql",
                &[Level::Ok][..],
                "'/x take' is run by whoever is behind '/run/s'",
            ),
            (seen(None, None), "mysql", &[Level::Warning], "as user 'mysql', who can neither make nor mount"),
            (seen(None, None), "root", &[Level::Ok], "is run by whoever takes the backup"),
            (
                seen(Some("/run/s"), Some("n")),
                "mysql",
                &[Level::Warning, Level::Ok],
                "the snapshot 'n' of a backup that was killed",
            ),
            (
                Err("it has failed".into()),
                "mysql",
                &[Level::Error],
                "it has failed: no snapshot could be taken",
            ),
        ] {
            let findings = judge(&found, user);
            assert_eq!(findings.iter().map(|finding| finding.level).collect::<Vec<_>>(), levels);
            assert!(findings[0].text.contains(text), "{findings:?}");
        }
    }
}
