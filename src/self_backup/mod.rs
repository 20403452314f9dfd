//! A backup of the server of this machine, without garbd: what `run` does on a server that has stepped aside for it.
//!
//! ```text
//! prepare ──> Ready ── begin ──> folder, capture ──> Captured ──> publish ──> Ended
//! ```
//!
//! It goes on in a thread of its own ([`RunningBackup`]), so that whoever has the server step aside can look after it meanwhile. Between
//! [`Step::Ready`] and [`RunningBackup::begin`] it waits: what can be known beforehand costs the server no time. From
//! [`Step::Captured`] on nothing is read from the server any more, and it can come back while the rest of what was read is stored: what
//! the backup is does not depend on that. There is a backup when its manifest is there, and a server that has ended since is no reason to give it up.
//!
//! The server runs on while it is read ([`crate::quiesce::Files::Changing`]), and the method brings the position; or it is locked for the moment in which
//! its files are cloned ([`crate::quiesce::Files::Crashed`]). A lock of the whole server desyncs a node by itself, but lets it in again with its
//! queue: so it steps aside for that, too.

mod error;
mod host;
mod locked;
mod order;
mod taking;
mod thread;

pub use error::SelfBackupError;
pub use order::{BackupOrder, OwnPosition};
pub use taking::SelfMade;
pub use thread::{RunningBackup, Step};
