//! The operator's command line: arguments become one validated request, once.

use clap::{CommandFactory, Parser, Subcommand};

use crate::check;
use crate::commands;
use crate::exit;
use crate::guard;
use crate::ui;
use crate::volume_snapshot;

/// Physical backups of a Galera Cluster, taken by a donor at one exact GTID.
///
/// mysqld starts this program on the donor that garbd asks for a state transfer. The commands below ask for a backup and
/// look after those that were made.
#[derive(Debug, Parser)]
#[command(
    name = "wsrep_sst_backup",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such backup, 4 the backup is damaged.\n\n\
                  Settings come from the group [wsrep_sst_backup] of the MariaDB option files, from environment\n\
                  variables WSREP_SST_BACKUP_<NAME>, and from these flags; the last one wins."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask a donor for a backup and follow it to its end
    Backup(commands::backup::BackupArgs),
    /// See whether a backup would work here, and what to do if not
    Check(commands::check::CheckArgs),
    /// Show the backups in the repository, newest last
    List(commands::list::ListArgs),
    /// Show everything known about one backup
    Show(commands::show::ShowArgs),
    /// Show the files in one backup
    Ls(commands::ls::LsArgs),
    /// Read a whole backup back and compare every checksum
    Verify(commands::verify::VerifyArgs),
    /// Rebuild a data directory from a backup
    Restore(commands::restore::RestoreArgs),
    /// Prove a backup: restore it aside, start a server on it, check it, remove it again
    Drill(commands::drill::DrillArgs),
    /// Copy a backup, or all of them, into another repository
    Copy(commands::copy::CopyArgs),
    /// Remove the backups that the policy (keep-last, keep-daily, …) does not keep
    Prune(commands::prune::PruneArgs),
    /// Keep a backup for good: 'prune' leaves it alone
    Hold(commands::hold::HoldArgs),
    /// End the hold of a backup
    Release(commands::hold::ReleaseArgs),
    /// Run a command on this node while it is desynced, and let it in again for certain
    Run(commands::run::RunArgs),
    /// Write a page about the backups: their state, their sizes and freezes over time
    Report(commands::report::ReportArgs),
    /// The eyes of 'check' in the place of the server; nobody starts it by hand
    #[command(name = check::PROBE_COMMAND, hide = true)]
    CheckFromServer,
    /// Runs snapshot-command for a backup; systemd or the backup starts it, nobody by hand
    #[command(name = volume_snapshot::HELPER_COMMAND, hide = true)]
    SnapshotHelper(commands::snapshot_helper::HelperArgs),
    /// What stands between 'run' and its command; nobody starts it by hand
    #[command(name = guard::GUARD_COMMAND, hide = true)]
    Guard(commands::run::GuardArgs),
}

impl Command {
    /// Whether it is one of the short ones, which have nothing to put in order when they are told to end.
    fn minds_no_signal(&self) -> bool {
        matches!(
            self,
            Self::Check(_)
                | Self::List(_)
                | Self::Show(_)
                | Self::Ls(_)
                | Self::Hold(_)
                | Self::Release(_)
                | Self::Report(_)
        )
    }
}

/// The definition of the command line, from which the manual and the completions are made.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command of the process's arguments; the exit status.
pub fn main() -> u8 {
    ui::init_operator();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints those to stdout.
            let status = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            let _ = error.print();
            return status;
        }
    };
    if cli.command.minds_no_signal() {
        commands::let_first_process_end();
    }
    let outcome = match cli.command {
        Command::Backup(args) => commands::backup::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::CheckFromServer => commands::check::look_from_server(),
        Command::List(args) => commands::list::run(&args),
        Command::Ls(args) => commands::ls::run(&args),
        Command::Show(args) => commands::show::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Restore(args) => commands::restore::run(&args),
        Command::Drill(args) => commands::drill::run(&args),
        Command::Copy(args) => commands::copy::run(&args),
        Command::Prune(args) => commands::prune::run(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Guard(args) => commands::run::guard(&args),
        Command::SnapshotHelper(args) => commands::snapshot_helper::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Hold(args) => commands::hold::hold(&args),
        Command::Release(args) => commands::hold::release(&args),
    };
    match outcome {
        Ok(()) => exit::DONE,
        Err(error) => {
            let lines = error.lines();
            if let Some((first, more)) = lines.split_first() {
                log::error!("{first}");
                for line in more {
                    ui::LiveLines::new().line(line);
                }
            }
            error.exit_status()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{EVERY_COMMAND, FlagHelp, SETTINGS};

    /// The flag of a command, with what its help has for it.
    type ShownFlag = (String, &'static str, String, String);

    /// What the table of settings says of that command.
    fn told(command: &str) -> BTreeSet<ShownFlag> {
        let here =
            |told: &&FlagHelp| told.commands.iter().any(|known| *known == command || *known == EVERY_COMMAND);
        let entries = SETTINGS.iter().flat_map(|chapter| chapter.settings);
        let flags = entries.flat_map(|entry| entry.flags.iter().filter(here).map(move |told| (entry, told)));
        flags
            .map(|(entry, told)| {
                let value = told.value.unwrap_or(entry.value);
                (command.to_owned(), entry.name, value.to_owned(), told.help.to_owned())
            })
            .collect()
    }

    #[test]
    fn the_flags_that_are_settings_are_those_of_the_table() {
        let program = command();
        for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let arguments =
                command.get_arguments().filter_map(|argument| Some((argument.get_long()?, argument)));
            let setting = |long: &str| {
                SETTINGS.iter().flat_map(|chapter| chapter.settings).find(|entry| entry.name == long)
            };
            let shown: BTreeSet<ShownFlag> = arguments
                .filter_map(|(long, argument)| {
                    let value = argument.get_value_names().unwrap_or_default().join(" ");
                    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                    Some((name.to_owned(), setting(long)?.name, value, help))
                })
                .collect();
            assert_eq!(shown, told(name));
        }
        let commands: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
        let named = SETTINGS.iter().flat_map(|chapter| chapter.settings).flat_map(|entry| entry.flags);
        for command in named.flat_map(|told| told.commands) {
            assert!(
                *command == EVERY_COMMAND || commands.contains(command),
                "there is no command '{command}'"
            );
        }
    }
}
