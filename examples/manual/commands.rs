//! `wsrep_sst_backup(1)`: the help of all commands on one page, with what no help has room for.

use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;

use crate::roff::{bold, example, italic, section, terms, text, title};

/// The heading of the flags that every command has.
const COMMON: &str = "Repository and configuration";

/// The page.
pub(crate) fn page() -> Result<String> {
    let mut program = wsrep_sst_backup::cli::command();
    program.build();
    let about = program.get_about().context("the program says nothing of itself")?.to_string();
    let long = program.get_long_about().map(ToString::to_string).unwrap_or_default();
    let mut page = title("wsrep_sst_backup", 1);
    page += &section("NAME", &format!("wsrep_sst_backup \\- {}", text(about.trim_end_matches('.'))));
    page += &section("SYNOPSIS", &synopsis());
    page += &section("DESCRIPTION", &paragraphs(&long));
    page += &section("COMMANDS", &commands(&program)?);
    page += &section("COMMON OPTIONS", &common(&program)?);
    page += &section("EXAMPLES", &examples());
    page += &section("ENVIRONMENT", &terms(environment()));
    page += &section("FILES", &terms(files()));
    page += &section("EXIT STATUS", &terms(exit_status()));
    page += &section(
        "SEE ALSO",
        &format!("{}(5), {}(8), {}(1)", bold("wsrep_sst_backup.cnf"), bold("garbd"), bold("systemctl")),
    );
    Ok(page)
}

fn synopsis() -> String {
    let program = bold("wsrep_sst_backup");
    format!(
        "{program} {} [{}]\n.br\n{program} {} {} {}",
        italic("COMMAND"),
        italic("OPTIONS"),
        bold("--role donor"),
        bold("--address"),
        text("...  (as mysqld calls it)")
    )
}

fn paragraphs(plain: &str) -> String {
    plain.split("\n\n").map(text).collect::<Vec<_>>().join("\n.PP\n")
}

/// Every command that is not hidden, with its own arguments.
fn commands(program: &Command) -> Result<String> {
    let mut body = String::new();
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        if command.get_name() == "help" {
            continue;
        }
        let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string);
        let usage = command.clone().render_usage().to_string();
        let usage = usage.split_once("wsrep_sst_backup ").map_or(command.get_name(), |(_, rest)| rest);
        body += &format!(".SS \"{}\"\n{}\n", text(usage), text(&about.unwrap_or_default()));
        body += &arguments(command, |heading| heading != Some(COMMON))?;
    }
    Ok(body)
}

/// The flags that every command has, from one that has them.
fn common(program: &Command) -> Result<String> {
    let list = program.find_subcommand("list").context("there is no 'list'")?;
    arguments(list, |heading| heading == Some(COMMON))
}

/// The arguments under headings that are wanted, without section headings.
fn arguments(command: &Command, wanted: impl Fn(Option<&str>) -> bool) -> Result<String> {
    let shown = command.clone().mut_args(|argument| {
        let is_help = argument.get_id() == "help";
        let hide = is_help || !wanted(argument.get_help_heading());
        let hide = hide || argument.is_hide_set();
        argument.hide(hide)
    });
    let mut roff = Vec::new();
    Man::new(shown).render_options_section(&mut roff)?;
    let roff = String::from_utf8(roff)?;
    // Its headings would be sections of the page, and its preamble stands at the top already.
    let is_kept = |line: &&str| ![".SH", ".ie", ".el"].iter().any(|macro_| line.starts_with(macro_));
    let lines = roff.lines().filter(is_kept);
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

fn examples() -> String {
    let told = [
        ("Would a backup work here?", "wsrep_sst_backup check"),
        ("Take one, from whichever member serves no clients:", "wsrep_sst_backup backup"),
        (
            "The same from a timer that several nodes have; one of them takes it:",
            "wsrep_sst_backup backup --unless-newer-than 20h",
        ),
        ("Read the newest one back, every checksum:", "wsrep_sst_backup verify latest"),
        ("Prove it: start a server on it, in a scratch folder:", "wsrep_sst_backup drill latest"),
        (
            "A node has lost its data, and is to join its cluster by IST:",
            "systemctl stop mariadb\nwsrep_sst_backup restore latest --to /var/lib/mysql\nsystemctl start mariadb",
        ),
    ];
    told.iter().map(|(what, how)| format!(".PP\n{}\n{}", text(what), example(how))).collect()
}

fn environment() -> Vec<(String, &'static str)> {
    vec![(
        format!("{}{}", bold("WSREP_SST_BACKUP_"), italic("NAME")),
        "Each setting of wsrep_sst_backup.cnf(5), in capitals and with _ for -. It overrides the option files; a flag \
         overrides it.",
    )]
}

fn files() -> Vec<(String, &'static str)> {
    vec![
        (
            italic("/etc/mysql/mariadb.conf.d/60-wsrep_sst_backup.cnf"),
            "Settings, on Debian and Ubuntu. Each option file of the server is read, group [wsrep_sst_backup].",
        ),
        (italic("/etc/my.cnf.d/wsrep_sst_backup.cnf"), "The same on systems with RPM packages."),
        (italic("/var/backups/wsrep_sst_backup"), "The repository, unless another is set."),
        (
            italic(
                "wsrep-sst-backup.timer, wsrep-sst-backup-run.timer, wsrep-sst-backup-verify.timer, wsrep-sst-backup-drill.timer, wsrep-sst-backup-prune.timer",
            ),
            "Units of systemd: a backup a night, a verify a week, a drill a month, old backups removed; off until they are enabled.",
        ),
    ]
}

fn exit_status() -> Vec<(String, &'static str)> {
    [
        ("0", "Done."),
        ("1", "Failed."),
        ("2", "Wrong usage or configuration."),
        ("3", "No such backup."),
        ("4", "The backup is damaged."),
    ]
    .map(|(number, meaning)| (bold(number), meaning))
    .to_vec()
}
