//! Programs and servers that die, stop, or are cut off.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::stage::{DONOR, SLOW, Stage, random_part};
use crate::common::{heading, say};
use crate::promises::Promises;
use crate::support::{PATIENCE, wait_until};

pub(super) const GONE: &str = "the program ends within 2 s of its server";
pub(super) const STOPPED: &str = "a service stopped in order ends within 10 s";
pub(super) const KILLED: &str = "the program starts no other process";

/// Limits of two promises.
const GONE_LIMIT: Duration = Duration::from_secs(2);
const STOPPED_LIMIT: Duration = Duration::from_secs(10);

/// SIGKILL for the donor program; every other time it is slow.
pub(super) fn kill_programs(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} times the donor program is killed"));
    let mut released = Vec::new();
    for round in 1..=rounds {
        let most = if round % 2 == 0 { stage.slow_run } else { stage.quick_run };
        stage.configure(if round % 2 == 0 { SLOW } else { "" })?;
        let (asking, program, state) = stage.ask_and_wait(most);
        if program.runs() {
            let children = program.children();
            promises.check(KILLED, children.is_empty(), || format!("{children:?}"));
        }
        program.signal(Signal::SIGKILL);
        let killed = Instant::now();
        wait_until(PATIENCE, || stage.donor().state() == "Synced");
        released.push(killed.elapsed());
        let told = asking.finish();
        stage.note_killed(&told);
        stage.judge(&format!("{round:>4}  killed while {state}"), &told, promises)?;
    }
    promises.figures(KILLED, format!("Synced {} after the kill", spread(released)));
    stage.configure("")
}

/// SIGKILL for the donor's mysqld, which is started again at once.
pub(super) fn kill_servers(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} times the donor's mysqld is killed"));
    let mut gone = Vec::new();
    for round in 1..=rounds {
        stage.configure(SLOW)?;
        let (asking, program, state) = stage.ask_and_wait(stage.slow_run);
        stage.donor().kill9();
        let killed = Instant::now();
        wait_until(PATIENCE, || !program.runs());
        let lived = killed.elapsed();
        promises.check(GONE, lived <= GONE_LIMIT, || format!("it lived for {lived:?}"));
        gone.push(lived);
        stage.bring_back();
        let told = asking.finish();
        stage.judge(&format!("{round:>4}  mysqld killed while {state}"), &told, promises)?;
    }
    promises.figures(GONE, spread(gone));
    stage.configure("")
}

/// SIGTERM for the program, and for mysqld as soon as the node is no donor any more: a server that is told to end while
/// it flushes or stands still hangs, and it may still flush when the program has ended.
pub(super) fn stop_services(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} times the donor's service is stopped, the program first"));
    let mut stopped = Vec::new();
    for round in 1..=rounds {
        stage.configure(SLOW)?;
        let (asking, program, state) = stage.ask_and_wait(stage.slow_run);
        let begun = Instant::now();
        program.signal(Signal::SIGTERM);
        wait_until(PATIENCE, || !program.runs() && stage.donor().state() == "Synced");
        stage.donor().signal(Signal::SIGTERM);
        stage.donor().wait_ended(PATIENCE);
        let took = begun.elapsed();
        promises.check(STOPPED, took <= STOPPED_LIMIT, || format!("it took {took:?}"));
        stopped.push(took);
        stage.bring_back();
        let told = asking.finish();
        stage.judge(&format!("{round:>4}  stopped while {state}"), &told, promises)?;
    }
    promises.figures(STOPPED, spread(stopped));
    stage.configure("")
}

/// SIGTERM for both in the same moment, as systemd does. A mysqld that begins to leave the group while it is frozen hangs,
/// whatever the program does: that is counted, and no promise of the program's.
pub(super) fn stop_services_at_once(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} times program and mysqld are stopped in the same moment"));
    let mut hung = 0;
    for round in 1..=rounds {
        stage.configure(SLOW)?;
        let (asking, program, state) = stage.ask_and_wait(stage.slow_run);
        stage.donor().signal(Signal::SIGTERM);
        program.signal(Signal::SIGTERM);
        if wait_until(STOPPED_LIMIT, || !stage.donor().is_running()) {
            stage.donor().wait_ended(PATIENCE);
        } else {
            hung += 1;
            stage.donor().kill9();
        }
        stage.bring_back();
        let told = asking.finish();
        stage.judge(&format!("{round:>4}  stopped at once while {state}"), &told, promises)?;
    }
    say(&format!("mysqld hung in its own shutdown in {hung} of {rounds} rounds"));
    stage.configure("")
}

/// The donor is cut off from the others for up to eight seconds.
pub(super) fn isolate(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} times the donor is cut off for a while"));
    for round in 1..=rounds {
        stage.configure(SLOW)?;
        let (asking, _, state) = stage.ask_and_wait(stage.slow_run);
        let lasting = random_part(Duration::from_secs(8));
        let cut = |on: u8| stage.cluster.n(DONOR).set_provider_option("gmcast.isolate", on);
        cut(1);
        std::thread::sleep(lasting);
        cut(0);
        let told = asking.finish();
        stage.judge(
            &format!("{round:>4}  cut off for {:.1} s while {state}", lasting.as_secs_f64()),
            &told,
            promises,
        )?;
    }
    stage.configure("")
}

/// Least, median and greatest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    format!(
        "{}, {}, {} ms (min, median, max)",
        ms(times.first()),
        ms(times.get(times.len() / 2)),
        ms(times.last())
    )
}
