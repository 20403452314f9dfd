//! Times and sizes in the words of the page.

use jiff::{SignedDuration, Timestamp};

use crate::model::Manifest;
use crate::ui::duration_ms;

/// `2026-11-20 11:34 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long ago: `4 min`, `7 h 12 min`, `31 h`, `3 days`. A moment to come is none.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(at).max(SignedDuration::ZERO);
    let minutes = age.as_mins();
    match minutes {
        0 => "less than a minute".into(),
        1..=59 => format!("{minutes} min"),
        60..=599 => format!("{} h {:02} min", minutes / 60, minutes % 60),
        600..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

/// From the start of a run to its end.
pub(super) fn took(manifest: &Manifest) -> String {
    let took = manifest.finished.duration_since(manifest.started).as_millis();
    duration_ms(u64::try_from(took).unwrap_or(0))
}

/// `1 backup`, `2 backups`.
pub(super) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// What a backup takes up: archive and index.
pub(super) fn stored(manifest: &Manifest) -> u64 {
    manifest.archive.bytes.saturating_add(manifest.index.bytes)
}

/// `32 %`; nothing of nothing is nothing.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{percent} %")
}
