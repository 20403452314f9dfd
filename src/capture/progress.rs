//! Whether a run gets on, as the system tells of its threads (`/proc/self/task/<tid>/stat`, `man 5 proc`).
//!
//! On a machine that is overloaded a program of low priority needs long for little: its threads could run, and are not let.
//! One that hangs in a disk is blocked, and uses no time of a processor.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::gettid;

use crate::presence::Presence;

/// How often it is looked whether the run has come to its end.
const TICK: Duration = Duration::from_millis(20);
/// How often it is looked whether it gets on.
const LOOK: Duration = Duration::from_millis(200);

/// Threads that the main one waits for at its end, by the beginnings of their names.
const WAITED_FOR: [&str; 2] = ["compress-", "store"];

/// How long the main thread may take to its end once the server is released.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    /// Without any progress.
    pub(super) still: Duration,
    /// With it.
    pub(super) longest: Duration,
}

/// How far the main thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MainStage {
    Over,
    /// It waits for something that has a limit of its own.
    Patient,
    Ending,
}

/// What is known of a main thread that has not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unended {
    /// It is blocked, or an operation of the repository is.
    Blocked,
    /// For so long; nothing shows what it waits for.
    After(Duration),
}

impl Grace {
    /// Waits for the end; what is known of the main thread where that does not come. `in_flight` tells for how long the repository
    /// has not returned from an operation.
    pub(super) fn await_end(
        self,
        mut main: Progress,
        stage: &dyn Fn() -> MainStage,
        in_flight: &dyn Fn() -> Option<Duration>,
    ) -> Option<Unended> {
        let mut presence = Presence::since(Instant::now());
        let (mut begun, mut moved, mut looked) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        main.is_made();
        loop {
            let now = presence.waited();
            match stage() {
                MainStage::Over => return None,
                MainStage::Patient => (begun, moved) = (now, now),
                MainStage::Ending if now.saturating_sub(looked) >= LOOK.min(self.still) => {
                    looked = now;
                    if main.is_made() {
                        moved = now;
                    }
                    let all = now.saturating_sub(begun);
                    if now.saturating_sub(moved) >= self.still || all >= self.longest {
                        let hangs = in_flight().is_some_and(|time| time >= self.still) || main.is_blocked();
                        return Some(if hangs { Unended::Blocked } else { Unended::After(all) });
                    }
                }
                MainStage::Ending => {}
            }
            std::thread::sleep(TICK);
        }
    }
}

/// The main thread of a run, and those that store what it has read.
#[derive(Debug)]
pub(super) struct Progress {
    main: i32,
    waited_for: &'static [&'static str],
    /// Ticks of a processor that they had used at the last look.
    used: u64,
}

/// What a thread does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ThreadState {
    /// `R` for one that runs or could, `S` for one that waits for another one or for the time.
    letter: char,
    used: u64,
}

impl Progress {
    /// That of the calling thread.
    pub(super) fn of_this_thread() -> Self {
        Self { main: gettid().as_raw(), waited_for: &WAITED_FOR, used: 0 }
    }

    /// Whether one of them could run now, or has run since the last look.
    pub(super) fn is_made(&mut self) -> bool {
        let threads = self.threads();
        let used = threads.iter().map(|thread| thread.used).sum();
        let before = std::mem::replace(&mut self.used, used);
        used != before || threads.iter().any(|thread| thread.letter == 'R')
    }

    /// Whether one of them neither runs nor waits for anything that this program does: it is blocked in the system.
    pub(super) fn is_blocked(&self) -> bool {
        self.threads().iter().any(|thread| !matches!(thread.letter, 'R' | 'S'))
    }

    fn threads(&self) -> Vec<ThreadState> {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        tasks
            .filter_map(|task| {
                let stat = fs::read_to_string(task.path().join("stat")).ok()?;
                let is_main = task.file_name().to_str()?.parse() == Ok(self.main);
                let (name, state) = read(&stat)?;
                (is_main || self.waited_for.iter().any(|start| name.starts_with(start))).then_some(state)
            })
            .collect()
    }
}

/// The name of a thread and its state: `4711 (store) S 1 …`, the 14th and 15th field are its ticks.
fn read(stat: &str) -> Option<(&str, ThreadState)> {
    let (_, named) = stat.split_once('(')?;
    let (name, rest) = named.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let used = ticks(11)?.saturating_add(ticks(12)?);
    Some((name, ThreadState { letter: fields.first()?.chars().next()?, used }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// What is said of a main thread that does this until it is told, or for so long.
    fn judged(
        still_ms: u64,
        longest_ms: u64,
        in_flight: Option<Duration>,
        main: impl FnOnce(&Receiver<()>),
    ) -> Option<Unended> {
        let grace =
            Grace { still: Duration::from_millis(still_ms), longest: Duration::from_millis(longest_ms) };
        // Other tests have such threads.
        let progress = Progress { waited_for: &[], ..Progress::of_this_thread() };
        let over = AtomicBool::new(false);
        let (told, hears) = channel();
        std::thread::scope(|scope| {
            let over = &over;
            let stage =
                move || if over.load(Ordering::Relaxed) { MainStage::Over } else { MainStage::Ending };
            let watch = scope.spawn(move || {
                let judgement = grace.await_end(progress, &stage, &|| in_flight);
                let _ = told.send(());
                judgement
            });
            main(&hears);
            over.store(true, Ordering::Relaxed);
            watch.join().unwrap()
        })
    }

    #[test]
    fn who_gets_on_has_longer_and_a_hang_is_claimed_of_what_is_blocked_only() {
        let spins = |enough: Duration| {
            move |hears: &Receiver<()>| {
                let begun = Instant::now();
                while begun.elapsed() < enough && hears.try_recv().is_err() {
                    std::hint::spin_loop();
                }
            }
        };
        let waits = |hears: &Receiver<()>| hears.recv().unwrap();
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(judged(100, 60_000, None, spins(second)), None);
        let after =
            |judgement| matches!(judgement, Some(Unended::After(time)) if time >= Duration::from_millis(100));
        assert!(after(judged(100, 300, None, spins(minute))), "it cannot go on for ever");
        assert!(after(judged(100, 60_000, None, waits)));
        assert!(after(judged(100, 60_000, Some(Duration::from_millis(20)), waits)));
        assert_eq!(judged(100, 60_000, Some(second), waits), Some(Unended::Blocked));
    }

    #[test]
    fn a_threads_name_may_hold_anything() {
        let stat = "7 (a) R (b) D 1 7 7 0 -1 4194368 10 0 0 0 123 45 0 0 20 0 9 0 1 2 3";
        assert_eq!(read(stat), Some(("a) R (b", ThreadState { letter: 'D', used: 168 })));
        assert_eq!((read(""), read("7 (a) D 1")), (None, None));
        // Other tests have threads of the names that are looked at, too.
        let own = Progress { waited_for: &[], ..Progress::of_this_thread() };
        assert_eq!(own.threads()[0].letter, 'R');
    }
}
