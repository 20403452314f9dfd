//! `snapshot-helper`: who runs `snapshot-command` for a backup. The unit `wsrep-sst-backup-snapshot@.service` starts it for each connection to its socket, and a
//! backup for itself where there is no such socket; nobody starts it by hand.
//!
//! Behind a socket it runs with root's rights for a user who has not got them. So the commands are those of option files and programs that root alone can write.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rustix::net::sockopt::socket_peercred;

use super::CommandError;
use crate::capture;
use crate::config::{CommandWords, DefaultsArgs, OptionFiles, SettingsOverrides};
use crate::volume_snapshot::{HelperOrders, Reach, SnapshotCommands, serve};

/// Arguments of the helper: the commands where a backup has started it, and none behind a socket.
#[derive(Debug, Args)]
pub struct HelperArgs {
    #[arg(long, requires_all = ["release", "limit", "notes"])]
    take: Option<String>,
    #[arg(long, requires = "take")]
    release: Option<String>,
    #[arg(long, requires = "take")]
    limit: Option<u64>,
    #[arg(long)]
    notes: Option<PathBuf>,
    /// Read this option file only
    #[arg(long, value_name = "FILE")]
    defaults_file: Option<PathBuf>,
}

/// Serves the connection that is our stdin.
pub fn run(args: &HelperArgs) -> Result<(), CommandError> {
    let failed = |error: io::Error| CommandError::Failed(format!("the connection: {error}"));
    let stream = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from).map_err(failed)?;
    let asker = socket_peercred(&stream).map_err(|errno| {
        CommandError::Usage(format!(
            "stdin is no connection ({}): a backup or systemd starts this",
            io::Error::from(errno)
        ))
    })?;
    let orders = match (&args.take, &args.release, args.limit) {
        (Some(take), Some(release), Some(limit)) => HelperOrders {
            commands: given(take, release, limit),
            notes: args.notes.clone().unwrap_or_else(Reach::roots_notes),
            asker: None,
        },
        _ => HelperOrders {
            commands: configured(args.defaults_file.clone()),
            notes: args.notes.clone().unwrap_or_else(Reach::roots_notes),
            asker: Some(asker.uid.as_raw()),
        },
    };
    serve(stream, &orders).map_err(failed)
}

fn given(take: &str, release: &str, limit: u64) -> Result<SnapshotCommands, String> {
    let words = |text: &str| CommandWords::parse(text).map_err(|error| error.to_string());
    Ok(SnapshotCommands {
        take: words(take)?,
        release: words(release)?,
        limit: Duration::from_secs(limit),
        socket: PathBuf::new(),
    })
}

/// Those of the option files of this machine; neither the environment nor whoever asks can name others.
fn configured(defaults_file: Option<PathBuf>) -> Result<SnapshotCommands, String> {
    let files = OptionFiles::read(&DefaultsArgs { defaults_file, ..DefaultsArgs::default() })
        .map_err(|error| error.to_string())?;
    files.files().iter().try_for_each(|file| only_ours(file))?;
    let settings = capture::settings(&files, std::iter::empty(), &SettingsOverrides::default())
        .map_err(|error| error.to_string())?;
    let commands = SnapshotCommands::of(&settings)
        .ok_or("root's option files of this machine have no snapshot-command and snapshot-release-command")?;
    only_ours(commands.take.program())?;
    only_ours(commands.release.program())?;
    Ok(commands)
}

/// An error where another user could have written what stands in this file.
fn only_ours(file: &Path) -> Result<(), String> {
    let own = nix::unistd::geteuid().as_raw();
    let real = fs::canonicalize(file).map_err(|error| format!("'{}': {error}", file.display()))?;
    for path in real.ancestors() {
        let metadata = fs::metadata(path).map_err(|error| format!("'{}': {error}", path.display()))?;
        let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        if ![0, own].contains(&metadata.uid()) || (metadata.mode() & 0o022 != 0 && !is_sticky) {
            return Err(format!(
                "'{}' can be written by others than root, and says what is run as root: chown root '{1}' and chmod go-w '{1}'",
                file.display(),
                path.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn commands_that_another_user_could_have_written_are_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("command");
        let file = folder.path().join("my.cnf");
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&program, "#!/bin/sh\n").unwrap();
        set(&program, 0o755);
        fs::write(&file, "[wsrep_sst_backup]\n").unwrap();
        set(&file, 0o640);
        let read = || configured(Some(file.clone()));
        assert!(read().unwrap_err().contains("have no snapshot-command"));
        let line = program.display();
        fs::write(
            &file,
            format!("[wsrep_sst_backup]\nsnapshot-command={line} take\nsnapshot-release-command={line} x\n"),
        )
        .unwrap();
        assert_eq!(read().unwrap().take.to_string(), format!("{line} take"));
        // (MariaDB's own rules pass over a file that all can write.)
        for (path, mode) in [(&file, 0o660), (&program, 0o777), (&folder.path().to_owned(), 0o777)] {
            let before = fs::metadata(path).unwrap().permissions();
            set(path, mode);
            let why = read().unwrap_err();
            assert!(why.contains("can be written by others than root"), "{why}");
            fs::set_permissions(path, before).unwrap();
        }
        read().unwrap();
    }
}
