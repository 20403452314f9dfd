//! The administrator's own snapshot (LVM, ZFS, btrfs, a SAN): two commands of theirs, one that takes it and one that gives it back.
//!
//! ```text
//! method snapshot ── link ── a socket (of root's unit) or a child of ours ── helper ── snapshot-command, snapshot-release-command
//!                     └── open: the snapshot may be there; closed, however that comes about: it is given back
//! ```
//!
//! The donor is the server's user in a sandbox, and can neither make nor mount a volume. So the commands are run by a [`helper`]: started by systemd
//! for each connection to a socket of root's ([`Reach::Socket`]), or by this program ([`Reach::Child`]) where there is no such socket. Both speak the same words over a
//! connection, and that connection is the lease: when it is closed (also by a `kill -9` of the backup) the helper gives the snapshot back by itself. The
//! helper has its own process group, and leaves signals to whoever has the connection. Should it be killed as well, or the machine lose its power, a note
//! ([`note`]) says what is left, and the next backup of the same data directory, or `check`, gives it back first.
//!
//! What the commands are told and have to say is documented in doc/snapshot-command.md. That what they say is a snapshot of *this* server in
//! *this* moment is seen to by [`mounts`], and by whoever reads it.

mod client;
mod commands;
mod error;
mod helper;
mod mounts;
mod note;
mod request;
mod run_command;
mod wire;

pub use client::{Reach, SnapshotLink};
pub use commands::SnapshotCommands;
pub use error::SnapshotError;
pub use helper::{HELPER_COMMAND, HelperOrders, serve};
pub use mounts::SnapshotMounts;
pub use request::SnapshotRequest;
