//! Which files make up the server, and how they are read at one position.
//!
//! ```text
//! facts (SQL, else option files and mysqld's arguments) -> ServerLayout -> FileList -> freeze
//! ```
//!
//! Only this layer decides when the server is thawed.

mod binlog;
mod connections;
mod excluded;
mod facts;
mod files;
mod freeze;
mod layout;
mod login;
mod names;
mod place;
mod relay;
mod resolve;
mod room;
mod rules;
mod source;
mod tablespaces;
mod walk;
mod watch;

pub use connections::connections_in_files;
pub use excluded::{Excluded, gcache_option};
pub use facts::{Facts, NodeNames, gather};
pub use files::{Entry, EntryKind, FileList};
pub use freeze::{Captured, copy_frozen};
pub use layout::{BinlogFiles, External, LayoutError, ServerLayout};
pub use login::Login;
pub use names::{group_id, group_name, user_id, user_name};
pub use relay::{RelayFiles, is_replication_state};
pub use resolve::{is_same_directory, is_same_entry, resolved};
pub use room::{DEFAULT_PAGE, RESERVE, Room, free_space};
pub use tablespaces::Tablespaces;
pub use walk::{CaptureError, list_files};
pub use watch::{Outlook, Watch};
