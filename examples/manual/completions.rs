//! Completions for bash, zsh and fish, under both names of the program.
//!
//! They are made for the first name, and say that they hold for the second one too: what `clap_complete` makes for a name
//! with a dash in it does not work in bash.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Command;
use clap_complete::{Shell, generate};

use crate::write;

const NAME: &str = "wsrep_sst_backup";
/// Where the distribution's stub has the first one.
const OTHER: &str = "wsrep-sst-backup";

pub(crate) fn write_all(directory: &Path) -> Result<()> {
    let bash = made(Shell::Bash)?;
    let both = bash.replace(&format!("default {NAME}\n"), &format!("default {NAME} {OTHER}\n"));
    ensure!(both != bash, "the completions for bash are registered in another way now");
    write(&directory.join("bash").join(NAME), both)?;

    let zsh = made(Shell::Zsh)?;
    let rest = zsh.strip_prefix(&format!("#compdef {NAME}\n")).context("no #compdef for zsh")?;
    write(&directory.join("zsh").join(format!("_{NAME}")), format!("#compdef {NAME} {OTHER}\n{rest}"))?;

    // fish looks for a file by the command's name; what is in it may be defined twice.
    let (fish, text) = (directory.join("fish"), made(Shell::Fish)?);
    let other = text.replace(&format!("complete -c {NAME} "), &format!("complete -c {OTHER} "));
    ensure!(other != text, "the completions for fish are registered in another way now");
    write(&fish.join(format!("{NAME}.fish")), text)?;
    write(&fish.join(format!("{OTHER}.fish")), other)
}

fn made(shell: Shell) -> Result<String> {
    let mut text = Vec::new();
    generate(shell, &mut visible(), NAME, &mut text);
    Ok(String::from_utf8(text)?)
}

/// The program without the commands that nobody starts by hand.
fn visible() -> Command {
    let all = wsrep_sst_backup::cli::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new(NAME).version(env!("CARGO_PKG_VERSION")).subcommands(commands)
}
