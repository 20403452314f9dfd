//! The nouns of the program: identities, positions, and the three documents of a backup.
//!
//! Nothing here does I/O. The documents are `manifest.json` ([`Manifest`]), the lines of
//! `index.json.zst` ([`IndexLine`]) and `status.json` ([`Status`]); `doc/format.md` specifies them.

mod compression;
mod gtid;
mod id;
mod index;
mod manifest;
mod path;
mod status;

pub use compression::Compression;
pub use gtid::{GtidError, WsrepGtid};
pub use id::{BackupId, IdError, safe_component};
pub use index::{Block, IndexEnd, IndexHeader, IndexLine, Member, MemberKind, Origin};
pub use manifest::{
    ArchiveObject, FORMAT, IndexObject, Manifest, ManifestError, MariadbGtid, ServerIdentity, ToolIdentity,
};
pub use path::ArchivePath;
pub use status::{State, Status};
