//! Whether a backup will fit: the size of the data against the free space of the repository.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::repository::RepositoryView;
use crate::model::Manifest;
use crate::ui::{bytes, grouped};

const TOPIC: &str = "space";
/// Compression without a backup to learn from: data rarely shrinks to less than this fraction.
const BEST_FRACTION: u64 = 4;

/// The server's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataSize {
    /// Sum of their lengths.
    pub(super) apparent: u64,
    /// What they take on disk: holes are not counted.
    pub(super) allocated: u64,
    pub(super) files: u64,
    /// Everything was seen. Otherwise there is more.
    pub(super) complete: bool,
    /// Device of the data directory's file system.
    pub(super) device: Option<u64>,
}

/// How well an earlier backup was compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    stored: u64,
    data: u64,
}

impl Ratio {
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let (stored, data) = (manifest.archive.bytes, manifest.data_bytes);
        (data > 0).then_some(Self { stored, data })
    }

    fn apply(self, bytes: u64) -> u64 {
        let scaled = u128::from(bytes) * u128::from(self.stored) / u128::from(self.data.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// What is to be told.
pub(super) fn judge(
    repository: &Path,
    place: &RepositoryView,
    data: &DataSize,
    ratio: Option<Ratio>,
    compressed: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = repository.display();
    if let Some(free) = place.free {
        let at_least = if data.complete { "" } else { "more than " };
        let facts = format!(
            "{} free at {shown}; the data is {at_least}{} in {} files",
            bytes(free),
            bytes(data.apparent),
            grouped(data.files)
        );
        let cure = || {
            format!(
                "free space at {shown}, remove backups that are no longer needed, or set 'repository' to a larger file system"
            )
        };
        findings.push(match (ratio, compressed) {
            (Some(ratio), _) => {
                let needed = ratio.apply(data.apparent);
                let text = format!("{facts}, a backup of it about {}", bytes(needed));
                by_need(free, needed, text, cure())
            }
            (None, false) => by_need(free, data.allocated, facts, cure()),
            (None, true) if free < data.allocated / BEST_FRACTION => Finding::error(TOPIC, facts, cure()),
            (None, true) if free < data.allocated => {
                let text = format!("{facts}; no earlier backup tells how small it gets, and it may not fit");
                Finding::warning(TOPIC, text, cure())
            }
            (None, true) => Finding::ok(TOPIC, facts),
        });
    }
    if place.device.is_some() && place.device == data.device {
        let text = format!(
            "{shown} is on the file system of the data: one broken disk takes both, and a full one stops the server"
        );
        let cure = "set 'repository' to another file system, better on another machine".to_owned();
        findings.push(Finding::warning(TOPIC, text, cure));
    }
    findings
}

fn by_need(free: u64, needed: u64, text: String, cure: String) -> Finding {
    if free < needed {
        Finding::error(TOPIC, format!("{text}: it does not fit"), cure)
    } else if free / 2 < needed {
        Finding::warning(TOPIC, format!("{text}: there is no room for two"), cure)
    } else {
        Finding::ok(TOPIC, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    const GIB: u64 = 1 << 30;

    #[test]
    fn free_space_is_compared_with_what_a_backup_will_take() {
        let ratio = Some(Ratio { stored: 30, data: 100 });
        for (free, ratio, compressed, level, text) in [
            (100, ratio, true, Level::Ok, "about 30.0 GiB"),
            (59, ratio, true, Level::Warning, "no room for two"),
            (29, ratio, true, Level::Error, "does not fit"),
            (100, None, true, Level::Ok, "the data is 100 GiB in 7 files"),
            (79, None, true, Level::Warning, "may not fit"),
            (19, None, true, Level::Error, "19.0 GiB free at /r"),
            (79, None, false, Level::Error, "does not fit"),
            (200, None, false, Level::Ok, "200 GiB free"),
        ] {
            let place =
                RepositoryView { free: Some(free * GIB), device: Some(1), ..RepositoryView::default() };
            let (apparent, allocated) = (100 * GIB, 80 * GIB);
            let data = DataSize { apparent, allocated, files: 7, complete: true, device: Some(2) };
            let [finding] = &judge(Path::new("/r"), &place, &data, ratio, compressed)[..] else {
                panic!("{free}")
            };
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(text), "{finding:?}");
        }
    }

    #[test]
    fn a_repository_beside_the_data_is_told() {
        let place = RepositoryView { device: Some(2), ..RepositoryView::default() };
        let data = DataSize { device: Some(2), ..DataSize::default() };
        let [finding] = &judge(Path::new("/r"), &place, &data, None, true)[..] else { panic!() };
        assert!(finding.level == Level::Warning && finding.text.contains("file system of the data"));
    }
}
