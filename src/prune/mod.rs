//! Retention: which backups of a cluster go, and how they go.
//!
//! [`policy`] decides and touches nothing; [`PrunePlan`] reads a repository and asks it; [`carry_out`] removes.
//!
//! # What is never removed
//!
//! Of each history the newest complete backup that can be relied on, whatever the policy says (and the newest without pages
//! that were damaged on the donor, where that one has some), and the one with the furthest position; what is held; what is younger than a backup that runs; and what
//! cannot be placed in time: a manifest that cannot be read, a time in the future, a time that contradicts the
//! positions of other backups ([`crate::catalog::Doubt`]).
//!
//! # Histories
//!
//! Each history (state UUID) is judged as if it were alone: two clusters of one name share a folder, and a cluster that was
//! lost and bootstrapped anew goes on in it, and the backups of the one are no copies of the data of the other. A history
//! that has ended keeps what the policy keeps of it, since rules count from its newest backup. It goes when somebody names
//! it ([`PruneScope::forget`]), and by nothing else.
//!
//! # What counts for nothing
//!
//! What something speaks against does not take the place of another backup. That is also one that is known to be damaged, by its
//! last verification or since its objects are not there in their sizes, and one whose objects cannot be looked at now. Such
//! a one stays for as long as the policy would keep it if it were whole, and until a newer one can be relied on:
//! something may still be had of it. The same goes for one that is dated later than the storage has had it, counted
//! from when that had it.
//!
//! # Rules
//!
//! Each rule keeps backups on its own, and a backup goes when none keeps it. Times are `frozen_at`, in UTC.
//! `keep-within` counts back from the newest backup, not from now: where no backup has been taken for a month, none is
//! lost to that. Where the newest is further than that from the one before, it counts back from that one: one backup with a clock that was
//! ahead, or one after a long pause, does not do away with all others at once. `keep-daily` N keeps the newest backup of each of the last N days that have one; days without any do
//! not count. Weeks (ISO, from Monday), months and years go the same way. What is kept this way is kept again by the
//! same rules next time, so to prune twice is to prune once.
//!
//! # What runs have left
//!
//! Folders without a manifest, temporary files of writers that are gone, and uploads into a bucket that were begun and
//! never completed are swept when they are a day old by every clock there is: that of the donor (the id, `status.json`)
//! and that of the storage (the newest file, the beginning of an upload). Before anything of that goes, the storage dates a small object: by its
//! time, where that is earlier than that of this machine, all of it must be a day old too, and nothing may have grown since the plan was made. A folder whose run may go on is left alone, with
//! all that is in it. An upload whose folder has nothing else is not in any list of folders; it is found by the list of
//! uploads, and is a folder of its own to the plan.
//!
//! The same goes for signs of life at the root of the repository ([`crate::lease`]) that have not grown for a day.
//!
//! # Crashes and company
//!
//! The manifest goes first, and its removal is durable before anything else goes: a backup that is being removed is none
//! from that moment. What an interruption leaves is a folder without a manifest, which the next run sweeps. Two at once
//! remove the same things, and what is gone already is no error. A hold is looked for again right before the manifest
//! goes; one that comes between that look and the removal, two system calls apart, comes too late, and `hold` says so
//! unless its own look at the manifest falls into the same gap.

mod carry_out;
mod forgetting;
mod leftover;
mod plan;
pub mod policy;
mod signs;
mod verdict;

pub use carry_out::{AskedToStop, Tally, carry_out};
pub use forgetting::{LivingHistory, forgettable};
pub use leftover::{Left, Leftover};
pub use plan::{ClusterPlan, Planned, PrunePlan, PruneScope};
pub use signs::Sign;

#[cfg(test)]
mod tests;
