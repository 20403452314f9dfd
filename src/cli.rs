//! The operator's command line: arguments become one validated request, once.

use clap::{Parser, Subcommand};

use crate::{commands, exit, ui};

/// Physical backups of a Galera Cluster, taken by a donor at one exact GTID.
///
/// mysqld starts this program on the donor that `garbd --sst backup` asks for. The commands below look
/// after the backups it has made.
#[derive(Debug, Parser)]
#[command(
    name = "wsrep_sst_backup",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such backup, 4 the backup is damaged.\n\n\
                  A backup is asked for on any machine that can reach the cluster:\n  \
                  garbd --address gcomm://NODE:4567 --group CLUSTER --donor NODE --sst backup \\\n        \
                  --options 'gmcast.listen_addr=tcp://0.0.0.0:4444'\n\n\
                  Settings come from the group [wsrep_sst_backup] of the MariaDB option files, from environment\n\
                  variables WSREP_SST_BACKUP_<NAME>, and from these flags; the last one wins."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the backups in the repository, newest last
    List(commands::list::ListArgs),
    /// Show everything known about one backup
    Show(commands::show::ShowArgs),
    /// Read a whole backup back and compare every checksum
    Verify(commands::verify::VerifyArgs),
    /// Rebuild a data directory from a backup
    Restore(commands::restore::RestoreArgs),
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
    let outcome = match cli.command {
        Command::List(args) => commands::list::run(&args),
        Command::Show(args) => commands::show::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Restore(args) => commands::restore::run(&args),
    };
    match outcome {
        Ok(()) => exit::DONE,
        Err(error) => {
            if let Some(text) = error.text() {
                log::error!("{text}");
            }
            error.exit_status()
        }
    }
}
