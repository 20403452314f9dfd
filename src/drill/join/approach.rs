//! The way of the drilled server into the group and out of it, and how long each part of that may take.

use std::time::{Duration, Instant};

use super::super::home::last_words;
use super::super::scratch::ScratchFolder;
use super::super::server::DrillServer;
use super::heard::JoinListener;
use super::script::JoinerScript;
use super::settle::BOOTSTRAP;
use crate::ui::bytes;

/// Between two looks at the server.
const POLL: Duration = Duration::from_millis(20);
/// From the look that lets it ask to a donor that was found: Galera asks again each second, without end.
const FIND: Duration = Duration::from_secs(60);
/// The longest time in which it may say nothing of getting on.
const STALLED: Duration = Duration::from_secs(180);
/// What must be free where its files are, bytes: a server that finds no room for a write set dies, and the members wait until they take it for dead.
const RESERVE: u64 = 256 << 20;
/// The longest that it waits for a Primary component before it leaves a group that has none, and the time between two questions about that.
const CUT_OFF: Duration = Duration::from_secs(600);
const ASK: Duration = Duration::from_millis(500);

/// How long each part of the way may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct JoinLimits {
    find: Duration,
    stalled: Duration,
    all: Duration,
}

impl JoinLimits {
    pub(super) fn new(all: Duration) -> Self {
        Self { find: FIND, stalled: STALLED, all }
    }

    /// The longest that the server may be there, also where nobody looks at these limits any more.
    pub(super) fn stay(&self) -> Duration {
        self.all.saturating_add(FIND).saturating_add(CUT_OFF)
    }

    /// Which of them is over, in words. `waits` is since when it may ask for a donor, while it has none.
    fn over(&self, began: Instant, waits: Option<Instant>, progress: Instant) -> Option<String> {
        if waits.is_some_and(|asked| asked.elapsed() >= self.find) {
            return Some(format!("no donor was found within {} s", self.find.as_secs()));
        }
        if began.elapsed() >= self.all {
            return Some(format!(
                "it was not Synced within {} s (--join-timeout), and has left again",
                self.all.as_secs()
            ));
        }
        (progress.elapsed() >= self.stalled)
            .then(|| format!("it has not got on for {} s, and has left again", self.stalled.as_secs()))
    }
}

/// Waits until the server is a member that is Synced; why it is not, in words. When it is about to ask for a donor `may_ask` says whether it may; that
/// donor and no other one must give it the write sets.
pub(super) fn approach(
    server: &DrillServer<'_>,
    listener: &mut JoinListener<'_>,
    script: &JoinerScript,
    scratch: &ScratchFolder,
    limits: JoinLimits,
    donor: &str,
    may_ask: &dyn Fn() -> Result<(), String>,
) -> Result<(), String> {
    let began = Instant::now();
    let (mut asked, mut has_donor) = (None, false);
    loop {
        if let Some(why) = server.given_up() {
            return Err(why);
        }
        // Asked before its log is read, so that its last words are among it.
        let status = server.status()?;
        listener.listen();
        let heard = &listener.heard;
        if let Some(why) = heard.objection(donor) {
            return Err(why);
        }
        if let Some(status) = status {
            return Err(format!("the server has ended ({status}): {}", last_words(&server.log())));
        }
        if heard.is_synced {
            return Ok(());
        }
        if scratch.has_less_than(RESERVE) {
            return Err(format!(
                "'{}' has less than {} free, and it has left again: name a place with more room (--scratch DIR)",
                scratch.path().display(),
                bytes(RESERVE)
            ));
        }
        if heard.requests > 1 {
            return Err("it was about to ask for a second state transfer, and has left".into());
        }
        if asked.is_none() && heard.requests > 0 {
            let may = may_ask();
            script.answer(may.is_ok())?;
            may?;
            asked = Some(Instant::now());
        }
        if !has_donor && heard.has_donor {
            script.is_asked()?;
            has_donor = true;
        }
        if let Some(over) = limits.over(began, asked.filter(|_| !has_donor), heard.progress) {
            return Err(format!("{over}: {}", last_words(&server.log())));
        }
        std::thread::sleep(POLL);
    }
}

/// Waits while the server is in a part of the group that is not Primary, and the members do not go on in another one (`goes_on`); an error where that
/// does not end. Members that have lost the Primary component have one again by themselves when all that were in the last one are there
/// (`Proto::is_prim` in `gcomm/src/pc_proto.cpp`, whatever their weights), and the server was one of them.
pub(super) fn stay_while_cut_off(
    server: &DrillServer<'_>,
    listener: &mut JoinListener<'_>,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), String> {
    wait_for_primary(CUT_OFF, || {
        let has_ended = !matches!(server.status(), Ok(None));
        listener.listen();
        has_ended || !listener.heard.is_cut_off() || goes_on()
    })
    .inspect_err(|why| log::warn!("{why}"))
}

fn wait_for_primary(limit: Duration, mut is_over: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    let mut is_told = false;
    while !is_over() {
        if !is_told {
            log::warn!(
                "the cluster has lost its Primary component while the drilled server was in it: that stays until there is one again, {} s at most, since \
                 the members form none by themselves without it",
                limit.as_secs()
            );
            is_told = true;
        }
        if began.elapsed() >= limit {
            return Err(format!(
                "the cluster had no Primary component for {} s, and the server has left it all the same; where the members are not in one now, {BOOTSTRAP}",
                limit.as_secs()
            ));
        }
        std::thread::sleep(ASK.min(limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stays_until_there_is_a_primary_component_and_not_for_ever() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            looks == 3
        };
        assert_eq!(wait_for_primary(Duration::from_secs(60), third), Ok(()));
        assert_eq!(looks, 3);
        let why = wait_for_primary(Duration::from_millis(50), || false).unwrap_err();
        assert!(why.contains("pc.bootstrap=YES"), "{why}");
    }

    #[test]
    fn each_limit_is_told_when_it_is_over() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let limits = |find: u64, stalled: u64, all: u64| JoinLimits {
            find: Duration::from_secs(find),
            stalled: Duration::from_secs(stalled),
            all: Duration::from_secs(all),
        };
        assert_eq!(limits(9, 9, 9).over(now, Some(now), now), None);
        let past = now.checked_sub(second * 5).unwrap();
        let told = |limits: JoinLimits, waits| limits.over(past, waits, past).unwrap_or_default();
        assert!(told(limits(4, 9, 9), Some(past)).contains("no donor was found within 4 s"));
        assert_eq!(told(limits(4, 9, 9), None), "");
        assert!(told(limits(9, 4, 9), None).contains("not got on for 4 s"));
        assert!(told(limits(9, 9, 4), None).contains("within 4 s (--join-timeout)"));
    }
}
