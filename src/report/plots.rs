//! Which plots a cluster has.

use jiff::Timestamp;

use super::axis::{TimeAxis, bytes_step, ms_step, value_ticks};
use super::data::{AttemptRow, Backup, Cluster};
use super::markup::Markup;
use super::plot::{Cross, Plot, PlotBar};
use super::text::{minute, stored};
use crate::catalog::AttemptState;
use crate::model::Manifest;
use crate::ui::{bytes, duration_ms};

/// Fewer backups than this have no course.
const FEWEST: usize = 2;

const SIZES: [(&str, &str); 3] = [("data", "data"), ("stored", "stored"), ("bad", "failed")];
const FREEZES: [(&str, &str); 3] = [("frozen", "copy"), ("flush", "flush"), ("bad", "failed")];

/// Sizes, freezes and flushes; nothing where there is no course.
pub(super) fn plots(page: &mut Markup, cluster: &Cluster, row: &dyn Fn(&str) -> String) {
    let usable: Vec<(&Backup, &Manifest)> = cluster.usable().collect();
    if usable.len() < FEWEST {
        return;
    }
    let failed: Vec<(&AttemptRow, Timestamp)> = cluster.runs.iter().filter_map(failed).collect();
    let taken = usable.iter().map(|(_, manifest)| manifest.frozen_at);
    let Some(time) = TimeAxis::over(taken.clone().chain(failed.iter().map(|(_, at)| *at))) else { return };
    let scene = PlotContext { usable: &usable, time: &time, slots: time.slots(taken.collect()), row };
    let crosses = |with_freeze: bool| -> Vec<Cross> {
        let cross = |(run, at): &(&AttemptRow, Timestamp)| Cross {
            at: time.place(*at),
            frozen_ms: run.status.as_ref().and_then(|status| status.frozen_ms).filter(|_| with_freeze),
            title: format!("{}: no backup", run.id),
            row: row(run.id.as_str()),
        };
        failed.iter().map(cross).collect()
    };
    page.element("div", &[("class", "plots")], |page| {
        scene.sizes(&crosses(false)).draw(page);
        scene.freezes(&crosses(true)).draw(page);
        scene.flushes().draw(page);
    });
}

/// A run that has made no backup, and when that was.
fn failed(run: &AttemptRow) -> Option<(&AttemptRow, Timestamp)> {
    matches!(run.standing, AttemptState::Failed(_) | AttemptState::Dead(_))
        .then(|| run.id.started())
        .flatten()
        .map(|at| (run, at))
}

struct PlotContext<'a> {
    usable: &'a [(&'a Backup, &'a Manifest)],
    time: &'a TimeAxis,
    slots: u32,
    row: &'a dyn Fn(&str) -> String,
}

impl<'a> PlotContext<'a> {
    fn bars(
        &self,
        words: &dyn Fn(&Manifest) -> String,
        parts: &dyn Fn(&Manifest) -> Vec<(&'static str, u64)>,
    ) -> Vec<PlotBar> {
        let bar = |(backup, manifest): &(&Backup, &Manifest)| PlotBar {
            at: self.time.place(manifest.frozen_at),
            parts: parts(manifest),
            title: format!("{}\n{}", minute(manifest.frozen_at), words(manifest)),
            row: (self.row)(backup.id.as_str()),
        };
        self.usable.iter().map(bar).collect()
    }

    fn most(&self, number: &dyn Fn(&Manifest) -> u64) -> u64 {
        self.usable.iter().map(|(_, manifest)| number(manifest)).max().unwrap_or(0)
    }

    fn sizes(&self, crosses: &'a [Cross]) -> Plot<'a> {
        let words = |m: &Manifest| format!("{} stored, of {} of data", bytes(stored(m)), bytes(m.data_bytes));
        let most = self.most(&|manifest| manifest.data_bytes.max(stored(manifest)));
        let (top, ticks) = value_ticks(most, bytes_step(most), &short_bytes);
        Plot {
            title: "Size",
            legend: if crosses.is_empty() { &SIZES[..2] } else { &SIZES },
            bars: self.bars(&words, &|m| vec![("data", m.data_bytes), ("stored", stored(m))]),
            crosses,
            top,
            ticks,
            time: self.time,
            slots: self.slots,
            label: format!("Sizes of {} backups over time, up to {}", self.usable.len(), bytes(most)),
        }
    }

    fn freezes(&self, crosses: &'a [Cross]) -> Plot<'a> {
        let words = |m: &Manifest| {
            format!("frozen for {}, flush {}", duration_ms(m.frozen_ms), duration_ms(m.flush_ms))
        };
        let cost = crosses.iter().filter_map(|cross| cross.frozen_ms).max().unwrap_or(0);
        let most = self.most(&|manifest| manifest.frozen_ms).max(cost);
        let (top, ticks) = value_ticks(most, ms_step(most), &in_unit_of(ms_step(most)));
        Plot {
            title: "Time the server was frozen",
            legend: if crosses.is_empty() { &FREEZES[..2] } else { &FREEZES },
            bars: self.bars(&words, &|m| vec![("frozen", m.frozen_ms), ("flush", m.flush_ms)]),
            crosses,
            top,
            ticks,
            time: self.time,
            slots: self.slots,
            label: format!("Freezes of {} backups over time, up to {}", self.usable.len(), duration_ms(most)),
        }
    }

    fn flushes(&self) -> Plot<'a> {
        let words = |m: &Manifest| format!("flush {}", duration_ms(m.flush_ms));
        let most = self.most(&|manifest| manifest.flush_ms);
        let (top, ticks) = value_ticks(most, ms_step(most), &in_unit_of(ms_step(most)));
        Plot {
            title: "Of it, to flush tables",
            legend: &[],
            bars: self.bars(&words, &|m| vec![("flush", m.flush_ms)]),
            crosses: &[],
            top,
            ticks,
            time: self.time,
            slots: self.slots,
            label: format!("Flush times of {} backups, up to {}", self.usable.len(), duration_ms(most)),
        }
    }
}

/// `0`, `50 GiB`: a step has no fraction that matters.
fn short_bytes(count: u64) -> String {
    if count == 0 {
        return "0".into();
    }
    let text = bytes(count);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// In the unit of the step: `500 ms`, `90 s`, `2 min`, `1 h`.
fn in_unit_of(step: u64) -> impl Fn(u64) -> String {
    let (unit, name) = match step {
        _ if step.is_multiple_of(3_600_000) => (3_600_000, "h"),
        _ if step.is_multiple_of(60_000) => (60_000, "min"),
        _ if step.is_multiple_of(1000) => (1000, "s"),
        _ => (1, "ms"),
    };
    move |ms| if ms == 0 { "0".into() } else { format!("{} {name}", ms / unit) }
}
