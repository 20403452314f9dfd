//! Which files make up the server, and how they are read at one position.
//!
//! ```text
//! facts (SQL, else option files and mysqld's arguments) -> ServerLayout -> FileList -> freeze
//! what the server, its variables and links name        -> Demands      ----^
//! ```
//!
//! Only this layer decides when the server is thawed.

mod abort;
mod binlog;
mod class;
mod connections;
mod demand;
mod engines;
mod error;
mod excluded;
mod facts;
mod files;
mod freeze;
mod layout;
mod links;
mod login;
mod logs;
mod look;
mod overlap;
mod page_lsns;
mod place;
mod relay;
mod resolve;
mod room;
mod rules;
mod source;
mod still;
mod tablespaces;
mod walk;
mod watch;

pub use abort::Abort;
pub use class::FileClass;
pub use connections::connections_in_files;
pub use demand::Demands;
pub use engines::{EngineData, Engines};
pub use error::CaptureError;
pub use excluded::{Excluded, gcache_option};
pub use facts::{Facts, NodeNames, gather};
pub use files::{Entry, EntryKind, FileList, Look, Objection};
pub use freeze::{Captured, copy_frozen};
pub use layout::{BinlogFiles, External, LayoutError, ServerLayout};
pub use login::Login;
pub use look::{list_frozen, look_ahead};
pub use overlap::Overlap;
pub use relay::{RelayFiles, is_replication_state};
pub use resolve::{is_same_directory, is_same_entry, resolved};
pub use room::{DEFAULT_PAGE, RESERVE, Room, free_space};
pub use tablespaces::Tablespaces;
pub use walk::{ListOptions, list_files};
pub use watch::{Outlook, Watch};
