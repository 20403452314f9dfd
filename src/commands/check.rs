//! `check`: would a backup work here?
//!
//! `--json` gives one object: `findings` in order, each with `level` (`ok`, `warning`, `error`), `topic`, `text` and
//! `cure` (null where nothing is to be done), and `counts` with `ok`, `warnings` and `errors`.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{CommandError, CommonArgs, print, print_json, write_metrics};
use crate::catalog::Catalog;
use crate::check::{self, Finding, Level, Options};
use crate::config::{Flag, Settings, flag, parse_duration};
use crate::metrics::Scope;
use crate::model::{not_understood, safe_component};
use crate::ui::TextPage;

const MEMBERS: Flag = flag("members", "check");

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// An error when the newest backup is older than this, e.g. 26h (without it: a warning after 36h)
    #[arg(long, value_name = "DURATION")]
    max_age: Option<String>,
    /// How long the write rate is measured; 0 for not at all
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    sample: String,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help)]
    members: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

fn duration(flag: &str, text: &str) -> Result<Duration, CommandError> {
    parse_duration(text).map_err(|error| CommandError::Usage(format!("--{flag}: {error}")))
}

/// Runs `check`.
pub fn run(args: &CheckArgs) -> Result<(), CommandError> {
    let max_age = args.max_age.as_deref().map(|text| duration("max-age", text)).transpose()?;
    let sample = match args.sample.as_str() {
        "0" => None,
        text => Some(duration("sample", text)?),
    };
    let findings = match args.common.resolve(|flags| flags.set(MEMBERS, args.members.as_deref())) {
        Ok((files, settings)) => {
            let now = Timestamp::now();
            let options = Options { settings: &settings, files: &files, max_age, sample, now };
            let outcome = check::check(&options);
            tell_metrics(&settings, outcome.cluster.as_deref(), outcome.catalog);
            outcome.findings
        }
        Err(fault) if fault.is_usage() => return Err(fault.into()),
        Err(fault) => vec![check::unusable_settings(&fault.to_string())],
    };
    if args.json {
        print_json(&as_json(&findings))?;
    } else {
        print(&as_text(&findings))?;
    }
    if count(&findings, Level::Error) == 0 { Ok(()) } else { Err(CommandError::Shown) }
}

/// From what was found; the repository is not touched again.
fn tell_metrics(settings: &Settings, cluster: Option<&str>, catalog: Option<Catalog>) {
    if settings.metrics_file.is_none() {
        return;
    }
    let cluster = cluster.map(safe_component);
    let scope = cluster.as_deref().map_or(Scope::All, Scope::Cluster);
    write_metrics(settings, scope, catalog);
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

fn as_json(findings: &[Finding]) -> serde_json::Value {
    let of = |level| count(findings, level);
    json!({
        "findings": findings,
        "counts": { "ok": of(Level::Ok), "warnings": of(Level::Warning), "errors": of(Level::Error) },
    })
}

/// One line a finding, the cure below it; what is wrong is in capitals.
fn as_text(findings: &[Finding]) -> TextPage {
    let width = findings.iter().map(|finding| finding.topic.chars().count()).max().unwrap_or(0);
    let mut page = TextPage::new();
    for finding in findings {
        let state = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        page.line(format!("{state:<7}  {:<width$}  {}", finding.topic, finding.text));
        if let Some(cure) = &finding.cure {
            page.line(format!("{:<7}  {:<width$}  -> {cure}", "", ""));
        }
    }
    page.blank();
    page.line(summary(findings));
    page
}

/// `2 errors, 1 warning, 14 ok`.
fn summary(findings: &[Finding]) -> String {
    let of = |level| count(findings, level);
    let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {} ok",
        many(of(Level::Error), "error"),
        many(of(Level::Warning), "warning"),
        of(Level::Ok)
    )
}

/// The child of `check`: a request on stdin, the answer on stdout.
pub fn look_from_server() -> Result<(), CommandError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::Failed(format!("cannot read stdin: {error}")))?;
    let request = serde_json::from_slice(&bytes).map_err(|error| {
        CommandError::Usage(format!(
            "'{}' is started by 'check' only: {}",
            check::PROBE_COMMAND,
            not_understood(&error)
        ))
    })?;
    print_json(&check::look(&request))
}
