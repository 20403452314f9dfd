//! Encryption at rest, in the format of age (<https://age-encryption.org/v1>): whatever becomes of this program, stock
//! `age -d` opens what it wrote.
//!
//! ```text
//! header: one line for each recipient, who alone can learn the file's key from it
//! nonce, 16 bytes
//! chunks of 64 KiB, each with a tag of 16 bytes; the last one is marked
//! ```
//!
//! A donor has public keys only: who steals a donor cannot read its backups. Chunks are sealed one by one, so a reader
//! that knows the header can go to any of them, and a chunk that was changed, moved or cut off is noticed.
//!
//! What age does not tell is **who** wrote a file: whoever can write to the repository can put another backup there, sealed
//! for the same public keys.

mod identities;
mod reader;
mod recipients;
mod writer;

pub use identities::{Identities, IdentityError};
pub use reader::{UnsealError, Unsealed, unseal, unseal_stream};
pub use recipients::Recipient;
pub use writer::SealedWriter;

/// The name of this format in the field `encryption` of a manifest.
pub const AGE: &str = "age";

/// Bytes of a chunk before it is sealed.
const CHUNK: u64 = 64 << 10;
/// Bytes that sealing adds to each chunk.
const TAG: u64 = 16;
/// The nonce behind the header.
const NONCE: u64 = 16;
/// More than any header has: 1,000 recipients need 200 KiB.
const LONGEST_HEADER: u64 = 1 << 20;

/// Whether a sealed object of `sealed` bytes can hold a stream of `plain` bytes. Only the length of its header is not known.
pub fn fits(sealed: u64, plain: u64) -> bool {
    let payload = plain.div_ceil(CHUNK).max(1).saturating_mul(TAG).saturating_add(plain);
    sealed.checked_sub(payload).is_some_and(|rest| (NONCE..=LONGEST_HEADER).contains(&rest))
}

#[cfg(test)]
mod tests;
