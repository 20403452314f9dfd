//! The part of the page about one cluster.

use jiff::Timestamp;

use super::attention::{Point, Urgency, level, points};
use super::data::{Backup, Cluster};
use super::markup::Markup;
use super::text::{age, counted, minute, percent, stored};
use super::{backups, plots, runs};
use crate::catalog::AttemptState;
use crate::model::{DrillOutcome, Manifest, VerifyOutcome};
use crate::ui::{bytes, duration_ms, grouped};

/// One cluster; `nth` tells its ids from those of the others.
pub(super) fn section(page: &mut Markup, cluster: &Cluster, nth: usize, now: Timestamp) {
    let points = points(cluster, now);
    let row = |id: &str| format!("c{nth}-{id}");
    page.element("section", &[("id", &format!("c{nth}"))], |page| {
        page.element("h2", &[], |page| {
            page.leaf("span", &[], &cluster.folder);
            pill(page, level(&points));
        });
        attention(page, &points, &row);
        running(page, cluster);
        tiles(page, cluster, now);
        plots::plots(page, cluster, &row);
        backups::table(page, cluster, now, &row);
        runs::table(page, cluster, &row);
    });
}

/// The state of a cluster in a word.
pub(super) fn pill(page: &mut Markup, level: Urgency) {
    let (class, word) = match level {
        Urgency::Well => ("pill well", "all is well"),
        Urgency::Warning => ("pill warning", "worth a look"),
        Urgency::Bad => ("pill bad", "needs attention"),
    };
    page.leaf("span", &[("class", class)], word);
}

fn attention(page: &mut Markup, points: &[Point], row: &dyn Fn(&str) -> String) {
    if points.is_empty() {
        return;
    }
    page.element("ul", &[("class", "attention")], |page| {
        for Point { level, text, about } in points {
            let class = if *level == Urgency::Bad { "bad" } else { "warning" };
            page.element("li", &[("class", class)], |page| match about {
                Some(id) => page.leaf("a", &[("href", &format!("#{}", row(id.as_str())))], text),
                None => page.text(text),
            });
        }
    });
}

/// What goes on now.
fn running(page: &mut Markup, cluster: &Cluster) {
    for run in cluster.runs.iter().filter(|run| matches!(run.standing, AttemptState::Running(_))) {
        page.leaf("p", &[("class", "now")], &format!("{} runs now.", run.id));
    }
}

/// One number that matters.
struct Tile<'a> {
    name: &'a str,
    value: String,
    class: &'static str,
    more: Vec<String>,
}

fn tiles(page: &mut Markup, cluster: &Cluster, now: Timestamp) {
    let newest = cluster.newest();
    let tiles = [
        newest.map(|(_, manifest)| of_newest(manifest, now)),
        Some(of_verification(cluster, now)),
        Some(of_drill(cluster, now)),
        newest.map(|(_, manifest)| of_freeze(cluster, manifest)),
        newest.map(|(_, manifest)| of_size(manifest)),
        Some(of_all(cluster)),
    ];
    page.element("div", &[("class", "tiles")], |page| {
        for Tile { name, value, class, more } in tiles.into_iter().flatten() {
            page.element("div", &[("class", "tile")], |page| {
                page.leaf("h4", &[], name);
                page.leaf("b", &[("class", class)], &value);
                for line in more {
                    page.leaf("small", &[], &line);
                }
            });
        }
    });
}

fn of_newest(manifest: &Manifest, now: Timestamp) -> Tile<'static> {
    let is_future = manifest.frozen_at > now;
    Tile {
        name: "Newest backup",
        value: if is_future {
            "from the future".into()
        } else {
            format!("{} old", age(manifest.frozen_at, now))
        },
        class: if is_future { "bad" } else { "" },
        more: vec![
            minute(manifest.frozen_at),
            format!("donor {}", manifest.node),
            format!("at {}", manifest.position()),
        ],
    }
}

/// The last verification, whichever backup it read.
fn of_verification(cluster: &Cluster, now: Timestamp) -> Tile<'static> {
    let known =
        cluster.backups.iter().filter_map(|backup| Some((backup, backup.verified.as_ref()?.known()?)));
    let name = "Last verification";
    let Some((backup, found)) = known.max_by_key(|(_, found)| found.verified) else {
        return Tile { name, value: "never".into(), class: "none", more: vec!["of the backups kept".into()] };
    };
    let (class, value) = match found.outcome {
        VerifyOutcome::Intact => ("well", "intact"),
        VerifyOutcome::Damaged => ("bad", "damaged"),
    };
    Tile {
        name,
        value: value.into(),
        class,
        more: vec![format!("{} ago", age(found.verified, now)), day_of(backup), format!("by {}", found.by)],
    }
}

/// Which backup, by the day on which it was taken.
fn day_of(backup: &Backup) -> String {
    let day = |at: Timestamp| at.strftime("backup of %Y-%m-%d").to_string();
    backup.id.started().map_or_else(|| backup.id.to_string(), day)
}

/// The last drill, and how long it takes until there is a server.
fn of_drill(cluster: &Cluster, now: Timestamp) -> Tile<'static> {
    let known = cluster.backups.iter().filter_map(|backup| Some((backup, backup.drilled.as_ref()?.known()?)));
    let name = "Last drill";
    let Some((backup, found)) = known.max_by_key(|(_, found)| found.drilled) else {
        return Tile { name, value: "never".into(), class: "none", more: vec!["of the backups kept".into()] };
    };
    let (class, value) = match found.outcome {
        DrillOutcome::Proved => ("well", "proved"),
        DrillOutcome::Failed => ("bad", "failed"),
    };
    Tile {
        name,
        value: value.into(),
        class,
        more: vec![
            format!("{} ago", age(found.drilled, now)),
            day_of(backup),
            format!("server up after {}", duration_ms(found.recovery_ms())),
        ],
    }
}

fn of_freeze(cluster: &Cluster, manifest: &Manifest) -> Tile<'static> {
    let mut all: Vec<u64> = cluster.usable().map(|(_, manifest)| manifest.frozen_ms).collect();
    all.sort_unstable();
    let usual = all.get(all.len() / 2).copied().unwrap_or(0);
    let longest = all.last().copied().unwrap_or(0);
    Tile {
        name: "Server frozen",
        value: duration_ms(manifest.frozen_ms),
        class: "",
        more: vec![
            format!("of it, flush {}", duration_ms(manifest.flush_ms)),
            format!("usually {}", duration_ms(usual)),
            format!("at most {}", duration_ms(longest)),
        ],
    }
}

fn of_size(manifest: &Manifest) -> Tile<'static> {
    let size = stored(manifest);
    Tile {
        name: "Stored",
        value: bytes(size),
        class: "",
        more: vec![
            format!("{} of {}", percent(size, manifest.data_bytes), bytes(manifest.data_bytes)),
            format!("{} files, {}", grouped(manifest.files), manifest.archive.compression.name()),
        ],
    }
}

fn of_all(cluster: &Cluster) -> Tile<'static> {
    let all: u64 = cluster.usable().map(|(_, manifest)| stored(manifest)).fold(0, u64::saturating_add);
    let held = cluster.backups.iter().filter(|backup| backup.held.is_some()).count();
    let oldest = cluster.usable().map(|(_, manifest)| manifest.frozen_at).min();
    let unusable = cluster.backups.len() - cluster.usable().count();
    let mut more = vec![format!("{} in all", bytes(all))];
    more.extend(oldest.map(|at| format!("since {}", at.strftime("%Y-%m-%d"))));
    let rest = [(held, "held"), (unusable, "unusable")];
    let rest: Vec<String> =
        rest.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    more.extend((!rest.is_empty()).then(|| rest.join(", ")));
    Tile { name: "Kept", value: counted(cluster.usable().count(), "backup"), class: "", more }
}
