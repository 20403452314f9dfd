//! Time in which this process was there to wait.
//!
//! A process that is stopped (SIGSTOP, a frozen control group, a paused virtual machine) sees nothing meanwhile. When it goes on, the clock
//! says that it has waited, and that somebody else has kept it waiting: neither is true. Who looks every few milliseconds can tell it
//! by the gap between two looks.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks of a [`Heartbeat`].
const BEAT: Duration = Duration::from_millis(100);
/// No machine is so busy that a look every few milliseconds comes so late. Where one is, somebody is waited for a little longer.
const GAP: Duration = Duration::from_secs(2);

/// A wait, looked after every few milliseconds.
#[derive(Debug, Clone)]
pub struct Presence {
    seen: Instant,
    waited: Duration,
}

impl Presence {
    /// A wait that began then.
    pub fn since(begun: Instant) -> Self {
        Self { seen: begun, waited: Duration::ZERO }
    }

    /// To be called every few milliseconds: how long it was waited, without the time in which this process was stopped.
    pub fn waited(&mut self) -> Duration {
        self.waited_at(Instant::now())
    }

    fn waited_at(&mut self, now: Instant) -> Duration {
        let gap = now.saturating_duration_since(self.seen);
        self.seen = now;
        if gap > GAP {
            log::warn!("this program was stopped for {} s, in which it has waited for nobody", gap.as_secs());
        } else {
            self.waited += gap;
        }
        self.waited
    }
}

/// A thread that looks while another one waits for an answer, until this is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    /// The last beat, and how long this process was stopped before it.
    state: Arc<Mutex<(Instant, Duration)>>,
    /// Its end ends the thread.
    _life: Sender<()>,
}

impl Heartbeat {
    /// Begins to look.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new((Instant::now(), Duration::ZERO)));
        let (life, death) = channel::<()>();
        let beating = Arc::clone(&state);
        std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            while death.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                beat(&beating, Instant::now());
            }
        })?;
        Ok(Self { state, _life: life })
    }

    /// How long this process was stopped since the beginning, up to now.
    pub fn away(&self) -> Duration {
        beat(&self.state, Instant::now())
    }
}

fn beat(state: &Mutex<(Instant, Duration)>, now: Instant) -> Duration {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let (seen, away) = &mut *state;
    let gap = now.saturating_duration_since(*seen);
    if gap > GAP {
        *away += gap;
    }
    *seen = now.max(*seen);
    *away
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_it_was_stopped_is_not_waited() {
        let begun = Instant::now();
        let mut presence = Presence::since(begun);
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(presence.waited_at(at(20)), Duration::from_millis(20));
        // A busy machine.
        assert_eq!(presence.waited_at(at(1_500)), Duration::from_millis(1_500));
        assert_eq!(presence.waited_at(at(61_500)), Duration::from_millis(1_500));
        assert_eq!(presence.waited_at(at(61_540)), Duration::from_millis(1_540));
    }

    #[test]
    fn a_heartbeat_tells_of_the_gap_that_has_not_ended_too() {
        let begun = Instant::now();
        let state = Mutex::new((begun, Duration::ZERO));
        let at = |ms| beat(&state, begun + Duration::from_millis(ms));
        assert_eq!([100, 200, 1_900, 61_900, 62_000].map(at), [0, 0, 0, 60, 60].map(Duration::from_secs));
        // Two threads look at once.
        assert_eq!(at(61_950), Duration::from_secs(60));
        assert_eq!(Heartbeat::start().unwrap().away(), Duration::ZERO);
    }
}
