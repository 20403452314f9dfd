//! The conversation with mysqld: what it passes, what it expects on stdout, what it answers.
//!
//! ```text
//! mysqld ── argv, environment, stdin ──> DonorRequest, Credentials
//!        <── "flush tables" ─────────── Conversation, FlushTables
//!        ── tables_flushed | sst_error ─> Frozen
//!        <── "continue" ─────────────── Resumed
//!        <── "done uuid:seqno domain"
//! ```
//!
//! Only this module writes to the stdout that mysqld reads ([`stdout::claim`] takes it away from
//! everything else), and the types say whether the server is frozen: `flush tables` consumes the
//! [`FlushTables`], so it cannot be asked twice, and dropping what it becomes thaws. To those who read the files it is one of the
//! things that make a server stand still ([`crate::quiesce`]).

mod args;
mod conversation;
mod credentials;
mod error_log;
mod frozen;
mod pipe;
mod process;
mod protocol;
pub mod stdout;
mod transfer_lock;

pub use args::{ArgsError, DonorRequest, Role};
pub use conversation::{Conversation, FlushTables};
pub use credentials::{Credentials, read_credentials};
pub use error_log::{ErrorLog, LoggedNodeState};
pub use process::{Mysqld, close_inherited};
pub use transfer_lock::{LockError, TransferLock};
