//! The archive: a tar stream cut into blocks that are compressed in parallel, and its index.
//!
//! ```text
//! ArchiveWriter ── tar members, digests, page checksums ──> BlockWriter ── blocks ──> any Write
//!        └────────────────────── IndexWriter <────────────────┘
//! StreamReader <── BlockReader <── any Read, guided by the Index
//! ```
//!
//! Nothing here knows about servers or storages: only `Read`, `Write`, `Seek` and numbers. Where recipients are named, archive
//! and index are sealed ([`crate::seal`]) as the last thing before they leave; offsets of blocks are those in the stream inside.

mod apply;
mod at_end;
mod block;
mod block_fetch;
mod block_reader;
mod block_writer;
mod border_check;
mod border_digests;
mod codec;
mod crossing;
mod data_parts;
mod digest;
mod dump_scanner;
mod early;
mod early_lines;
#[cfg(test)]
mod early_world;
mod early_writer;
mod index;
mod inspection;
mod member;
mod object_stream;
mod pages;
mod reader;
mod stages;
mod stream_writer;
mod sums;
mod tar_header;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unpacked;
mod validator;
mod writer;
mod xbstream;

pub use apply::{APPLY_MEMBER, FILES_PREFIX, PAGES_PREFIX, RUNS_SUFFIX, STAND_IN, SYSTEM_PREFIX};
pub use block::{BlockDamage, DecodedBlock, ENDS, ObjectDigest, PlannedBlock, ReadPlan};
pub use block_reader::{BlockReader, ReaderOptions};
pub use block_writer::{BlockWriter, WriterOptions};
pub use border_check::{BorderCheck, WrongDigest};
pub use codec::{compress_whole, decompress_whole};
pub use data_parts::{DataPart, DataParts};
pub use digest::{Hashing, hex};
pub use dump_scanner::{DumpContent, DumpError, DumpScanner};
pub use early::{EarlyMember, ReadAgain};
pub use index::{Index, IndexError, IndexWriter};
pub use member::{FileContent, NewMember, Segment, stored_bytes};
pub use object_stream::IsDamage;
pub use pages::{PageFault, missing_of_system, of_files, page_fault};
pub use reader::{MemberDamage, StreamReader, read_member};
pub use stages::read_full;
pub use stream_writer::StreamWriter;
pub use sums::{has_sum, sum_line};
pub use writer::{ArchiveError, ArchiveSummary, ArchiveWriter, Finished};
pub use xbstream::{XbstreamContent, XbstreamError, XbstreamScanner, is_about_the_backup};

/// Name of the first member: identity and position, known before the first data byte.
pub const IDENTITY_MEMBER: &str = "wsrep_sst_backup.json";
/// Name of the member that makes a node ask for IST.
pub const GRASTATE_MEMBER: &str = "grastate.dat";
/// Name of the last member: the digests in the form of `sha256sum`.
pub const SUMS_MEMBER: &str = "SHA256SUMS";
/// Where files from outside the data directory are stored: `<this>/<variable>/…`.
pub const EXTERNAL_PREFIX: &str = ".wsrep_sst_backup";
