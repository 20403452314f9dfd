//! Runs that go on, and runs that have made no backup.

use super::backups::fate;
use super::data::{AttemptRow, Cluster, PruneForecast};
use super::markup::Markup;
use super::text::{minute, percent};
use crate::catalog::AttemptState;
use crate::model::{BackupState, Status};
use crate::ui::{bytes, duration_ms};

/// All of a cluster, newest first.
pub(super) fn table(page: &mut Markup, cluster: &Cluster, row: &dyn Fn(&str) -> String) {
    if cluster.runs.is_empty() {
        return;
    }
    let has_policy = cluster.runs.iter().any(|run| run.fate.is_some());
    page.leaf("h3", &[], "Runs without a backup");
    page.element("table", &[("class", "runs")], |page| {
        page.element("thead", &[], |page| {
            page.element("tr", &[], |page| {
                let names = ["Run", "State", "What is known"];
                for name in names.into_iter().chain(has_policy.then_some("Retention")) {
                    page.leaf("th", &[("scope", "col")], name);
                }
            });
        });
        page.element("tbody", &[], |page| {
            for run in cluster.runs.iter().rev() {
                let id = row(run.id.as_str());
                page.element("tr", &[("id", &id)], |page| cells(page, run, has_policy));
            }
        });
    });
}

fn cells(page: &mut Markup, run: &AttemptRow, has_policy: bool) {
    page.element("td", &[("class", "what")], |page| {
        page.leaf("strong", &[], &run.id.started().map_or_else(|| "?".into(), minute));
        page.leaf("code", &[], run.id.as_str());
        if let Some(status) = &run.status {
            page.leaf("small", &[], &status.node);
        }
    });
    let (class, word, words) = told(run);
    page.element("td", &[("data-name", "State")], |page| {
        page.leaf("span", &[("class", &format!("badge {class}"))], word);
    });
    page.element("td", &[("data-name", "What is known"), ("class", "story")], |page| {
        page.leaf("span", &[], &words);
        if let Some(ms) = run.status.as_ref().and_then(|status| status.frozen_ms) {
            page.leaf("small", &[], &format!("the server was frozen for {}", duration_ms(ms)));
        }
    });
    if has_policy {
        page.element("td", &[("data-name", "Retention"), ("class", "fate")], |page| {
            fate(page, untold(run).as_ref());
        });
    }
}

/// What the policy says, without what stands beside it already.
fn untold(run: &AttemptRow) -> Option<PruneForecast> {
    let fate = run.fate.clone()?;
    let AttemptState::Failed(Some(why)) = &run.standing else { return Some(fate) };
    let story = format!("failed: {why}");
    let rest = |reason: &String| {
        let rest = reason.strip_prefix(&story).unwrap_or(reason).trim_start_matches("; ");
        (!rest.is_empty()).then(|| rest.to_owned())
    };
    Some(PruneForecast { reasons: fate.reasons.iter().filter_map(rest).collect(), ..fate })
}

/// Class and word of the badge, and what is known beside it.
fn told(run: &AttemptRow) -> (&'static str, &'static str, String) {
    match &run.standing {
        AttemptState::Running(state) => ("running", "running", progress(*state, run.status.as_ref())),
        AttemptState::Failed(why) => {
            ("bad", "failed", why.clone().unwrap_or_else(|| "It does not say why.".into()))
        }
        AttemptState::Dead(None) => {
            ("bad", "dead", "It has left no word: its program was killed, or its machine.".into())
        }
        AttemptState::Dead(Some(at)) => (
            "bad",
            "dead",
            format!("Nothing was heard of it since {}: it was killed, or its machine.", minute(*at)),
        ),
        AttemptState::Removed => {
            ("plain", "removed", "Its backup was removed; this is what is left of it.".into())
        }
    }
}

fn progress(state: BackupState, status: Option<&Status>) -> String {
    let what = match state {
        BackupState::Ahead => "copying ahead; the server runs",
        BackupState::Freezing => "freezing the server",
        BackupState::Copying => "copying; the server is frozen",
        BackupState::Thawed => "storing; the server runs again",
        BackupState::Publishing => "publishing",
        BackupState::Starting | BackupState::Done | BackupState::Failed => "starting",
    };
    match status.map(|status| (status.bytes_done, status.bytes_total)) {
        Some((done, Some(total))) if total > 0 => {
            format!("{what}: {} of {}, {}", bytes(done), bytes(total), percent(done, total))
        }
        _ => what.into(),
    }
}
