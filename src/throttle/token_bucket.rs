//! The arithmetic of a token bucket; no clock and no waiting.

use std::num::NonZeroU64;
use std::time::Duration;

/// What may be saved up while nothing moves, as time at the full rate. It makes up for sleeps that last too long.
pub(super) const BURST: Duration = Duration::from_millis(100);

const NANOS: i128 = 1_000_000_000;

/// Bytes are paid for after they were granted: credit may be negative, and who made it so waits until it is not. So one
/// piece may be larger than all that can be saved up.
///
/// Credit is counted in bytes times nanoseconds: whole numbers, which add up without an error however long it goes on.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: i128,
    credit: i128,
    at: Duration,
}

impl TokenBucket {
    /// Without credit at `now`, so that n bytes from here on take at least n / rate.
    pub(super) fn new(rate: NonZeroU64, now: Duration) -> Self {
        Self { rate: i128::from(rate.get()), credit: 0, at: now }
    }

    /// Grants `bytes`; how long whoever takes them has to wait from `now` on. A clock that goes back stands still here.
    pub(super) fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let elapsed = nanos(now.saturating_sub(self.at));
        self.at = self.at.max(now);
        let earned = self.credit.saturating_add(elapsed.saturating_mul(self.rate));
        let most = nanos(BURST).saturating_mul(self.rate);
        self.credit = earned.min(most).saturating_sub(i128::from(bytes) * NANOS);
        let debt = self.credit.min(0).saturating_neg();
        // Rounded up: one nanosecond too early would be another wait.
        let wait = debt / self.rate + i128::from(debt % self.rate != 0);
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use std::iter::Peekable;
    use std::slice::Iter;

    use proptest::prelude::*;

    use super::*;

    fn bucket(rate: u64) -> TokenBucket {
        TokenBucket::new(NonZeroU64::new(rate).unwrap(), Duration::ZERO)
    }

    #[test]
    fn the_first_byte_waits_too() {
        let mut bucket = bucket(1000);
        assert_eq!(bucket.take(500, Duration::ZERO), Duration::from_millis(500));
        // Somebody else, at the same moment, comes behind.
        assert_eq!(bucket.take(500, Duration::ZERO), Duration::from_secs(1));
        assert_eq!(bucket.take(0, Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn what_is_saved_up_has_a_limit() {
        let mut bucket = bucket(1000);
        let hour = Duration::from_secs(3600);
        assert_eq!(bucket.take(100, hour), Duration::ZERO);
        assert_eq!(bucket.take(1, hour), Duration::from_millis(1));
    }

    #[test]
    fn no_number_is_too_large() {
        for rate in [1, 3, u64::MAX] {
            let mut bucket = bucket(rate);
            for now in [Duration::ZERO, Duration::MAX, Duration::from_secs(1)] {
                for bytes in [0, 1, u64::MAX, u64::MAX] {
                    let wait = bucket.take(bytes, now);
                    assert!(
                        bytes > 0 || rate < 9 || wait < Duration::from_secs(9),
                        "{rate} {bytes} {wait:?}"
                    );
                }
            }
        }
    }

    /// Takers, each with its own pieces and the pauses before them, as one list of what passed when.
    fn play(rate: u64, takers: &[Vec<(u64, u64)>]) -> Vec<(Duration, u64)> {
        let mut bucket = bucket(rate);
        let mut free = vec![Duration::ZERO; takers.len()];
        let mut todo: Vec<_> = takers.iter().map(|pieces| pieces.iter().peekable()).collect();
        let mut passed = Vec::new();
        loop {
            let asks = |(taker, pieces): (usize, &mut Peekable<Iter<'_, (u64, u64)>>)| {
                let (bytes, pause) = pieces.peek()?;
                Some((free[taker] + Duration::from_millis(*pause), taker, *bytes))
            };
            // Whoever asks first takes first.
            let Some((now, taker, bytes)) = todo.iter_mut().enumerate().filter_map(asks).min() else { break };
            todo[taker].next();
            free[taker] = now + bucket.take(bytes, now);
            passed.push((free[taker], bytes));
        }
        passed.sort_unstable();
        passed
    }

    proptest! {
        /// In no stretch of time more passes than the rate gives for it, what was saved up, and one piece.
        #[test]
        fn the_rate_is_kept_by_any_number_of_takers(
            rate in 1_u64..100_000,
            takers in prop::collection::vec(prop::collection::vec((0_u64..50_000, 0_u64..2_000), 1..30), 1..5),
        ) {
            let passed = play(rate, &takers);
            let largest = takers.iter().flatten().map(|(bytes, _)| *bytes).max().unwrap_or(0);
            for (from, (begun, _)) in passed.iter().enumerate() {
                let mut bytes = 0;
                for (at, count) in &passed[from..] {
                    bytes += u128::from(*count);
                    let time = (at.saturating_sub(*begun) + BURST).as_nanos();
                    let allowed = u128::from(rate) * time / 1_000_000_000 + u128::from(largest) + 1;
                    prop_assert!(bytes <= allowed, "{} bytes from {:?} to {:?}", bytes, begun, at);
                }
            }
            // From the very beginning not even that: there is nothing saved up.
            let (end, _) = passed[passed.len() - 1];
            let all: u128 = passed.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
            prop_assert!(all * 1_000_000_000 <= u128::from(rate) * end.as_nanos());
        }

        /// Takers that never pause get all that the rate gives.
        #[test]
        fn the_rate_is_reached(
            rate in 1_u64..100_000,
            takers in prop::collection::vec(prop::collection::vec((0_u64..50_000).prop_map(|bytes| (bytes, 0)), 1..30), 1..5),
        ) {
            let passed = play(rate, &takers);
            let (end, _) = passed[passed.len() - 1];
            let all: u128 = passed.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
            let exact = (all * 1_000_000_000).div_ceil(u128::from(rate));
            prop_assert_eq!(end.as_nanos(), exact);
        }
    }
}
