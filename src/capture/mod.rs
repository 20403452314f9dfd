//! Which files make up the server, and how they are read at one position.
//!
//! ```text
//! facts (SQL, else option files and mysqld's arguments) -> ServerLayout -> FileList -> freeze
//! ```
//!
//! Only this layer decides when the server is thawed.

mod binlog;
mod facts;
mod files;
mod freeze;
mod layout;
mod login;
mod names;
mod place;
mod rules;
mod source;
mod walk;
mod watch;

pub use facts::{Facts, NodeNames, gather};
pub use files::{Entry, EntryKind, FileList};
pub use freeze::{Captured, copy_frozen};
pub use layout::{BinlogFiles, External, LayoutError, ServerLayout};
pub use login::Login;
pub use names::{group_id, group_name, user_id, user_name};
pub use walk::{CaptureError, list_files};
pub use watch::{Outlook, Watch};
