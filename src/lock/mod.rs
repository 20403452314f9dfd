//! A server that is made to stand still by SQL alone: `FLUSH TABLES WITH READ LOCK`, held by a session of our own.
//!
//! ```text
//! refuse? ── lock, in slices ── position ── log flushed? ── same position ──> HeldLock ── same position ── UNLOCK TABLES
//! ```
//!
//! Statements that write wait, and the provider is paused, so that the server has one position; nobody joins or leaves the group. InnoDB goes on
//! writing pages and checkpoints of its own: the files are those of a crashed server ([`Files::Crashed`]), which recovers from its redo log
//! ([`crate::innodb::redo::pin_checkpoint`]). So the log has to be on the disk up to the position first: with
//! `innodb_flush_log_at_trx_commit=0` the last commits are in memory for as long as `innodb_flush_log_at_timeout` says, and nothing but
//! time writes them (a copy without that wait missed three).
//!
//! A node that takes the lock is desynced for its length (`sql/lock.cc`), so nobody asks for it beside another member that is out:
//! that is [judged](crate::desync::judge) before. While the lock is waited for the local writes wait behind it: it is tried in slices, between which they are let through.
//!
//! The lock is the session's. Whoever unlocks, kills or closes that ends it, from any thread; a program that dies gives it back. What was read
//! under it counts only if the session holds it to the end, and the position is the one of its beginning.

mod held;
mod position;
mod take;

pub use position::LockPosition;
pub use take::SqlLock;
