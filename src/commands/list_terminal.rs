//! What `list` does for a terminal: lines that fit, and a picture of sizes and freezes.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Record};
use crate::model::Manifest;
use crate::ui::{Screen, TextPage, bytes, duration_ms, spark, visible};

/// Fewer backups than this have no trend.
const FEWEST: usize = 3;
/// More bars than this say no more.
const MOST_BARS: usize = 60;
/// What stands beside the bars: `Frozen`, `59 min 59 s to 23 h 59 min`, and blanks.
const ROOM_FOR_WORDS: usize = 36;

/// A table whose lines, but for its heading, have these notes: behind the line, where there is room, else below it.
pub(super) fn with_notes_below<'a>(
    table: &str,
    mut notes: impl Iterator<Item = &'a str>,
    width: usize,
) -> TextPage {
    let mut page = TextPage::new();
    for (nth, line) in table.lines().enumerate() {
        let note = visible(if nth == 0 { "" } else { notes.next().unwrap_or("") });
        if note.is_empty() {
            page.line(line);
        } else if line.chars().count() + 2 + note.chars().count() <= width {
            page.line(format!("{line}  {note}"));
        } else {
            page.line(line);
            page.line(format!("    {note}"));
        }
    }
    page
}

/// Sizes and times of the last backups of each cluster as bars, as many as fit into a line; nothing where the letters
/// for it are missing.
pub(super) fn trend(catalog: &Catalog, many: bool, screen: Screen) -> TextPage {
    if !screen.is_utf8 {
        return TextPage::new();
    }
    let mut clusters: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
    for Record { cluster, manifest, .. } in &catalog.records {
        clusters.entry(cluster).or_default().extend(manifest.as_ref().ok());
    }
    let room = screen.width.saturating_sub(ROOM_FOR_WORDS).clamp(1, MOST_BARS);
    let mut page = TextPage::new();
    for (cluster, manifests) in clusters.iter().filter(|(_, manifests)| manifests.len() >= FEWEST) {
        page.blank();
        if many {
            page.line(format!("Cluster {cluster}:"));
        }
        let last = &manifests[manifests.len().saturating_sub(room)..];
        page.line(bars("Stored", last.iter().map(|manifest| manifest.archive.bytes), bytes));
        page.line(bars(
            "Frozen",
            last.iter().map(|manifest| manifest.frozen_ms.max(manifest.paused_ms.unwrap_or(0))),
            duration_ms,
        ));
    }
    page
}

/// `Stored  ▇▇▇█  52.1 MiB to 53.0 MiB`.
fn bars(name: &str, numbers: impl Iterator<Item = u64>, words: fn(u64) -> String) -> String {
    let numbers: Vec<u64> = numbers.collect();
    let [least, most] =
        [numbers.iter().min(), numbers.iter().max()].map(|number| words(number.copied().unwrap_or(0)));
    let range = if least == most { most } else { format!("{least} to {most}") };
    format!("{name}  {}  {range}", spark(&numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_behind_its_line_or_below_it() {
        let table = "ID  SIZE\na      1\nb      2\nc      3\n";
        let shown = with_notes_below(table, ["ab", "", "abc"].into_iter(), 12);
        assert_eq!(shown.as_str(), "ID  SIZE\na      1  ab\nb      2\nc      3\n    abc\n");
    }

    #[test]
    fn the_words_beside_the_bars_fit() {
        let text = bars("Frozen", [u64::from(u32::MAX), 3_599_999, 1].into_iter(), duration_ms);
        assert_eq!(text, "Frozen  █▁▁  1 ms to 1193 h 02 min");
        let widest = bars("Frozen", [3_599_000, 86_340_000].into_iter(), duration_ms);
        assert!(widest.trim_end().chars().count() - 2 <= ROOM_FOR_WORDS, "{widest}");
        assert_eq!(bars("Stored", [2048; 3].into_iter(), bytes), "Stored  ███  2.00 KiB");
    }
}
