//! Which files make up the server, and how they are read at one position.
//!
//! ```text
//! facts (SQL, else option files and mysqld's arguments) -> ServerLayout -> FileList -> Method -> Output
//! what the server, its variables and links name        -> Plan         ----^
//! ```
//!
//! Only this layer decides when the server is thawed: each [`Method`] does, by its [`Host`].

mod abort;
mod bell;
mod binlog;
mod binlog_checkpoint;
mod class;
mod connections;
mod copy;
mod demand;
mod directory_entries;
mod engines;
mod entry;
mod error;
mod excluded;
mod facts;
mod files;
mod freeze;
mod frozen_list;
mod identify;
mod layout;
mod links;
mod listings;
mod logical;
mod login;
mod logs;
mod mariadb_backup;
mod method;
mod method_choice;
mod nameless;
mod objection;
mod outside_place;
mod overlap;
mod page_lsns;
mod plan;
mod precopy;
mod progress;
mod redo_file;
mod redo_log;
mod relay;
mod resolve;
mod room;
mod rules;
#[cfg(test)]
mod sample;
mod snapshot;
mod source;
mod standstill;
mod stillness;
mod tablespaces;
mod walk;
mod watch;

pub use abort::Abort;
pub use class::{FileClass, innodb_binlog};
pub use connections::connections_in_files;
pub use demand::Demands;
pub use engines::{EngineData, Engines, unfrozen_directories};
pub use entry::{Entry, EntryKind, Look};
pub use error::{CaptureError, HostError};
pub use excluded::{Excluded, gcache_option};
pub use facts::{Facts, NodeNames, gather};
pub use files::FileList;
pub use layout::{BinlogFiles, External, LayoutError, ServerLayout};
pub use listings::look_ahead;
pub use login::Login;
pub use method::{
    CaptureListener, Captured, Estimate, Host, Method, PrecopySettings, Prospect, StandingReplica, Task,
};
pub use method_choice::{Choice, METHODS, choose, offered_by_run, settings};
pub use objection::Objection;
pub use overlap::Overlap;
pub use plan::Plan;
pub use progress::Unended;
pub use relay::{RelayFiles, is_replication_state};
pub use resolve::{is_same_directory, is_same_entry, resolved};
pub use room::{Room, free_space};
pub use rules::{is_of_one_run, unfrozen_engine};
pub use stillness::Stillness;
pub use tablespaces::Tablespaces;
pub use walk::{ListOptions, list_files};
pub use watch::{Outlook, Watch};
