//! Write sets that come while the node is frozen: whether they fit into its cache, and into the disk behind it.

use std::path::Path;
use std::time::Duration;

use super::finding::Finding;

use crate::model::{DEFAULT_PAGE, PAGE_RESERVE, provider_option, provider_size};
use crate::ui::{bytes, duration_ms};

const TOPIC: &str = "freeze";

/// What is weighed.
pub(super) struct Scale<'a> {
    /// `wsrep_provider_options`.
    pub(super) options: &'a str,
    /// Bytes of write sets an hour, the faster of now and on average; none where that is not known.
    pub(super) hourly: Option<u64>,
    /// How long the newest backup of the cluster froze its donor; none where there is no backup.
    pub(super) last: Option<Duration>,
    /// The longest that a freeze may last.
    pub(super) limit: Duration,
    /// Where page files go, and what is free there.
    pub(super) directory: &'a Path,
    pub(super) free: Option<u64>,
}

/// What is to be told. The donor refuses, or gives up, what is an error here.
pub(super) fn judge(scale: &Scale<'_>) -> Option<Finding> {
    let of = |name| provider_option(scale.options, name).and_then(provider_size);
    let (size, page) =
        (of("gcache.size").unwrap_or(DEFAULT_PAGE), of("gcache.page_size").unwrap_or(DEFAULT_PAGE));
    let place = scale.directory.display();
    let cure = || {
        format!(
            "free space at {place}, or set gcache.dir to a larger file system, or gcache.size to more, in wsrep_provider_options"
        )
    };
    let least = page.saturating_add(PAGE_RESERVE);
    if let Some(free) = scale.free.filter(|free| *free < least) {
        let text = format!(
            "{} free at {place}: a page file, into which write sets go that come during a freeze, takes {}, and a server \
             without room for it ends. The donor refuses",
            bytes(free),
            bytes(page)
        );
        return Some(Finding::error(TOPIC, text, cure()));
    }
    let hourly = scale.hourly?;
    let come =
        |time: Duration| u64::try_from(u128::from(hourly) * time.as_millis() / 3_600_000).unwrap_or(u64::MAX);
    let Some(last) = scale.last else {
        let lasts = u128::from(size) * 3_600_000 / u128::from(hourly.max(1));
        let lasts = u64::try_from(lasts).unwrap_or(u64::MAX).min(10 * 365 * 86_400_000);
        let text = format!(
            "how long a freeze takes is not known before there is a backup; at the present rate gcache.size ({}) holds \
             the write sets of {}",
            bytes(size),
            duration_ms(lasts)
        );
        return Some(Finding::ok(TOPIC, text));
    };
    let expected = come(last);
    let frozen = duration_ms(u64::try_from(last.as_millis()).unwrap_or(u64::MAX));
    let text = format!(
        "about {} of write sets come while the node is frozen ({frozen} in the newest backup)",
        bytes(expected)
    );
    // Twice: the next freeze may be longer, and the node catches up only afterwards.
    let over = expected.saturating_mul(2).saturating_sub(size);
    if over == 0 {
        let most = come(scale.limit).saturating_sub(size);
        let rare = match scale.free {
            Some(free) if most > 0 && free < most.saturating_add(least) => format!(
                "; a freeze that lasted as long as freeze-timeout ({}) would be given up when {place} is full",
                duration_ms(u64::try_from(scale.limit.as_millis()).unwrap_or(u64::MAX))
            ),
            _ => String::new(),
        };
        return Some(Finding::ok(TOPIC, format!("{text}; gcache.size ({}) holds them{rare}", bytes(size))));
    }
    let pages = over.div_ceil(page.max(1)).saturating_mul(page);
    let text = format!(
        "{text}; what gcache.size ({}) does not hold goes to page files, {} or so",
        bytes(size),
        bytes(pages)
    );
    Some(match scale.free {
        None => Finding::warning(
            TOPIC,
            format!("{text}; what is free at {place} is not known"),
            "run this check as root".to_owned(),
        ),
        Some(free) if free < pages.saturating_add(least) => {
            let text = format!(
                "{text}; {} are free at {place}: the donor gives the backup up before they are full",
                bytes(free)
            );
            Finding::error(TOPIC, text, cure())
        }
        Some(free) => Finding::ok(TOPIC, format!("{text}; {} are free at {place}", bytes(free))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_comes_during_a_freeze_is_weighed_against_cache_and_disk() {
        let of = |hourly: Option<u64>, last: Option<u64>, free: Option<u64>| {
            judge(&Scale {
                options: "gcache.size = 256M; gcache.page_size = 64M",
                hourly: hourly.map(|mebibytes| mebibytes * MIB),
                last: last.map(Duration::from_secs),
                limit: Duration::from_secs(3600),
                directory: Path::new("/cache"),
                free: free.map(|mebibytes| mebibytes * MIB),
            })
        };
        assert_eq!(of(None, Some(60), Some(5000)), None);
        for (hourly, last, free, level, text) in [
            (
                6000,
                Some(60),
                Some(9000),
                Level::Ok,
                "about 100 MiB of write sets come while the node is frozen (1 min 00 s",
            ),
            (6000, Some(60), Some(500), Level::Ok, "would be given up when /cache is full"),
            (6000, Some(60), Some(79), Level::Error, "79.0 MiB free at /cache: a page file"),
            (60000, Some(60), Some(9000), Level::Ok, "goes to page files, 1.75 GiB or so; 8.78 GiB are free"),
            (60000, Some(60), Some(1800), Level::Error, "gives the backup up before they are full"),
            (60000, Some(60), None, Level::Warning, "not known"),
            (6000, None, Some(9000), Level::Ok, "holds the write sets of 2 min 33 s"),
        ] {
            let finding = of(Some(hourly), last, free).unwrap();
            assert!(
                finding.level == level && finding.text.contains(text),
                "{hourly} {last:?} {free:?}: {finding:?}"
            );
        }
    }
}
