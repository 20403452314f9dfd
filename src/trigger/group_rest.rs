//! garbd is not sent into a group that is just changing.
//!
//! Each visit of garbd is two changes of the group's configuration. Where several programs ask within a second, or a member comes or goes
//! at that moment, changes follow each other, and a cluster of two was seen to stay out of its Primary component then (once in
//! twelve trials). So the members that answer SQL are looked at before: all of them in the Primary component, and
//! `wsrep_cluster_conf_id` the same as a moment ago. That is waited for, for some seconds; then garbd is started all the same, since
//! who asks is no judge of a group that never rests.

use std::time::{Duration, Instant};

use crate::cluster::{NodeReport, Survey};

/// How long a group is waited for.
const LIMIT: Duration = Duration::from_secs(8);
/// For so long it is to stand still.
const STILL: Duration = Duration::from_secs(1);
/// How often it is looked for Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// What `again` sees of the members when they are at rest, or when that was waited for in vain.
pub fn when_calm(before: &Survey, again: &dyn Fn() -> Survey, is_over: &dyn Fn() -> bool) -> Survey {
    wait(before, again, is_over, (LIMIT, STILL))
}

fn wait(
    before: &Survey,
    again: &dyn Fn() -> Survey,
    is_over: &dyn Fn() -> bool,
    (limit, still): (Duration, Duration),
) -> Survey {
    let begun = Instant::now();
    let mut now = again();
    let mut unrest = unrest(before, &now);
    if let Some(why) = &unrest {
        log::info!(
            "{why}: waiting up to {} s until the group stands still before garbd is started",
            limit.as_secs()
        );
    }
    while let Some(why) = unrest {
        if begun.elapsed() >= limit {
            log::warn!("{why}, for {} s now: garbd is started all the same", limit.as_secs());
            break;
        }
        let pause = Instant::now() + still;
        while Instant::now() < pause {
            if is_over() {
                return now;
            }
            std::thread::sleep(TICK.min(still));
        }
        let next = again();
        unrest = self::unrest(&now, &next);
        now = next;
    }
    now
}

/// What speaks against it that the group is at rest; nothing where no member answers.
fn unrest(before: &Survey, now: &Survey) -> Option<String> {
    let configuration = |report: &NodeReport| report.number("wsrep_cluster_conf_id");
    now.reports.iter().find_map(|report| {
        let name = report.name();
        if !report.is_primary() {
            return Some(format!("'{name}' is not in the Primary component"));
        }
        let (here, there) = (configuration(report)?, before.report(name).and_then(configuration)?);
        (here != there).then(|| {
            format!("the group has just changed (wsrep_cluster_conf_id on '{name}': {there}, now {here})")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sql::Endpoint;

    fn seen(states: &[(&str, &str, &str)]) -> Survey {
        let report = |(name, status, configuration): &(&str, &str, &str)| {
            let status = [("wsrep_cluster_status", *status), ("wsrep_cluster_conf_id", *configuration)];
            NodeReport::of(Endpoint::Socket("/s".into()), &[("wsrep_node_name", name)], &status)
        };
        Survey { reports: states.iter().map(report).collect(), ..Survey::default() }
    }

    #[test]
    fn garbd_is_started_when_the_group_is_primary_and_stands_still_or_when_that_takes_too_long() {
        let calm = [("n1", "Primary", "7"), ("n2", "Primary", "7")];
        let looks = |before: &[(&str, &str, &str)], then: &[&[(&str, &str, &str)]], limit_ms: u64| {
            let count = Cell::new(0);
            let again = || {
                let at = count.replace(count.get() + 1);
                seen(then[at.min(then.len() - 1)])
            };
            let limits = (Duration::from_millis(limit_ms), Duration::from_millis(1));
            wait(&seen(before), &again, &|| false, limits);
            count.get()
        };
        let (long, short) = (600_000, 20);
        let split = [("n1", "non-Primary", "7"), ("n2", "Primary", "7")];
        let changed = [("n1", "Primary", "8"), ("n2", "Primary", "8")];
        // At rest, it costs one look.
        assert_eq!(looks(&calm, &[&calm], long), 1);
        assert_eq!(looks(&[], &[&[]], long), 1);
        assert_eq!(looks(&calm, &[&changed, &changed], long), 2);
        assert_eq!(looks(&calm, &[&changed, &calm, &changed, &changed], long), 4);
        assert_eq!(looks(&calm, &[&split, &split, &calm], long), 3);
        assert!(looks(&calm, &[&split], short) > 1);
        let over = wait(&seen(&calm), &|| seen(&split), &|| true, (Duration::from_secs(600), STILL));
        assert_eq!(over.reports.len(), 2);
    }
}
