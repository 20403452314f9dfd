//! Faults at random moments of a backup: the donor is always released, and the outcome is always told.
//!
//! Three nodes, a client that writes to one, and `backup` for another. In each round something happens to the donor while
//! its program is at work; then three accounts must agree: what `backup` has told (exit status and JSON), what the
//! repository's files say, and what the node says of itself. At the end everything that the list shows is verified, and
//! it is looked for what may have been left behind.

mod leave;
mod rounds;
mod stage;
mod storage;

use std::path::Path;

use anyhow::Result;

use crate::common::heading;
use crate::promises::Promises;
use stage::Stage;

/// How many rounds of each kind, by the number that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds(pub(crate) u32);

impl Rounds {
    fn killed(self) -> u32 {
        self.0
    }

    fn third(self) -> u32 {
        self.0.div_ceil(3)
    }

    fn storage(self) -> u32 {
        (self.0 * 4).div_ceil(3)
    }
}

/// What is looked at here.
pub(crate) const PROMISES: [&str; 10] = [
    stage::TOLD,
    stage::RELEASED,
    stage::WRITES,
    rounds::GONE,
    rounds::STOPPED,
    rounds::KILLED,
    storage::TIDY,
    leave::VERIFIES,
    leave::FILES,
    leave::PROCESSES,
];

/// Runs the part. Rounds that restart the server come first: what is left in a server can be told only of one that lives.
pub(crate) fn run(program: &Path, rounds: Rounds, promises: &mut Promises) -> Result<()> {
    heading("Faults at random moments of a backup");
    let mut stage = Stage::start(program, promises)?;
    rounds::kill_servers(&mut stage, rounds.third(), promises)?;
    rounds::stop_services(&mut stage, rounds.third(), promises)?;
    rounds::stop_services_at_once(&mut stage, rounds.third().div_ceil(2), promises)?;
    let before = leave::Before::look(&stage, promises);
    rounds::kill_programs(&mut stage, rounds.killed(), promises)?;
    rounds::isolate(&mut stage, rounds.third(), promises)?;
    storage::fail_each(&mut stage, rounds.storage(), promises)?;
    before.compare(&stage, promises);
    Ok(())
}
