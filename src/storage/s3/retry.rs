//! Retries: with growing pauses, for a limited time, and only where they can help.
//!
//! `object_store` has retries of its own, which are switched off: they sign once for all attempts, ask a server again
//! whose certificate is refused, and do not know when a whole operation has to be over. An operation here is over
//! when nothing has moved for [`RetryLimits::total`], well below `stall-timeout`, so that a storage that fails is told apart
//! from one that hangs. While bytes move ([`super::progress`]) it may take what a slow line needs.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout_at};

use super::fault::{Fault, FaultKind};
use super::progress::{self, Meter};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Bytes that the system may hold for a connection, unseen by us.
const UNSEEN: usize = 4 << 20;
/// A line that is slower than so many bytes a second is of no use.
const SLOWEST: u64 = 32 << 10;

/// For how long one operation is tried. What counts is the time in which nothing moves: a slow line is none that hangs.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryLimits {
    /// All the time in which nothing moves, in all attempts, with the pauses between them.
    pub(super) total: Duration,
    /// The same in one go.
    pub(super) attempt: Duration,
    /// The time in which bytes may move beside that, however often they have to be sent.
    pub(super) moving: Duration,
}

impl RetryLimits {
    /// Two operations in a row (the last parts, then the completion) end before `stall_timeout` does, where nothing moves.
    pub(super) fn within(stall_timeout: Duration) -> Self {
        let total = stall_timeout * 2 / 5;
        Self { total, attempt: total / 3, moving: total }
    }

    /// The same where one attempt may take all of the time: the server has much to do.
    pub(super) fn in_one(self) -> Self {
        Self { attempt: self.total, ..self }
    }

    /// For a part or an object of `bytes`: they may take as long as a slow line needs, so long as they move. Of the last
    /// ones nobody sees whether they do.
    pub(super) fn for_bytes(self, bytes: usize) -> Self {
        let unseen = Duration::from_secs((bytes.min(UNSEEN) >> 16) as u64);
        let moving = Duration::from_secs(bytes as u64 / SLOWEST);
        Self {
            attempt: self.attempt.saturating_add(unseen).min(self.total),
            moving: self.moving.saturating_add(moving),
            ..self
        }
    }
}

/// The attempts of one operation.
pub(super) struct Attempts {
    limits: RetryLimits,
    begun: Instant,
    made: u32,
    /// Time in which nothing moved, and in which something did.
    still: Duration,
    moving: Duration,
    /// One of them may have been done all the same.
    maybe_done: bool,
}

impl Attempts {
    /// Time runs from here.
    pub(super) fn new(limits: RetryLimits) -> Self {
        let (still, moving) = (Duration::ZERO, Duration::ZERO);
        Self { limits, begun: Instant::now(), made: 0, still, moving, maybe_done: false }
    }

    /// Something has been achieved: the next failure is the first again.
    pub(super) fn progress(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Attempts that have failed.
    pub(super) fn failed(&self) -> u32 {
        self.made
    }

    /// Runs one attempt within its time.
    pub(super) async fn attempt<T, E: Into<Fault>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        let meter = Meter::default();
        let begun = Instant::now();
        let still = self.limits.attempt.min(self.limits.total.saturating_sub(self.still));
        let moving = self.limits.moving.saturating_sub(self.moving);
        let mut work = pin!(progress::attempt(&meter, work));
        let outcome = loop {
            let since = meter.last().unwrap_or(begun);
            let end = (since + still).min(begun + moving + still);
            match timeout_at(end.into(), &mut work).await {
                Ok(outcome) => break outcome.map_err(Into::into),
                Err(_) if meter.last() > Some(since) && Instant::now() < begun + moving + still => {}
                Err(_) => {
                    let fault =
                        Fault::transient(format!("no answer within {:.1} s", begun.elapsed().as_secs_f64()));
                    break Err(fault.maybe_done());
                }
            }
        };
        let moved = meter.last().map_or(Duration::ZERO, |last| last - begun);
        self.moving += moved;
        self.still += begun.elapsed().saturating_sub(moved);
        self.maybe_done |= matches!(&outcome, Err(fault) if fault.maybe_done);
        outcome.map_err(|fault: Fault| fault.or_maybe_done(self.maybe_done))
    }

    /// Waits after a fault that may go away; gives it back where it does not, or not in time.
    pub(super) async fn pause(&mut self, what: &str, fault: Fault) -> Result<(), Fault> {
        if fault.kind != FaultKind::Transient {
            return Err(fault);
        }
        let pause = pause(self.made);
        self.made += 1;
        let total = fault.within.map_or(self.limits.total, |within| within.min(self.limits.total));
        // An attempt without time would hide this fault behind its own.
        if self.still + pause + total / 10 >= total || self.moving >= self.limits.moving {
            let elapsed = self.begun.elapsed().as_secs_f64();
            let tried = format!(" (given up after {} attempts in {elapsed:.0} s)", self.made);
            return Err(fault.and(&tried));
        }
        log::warn!("{what}: {fault}; trying again");
        sleep(pause).await;
        self.still += pause;
        Ok(())
    }
}

/// Between a half and the whole of a time that doubles, so that many who failed at once do not come back at once.
fn pause(made: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << made.min(10)).min(LONGEST_PAUSE);
    let share = u32::try_from(RandomState::new().hash_one(made) % 128).unwrap_or(0);
    whole / 2 + whole * share / 256
}

/// Runs `work` until it succeeds, fails for good, or time is up.
pub(super) async fn retry<T, E, F>(
    limits: RetryLimits,
    what: &str,
    mut work: impl FnMut() -> F,
) -> Result<T, Fault>
where
    E: Into<Fault>,
    F: Future<Output = Result<T, E>>,
{
    let mut attempts = Attempts::new(limits);
    loop {
        match attempts.attempt(work()).await {
            Ok(value) => return Ok(value),
            Err(fault) => attempts.pause(what, fault).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    fn limits(millis: u64) -> RetryLimits {
        RetryLimits::within(Duration::from_millis(millis * 5 / 2))
    }

    #[test]
    fn transient_faults_are_asked_again_and_permanent_ones_are_not() {
        for (fault, asked) in [(Fault::transient("busy"), 3), (Fault::permanent("no"), 1)] {
            let count = AtomicU32::new(0);
            let outcome = run(retry(limits(60_000), "test", || async {
                let last = count.fetch_add(1, Ordering::Relaxed) == 2;
                if last { Ok(()) } else { Err(fault.clone()) }
            }));
            assert_eq!((count.into_inner(), outcome.is_ok()), (asked, asked == 3));
        }
    }

    #[test]
    fn it_ends_in_time_also_where_nobody_answers() {
        let begun = Instant::now();
        let refused = run(retry(limits(900), "test", || async { Err::<(), _>(Fault::transient("busy")) }));
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("busy (given up after ") && begun.elapsed().as_millis() < 900, "{text}");
        let silent = run(retry(limits(300), "test", || async {
            std::future::pending::<()>().await;
            Ok::<(), Fault>(())
        }));
        let text = silent.unwrap_err().to_string();
        assert!(text.starts_with("no answer within 0.") && text.contains("(given up after "), "{text}");
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        assert!((0..40).all(|made| pause(made) <= LONGEST_PAUSE));
        assert!(pause(0) < FIRST_PAUSE && pause(4) >= FIRST_PAUSE * 8 && pause(9) >= LONGEST_PAUSE / 2);
    }
}
