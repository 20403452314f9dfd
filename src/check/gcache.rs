//! How long IST stays possible: the size of the write-set cache over the rate at which it fills, and what a node
//! restored from the newest backup would do now.

use std::time::Duration;

use super::ages::shown;
use super::finding::Finding;
use crate::cluster::{IstOutlook, NodeReport};
use crate::model::Manifest;
use crate::model::{provider_option, provider_size};
use crate::ui::{bytes, grouped};

const TOPIC: &str = "IST";
/// A window that is shorter than this does not cover a restore.
const SHORTEST: Duration = Duration::from_secs(3600);
/// Counters of less than this tell of the start, and not of what is usual.
const SHORTEST_AVERAGE: Duration = Duration::from_secs(600);
/// What the cure aims at.
const DAY: u64 = 86_400;
/// The default of `gcache.size`.
const DEFAULT_SIZE: u64 = 128 << 20;

/// The bytes of write sets that have come within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GcacheTraffic {
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

impl GcacheTraffic {
    /// Between two answers of one member; none when its counters were reset.
    pub(super) fn between(first: &NodeReport, second: &NodeReport, time: Duration) -> Option<Self> {
        let bytes = second.traffic()?.0.checked_sub(first.traffic()?.0)?;
        (!time.is_zero()).then_some(Self { bytes, time })
    }

    /// On average; none where that would be of seconds only.
    fn since_start(report: &NodeReport) -> Option<Self> {
        let (bytes, seconds) = report.traffic()?;
        let time = Duration::from_secs(seconds);
        (time >= SHORTEST_AVERAGE).then_some(Self { bytes, time })
    }

    /// Bytes per hour: a slow cluster has less than one a second.
    fn hourly(self) -> u64 {
        let hourly = u128::from(self.bytes) * 3_600_000 / self.time.as_millis().max(1);
        u64::try_from(hourly).unwrap_or(u64::MAX)
    }
}

/// Room for write sets. Pages are kept only beside the ring buffer.
fn capacity(options: &str) -> u64 {
    let of = |name| provider_option(options, name).and_then(provider_size);
    of("gcache.size").unwrap_or(DEFAULT_SIZE).saturating_add(of("gcache.keep_pages_size").unwrap_or(0))
}

/// What is to be told of the window. `now` was sampled while this command ran.
pub(super) fn judge_window(report: &NodeReport, now: Option<GcacheTraffic>) -> Finding {
    let room = capacity(report.variable("wsrep_provider_options").unwrap_or_default());
    let average = GcacheTraffic::since_start(report);
    let held = match (report.last_committed(), report.cached_downto()) {
        (Some(last), Some(first)) if first > 0 && first <= last => {
            let held = sets(u64::try_from(last - first + 1).unwrap_or(0));
            format!("gcache of {}, {held} from seqno {first} on", bytes(room))
        }
        _ => format!("gcache of {}", bytes(room)),
    };
    let rate = |sample: GcacheTraffic| format!("{} an hour", bytes(sample.hourly()));
    let rates: Vec<String> = [
        now.map(|sample| format!("{} now", rate(sample))),
        average.map(|sample| format!("{} on average over {}", rate(sample), shown(sample.time))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some(fastest) = fastest(report, now) else {
        return Finding::ok(TOPIC, format!("{held}; how fast it fills is not known yet"));
    };
    if fastest == 0 {
        return Finding::ok(TOPIC, format!("{held}; nothing is written"));
    }
    let seconds = u128::from(room) * 3600 / u128::from(fastest);
    let window = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX).min(10 * 365 * DAY));
    let text =
        format!("IST stays possible for about {}: {held}, filled with {}", shown(window), rates.join(", "));
    if window >= SHORTEST {
        return Finding::ok(TOPIC, text);
    }
    Finding::warning(TOPIC, text, larger(fastest))
}

/// Bytes an hour: now or on average, whichever is more; none where neither is known.
pub(super) fn fastest(report: &NodeReport, now: Option<GcacheTraffic>) -> Option<u64> {
    now.into_iter().chain(GcacheTraffic::since_start(report)).map(GcacheTraffic::hourly).max()
}

fn sets(count: u64) -> String {
    format!("{} write set{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Caches for an hour and for a day, in whole GiB.
fn larger(hourly: u64) -> String {
    let gib = |hours| hourly.saturating_mul(hours).div_ceil(1 << 30).max(1);
    format!(
        "gcache.size={}G in wsrep_provider_options of every node holds an hour, {}G a day; restart them one by one",
        gib(1),
        gib(DAY / 3600)
    )
}

/// What is to be told of a node that would be restored from the newest backup.
pub(super) fn judge_outlook(newest: &Manifest, outlook: &IstOutlook) -> Option<Finding> {
    let id = &newest.id;
    let cure =
        || "take a backup now; a larger gcache.size on every node keeps IST possible for longer".to_owned();
    Some(match outlook {
        IstOutlook::Possible { donor, writesets, spare } => Finding::ok(
            TOPIC,
            format!(
                "a node restored from {id} would join by IST: '{donor}' has the {} since, and {} from before",
                sets(*writesets),
                grouped(*spare)
            ),
        ),
        IstOutlook::TooOld { oldest, member } => Finding::warning(
            TOPIC,
            format!(
                "a node restored from {id} (seqno {}) would take a full SST: the oldest write set of the cluster is {oldest}, on '{member}'",
                newest.seqno()
            ),
            cure(),
        ),
        IstOutlook::Ahead { last, member } => Finding::error(
            TOPIC,
            format!(
                "a node restored from {id} would abort (\"Reversing history\"): the cluster stands at seqno {last} ('{member}'), \
                 behind the backup at seqno {}: it has gone back to an older backup",
                newest.seqno()
            ),
            format!(
                "take a backup now; until then restore no node from {id}: with an empty data directory it takes a full SST"
            ),
        ),
        IstOutlook::Abandoned { later, seqno } => Finding::warning(
            TOPIC,
            format!(
                "a node restored from {id} (seqno {}) could join with other rows than the cluster has: the repository has a \
                 later backup, {later}, at seqno {seqno}, so the cluster has gone back to an older backup, or a clock was wrong",
                newest.seqno()
            ),
            format!("take a backup now; until then restore no node from {id}"),
        ),
        IstOutlook::OtherHistory { uuid } => Finding::warning(
            TOPIC,
            format!(
                "a node restored from {id} would take a full SST: the cluster has another history now ({uuid})"
            ),
            cure(),
        ),
        IstOutlook::Unknown { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::check::backups::tests::manifest;
    use crate::sql::Endpoint;

    fn report(options: &str, replicated: &str, received: &str, uptime: &str) -> NodeReport {
        NodeReport::of(
            Endpoint::Socket("/s".into()),
            &[("wsrep_provider_options", options)],
            &[
                ("wsrep_replicated_bytes", replicated),
                ("wsrep_received_bytes", received),
                ("uptime", uptime),
                ("wsrep_last_committed", "700"),
                ("wsrep_local_cached_downto", "101"),
            ],
        )
    }

    #[test]
    fn sizes_are_read_as_galera_writes_them() {
        for (text, wanted) in [
            ("128M", Some(128 << 20)),
            ("2g", Some(2 << 30)),
            ("7", Some(7)),
            ("1K", Some(1024)),
            ("x", None),
            ("1P", None),
        ] {
            assert_eq!(provider_size(text), wanted, "{text}");
        }
        assert_eq!(capacity("gcache.size = 1G; gcache.keep_pages_size = 512M;"), 3 << 29);
        assert_eq!(capacity(""), DEFAULT_SIZE);
    }

    #[test]
    fn the_window_is_the_room_over_the_faster_rate() {
        let mib = |n: u64| (n << 20).to_string();
        let (half, hour) = (mib(32), "3600");
        let sample = |mebibytes: u64, seconds| {
            Some(GcacheTraffic { bytes: mebibytes << 20, time: Duration::from_secs(seconds) })
        };
        for (options, each, uptime, now, level, text) in [
            (
                "gcache.size=128M",
                half.as_str(),
                hour,
                None,
                Level::Ok,
                "for about 2 h 00 min: gcache of 128 MiB, 600 write sets from seqno 101 on, filled with 64.0 MiB an hour on average over 1 h 00 min",
            ),
            (
                "gcache.size=128M",
                &half,
                hour,
                sample(1, 10),
                Level::Warning,
                "for about 21 min 20 s: gcache of 128 MiB, 600 write sets from seqno 101 on, filled with 360 MiB an hour now, 64.0 MiB an hour on average",
            ),
            ("gcache.size=128M", &half, hour, sample(0, 10), Level::Ok, "0 B an hour now"),
            ("gcache.size=1T", "1", hour, None, Level::Ok, "days"),
            ("gcache.size=128M", "0", hour, sample(0, 5), Level::Ok, "nothing is written"),
            ("gcache.size=128M", "0", hour, None, Level::Ok, "nothing is written"),
            ("gcache.size=128M", &half, "599", None, Level::Ok, "how fast it fills is not known yet"),
        ] {
            let finding = judge_window(&report(options, each, each, uptime), now);
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
        let finding = judge_window(&report("gcache.size=128M", "0", "0", "9"), sample(100, 60));
        assert!(finding.cure.unwrap().starts_with("gcache.size=6G"));
        let (first, second) = (report("", "5", "5", "1"), report("", "50", "10", "9"));
        assert_eq!(GcacheTraffic::between(&first, &second, Duration::from_secs(2)).unwrap().bytes, 50);
        assert_eq!(GcacheTraffic::between(&second, &first, Duration::from_secs(2)), None);
    }

    #[test]
    fn the_outlook_for_the_newest_backup_is_told() {
        let newest = manifest("20261120T060000Z_n1");
        let possible = IstOutlook::Possible { donor: "n2".into(), writesets: 1234, spare: 9 };
        let too_old = IstOutlook::TooOld { oldest: 500, member: "n2".into() };
        let ahead = IstOutlook::Ahead { last: 11, member: "n2".into() };
        let abandoned = IstOutlook::Abandoned { later: "l".into(), seqno: 11 };
        let other = IstOutlook::OtherHistory { uuid: "u".into() };
        for (outlook, level, text) in [
            (possible, Level::Ok, "'n2' has the 1,234 write sets since, and 9 from before"),
            (
                too_old,
                Level::Warning,
                "(seqno 100) would take a full SST: the oldest write set of the cluster is 500, on 'n2'",
            ),
            (other, Level::Warning, "another history now (u)"),
            (ahead, Level::Error, "the cluster stands at seqno 11 ('n2'), behind the backup at seqno 100"),
            (abandoned, Level::Warning, "could join with other rows"),
        ] {
            let finding = judge_outlook(&newest, &outlook).unwrap();
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
        assert_eq!(judge_outlook(&newest, &IstOutlook::Unknown { why: "x".into() }), None);
    }
}
