//! The redo log of MariaDB 10.8 and later: its header, its checkpoints, and its mini-transactions.
//!
//! ```text
//! LogBytes ── LogHead::read ──> LogHead ── mini_transactions(from) ──> MiniTransaction, … ──> LogEnd
//! ```
//!
//! The file is a ring: behind 12,288 bytes of header and checkpoint blocks LSN *x* lies at 12,288 + (*x* − first LSN) mod (size − 12,288).
//! A server that starts reads from its newest checkpoint to the first thing that is no mini-transaction, and nothing else
//! ([`LiveLog`]).
//!
//! Only what is understood is believed: two formats (the one of 10.8, and the same encrypted), one file, every checksum right. Everything else
//! is a [`RedoError`], and the caller takes the log as a whole.
//!
//! Facts come from the MariaDB sources, 10.8 and later: `log0recv.cc` (`recv_sys_t::parse`, `find_checkpoint`), `log0log.cc`
//! (`log_t::create`, `write_checkpoint`), `mtr0log.h` (varints), `mtr0types.h` (records), `log0crypt.cc`.

mod changes;
mod checkpoint;
mod error;
mod follower;
mod format;
mod head;
mod live;
mod log_bytes;
mod mini_transaction;
mod mini_transactions;
mod page_id;
mod page_set;
mod pin;
mod record;
mod ring;
mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
pub use testing::{empty_log, written_log};

pub use changes::{Change, Changes};
pub use checkpoint::Checkpoint;
pub use error::RedoError;
pub use follower::RedoFollower;
pub use head::LogHead;
pub use live::LiveLog;
pub use log_bytes::LogBytes;
pub use mini_transactions::{LogEnd, MiniTransaction, MiniTransactions};
pub use page_id::PageId;
pub use page_set::PageSet;
pub use pin::{Pinned, pin_checkpoint};
pub use stored::StoredLog;
