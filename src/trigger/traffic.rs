//! The members that clients write to: write sets that originate at a node, `wsrep_replicated`, counted for a moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cluster::{Access, NodeReport, Survey};

/// Long enough to see a client that writes once a second.
const SAMPLE: Duration = Duration::from_millis(1500);

/// Write sets per second, by member.
#[derive(Debug, Clone, Default)]
pub struct Traffic(HashMap<String, u64>);

impl Traffic {
    /// Watches the members that have answered. One that does not answer again has no known traffic.
    pub fn sample(access: &Access, survey: &Survey) -> Self {
        let started = Instant::now();
        let count = |report: &NodeReport| report.number("wsrep_replicated");
        std::thread::sleep(SAMPLE);
        let mut rates = HashMap::new();
        for before in &survey.reports {
            let after = access
                .connect(&before.endpoint)
                .and_then(|mut session| NodeReport::ask(before.endpoint.clone(), &mut session));
            let elapsed = started.elapsed();
            if let Some(grown) = after.ok().and_then(|after| count(&after)?.checked_sub(count(before)?)) {
                rates.insert(before.name().to_owned(), per_second(grown, elapsed));
            }
        }
        Self(rates)
    }

    /// Given rates, for tests.
    #[cfg(test)]
    pub(super) fn of(rates: &[(&str, u64)]) -> Self {
        Self(rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect())
    }

    /// Write sets per second of a member; 0 where they are not known.
    pub fn writes(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// At least 1 where there was any.
fn per_second(grown: i64, elapsed: Duration) -> u64 {
    let Ok(grown @ 1..) = u64::try_from(grown) else { return 0 };
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    (grown.saturating_mul(1000) / milliseconds).max(1)
}
