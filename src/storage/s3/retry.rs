//! Asking again: with growing pauses, for a limited time, and only where it can help.
//!
//! `object_store` has retries of its own, which are switched off: they sign once for all attempts, ask a server again
//! whose certificate is refused, and do not know when a whole operation has to be over. An operation here is over
//! within [`Patience::total`], well below `stall-timeout`, so that a storage that fails is told apart from one that
//! hangs.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::fault::{Fault, Kind};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// For how long one operation is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// All attempts and the pauses between them.
    pub(super) total: Duration,
    /// One attempt.
    pub(super) attempt: Duration,
}

impl Patience {
    /// Two operations in a row (the last parts, then the completion) end before `stall_timeout` does.
    pub(super) fn within(stall_timeout: Duration) -> Self {
        let total = stall_timeout * 2 / 5;
        Self { total, attempt: total / 3 }
    }

    /// The same where one attempt may take all of the time: it moves much, or the server has much to do.
    pub(super) fn in_one(self) -> Self {
        Self { attempt: self.total, ..self }
    }

    /// For a part or an object of `bytes`: slow lines need time, and a connection that hangs must leave some.
    pub(super) fn for_bytes(self, bytes: usize) -> Self {
        let transfer = Duration::from_secs(u64::try_from(bytes >> 18).unwrap_or(u64::MAX));
        Self { attempt: (self.attempt.saturating_add(transfer)).min(self.total), ..self }
    }
}

/// The attempts of one operation.
pub(super) struct Attempts {
    patience: Patience,
    begun: Instant,
    made: u32,
}

impl Attempts {
    /// Time runs from here.
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, begun: Instant::now(), made: 0 }
    }

    /// Something has been achieved: the next failure is the first again.
    pub(super) fn progress(&mut self) {
        (self.begun, self.made) = (Instant::now(), 0);
    }

    /// Attempts that have failed.
    pub(super) fn failed(&self) -> u32 {
        self.made
    }

    /// Runs one attempt within its time.
    pub(super) async fn attempt<T, E: Into<Fault>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        let left = self.patience.total.saturating_sub(self.begun.elapsed());
        let limit = self.patience.attempt.min(left);
        match timeout(limit, work).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(_) => Err(Fault::transient(format!("no answer within {:.1} s", limit.as_secs_f64()))),
        }
    }

    /// Waits after a fault that may go away; gives it back where it does not, or not in time.
    pub(super) async fn pause(&mut self, what: &str, fault: Fault) -> Result<(), Fault> {
        if fault.kind != Kind::Transient {
            return Err(fault);
        }
        let pause = pause(self.made);
        self.made += 1;
        let elapsed = self.begun.elapsed();
        // An attempt without time would hide this fault behind its own.
        if elapsed + pause + self.patience.total / 10 >= self.patience.total {
            let tried = format!(" (given up after {} attempts in {:.0} s)", self.made, elapsed.as_secs_f64());
            return Err(fault.and(&tried));
        }
        log::warn!("{what}: {fault}; trying again");
        sleep(pause).await;
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
    patience: Patience,
    what: &str,
    mut work: impl FnMut() -> F,
) -> Result<T, Fault>
where
    E: Into<Fault>,
    F: Future<Output = Result<T, E>>,
{
    let mut attempts = Attempts::new(patience);
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

    fn patience(millis: u64) -> Patience {
        Patience::within(Duration::from_millis(millis * 5 / 2))
    }

    #[test]
    fn transient_faults_are_asked_again_and_permanent_ones_are_not() {
        for (fault, asked) in [(Fault::transient("busy"), 3), (Fault::permanent("no"), 1)] {
            let count = AtomicU32::new(0);
            let outcome = run(retry(patience(60_000), "test", || async {
                let last = count.fetch_add(1, Ordering::Relaxed) == 2;
                if last { Ok(()) } else { Err(fault.clone()) }
            }));
            assert_eq!((count.into_inner(), outcome.is_ok()), (asked, asked == 3));
        }
    }

    #[test]
    fn it_ends_in_time_also_where_nobody_answers() {
        let begun = Instant::now();
        let refused = run(retry(patience(900), "test", || async { Err::<(), _>(Fault::transient("busy")) }));
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("busy (given up after ") && begun.elapsed().as_millis() < 900, "{text}");
        let silent = run(retry(patience(300), "test", || async {
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
