//! A command of the administrator's, none of whose processes outlives us, however we end.
//!
//! ```text
//! this program ── guard (this program again) ── the command (bound to the guard, see crate::child) ── its children
//! ```
//!
//! The kernel tells a process of its parent's death (`PR_SET_PDEATHSIG`), its children's children nothing. So a guard stands between:
//! it adopts whatever the command leaves behind (`PR_SET_CHILD_SUBREAPER`), hears of our death, and ends all of them then. Should the guard be
//! killed, the kernel kills the command, and we, who adopt too, end the rest. Only who kills both in the same moment leaves grandchildren.
//!
//! A server that is a member of a cluster must leave it in good order: its guard asks it to end before it kills it, also when it hears of our death
//! ([`gentle_guard`]).
//!
//! All but such a server stay in the process group of the terminal, so that a command may read from it; its Ctrl-C reaches the command as well as us.

mod command;
mod descendants;
mod inside;
mod words;

pub use command::{GuardedCommand, gentle_guard};
pub use inside::guard;
pub use words::GUARD_COMMAND;
