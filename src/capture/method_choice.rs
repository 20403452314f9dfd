//! Which methods there are, and which one is taken on a server.

use std::time::Duration;

use super::freeze::Freeze;
use super::logical::Logical;
use super::mariadb_backup::BackupProgram;
use super::method::{Estimate, Method, Prospect};
use super::precopy::Precopy;
use super::snapshot::Snapshot;
use crate::config::{ConfigError, MethodChoice, OptionFiles, Settings, SettingsOverrides, ValueError};
use crate::model::{MethodReason, PassedMethod};
use crate::output::millis;
use crate::quiesce::Files;
use crate::ui::duration_ms;

/// All methods, the one with the least harm first: the order in which `auto` tries them.
pub const METHODS: &[&dyn Method] = &[
    &Snapshot,
    &Precopy,
    &Freeze,
    &BackupProgram,
    &Logical,
    #[cfg(test)]
    &super::sample::Sample,
];

/// `auto` takes another method than the first that works where that one has the server stand still for so much less. What `precopy` reads again,
/// and what mariadb-backup does under its own lock, takes less than that, and is not known before.
const MUCH: Duration = Duration::from_secs(1);

/// A method, and why it is that one.
#[derive(Clone)]
pub struct Choice {
    /// The method.
    pub method: &'static dyn Method,
    /// What it is expected to cost.
    pub estimate: Estimate,
    /// What the files are to be worth while it reads them: one of those that were offered.
    pub files: Files,
    /// Methods before it that are not taken here, and why, each a phrase.
    pub passed: Vec<PassedMethod>,
    /// It was not asked for by its name.
    pub is_automatic: bool,
}

impl Choice {
    /// What the manifest says of it.
    pub fn reason(&self) -> MethodReason {
        MethodReason { automatic: self.is_automatic, passed: self.passed.clone() }
    }

    /// Says in the log which method is taken, why not another one, and what it is expected to cost.
    pub fn tell(&self) {
        self.passed.iter().for_each(|passed| log::info!("another method is taken than {passed}"));
        let name = self.method.name();
        match self.estimate {
            Estimate::WhileRead { .. } => {
                log::info!("the method is {name}: the server stands still while its data is read");
            }
            Estimate::About(time) => log::info!(
                "the method is {name}: the server stands still for about {} beyond its own flush",
                duration_ms(millis(time))
            ),
            Estimate::Commanded(limit) => log::info!(
                "the method is {name}: the server stands still while snapshot-command is at work, for {} at most",
                duration_ms(millis(limit))
            ),
            Estimate::Unfrozen => {
                log::info!("the method is {name}: the server is not made to stand still by this program");
            }
        }
    }
}

/// Resolves the settings, and sees whether there is a method as they name it.
pub fn settings(
    files: &OptionFiles,
    env: impl Iterator<Item = (String, String)>,
    flags: &SettingsOverrides,
) -> Result<Settings, ConfigError> {
    let settings = Settings::resolve(files, env, flags)?;
    match &settings.method {
        MethodChoice::Named(name) => find(name).map(drop).map_err(|problem| ConfigError::Value {
            name: "method",
            origin: settings.method_origin.clone(),
            problem: ValueError::new(problem),
        })?,
        MethodChoice::Auto => {}
    }
    Ok(settings)
}

/// The method of this name; the text says which there are.
fn find(name: &str) -> Result<&'static dyn Method, String> {
    METHODS.iter().find(|method| method.name() == name).copied().ok_or_else(|| {
        let names: Vec<&str> = METHODS.iter().map(|method| method.name()).collect();
        format!("'{name}' is not one of auto, {}", names.join(", "))
    })
}

/// The method that is taken on this server, where its files can be made worth one of `offered` while they are read, the best first; the text
/// says why there is none. Those that have given up already are not tried again.
pub fn choose(
    wanted: &MethodChoice,
    offered: &[Files],
    prospect: &Prospect<'_>,
    given_up: &[PassedMethod],
) -> Result<Choice, String> {
    let fits = |method: &dyn Method, is_automatic: bool| {
        let fits =
            |files: &&Files| method.accepts(**files) && (!is_automatic || method.is_automatic(**files));
        offered.iter().find(fits).copied()
    };
    let candidates: Vec<_> = match wanted {
        MethodChoice::Auto => {
            METHODS.iter().filter_map(|method| Some((*method, fits(*method, true)?))).collect()
        }
        MethodChoice::Named(name) => {
            let method = find(name)?;
            vec![(method, fits(method, false).ok_or_else(|| unfit(name))?)]
        }
    };
    pick(&candidates, *wanted == MethodChoice::Auto, prospect, given_up, MUCH)
}

/// A method, and what it can make of the files.
type Candidate = (&'static dyn Method, Files);

/// The first one that works, and that no later one is shorter than by `much`.
fn pick(
    candidates: &[Candidate],
    is_automatic: bool,
    prospect: &Prospect<'_>,
    given_up: &[PassedMethod],
    much: Duration,
) -> Result<Choice, String> {
    let judged = |(method, files): &Candidate| {
        let prospect = Prospect { worth: *files, ..*prospect };
        let estimate = match given_up.iter().find(|given_up| given_up.method == method.name()) {
            Some(given_up) => Err(given_up.why.clone().unwrap_or_default()),
            None => method.estimate(&prospect),
        };
        let needless = || if is_automatic { method.needless(&prospect) } else { None };
        estimate.and_then(|estimate| needless().map_or(Ok(estimate), Err))
    };
    let mut passed: Vec<PassedMethod> = Vec::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let (method, files) = *candidate;
        let others = candidates.iter().skip(number + 1).filter_map(|other| {
            let time = judged(other).ok()?.standstill(prospect)?;
            Some((other.0.name(), time))
        });
        let heeded = |estimate| outlasts(estimate, others, much).map_or(Ok(estimate), Err);
        match judged(candidate).and_then(heeded) {
            Ok(estimate) => return Ok(Choice { method, estimate, files, passed, is_automatic }),
            Err(why) => passed.push(PassedMethod { method: method.name().into(), why: Some(why) }),
        }
    }
    let passed: Vec<String> = passed.iter().map(PassedMethod::to_string).collect();
    Err(format!("no method works on this server: {}", passed.join("; ")))
}

/// Why a method of this estimate is passed by although it works: another one, named with how long the server stands still by it, is shorter by
/// `much`. The others are asked only where it matters: some look at every file.
fn outlasts(
    estimate: Estimate,
    mut others: impl Iterator<Item = (&'static str, Duration)>,
    much: Duration,
) -> Option<String> {
    let Estimate::About(own) = estimate else { return None };
    let bound = own.checked_sub(much)?;
    let (other, _) = others.find(|(_, time)| *time <= bound)?;
    Some(format!(
        "the server would stand still for about {}, and with {other} for much less",
        duration_ms(millis(own))
    ))
}

/// What `run` can make the files of a server worth, the best first: a method that can read a server as it runs does not lock it. One that is no node is
/// locked for a dump alone.
pub fn offered_by_run(wanted: &MethodChoice, is_node: bool) -> &'static [Files] {
    let is_dumped = matches!(wanted, MethodChoice::Named(name) if name == Logical.name());
    if is_node || is_dumped { &[Files::Changing, Files::Crashed] } else { &[Files::Changing] }
}

fn unfit(name: &str) -> String {
    format!(
        "method '{name}' reads the files of a server that stands still as in a state transfer, and 'run' asks for none: take \
         method=auto or mariadb-backup, or let garbd ask ('backup')"
    )
}

#[cfg(test)]
#[path = "method_choice_tests.rs"]
mod tests;
