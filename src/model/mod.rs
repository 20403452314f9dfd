//! The nouns of the program: identities, positions, and the documents of a backup.
//!
//! Nothing here does I/O. The documents are `manifest.json` ([`Manifest`]), the lines of
//! `index.json.zst` ([`IndexLine`]), `status.json` ([`Status`]), `hold.json` ([`Hold`]), `verify.json`
//! ([`Verification`]) and `drill.json` ([`DrillRecord`]); `doc/format.md` specifies them.

mod address;
mod compression;
mod content;
mod data_digest;
mod drill_guest;
mod drill_record;
mod dump;
mod filename;
mod filename_letters;
mod galera_release;
mod glob;
mod gtid;
mod hold;
mod id;
mod index;
mod json_document;
mod manifest;
mod method_reason;
mod parse_error;
mod path;
mod provider;
mod random_word;
mod replication;
mod server_identity;
mod status;
mod verification;

pub use address::HostPort;
pub use compression::Compression;
pub use content::{Content, FORMAT, FilesState, NEWEST_FORMAT};
pub use data_digest::{DataDigest, DataHasher};
pub use drill_guest::{DRILL_ADDRESS, DRILL_INCOMING, DRILL_PREFIX, drill_name, is_drill};
pub use drill_record::{DrillMeasures, DrillOutcome, DrillRecord, DrillStep, DrilledJoin, TableCount};
pub use dump::{BackupClass, Dump, UsersObject};
pub use filename::{encode_char, encode_name};
pub use galera_release::GaleraRelease;
pub use glob::matches;
pub use gtid::{GtidError, NO_POSITION, WsrepGtid, parse_domain_id};
pub use hold::Hold;
pub use id::{BackupId, IdError, safe_component};
pub use index::{
    Block, BlockLine, EarlyChange, IndexEnd, IndexHeader, IndexLine, LiveRedo, Member, MemberKind, Origin,
    PageRuns,
};
pub use json_document::to_record;
pub use manifest::{
    ArchiveObject, IndexObject, Manifest, ManifestError, MariadbGtid, StoredObject, ToolIdentity,
};
pub use method_reason::{MethodReason, PassedMethod};
pub use parse_error::not_understood;
pub use path::ArchivePath;
pub use provider::{
    DEFAULT_PAGE, PAGE_RESERVE, PLUGIN_PREFIX, PROVIDER_OPTIONS, SYNC_DONOR, TLS_VARIABLES,
    effective_options, provider_option, provider_size, syncs_donor,
};
pub use random_word::{random_number, random_word};
pub use replication::{Connection, ConnectionSource};
pub use server_identity::{Owner, ServerIdentity};
pub use status::{BackupState, Status};
pub use verification::{Verification, VerifyOutcome};
