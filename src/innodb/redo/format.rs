//! Numbers that all parts of the log share.

/// Length of the head; the first LSN of a new log is as large (`log_t::START_OFFSET`, `FIRST_LSN`).
pub(super) const HEAD_BYTES: usize = 12_288;
/// Where the checkpoint blocks are.
pub(super) const CHECKPOINTS: [usize; 2] = [4096, 8192];
/// Bytes of the header that its checksum covers.
pub(super) const COVERED: usize = 508;
/// What the length of a log is a multiple of, and what is stored of it as well.
pub(super) const GRAIN: u64 = 4096;

/// `log_t::FORMAT_10_8`.
pub(super) const PLAIN: u32 = 0x5068_7973;
/// `log_t::FORMAT_ENC_11`, also of 10.8 to 10.11 in their later releases. The older 0xd0687973 has had no proof.
pub(super) const ENCRYPTED: u32 = 0xf09f_979d;

pub(super) fn be64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
