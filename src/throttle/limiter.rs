//! A bucket with a clock, for any number of threads.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::token_bucket::TokenBucket;

/// How long a wait goes on before it sees that the limit is lifted.
const SLICE: Duration = Duration::from_millis(20);
/// A piece at the limit takes about this long: shorter is smoother and costs more calls.
const PIECE_TIME: u32 = 16;
/// No piece is smaller or larger than that, bytes.
const PIECE: (u64, u64) = (16 << 10, 256 << 10);

/// Time that only goes forward.
pub trait Clock: Send + Sync {
    /// Since any moment before the first call.
    fn now(&self) -> Duration;
    /// Lets the thread wait.
    fn sleep(&self, time: Duration);
}

/// The system's.
#[derive(Debug)]
pub struct Monotonic(Instant);

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Lets bytes pass no faster than the limit, whatever number of threads moves them.
pub struct Limiter<C = Monotonic> {
    limit: Option<(NonZeroU64, Mutex<TokenBucket>)>,
    lifted: Arc<AtomicBool>,
    clock: C,
}

impl Limiter {
    /// `rate` bytes a second, or no limit; and none any more once `lifted` is true. Time counts from here.
    pub fn new(rate: Option<NonZeroU64>, lifted: Arc<AtomicBool>) -> Self {
        Self::with_clock(rate, lifted, Monotonic(Instant::now()))
    }

    /// No limit.
    pub fn unlimited() -> Self {
        Self::new(None, Arc::default())
    }
}

impl<C: Clock> Limiter<C> {
    /// The same with a clock of one's own.
    pub fn with_clock(rate: Option<NonZeroU64>, lifted: Arc<AtomicBool>, clock: C) -> Self {
        let now = clock.now();
        Self { limit: rate.map(|rate| (rate, Mutex::new(TokenBucket::new(rate, now)))), lifted, clock }
    }

    /// Waits until so many bytes may pass, or may have passed: who does not know beforehand how many there are asks
    /// behind them.
    pub fn take(&self, bytes: u64) {
        let Some((_, bucket)) = &self.limit else { return };
        if bytes == 0 || self.is_lifted() {
            return;
        }
        let until = {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            now.saturating_add(bucket.take(bytes, now))
        };
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() || self.is_lifted() {
                return;
            }
            self.clock.sleep(left.min(SLICE));
        }
    }

    /// The largest number of bytes that should be moved at once, so that they flow and do not come in heaps.
    pub fn piece(&self) -> usize {
        let Some((rate, _)) = &self.limit else { return usize::MAX };
        let bytes = (rate.get() / u64::from(PIECE_TIME)).clamp(PIECE.0, PIECE.1);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn is_lifted(&self) -> bool {
        self.lifted.load(Ordering::Relaxed)
    }
}

impl<C> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.limit.as_ref().map(|(rate, _)| rate);
        f.debug_struct("Limiter").field("rate", &rate).field("lifted", &self.lifted).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// A clock that goes forward when somebody sleeps, and notes how often.
    #[derive(Clone, Default)]
    pub(in crate::throttle) struct Sleeps(Arc<(AtomicU64, AtomicU64)>);

    impl Sleeps {
        pub(in crate::throttle) fn advance(&self, time: Duration) {
            self.0.0.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
        }

        pub(in crate::throttle) fn count(&self) -> u64 {
            self.0.1.load(Ordering::Relaxed)
        }
    }

    impl Clock for Sleeps {
        fn now(&self) -> Duration {
            Duration::from_nanos(self.0.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, time: Duration) {
            assert!(!time.is_zero() && time <= SLICE, "{time:?}");
            self.0.1.fetch_add(1, Ordering::Relaxed);
            self.advance(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Sleeps;
    use super::*;

    fn limiter(rate: u64) -> (Limiter<Sleeps>, Sleeps, Arc<AtomicBool>) {
        let (clock, lifted) = (Sleeps::default(), Arc::new(AtomicBool::new(false)));
        (Limiter::with_clock(NonZeroU64::new(rate), Arc::clone(&lifted), clock.clone()), clock, lifted)
    }

    #[test]
    fn bytes_take_their_time_and_nobody_spins() {
        for rate in [1, 1000, 1 << 20, (1 << 30) + 7] {
            let (limiter, clock, _) = limiter(rate);
            for part in [1, 2, 3, 4] {
                limiter.take(rate * part / 10);
            }
            let (now, whole) = (clock.now(), Duration::from_secs(1));
            let missing = Duration::from_secs_f64(4.0 / f64::from(u32::try_from(rate).unwrap()));
            assert!(now <= whole && now + missing >= whole, "{rate}: {now:?}");
            assert!(clock.count() <= 50 + 4, "{} sleeps", clock.count());
        }
    }

    #[test]
    fn a_pause_saves_up_little() {
        let (limiter, clock, _) = limiter(1000);
        clock.advance(Duration::from_secs(60));
        limiter.take(100);
        assert_eq!(clock.now(), Duration::from_secs(60));
        limiter.take(1000);
        assert_eq!(clock.now(), Duration::from_secs(61));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let clock = Sleeps::default();
        let limiter = Limiter::with_clock(None, Arc::default(), clock.clone());
        limiter.take(u64::MAX);
        assert_eq!((clock.count(), limiter.piece()), (0, usize::MAX));
        assert_eq!(Limiter::unlimited().piece(), usize::MAX);
    }

    #[test]
    fn a_limit_that_is_lifted_lets_go_at_once() {
        /// Lifts the limit in the third sleep.
        struct Lifting(Sleeps, Arc<AtomicBool>);
        impl Clock for Lifting {
            fn now(&self) -> Duration {
                self.0.now()
            }

            fn sleep(&self, time: Duration) {
                self.0.sleep(time);
                self.1.store(self.0.count() == 3, Ordering::Relaxed);
            }
        }
        let (clock, lifted) = (Sleeps::default(), Arc::new(AtomicBool::new(false)));
        let lifting = Lifting(clock.clone(), Arc::clone(&lifted));
        let limiter = Limiter::with_clock(NonZeroU64::new(1), lifted, lifting);
        limiter.take(u64::MAX);
        limiter.take(u64::MAX);
        assert_eq!(clock.count(), 3);
    }

    #[test]
    fn many_threads_share_one_limit() {
        let rate = NonZeroU64::new(4 << 20);
        let limiter = Arc::new(Limiter::new(rate, Arc::default()));
        let begun = Instant::now();
        let threads: Vec<_> = (1..=4_u64)
            .map(|number| {
                let limiter = Arc::clone(&limiter);
                // 512 KiB each, in pieces of another size.
                std::thread::spawn(move || (0..512 / number).for_each(|_| limiter.take(number << 10)))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        // 2 MiB and a little less, for what cannot be divided.
        assert!(begun.elapsed() >= Duration::from_millis(495), "{:?}", begun.elapsed());
    }

    #[test]
    fn pieces_flow_and_are_not_too_small() {
        for (rate, piece) in [(1, 16 << 10), (1 << 20, 64 << 10), (1 << 30, 256 << 10)] {
            assert_eq!(limiter(rate).0.piece(), piece);
        }
    }
}
