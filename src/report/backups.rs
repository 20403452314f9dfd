//! The table of the backups, newest first; on a narrow screen each row is a card.

use jiff::Timestamp;

use super::data::{Backup, Cluster, PruneForecast};
use super::markup::Markup;
use super::text::{age, counted, minute, percent, stored, took};
use crate::catalog::{Drilled, Verified};
use crate::model::{DrillOutcome, Manifest, VerifyOutcome};
use crate::ui::{bytes, duration_ms, grouped};

/// A week of nights; what is older is folded away.
const SHOWN: usize = 7;

/// All backups of a cluster.
pub(super) fn table(page: &mut Markup, cluster: &Cluster, now: Timestamp, row: &dyn Fn(&str) -> String) {
    if cluster.backups.is_empty() {
        return;
    }
    page.leaf("h3", &[], "Backups");
    let newest_first: Vec<&Backup> = cluster.backups.iter().rev().collect();
    let (shown, folded) = newest_first.split_at(SHOWN.min(newest_first.len()));
    // Two or three more are no reason to fold.
    let (shown, folded) = if folded.len() <= 3 { (&newest_first[..], &[][..]) } else { (shown, folded) };
    let has_policy = cluster.backups.iter().any(|backup| backup.fate.is_some());
    rows(page, shown, has_policy, now, row);
    if !folded.is_empty() {
        page.element("details", &[], |page| {
            page.leaf("summary", &[], &format!("{} more, older", folded.len()));
            rows(page, folded, has_policy, now, row);
        });
    }
}

fn rows(
    page: &mut Markup,
    backups: &[&Backup],
    has_policy: bool,
    now: Timestamp,
    row: &dyn Fn(&str) -> String,
) {
    let class = if has_policy { "backups with-policy" } else { "backups" };
    page.element("table", &[("class", class)], |page| {
        page.element("thead", &[], |page| {
            page.element("tr", &[], |page| {
                for name in ["Backup", "Data", "Stored", "Frozen", "Took", "Verified", "State"] {
                    page.leaf("th", &[("scope", "col")], name);
                }
                if has_policy {
                    page.leaf("th", &[("scope", "col")], "Retention");
                }
            });
        });
        page.element("tbody", &[], |page| {
            for backup in backups {
                let id = row(backup.id.as_str());
                page.element("tr", &[("id", &id)], |page| cells(page, backup, has_policy, now));
            }
        });
    });
}

fn cells(page: &mut Markup, backup: &Backup, has_policy: bool, now: Timestamp) {
    page.element("td", &[("class", "what")], |page| {
        let manifest = backup.manifest.as_ref().ok();
        let at = manifest.map(|manifest| manifest.frozen_at).or_else(|| backup.id.started());
        page.leaf("strong", &[], &at.map_or_else(|| "?".into(), minute));
        page.leaf("code", &[], backup.id.as_str());
        if let Some(manifest) = manifest {
            let position = manifest.position();
            let small = match &manifest.gtid {
                Some(gtid) => format!("{} · seqno {}", manifest.node, gtid.seqno),
                None => format!("{} · {position}", manifest.node),
            };
            page.leaf("small", &[("title", &position)], &small);
        }
    });
    match &backup.manifest {
        Ok(manifest) => numbers(page, manifest),
        Err(_) => {
            for _ in 0..4 {
                page.leaf("td", &[("class", "number none")], "–");
            }
        }
    }
    page.element("td", &[("data-name", "Verified")], |page| {
        verified(page, backup.verified.as_ref(), now);
        drilled(page, backup.drilled.as_ref(), now);
    });
    page.element("td", &[("data-name", "State")], |page| state(page, backup));
    if has_policy {
        page.element("td", &[("data-name", "Retention"), ("class", "fate")], |page| {
            fate(page, backup.fate.as_ref());
        });
    }
}

/// A number, and in small what it consists of.
fn number(page: &mut Markup, name: &str, text: &str, small: &str) {
    page.element("td", &[("data-name", name), ("class", "number")], |page| {
        page.leaf("span", &[], text);
        page.leaf("small", &[], small);
    });
}

fn numbers(page: &mut Markup, manifest: &Manifest) {
    let size = stored(manifest);
    number(page, "Data", &bytes(manifest.data_bytes), &format!("{} files", grouped(manifest.files)));
    let of = format!("{} · {}", percent(size, manifest.data_bytes), manifest.archive.compression.name());
    number(page, "Stored", &bytes(size), &of);
    let flush = format!("flush {}", duration_ms(manifest.flush_ms));
    number(page, "Frozen", &duration_ms(manifest.frozen_ms), &flush);
    number(page, "Took", &took(manifest), &manifest.method);
}

fn badge(page: &mut Markup, class: &str, text: &str) {
    page.leaf("span", &[("class", &format!("badge {class}"))], text);
}

fn verified(page: &mut Markup, verified: Option<&Verified>, now: Timestamp) {
    match verified {
        None => page.leaf("span", &[("class", "none")], "never"),
        Some(unreadable @ Verified::Unreadable { .. }) => {
            badge(page, "warning", "unknown");
            page.leaf("small", &[], &unreadable.words());
        }
        Some(Verified::By(found)) => {
            match found.outcome {
                VerifyOutcome::Intact => badge(page, "well", "intact"),
                VerifyOutcome::Damaged => badge(page, "bad", "damaged"),
            }
            page.leaf("small", &[], &format!("{} ago by {}", age(found.verified, now), found.by));
            if let Some(first) = &found.first_finding {
                page.leaf("small", &[("class", "bad")], first);
            }
        }
    }
}

/// Nothing where it never was: few backups are.
fn drilled(page: &mut Markup, drilled: Option<&Drilled>, now: Timestamp) {
    match drilled {
        None => {}
        Some(unreadable @ Drilled::Unreadable { .. }) => {
            badge(page, "warning", "drill unknown");
            page.leaf("small", &[], &unreadable.words());
        }
        Some(Drilled::By(found)) => {
            match found.outcome {
                DrillOutcome::Proved => badge(page, "well", "drilled"),
                DrillOutcome::Failed => badge(page, "bad", "drill failed"),
            }
            let took = format!(
                "{} ago, server up after {}",
                age(found.drilled, now),
                duration_ms(found.recovery_ms())
            );
            page.leaf("small", &[], &took);
            if let Some(why) = &found.reason {
                page.leaf("small", &[("class", "bad")], why);
            }
        }
    }
}

fn state(page: &mut Markup, backup: &Backup) {
    match &backup.manifest {
        Ok(manifest) => {
            badge(page, "plain", "complete");
            if manifest.lost_pages() > 0 {
                let (pages, how) = (grouped(manifest.lost_pages()), manifest.lost_in_a_word());
                badge(page, "bad", &format!("{pages} {how} pages"));
            }
            if manifest.warning_count() > 0 {
                page.element("details", &[("class", "notes")], |page| {
                    let count = usize::try_from(manifest.warning_count()).unwrap_or(usize::MAX);
                    page.leaf("summary", &[], &counted(count, "warning"));
                    for warning in manifest.warning_lines() {
                        page.leaf("small", &[], &warning);
                    }
                });
            }
        }
        Err(why) => {
            badge(page, "bad", "unusable");
            page.leaf("small", &[("class", "bad")], why);
        }
    }
    if let Some(words) = &backup.held {
        badge(page, "held", "held");
        page.leaf("small", &[], words);
    }
}

/// What `prune` would do, in small.
pub(super) fn fate(page: &mut Markup, fate: Option<&PruneForecast>) {
    let Some(fate) = fate else { return page.leaf("span", &[("class", "none")], "–") };
    let (class, word) = match (fate.goes, fate.is_doubtful) {
        (true, _) => ("goes", "goes"),
        (false, true) => ("warning", "stays"),
        (false, false) => ("plain", "stays"),
    };
    badge(page, class, word);
    for reason in &fate.reasons {
        page.leaf("small", &[], reason);
    }
}
