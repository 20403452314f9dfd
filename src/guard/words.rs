//! What both sides of a guard know.

use std::time::Duration;

/// The hidden command in which this program is the guard; its first argument is the process that it guards for.
pub const GUARD_COMMAND: &str = "guard-command";
/// The argument by which a command that is left alone is asked to end before it is killed; seconds follow, after which it is asked in any case.
pub(super) const GENTLY: &str = "--gently";
/// How long a command that is asked to end may take until it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// The same where it must end gently: a member of a cluster that is killed holds the others up until they take it for dead.
pub(super) const GENTLE_GRACE: Duration = Duration::from_secs(30);
