//! The conversation with mysqld: what it passes, what it expects on stdout, what it answers.
//!
//! ```text
//! mysqld ── argv, environment, stdin ──> DonorRequest, Credentials
//!        <── "flush tables" ─────────── Conversation
//!        ── tables_flushed | sst_error ─> Frozen
//!        <── "continue" ─────────────── Thawed
//!        <── "done uuid:seqno domain"
//! ```
//!
//! Only this module writes to the stdout that mysqld reads ([`stdout::claim`] takes it away from
//! everything else), and the types say whether the server is frozen: `flush tables` consumes the
//! [`Conversation`], so it cannot be asked twice, and dropping a [`Frozen`] thaws.

mod args;
mod conversation;
mod credentials;
mod error_log;
mod process;
mod protocol;
pub mod stdout;
mod transfer_lock;

pub use args::{ArgsError, DonorRequest, Role};
pub use conversation::{Abort, Conversation, FreezeError, FreezeLimits, Frozen, Release, Thawed};
pub use credentials::{Credentials, read_credentials};
pub use error_log::{ErrorLog, NodeState};
pub use process::{Mysqld, close_inherited};
pub use transfer_lock::{LockError, TransferLock};
