//! The nouns of the program: identities, positions, and the documents of a backup.
//!
//! Nothing here does I/O. The documents are `manifest.json` ([`Manifest`]), the lines of
//! `index.json.zst` ([`IndexLine`]), `status.json` ([`Status`]), `hold.json` ([`Hold`]) and `verify.json`
//! ([`Verification`]); `doc/format.md` specifies them.

mod address;
mod compression;
mod filename;
mod filename_letters;
mod glob;
mod gtid;
mod hold;
mod id;
mod index;
mod manifest;
mod path;
mod provider;
mod record;
mod replication;
mod status;
mod unread;
mod verification;
mod word;

pub use address::HostPort;
pub use compression::Compression;
pub use filename::{encode_char, encode_name};
pub use glob::matches;
pub use gtid::{GtidError, WsrepGtid, parse_domain_id};
pub use hold::Hold;
pub use id::{BackupId, IdError, safe_component};
pub use index::{Block, IndexEnd, IndexHeader, IndexLine, Member, MemberKind, Origin};
pub use manifest::{
    ArchiveObject, FORMAT, IndexObject, Manifest, ManifestError, MariadbGtid, ServerIdentity, ToolIdentity,
};
pub use path::ArchivePath;
pub use provider::{provider_option, provider_size, syncs_donor};
pub use record::to_record;
pub use replication::{Connection, ConnectionSource};
pub use status::{State, Status};
pub use unread::not_understood;
pub use verification::{Outcome, Verification};
pub use word::random_word;
